"""What kopf's handlers feed and the loops share: the store, the calls, the gate, and who is to be woken by what."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from suptree.api.reasons import TREE_LABEL, Reason
from suptree.app import metrics
from suptree.app.calls import Calls
from suptree.app.gate import Gate
from suptree.app.loop import TreeLoop
from suptree.app.queue import Queue
from suptree.app.scales import Scales
from suptree.cluster.family import children_of
from suptree.cluster.jobs import Job, job_of
from suptree.cluster.objects import ObjectApi
from suptree.cluster.situation import Release
from suptree.cluster.store import Store
from suptree.cluster.trees import Tree, tree_of
from suptree.cluster.turns import place_ends
from suptree.cluster.views import Pod, pod_of, workload_of

logger = logging.getLogger(__name__)

Raw = Mapping[str, Any]


class Hub:
    """The operator's memory and its loops, one a tree."""

    def __init__(
        self,
        api: ObjectApi,
        may_call: Callable[[], bool] = lambda: True,
        max_restarts: int = 0,
        *,
        recreates: bool = False,
    ) -> None:
        """Start with nothing.

        Args:
            api: The calls.
            may_call: Whether this process may act now; asked before each call.
            max_restarts: How many restarts may be under way in the cluster at once; 0 for any number.
            recreates: Whether Jobs and bare Pods may be created again.
        """
        self.recreates = recreates
        self.api = api
        self.store = Store()
        self.calls = Calls(may_call)
        self.listed = asyncio.Event()
        """Set when everything was listed whole."""
        self._is_leading = False
        self.gate = Gate(api, self.calls)
        self.scales = Scales(api, self.store)
        self.queue = Queue(self.store, max_restarts)
        metrics.follow(self.queue, self.store, lambda: self.is_acting)
        self.loops: dict[tuple[str, str], TreeLoop] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start what runs beside the loops."""
        await self.gate.check()
        logger.info("the gate policy is %s", "installed" if self.gate.is_installed else "not installed")
        self._background.append(asyncio.create_task(self._watch_gate(), name="gate"))

    # Whether this process acts. One that does not has the same store, and so can begin at once.

    @property
    def is_acting(self) -> bool:
        """Whether this process decides and acts: it is the leader, and everything was listed once."""
        return self._is_leading and self.listed.is_set()

    def lead(self) -> None:
        """Begin to act, as soon as everything was listed."""
        self._is_leading = True
        self._begin()

    def all_is_listed(self) -> None:
        """Take note that every kind was listed whole; not before is anything touched."""
        if not self.listed.is_set():
            self.listed.set()
            self._begin()

    def _begin(self) -> None:
        if not self.is_acting:
            return
        known = [(namespace, name) for namespace, it in self.store.namespaces.items() for name in it.trees]
        self.gate.expect(known)
        self._remember_the_gate()
        for key in known:
            self.run_tree(*key)
        for namespace in list(self.store.namespaces):
            self._let_orphans_go(namespace)

    def _remember_the_gate(self) -> None:
        """Go on where the last leader was: where the gate policy was not in force it is not, until a pod shows that it is."""
        for namespace, it in self.store.namespaces.items():
            for condition in (found for tree in it.trees.values() for found in tree.status.conditions):
                if condition.reason == Reason.GATE_NOT_IN_FORCE:
                    self.gate.remember(namespace, condition.last_transition_time)

    async def stop(self, *, at_once: bool = False) -> None:
        """Decide nothing more and let the calls under way end; whoever acts next finishes what was decided.

        Args:
            at_once: Break them off: somebody else acts already.
        """
        self._is_leading = False
        tasks = [*self._tasks.values(), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await (self.calls.stop(patience=0) if at_once else self.calls.stop())

    async def _watch_gate(self) -> None:
        watcher = asyncio.create_task(self.gate.watch())
        try:
            while True:
                await self.gate.changed.wait()
                self.gate.changed.clear()
                for loop in self.loops.values():
                    loop.wake()
        finally:
            watcher.cancel()

    # What the watches show.

    def store_pod(self, raw: Raw) -> None:
        """Remember a pod."""
        pod = pod_of(raw)
        if self.store.namespace(pod.namespace).put_pod(pod):
            self._wake_for(pod)

    def drop_pod(self, raw: Raw) -> None:
        """Forget a pod that is gone, but for what it looked like at last: that tells why it went."""
        last = pod_of(raw)
        if self.store.namespace(last.namespace).drop_pod(last.uid) is None:
            return
        self._saw_last(last)
        self._wake_for(last)

    def store_workload(self, kind: str, raw: Raw) -> None:
        """Remember a workload."""
        it = workload_of(kind, raw)
        if self.store.namespace(it.namespace).put_workload(it):
            self._wake_all(it.namespace)

    def drop_workload(self, kind: str, raw: Raw) -> None:
        """Forget a workload that is gone."""
        meta = raw["metadata"]
        self.store.namespace(meta["namespace"]).drop_workload(kind, meta["name"], meta["uid"])
        self._wake_all(meta["namespace"])

    def store_job(self, raw: Raw) -> None:
        """Remember a Job."""
        it = job_of(raw)
        if self.store.namespace(it.namespace).put_job(it):
            self._wake_all(it.namespace)

    def drop_job(self, raw: Raw) -> None:
        """Forget a Job that is gone, but for what it looked like at last: that tells whether it had ended."""
        last = job_of(raw)
        self.store.namespace(last.namespace).drop_job(last.name, last.uid)
        self._saw_last(last)
        self._wake_all(last.namespace)

    def store_tree(self, raw: Raw) -> None:
        """Remember a tree, unless the store knows a newer version of it: our own writes come back late."""
        tree = tree_of(raw, recreates=self.recreates)
        namespace = self.store.namespace(tree.namespace)
        known = namespace.trees.get(tree.name)
        if known is not None and known.uid == tree.uid and int(known.version or 0) >= int(tree.version or 0):
            return
        namespace.put_tree(tree)
        is_same = known is not None and (known.uid, known.generation) == (tree.uid, tree.generation)
        if is_same and known is not None and known.is_deleting == tree.is_deleting:
            self.wake_family(tree)
        else:
            self._wake_all(tree.namespace)

    def wake_family(self, tree: Tree) -> None:
        """Wake a tree, its parents and its children: they read in its status how far it is, and what they are to do."""
        trees = self.store.namespace(tree.namespace).trees
        names = {tree.name, *(target for _, target in children_of(tree))}
        names |= {it.name for it in trees.values() if any(target == tree.name for _, target in children_of(it))}
        for name in names:
            if (loop := self.loops.get((tree.namespace, name))) is not None:
                loop.wake()
        if place_ends(tree.status.operation) is None:
            self._wake_queued()

    def _wake_queued(self) -> None:
        """A place may be free."""
        for loop in self.loops.values():
            if loop.is_queued:
                loop.wake()

    def run_tree(self, namespace: str, name: str) -> None:
        """See to it that a tree has a loop, if this process acts."""
        key = (namespace, name)
        if self.is_acting and key not in self.loops:
            self.loops[key] = loop = TreeLoop(
                key,
                self.store,
                api=self.api,
                calls=self.calls,
                gate=self.gate,
                scales=self.scales,
                queue=self.queue,
                on_written=self.wake_family,
                recreates=self.recreates,
            )
            self._tasks[key] = asyncio.create_task(loop.run(), name=f"tree {namespace}/{name}")
            self._let_orphans_go(namespace)

    def drop_tree(self, raw: Raw) -> None:
        """Forget a tree that is gone, and let go whatever it held."""
        meta = raw["metadata"]
        key = (meta["namespace"], meta["name"])
        known = self.store.namespace(key[0]).trees.get(key[1])
        if known is not None and known.uid != meta["uid"]:
            return
        self.store.namespace(key[0]).drop_tree(key[1])
        self.gate.drop(*key)
        metrics.forget(key)
        self.loops.pop(key, None)
        self.queue.troubled.discard(key)
        self._wake_queued()
        if (task := self._tasks.pop(key, None)) is not None:
            task.cancel()
        self._let_orphans_go(key[0])
        self._wake_all(key[0])

    # Whom it concerns.

    def _saw_last(self, last: Pod | Job) -> None:
        for (namespace, _), loop in self.loops.items():
            if namespace == last.namespace:
                loop.saw_last(last)

    def _wake_for(self, pod: Pod) -> None:
        for (namespace, _), loop in self.loops.items():
            if namespace == pod.namespace and loop.is_concerned(pod):
                loop.wake()
        self._let_go_if_orphan(pod)

    def _wake_all(self, namespace: str) -> None:
        for (where, _), loop in self.loops.items():
            if where == namespace:
                loop.wake()

    def _let_orphans_go(self, namespace: str) -> None:
        for pod in list(self.store.namespace(namespace).pods_by_uid.values()):
            self._let_go_if_orphan(pod)

    def _let_go_if_orphan(self, pod: Pod) -> None:
        """Release a held pod whose tree is gone: no pod stays held for ever."""
        tree = pod.labels.get(TREE_LABEL, "")
        if self.is_acting and pod.is_held and tree not in self.store.namespace(pod.namespace).trees:
            self.calls.put(("release", pod.uid), lambda: self._release(pod))

    async def _release(self, pod: Pod) -> None:
        # While the first lists come in, the pods may be known before the trees are: only the API server can tell.
        tree = pod.labels.get(TREE_LABEL)
        if not (tree and await self.api.is_tree_there(pod.namespace, tree)):
            await self.api.release_pod(Release(pod, None), "")
