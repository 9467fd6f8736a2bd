"""Whose turn it is: how many restarts may be under way in the cluster at once, and who is next.

All of it is read from the statuses of the trees, so it is right after a restart of the operator. A restart takes a place
from the moment it begins to stop pods until it is complete. It takes none while it backs off or waits for its turn, when it
is in place (nothing is stopped for it), when the tree is shutting down or is held, and when it is a part of its parent's
restart, which has a place already: a family can never wait for itself.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from suptree.api.model import from_time
from suptree.api.outcomes import Stage
from suptree.api.status import OperationStatus
from suptree.cluster.trees import Tree

PLACE_SECONDS = 300
"""After that long a restart keeps its place no more: what is not up by then waits for something else than its turn."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the queue: the restart that was decided first is the first to go."""

    since: float
    """When it was decided (seconds since the epoch)."""
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Turns:
    """The restarts of all other trees."""

    limit: int = 0
    """How many may be under way at once; 0: any number."""
    under_way: frozenset[Key] = field(default_factory=frozenset)
    waiting: tuple[Place, ...] = ()
    """Those that wait for nothing but their turn."""
    frees_at: float | None = None
    """When the first of those under way loses its place (seconds since the epoch)."""

    def comes_to(self, place: Place) -> bool:
        """Tell whether a restart may begin: when there is a place for it and for all who wait longer."""
        ahead = sum(it < place for it in self.waiting)
        return not self.limit or len(self.under_way) + ahead < self.limit


def turns_of(
    trees: Iterable[Tree], now: float, limit: int, taken: Collection[Key] = (), troubled: Collection[Key] = ()
) -> Turns:
    """Return who is under way and who waits.

    Args:
        trees: All trees of the cluster, but for the one that asks.
        now: Seconds since the epoch.
        limit: How many restarts may be under way at once.
        taken: The trees whose places are being written this moment.
        troubled: The trees that cannot be decided about now: they keep nobody waiting.
    """
    under_way, waiting, ends = set(taken), [], []
    for tree in trees:
        op = tree.status.operation
        if op is None or tree.is_deleting or tree.status.uid != tree.uid:
            continue
        if op.stage is Stage.WAITING:
            due = from_time(tree.status.next_attempt_time) if tree.status.next_attempt_time else 0.0
            if due <= now and tree.key not in troubled:
                waiting.append(Place(from_time(op.start_time), *tree.key))
        elif (end := place_ends(op)) is not None and end > now:
            under_way.add(tree.key)
            ends.append(end)
    return Turns(limit, frozenset(under_way), tuple(waiting), min(ends, default=None))


def place_ends(op: OperationStatus | None) -> float | None:
    """Return when a restart that has a place loses it at the latest (seconds since the epoch); None without a place."""
    if op is None or op.turn_time is None or op.stage is Stage.WAITING:
        return None
    return from_time(op.turn_time) + PLACE_SECONDS
