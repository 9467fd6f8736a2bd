"""The queue of restarts: who is under way in the whole cluster, as the trees' statuses and the writes under way say."""

from collections.abc import Iterator
from contextlib import contextmanager

from suptree.cluster.store import Store
from suptree.cluster.trees import Tree
from suptree.cluster.turns import Key, Turns, turns_of


class Queue:
    """Looks at all trees whenever one asks; what it remembers itself lasts no longer than one write."""

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self.limit = limit
        self._taken: set[Key] = set()
        self.troubled: set[Key] = set()
        """The trees that cannot be decided about now."""

    def _trees(self, but: Key | None) -> Iterator[Tree]:
        # Copies, because metrics are read in another thread.
        for namespace in list(self._store.namespaces.values()):
            yield from (tree for tree in list(namespace.trees.values()) if tree.key != but)

    def look(self, now: float, but: Key | None = None) -> Turns:
        """Return whose turn it is.

        Args:
            now: Seconds since the epoch.
            but: The tree that asks.
        """
        return turns_of(self._trees(but), now, self.limit, self._taken - {but}, self.troubled)

    @contextmanager
    def taking(self, key: Key, *, takes: bool) -> Iterator[None]:
        """Keep a place for a tree while its decision is written: others decide meanwhile."""
        if takes:
            self._taken.add(key)
        try:
            yield
        finally:
            self._taken.discard(key)
