"""The judgement: from what was remembered of a child and what is there now to at most one exit.

What can be found, in this order: deaths of containers, starts that take too long, zombies, deletions. Each finding is put
to the child's `failurePolicy`; then it is counted whether enough pods have failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from suptree.api.child import Child
from suptree.api.choices import FailureAction
from suptree.api.outcomes import Cause
from suptree.cluster.causes import DEATHS, GRAVITY, REASONS, Exit, cause_of
from suptree.cluster.deletions import Deletions, was_down
from suptree.cluster.family import TreeView
from suptree.cluster.memory import GONE, LATE, Known, Replaced, Seen, fitting, remembered, short_id, short_uid
from suptree.cluster.policy import failed_pods_needed, matching
from suptree.cluster.views import Death, Owner, Pod, Workload
from suptree.core.restart import Reason

KUBELET_BACKOFF_SECONDS = (0, 10, 20, 40, 80, 160, 300)
"""The kubelet's own back-off before the n-th restart of a container; the last one stays."""
DIP_SECONDS = 10
"""For how long after a workload may have wanted no pods their deletion is put down to that: they are seen on two watches."""
ABANDONED_AFTER_SECONDS = 30
"""How long after that back-off a dead container is given before its pod is replaced: nobody else will."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came out of looking at one child."""

    exit: Exit | None
    seen: Seen
    """What to remember; it must be persisted together with what the exit led to."""
    without_effect: Exit | None = None
    """An exit that the child's own rules ignore, or of too few pods."""
    failed: tuple[Pod, ...] = ()
    """The pods that showed the exit."""
    abandoned: tuple[Pod, ...] = ()
    """Pods with a dead container that its kubelet does not restart."""
    confirm: tuple[Owner, ...] = ()
    """Controllers that must be read afresh before a deletion can be judged: their watch may lag behind the pods'."""
    wake_at: float | None = None
    """When a clock of the child runs out (seconds since the epoch)."""


@dataclass(frozen=True)
class Evidence:
    """What there is to judge one child by."""

    child: Child
    pods: Sequence[Pod]
    """Its pods, all of them."""
    seen: Seen | None
    """None: the child is looked at for the first time, and what is dead is history."""
    now: float
    """Seconds since the epoch, by the operator's clock."""
    desired: int = 1
    replaced: Replaced = field(default_factory=Replaced)
    """The pods that an operation under way replaces: whatever happens to them was wanted."""
    is_restarting_in_place: bool = False
    """Whether the restart under way leaves the child's pods where they are: the kubelet restarts what has died."""
    dependency_is_down: bool = False
    """Whether an earlier child that this one depends on is down: its zombie clocks stand still."""
    workload: Workload | None = None
    generation: int = 0
    """Of what makes its pods: it grows by one with each change of scale and each rollout."""
    controllers: Mapping[str, Workload] = field(default_factory=dict)
    """By UID."""
    fresh: frozenset[str] = frozenset()
    """UIDs of the controllers that were read after the pods were."""
    ghosts: Sequence[Pod] = ()
    """The last views of pods that are gone and were not judged."""

    @cached_property
    def present(self) -> Sequence[Pod]:
        """The pods whose containers are looked at: what one reports on the way out is no exit."""
        return [pod for pod in self.pods if not pod.is_deleting and not self.replaced.has(pod)]


Finding = tuple[Pod | None, Exit]


def judge(it: Evidence) -> Judgement:
    """Judge one child: each container death, each late start, each zombie and each deletion at most once."""
    seen, paused = _with_clocks(it)
    if it.seen is None:
        first = Seen(_all_judged(it, seen, []), it.generation, paused=paused)
        return Judgement(None, fitting(first, it.replaced))
    dipped = _dipped(it, it.seen)
    deletions = Deletions(
        it.pods,
        it.ghosts,
        it.seen,
        it.replaced,
        it.workload,
        it.controllers,
        it.fresh,
        is_same=it.generation == it.seen.generation,
        has_dipped=dipped is not None,
    )
    found = [*_deaths(it, it.seen), *_clocks(it, seen), *deletions.exits()]
    findings = [(pod, _by_policy(it.child, exit_, pod)) for pod, exit_ in found]
    news = [(pod, exit_) for pod, exit_ in findings if not _belongs_to_the_incident(it, it.seen, pod, exit_)]
    pods = _all_judged(it, seen, news)
    # About these nothing could be said yet: they are remembered as they were.
    pods |= {uid: it.seen.pods.get(uid, Known()) for uid in deletions.open}
    failures = [(pod, exit_) for pod, exit_ in news if exit_.action is not FailureAction.IGNORE]
    exit_ = _enough(it, failures, pods)
    incident = _incident(it, it.seen, exit_)
    pods = _with_marks(pods, findings, is_exit=exit_ is not None, has_incident=bool(incident))
    return Judgement(
        exit=exit_,
        seen=fitting(Seen(pods, it.generation, dipped, paused, incident), it.replaced),
        without_effect=findings[0][1] if findings and exit_ is None else None,
        failed=tuple(pod for pod, _ in failures if pod is not None),
        abandoned=tuple(pod for pod in it.present if _is_abandoned(it, seen, pod)),
        confirm=tuple(deletions.confirm.values()),
        wake_at=min(_deadlines(it, seen), default=None),
    )


