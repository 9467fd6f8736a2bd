"""The loop of one tree: observe, decide, persist, act. Events only wake it; it always decides from the whole state."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from suptree.api.child import LabelSelector
from suptree.api.model import to_time
from suptree.api.reasons import TREE_LABEL, ConditionType, EventType
from suptree.api.status import SupervisionTreeStatus
from suptree.app import metrics
from suptree.app.calls import Calls, pause
from suptree.app.gate import Gate
from suptree.app.logs import about
from suptree.app.queue import Queue
from suptree.app.recreation import KINDS, Recreation
from suptree.app.scales import Scales
from suptree.app.watches import last_words
from suptree.cluster.children import resolve_all, strays
from suptree.cluster.client import CONFLICT, NOT_FOUND, ApiError
from suptree.cluster.family import parent
from suptree.cluster.jobs import Job
from suptree.cluster.labels import matches
from suptree.cluster.memory import decode, short_uid
from suptree.cluster.objects import ObjectApi
from suptree.cluster.reconcile import decide
from suptree.cluster.scales import scale_refs
from suptree.cluster.situation import Delete, Notice, Plan, Release, Situation
from suptree.cluster.store import Namespace, Store
from suptree.cluster.trees import Tree, tree_of
from suptree.cluster.urgency import is_urgent
from suptree.cluster.views import Owner, Pod, pod_of, workload_of

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 300
"""How often a tree's pods are listed afresh: a watch can miss a deletion and never know."""
REFRESH_BUSY_SECONDS = 30
"""Likewise while a restart is under way."""
_REST_FACTOR = 5
_LONGEST_REST_SECONDS = 0.1
_FIRST_DELAY_SECONDS = 0.5
_PROMPT_SECONDS = 0.1
_PROMPT_WRITES = 20
_LONGEST_DELAY_SECONDS = 30.0
_MAX_LOOKS = 5