def judge_tree(tree: TreeView, seen: Seen | None) -> Judgement:
    """Judge a child that is a tree: each time it gives up is one exit, told apart by its latest decision."""
    uid, now = short_uid(tree.uid), str(tree.serial)
    gave_up = tree.exhausted
    if gave_up is None:
        return Judgement(None, Seen({uid: Known()}))
    memory = Seen({uid: Known(frozenset({now}))})
    # What had given up when it was first looked at is history.
    if seen is None or now in seen.pods.get(uid, Known()).deaths:
        return Judgement(None, memory)
    path = [part for part in (gave_up.child, gave_up.origin) if part]
    found = Exit(
        Cause.EXHAUSTED,
        gave_up.pod or "",
        gave_up.container,
        gave_up.exit_code,
        origin="/".join(path) or None,
        origin_cause=gave_up.origin_cause or gave_up.cause,
    )
    return Judgement(found, memory)


def _dipped(it: Evidence, seen: Seen) -> int | None:
    """Return when the child may last have wanted no pods; None when that is long ago.

    One change between two looks cannot hide that: a workload that was scaled to 0 and back was changed twice.
    """
    if it.desired == 0 or it.generation - seen.generation > 1:
        return int(it.now)
    return seen.dipped if seen.dipped is not None and it.now - seen.dipped < DIP_SECONDS else None


def _deaths(it: Evidence, seen: Seen) -> list[Finding]:
    found: list[Finding] = []
    for pod in it.present:
        for death in latest(pod):
            cause = None if seen.judged(pod, death.id) else cause_of(pod, death)
            if cause is None or (REASONS[cause] is Reason.SHUTDOWN and not was_down(it.pods, seen, it.replaced, pod)):
                continue
            message = death.message or (death.reason if death.reason not in {"Error", "Completed"} else None)
            found.append((pod, Exit(cause, pod.name, death.container, death.exit_code, message)))
    return found


def latest(pod: Pod) -> Sequence[Death]:
    """Return the latest death of each container: those before it were judged, or are a part of the same exit."""
    return tuple({(death.container, death.is_init): death for death in pod.deaths}.values()) if pod.deaths else ()


# An incident: one restart in place of a child that is several pods.


def _incident(it: Evidence, seen: Seen, found: Exit | None) -> str:
    """Return up to which age the child's pods belong to its restart in place; empty when there is none.

    A child is one child however many pods it is: what ends one of them ends the others a moment later.
    """
    if found is not None:
        return max((pod.created for pod in it.pods), default="") if found.is_counted else ""
    return seen.incident if it.is_restarting_in_place else ""


def _belongs_to_the_incident(it: Evidence, seen: Seen, pod: Pod | None, found: Exit) -> bool:
    """Tell whether a pod dies for the first time in a restart in place that was counted already.

    One that dies again, or is younger than the restart, has failed to start: that is a new failure.
    """
    if pod is None or not (it.is_restarting_in_place and seen.incident) or found.cause not in DEATHS:
        return False
    if found.action in {FailureAction.IGNORE, FailureAction.EXHAUST}:
        return False
    known = seen.of(pod)
    return pod.created <= seen.incident and not (known is not None and known.has_died)


def _with_marks(
    pods: dict[str, Known], findings: Sequence[Finding], *, is_exit: bool, has_incident: bool
) -> dict[str, Known]:
    """Note who has died in the incident, and forget what belongs to one that is over or has just become an exit."""
    dead = {short_uid(pod.uid) for pod, found in findings if pod is not None and found.cause in DEATHS}
    marked = {}
    for uid, known in pods.items():
        has_died = has_incident and (uid in dead or (known.has_died and not is_exit))
        has_failed = known.has_failed and not is_exit
        same = (has_died, has_failed) == (known.has_died, known.has_failed)
        marked[uid] = known if same else replace(known, has_died=has_died, has_failed=has_failed)
    return marked


# Clocks: they are the operator's, and belong to one try to start the pod's containers.


def _with_clocks(it: Evidence) -> tuple[dict[str, Known], int | None]:
    """Return what is known of each pod now, its clock set; and since when zombie clocks stand still."""
    seen = it.seen or Seen()
    now = int(it.now)
    paused = (seen.paused or now) if it.dependency_is_down else None
    lost = now - seen.paused if seen.paused is not None and paused is None else 0
    return remembered((pod, _with_clock(pod, seen.of(pod) or Known(), now, lost)) for pod in it.pods), paused


def _with_clock(pod: Pod, known: Known, now: int, lost: int) -> Known:
    """Set one pod's clock.

    Args:
        pod: The pod.
        known: What was known of it.
        now: The time.
        lost: For how long zombie clocks have stood still, since they run again now.
    """
    if pod.is_ready:
        if known.had_success and known.attempt == pod.attempt and known.since is None and not known.has_failed:
            return known
        return Known(known.deaths, was_ready=True, had_success=True, has_died=known.has_died, attempt=pod.attempt)
    is_new = known.attempt != pod.attempt
    known = replace(known, attempt=pod.attempt, had_success=False) if is_new else known
    is_idle = (not pod.is_trying and pod.dead_restarts < 0) or pod.is_cut_off
    if is_idle or pod.is_gated or pod.is_deleting:
        return replace(known, since=None) if known.since is not None else known
    # A startup probe has as long as it needs: the clock of a pod that was Ready once begins when it has succeeded.
    is_started = known.is_starting and known.was_ready and pod.has_started
    if is_new or is_started or known.since is None:
        return replace(known, is_starting=not pod.has_started, since=now)
    return replace(known, since=known.since + lost) if lost else known


def _limit(it: Evidence, known: Known, pod: Pod) -> tuple[Cause, int] | None:
    """Return the clock that runs for a pod that is not Ready: its cause, and after how many seconds."""
    child = it.child
    if known.was_ready and pod.has_started and child.not_ready_seconds is not None:
        return None if it.dependency_is_down else (Cause.ZOMBIE, child.not_ready_seconds)
    if pod.is_trying and not known.had_success and child.start_timeout_seconds is not None:
        return Cause.START_FAILED, child.start_timeout_seconds
    return None


def _clocks(it: Evidence, seen: Mapping[str, Known]) -> list[Finding]:
    found: list[Finding] = []
    for pod in it.present:
        known = seen[short_uid(pod.uid)]
        limit = _limit(it, known, pod)
        if known.since is None or limit is None or _late_mark(pod) in known.deaths:
            continue
        if it.now - known.since >= limit[1]:
            found.append((pod, Exit(limit[0], pod.name, message=f"not Ready for {limit[1]} s")))
    return found


def _late_mark(pod: Pod) -> str:
    """Name a late start or a zombie: once for each try."""
    return f"{LATE}{pod.attempt}"


def _backoff(pod: Pod) -> int:
    return KUBELET_BACKOFF_SECONDS[min(pod.dead_restarts, len(KUBELET_BACKOFF_SECONDS) - 1)] + ABANDONED_AFTER_SECONDS


def _is_abandoned(it: Evidence, seen: Mapping[str, Known], pod: Pod) -> bool:
    since = seen[short_uid(pod.uid)].since
    return pod.dead_restarts >= 0 and since is not None and it.now - since >= _backoff(pod)


def _deadlines(it: Evidence, seen: Mapping[str, Known]) -> list[float]:
    """Return when the clocks that run will have run out."""
    times: list[float] = []
    for pod in it.present:
        since = seen[short_uid(pod.uid)].since
        if since is None:
            continue
        limit = _limit(it, seen[short_uid(pod.uid)], pod)
        times += [since + limit[1]] if limit else []
        times += [since + _backoff(pod)] if pod.dead_restarts >= 0 else []
    return [time for time in times if time > it.now]


# What to remember, and whether it is enough.


def _all_judged(it: Evidence, seen: Mapping[str, Known], findings: Sequence[Finding]) -> dict[str, Known]:
    """Return the memory in which everything about the pods that are there is judged."""
    late = {pod.uid for pod, found in findings if pod and found.cause in {Cause.START_FAILED, Cause.ZOMBIE}}
    failed = {pod.uid for pod, found in findings if pod and found.action is not FailureAction.IGNORE}
    pods = {}
    for pod in it.pods:
        uid = short_uid(pod.uid)
        known = pods[uid] = seen[uid]
        if pod.deaths or pod.is_deleting or known.deaths or pod.uid in failed or pod.uid in late:
            deaths = frozenset(short_id(death.id) for death in latest(pod)) | ({GONE} if pod.is_deleting else set())
            deaths |= {_late_mark(pod)} if pod.uid in late else {_late_mark(pod)} & known.deaths
            has_failed = known.has_failed or pod.uid in failed
            if (deaths, has_failed) != (known.deaths, known.has_failed):
                pods[uid] = replace(known, deaths=deaths, has_failed=has_failed)
    return pods


def _by_policy(child: Child, found: Exit, pod: Pod | None) -> Exit:
    action, rule = matching(child, found, pod)
    return replace(found, action=action, rule=rule)


def _enough(it: Evidence, failures: Sequence[Finding], pods: Mapping[str, Known]) -> Exit | None:
    """Return the gravest failure as the child's exit, if enough of its pods have failed since they were last Ready."""
    if not failures:
        return None
    gravest = min((found for _, found in failures), key=_gravity)
    gone = sum(pod is None or short_uid(pod.uid) not in pods for pod, _ in failures)
    failed = gone + sum(known.has_failed for known in pods.values())
    # A disruption that is an exit at all has taken the whole child down.
    is_down_anyway = REASONS[gravest.cause] is Reason.SHUTDOWN
    return gravest if is_down_anyway or failed >= failed_pods_needed(it.child, it.desired) else None


def _gravity(found: Exit) -> tuple[bool, int]:
    return found.action is not FailureAction.EXHAUST, GRAVITY.index(found.cause)