class TreeLoop:
    """Decides about one tree, whenever something that concerns it has changed or its time has come."""

    def __init__(
        self,
        key: tuple[str, str],
        store: Store,
        *,
        api: ObjectApi,
        calls: Calls,
        gate: Gate,
        scales: Scales,
        queue: Queue,
        on_written: Callable[[Tree], None],
        recreates: bool,
    ) -> None:
        self.key = key
        self._on_written = on_written
        self._namespace: Namespace = store.namespace(key[0])
        self._api = api
        self._calls = calls
        self._gate = gate
        self._scales = scales
        self._queue = queue
        self._recreates = recreates
        self._recreation = Recreation(key[0], self._namespace, api, calls, self.wake)
        self._woken = asyncio.Event()
        self._woken.set()
        self._selectors: tuple[LabelSelector, ...] = ()
        self._pods: dict[str, dict[str, Pod]] = {}
        self._ahead: SupervisionTreeStatus | None = None
        """What was decided and is not written yet: only what may be lost (see `urgency`)."""
        self._written: SupervisionTreeStatus | None = None
        self._write_at: float | None = None
        self._delays = 0
        self._called: set[tuple[str, str]] = set()
        self._told: set[str] = set()
        self._refreshed = time.monotonic()
        self._wake_at: float | None = None
        self._scales_at: float | None = None
        """When to read the scales of children of unwatched kinds again."""
        self._is_busy = False
        self._woken_at = time.monotonic()
        self._acted = 0
        """The operation whose first delete was made."""
        self._is_namespace_going = False
        self.is_queued = False
        """Whether its restart waits for its turn."""

    def wake(self) -> None:
        """Have the loop decide again."""
        if not self._woken.is_set():
            self._woken_at = time.monotonic()
        self._woken.set()

    def saw_last(self, last: Pod | Job) -> None:
        """Take the last view of a pod or Job that is gone."""
        if isinstance(last, Job):
            self._recreation.saw_last(last)
            return
        for pods in self._pods.values():
            if last.uid in pods:
                pods[last.uid] = last

    def is_concerned(self, pod: Pod) -> bool:
        """Tell whether the pod is, or was, one of the tree's."""
        mine = pod.labels.get(TREE_LABEL) == self.key[1]
        mine = mine or self._recreation.is_concerned(pod.name)
        return mine or any(matches(selector, pod.labels) for selector in self._selectors)

    async def run(self) -> None:
        """Decide for ever. An API error delays; it is never a failure of a child."""
        failures = 0
        while True:
            await self._wait()
            started = time.perf_counter()
            try:
                await self._once()
                failures = 0
                self._queue.troubled.discard(self.key)
            except ApiError as error:
                logger.warning("decided again in %.1f s: %s", pause(failures), error, extra=about(self.key))
                failures = await self._pause(failures)
            except Exception:
                # One tree's trouble must not end the supervision of the others, nor its own for good.
                logger.exception("a defect of Suptree; decided again in %.1f s", pause(failures), extra=about(self.key))
                failures = await self._pause(failures)
            # Many pods change at once: look at all of them together rather than at each by itself.
            rest = _REST_FACTOR * (time.perf_counter() - started)
            await asyncio.sleep(_LONGEST_REST_SECONDS if self._calls.is_busy else min(_LONGEST_REST_SECONDS, rest))

    async def _pause(self, failures: int) -> int:
        self._queue.troubled.add(self.key)
        await asyncio.sleep(pause(failures))
        self.wake()
        return failures + 1

    async def _wait(self) -> None:
        times = [at for at in (self._wake_at, self._write_at, self._scales_at) if at is not None]
        refresh = REFRESH_BUSY_SECONDS if self._is_busy else REFRESH_SECONDS
        wait = min([at - time.time() for at in times] + [self._refreshed + refresh - time.monotonic()])
        try:
            async with asyncio.timeout(max(0.0, wait)):
                await self._woken.wait()
        except TimeoutError:
            self._woken_at = time.monotonic()
        self._woken.clear()
        if time.monotonic() - self._refreshed >= refresh:
            await self._refresh()

    async def _refresh(self) -> None:
        self._refreshed = time.monotonic()
        try:
            await self._list_pods(self._selectors)
            await self._recreation.refresh()
        except ApiError as error:
            logger.warning("cannot list pods: %s", error, extra=about(self.key))

    async def _list_pods(self, selectors: tuple[LabelSelector, ...]) -> None:
        for selector in selectors:
            with self._namespace.ends() as ended:
                found, version = await self._api.list_pods(self.key[0], selector)
            listed = [pod for pod in map(pod_of, found) if pod.uid not in ended]
            lost = self._namespace.lost(listed, selector, version)
            was_different = self._namespace.put_pods(listed)
            if await self._miss(lost) or was_different:
                logger.debug("a fresh list of pods differed from what was watched", extra=about(self.key))

    async def _miss(self, lost: list[str]) -> bool:
        """Forget pods that are gone, but let the watch tell first: it alone shows why they went. Answer whether it did not."""
        await last_words(lambda: not any(uid in self._namespace.pods_by_uid for uid in lost))
        return self._namespace.miss_pods(lost)

    # Observe and decide.

    async def _once(self) -> None:
        woken_at = self._woken_at
        await self._read_scales()
        tree = self._namespace.trees.get(self.key[1])
        if tree is None:
            return
        if tree.status != self._written:
            self._ahead, self._written, self._write_at = None, tree.status, None
        metrics.show(self.key, tree.status)
        situation, plan = await self._decide(tree)
        op = plan.status.operation
        with self._queue.taking(self.key, takes=op is not None and op.turn_time is not None):
            holds = await self._persist(tree, plan)
        if not holds:
            self.wake()
            return
        self._remember(situation, plan)
        self._act(tree, plan, woken_at)

    async def _read_scales(self) -> None:
        tree = self._namespace.trees.get(self.key[1])
        refs = scale_refs(tree.spec) if tree is not None and tree.spec is not None else ()
        wait = await self._scales.look(self.key[0], refs)
        self._scales_at = None if wait is None else time.time() + wait

    async def _decide(self, tree: Tree) -> tuple[Situation, Plan]:
        asked: dict[str, Owner] = {}
        for _ in range(_MAX_LOOKS):
            situation = self._look(tree, frozenset(asked))
            plan = decide(situation)
            more = {owner.uid: owner for owner in plan.confirm if owner.uid not in asked}
            if not more:
                return situation, plan
            asked |= more
            await self._look_afresh(situation, asked.values())
        # Ever more has gone meanwhile: what can be judged is, and the rest in the next decision.
        situation = self._look(tree, frozenset(asked))
        plan = decide(situation)
        if not asked.keys() >= {owner.uid for owner in plan.confirm}:
            self.wake()
        return situation, plan

    async def _look_afresh(self, situation: Situation, asked: Iterable[Owner]) -> None:
        """Read pods and then their controllers: not older than the status, and each controller not older than its pods."""
        await self._list_pods(tuple(view.selector for view in situation.children if view.selector))
        # In a namespace that goes, pods are deleted before or after their controllers, in no order.
        self._is_namespace_going = self._is_namespace_going or await self._api.is_namespace_going(self.key[0])
        for owner in asked:
            if owner.kind in KINDS:
                await self._recreation.confirm(owner)
                continue
            with self._namespace.ends() as ended:
                raw = await self._api.get_workload(owner.kind, self.key[0], owner.name)
            if raw is None or raw["metadata"]["uid"] != owner.uid or owner.uid in ended:
                self._namespace.drop_workload(owner.kind, owner.name, owner.uid)
            else:
                self._namespace.put_workload(workload_of(owner.kind, raw))

    def _look(self, tree: Tree, fresh: frozenset[str]) -> Situation:
        children = resolve_all(tree.name, tree.spec.children, self._namespace) if tree.spec else ()
        views = tuple(
            replace(view, ghosts=tuple(pod for uid, pod in self._pods.get(view.name, {}).items() if uid not in present))
            for view in children
            for present in [{pod.uid for pod in view.pods}]
        )
        self._gate.saw(*self.key, children, self._namespace.controllers)
        now = round(time.time(), 6)
        it = Situation(
            tree=tree if self._ahead is None else replace(tree, status=self._ahead),
            children=tuple(map(self._recreation.note, views)),
            controllers=self._namespace.controllers,
            now=now,
            jitter=random.random(),  # noqa: S311 - it spreads restarts, it guards nothing
            fresh=fresh,
            is_gate_installed=self._gate.is_installed,
            unheld=self._gate.unheld(self.key[0]),
            is_namespace_going=self._is_namespace_going,
            turns=self._queue.look(now, self.key),
            strays=strays(tree.name, children, self._namespace),
        )
        above = parent(tree.name, self._namespace.trees, is_gate_in_force=it.is_gate_in_force)
        return replace(it, parent=above)

    # Persist.

    async def _persist(self, tree: Tree, plan: Plan) -> bool:
        """Write what must be written before anything is done; tell whether the decision holds."""
        if tree.is_deleting or plan.status == tree.status:
            self._ahead, self._write_at = None, None
            return True
        if not is_urgent(tree.status, plan.status, is_followed=plan.is_followed):
            self._ahead = plan.status
            self._write_at = self._write_at or time.time() + self._delay(plan)
            if time.time() < self._write_at:
                return True
            self._delays += 1
        try:
            raw = await self._api.put_status(tree, plan.status.to_json())
        except ApiError as error:
            if error.status not in {CONFLICT, NOT_FOUND}:
                raise
            await self._read_again()
            return False
        metrics.record(self.key, tree.status, plan.status)
        self._log_refusals(tree.status, plan.status)
        self._took(raw)
        return True

    def _log_refusals(self, before: SupervisionTreeStatus, after: SupervisionTreeStatus) -> None:
        """Log what a person has to mend in the spec or beside it: no Event tells of it, a condition does."""
        known = {(it.type, it.status, it.message) for it in before.conditions}
        for it in after.conditions:
            is_bad = it.type in {ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS} and it.status == "False"
            if is_bad and (it.type, it.status, it.message) not in known:
                logger.warning("%s", it.message, extra=about(self.key, reason=it.reason))

    def _delay(self, plan: Plan) -> float:
        """Return how long news may wait that only people read.

        A restart of many pods at once must not cost many writes: there the wait doubles each time. Where each pod is
        released by a write of its own, a few more show the order as it happens.
        """
        if plan.status.operation is None:
            self._delays = 0
        first, prompt = (_PROMPT_SECONDS, _PROMPT_WRITES) if plan.is_gated else (_FIRST_DELAY_SECONDS, 0)
        return min(_LONGEST_DELAY_SECONDS, first * float(2 ** min(16, max(0, self._delays - prompt))))

    def _took(self, raw: Mapping[str, object]) -> None:
        tree = tree_of(raw, recreates=self._recreates)
        self._namespace.put_tree(tree)
        self._on_written(tree)
        self._ahead, self._written, self._write_at = None, tree.status, None

    async def _read_again(self) -> None:
        """Somebody wrote the tree meanwhile, so the decision is void: take what is there now."""
        try:
            raw = await self._api.get_tree(*self.key)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            self._namespace.drop_tree(self.key[1])
        else:
            self._took(raw)

    # Act.

    def _remember(self, situation: Situation, plan: Plan) -> None:
        """Keep what the next decision needs: the pods that were there, and those about which nothing is known yet."""
        self._selectors = tuple(view.selector for view in situation.children if view.selector)
        self._wake_at = plan.wake_at
        self._is_busy = plan.status.operation is not None
        self.is_queued = plan.is_queued
        open_ = {child.name: decode(child.seen) for child in plan.status.children}
        self._pods = {}
        for view in situation.children:
            seen = open_.get(view.name)
            ghosts = [pod for pod in view.ghosts if seen is not None and short_uid(pod.uid) in seen.pods]
            self._pods[view.name] = {pod.uid: pod for pod in (*view.pods, *ghosts)}
        leftovers = [pod for view in situation.children if view.bare for pod in view.bare.leftovers]
        present = {pod.uid for pod in (*leftovers, *(pod for view in situation.children for pod in view.pods))}
        self._recreation.remember(situation.children)
        self._called = {call for call in self._called if call[1] in present}

    def _act(self, tree: Tree, plan: Plan, woken_at: float) -> None:
        for delete in plan.deletes:
            self._once_a_pod("delete", delete, tree, woken_at)
        for release in plan.releases:
            self._once_a_pod("release", release, tree, woken_at)
        self._recreation.act(tree, plan)
        if not tree.is_deleting:
            self._gate.set(*self.key, is_gated=plan.is_gated, selectors=plan.selectors)
        for notice in plan.notices:
            self._tell(tree, notice)

    def _tell(self, tree: Tree, notice: Notice) -> None:
        if notice.key in self._told:
            return
        self._told.add(notice.key)
        log = logger.warning if notice.type is EventType.WARNING else logger.info
        fields = about(
            self.key, reason=notice.reason, operation=notice.operation, child=notice.child, cause=notice.cause
        )
        log("%s", notice.message, extra=fields)
        now = to_time(time.time())
        self._calls.put(("event", *self.key, notice.key), lambda: self._api.send_event(tree, notice, now))

    def _once_a_pod(self, verb: str, it: Delete | Release, tree: Tree, woken_at: float) -> None:
        key = (verb, it.pod.uid)
        if key not in self._called:
            self._called.add(key)
            self._calls.put(key, lambda: self._touch(it, tree, woken_at))

    def _acted_first(self, tree: Tree, woken_at: float) -> None:
        """Measure how long it took from what woke the loop to the first delete of an operation."""
        known = self._namespace.trees.get(tree.name, tree).status
        operation = known.operation.id if known.operation is not None else 0
        if operation > self._acted:
            self._acted = operation
            metrics.REACTION_SECONDS.observe(time.monotonic() - woken_at)

    async def _touch(self, it: Delete | Release, tree: Tree, woken_at: float) -> None:
        if isinstance(it, Delete):
            is_there = await self._api.delete_pod(it)
            self._acted_first(tree, woken_at)
        else:
            is_there = await self._api.release_pod(it, tree.name)
        if not is_there:
            # The watch has missed that it went.
            self._namespace.drop_pod(it.pod.uid)
            self.wake()
