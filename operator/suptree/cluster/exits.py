"""The judgement: from what was remembered of a child and what is there now to at most one exit.

The causes are a table: the first rule that matches a container's death names its cause. A deletion is judged apart,
because it says nothing by itself: it is an exit when the pod's controller did not want it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from suptree.api.outcomes import Cause
from suptree.cluster.family import TreeView
from suptree.cluster.memory import GONE, Replaced, Seen, seen_now, short_uid
from suptree.cluster.views import Death, Owner, Pod, Workload
from suptree.core.restart import Reason


@dataclass(frozen=True, slots=True)
class Exit:
    """One exit of one child, with its evidence."""

    cause: Cause
    pod: str = ""
    container: str | None = None
    exit_code: int | None = None
    message: str | None = None
    origin: str | None = None
    """Of a tree that gave up: path of the child in it whose failure began it."""
    origin_cause: Cause | None = None

    @property
    def reason(self) -> Reason:
        """The exit reason that OTP would see."""
        return REASONS[self.cause]

    @property
    def is_counted(self) -> bool:
        """Whether a restart for it spends the budget (design section 2)."""
        return self.cause not in UNCOUNTED


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came out of looking at one child."""

    exit: Exit | None
    seen: Seen
    """What to remember; it must be persisted together with what the exit led to."""
    confirm: tuple[Owner, ...] = ()
    """Controllers that must be read afresh before a deletion can be judged: their watch may lag behind the pods'."""


REASONS: dict[Cause, Reason] = {
    Cause.CRASH: Reason.ABNORMAL,
    Cause.OOM_KILLED: Reason.ABNORMAL,
    Cause.START_FAILED: Reason.ABNORMAL,
    Cause.ZOMBIE: Reason.ABNORMAL,
    Cause.JOB_FAILED: Reason.ABNORMAL,
    Cause.COMPLETED: Reason.NORMAL,
    Cause.JOB_COMPLETE: Reason.NORMAL,
    Cause.DISRUPTED: Reason.SHUTDOWN,
    Cause.LOST: Reason.SHUTDOWN,
    Cause.DELETED: Reason.SHUTDOWN,
    Cause.EXHAUSTED: Reason.SHUTDOWN,
}
UNCOUNTED = frozenset({Cause.DISRUPTED, Cause.LOST, Cause.DELETED})

_LOST_EXIT = 255

DEATH_RULES: tuple[tuple[str, Callable[[Pod, Death], bool], Cause | None], ...] = (
    ("the kernel ran out of memory, whatever the exit code", lambda _, d: d.reason == "OOMKilled", Cause.OOM_KILLED),
    ("an init container has done its work", lambda _, d: d.is_init and d.exit_code == 0, None),
    # It never ran: how long a start may take is for startTimeoutSeconds to say.
    ("it could not be started", lambda _, d: d.reason in {"StartError", "ContainerCannotRun"}, None),
    ("nobody knows how it ended", lambda _, d: d.reason == "ContainerStatusUnknown", Cause.LOST),
    ("its node went down", lambda _, d: d.exit_code == _LOST_EXIT and d.reason == "Unknown", Cause.LOST),
    ("its pod was disrupted", lambda pod, _: pod.is_disrupted, Cause.DISRUPTED),
    ("it ended well", lambda _, d: d.exit_code == 0 and d.signal == 0, Cause.COMPLETED),
    ("anything else", lambda *_: True, Cause.CRASH),
)
"""Why, the evidence, and the cause (None: not an exit); the first that matches wins."""

GRAVITY = (Cause.OOM_KILLED, Cause.CRASH, Cause.COMPLETED, Cause.LOST, Cause.DISRUPTED, Cause.DELETED)
"""Of several deaths seen together the gravest stands for all."""


def cause_of(pod: Pod, death: Death) -> Cause | None:
    """Return the cause of a container's death; None when it is no exit."""
    return next(cause for _, matches, cause in DEATH_RULES if matches(pod, death))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to judge one child by."""

    pods: Sequence[Pod]
    """Its pods, all of them."""
    seen: Seen | None
    """None: the child is looked at for the first time, and what is dead is history."""
    replaced: Replaced = field(default_factory=Replaced)
    """The pods that an operation under way replaces: whatever happens to them was wanted."""
    workload: Workload | None = None
    controllers: Mapping[str, Workload] = field(default_factory=dict)
    """By UID."""
    fresh: frozenset[str] = frozenset()
    """UIDs of the controllers that were read after the pods were."""
    ghosts: Sequence[Pod] = ()
    """The last views of pods that are gone and were not judged."""


def judge(it: Evidence) -> Judgement:
    """Judge one child: each container death and each deletion at most once."""
    generation = it.workload.generation if it.workload else 0
    if it.seen is None:
        return Judgement(None, seen_now(it.pods, generation, {pod.uid for pod in it.pods if pod.is_deleting}))
    deletions = _Deletions(it, it.seen)
    exits = [*_deaths(it, it.seen), *deletions.exits()]
    exits.sort(key=lambda found: GRAVITY.index(found.cause))
    seen = seen_now(it.pods, generation, deletions.judged, deletions.open)
    return Judgement(exits[0] if exits else None, seen, tuple(deletions.confirm.values()))


def judge_tree(tree: TreeView, seen: Seen | None) -> Judgement:
    """Judge a child that is a tree: each time it gives up is one exit, told apart by its latest decision."""
    uid, now = short_uid(tree.uid), str(tree.serial)
    gave_up = tree.exhausted
    if gave_up is None:
        return Judgement(None, Seen({uid: frozenset()}))
    remembered = Seen({uid: frozenset({now})})
    # What had given up when it was first looked at is history.
    if seen is None or now in seen.pods.get(uid, frozenset()):
        return Judgement(None, remembered)
    path = [part for part in (gave_up.child, gave_up.origin) if part]
    return Judgement(
        Exit(
            Cause.EXHAUSTED,
            gave_up.pod or "",
            gave_up.container,
            gave_up.exit_code,
            origin="/".join(path) or None,
            origin_cause=gave_up.origin_cause or gave_up.cause,
        ),
        remembered,
    )


def is_down(pods: Sequence[Pod], replaced: Replaced) -> bool:
    """Tell whether no pod is left that is Ready and not being deleted."""
    return not any(pod.is_ready and not pod.is_deleting and not replaced.has(pod) for pod in pods)


def _deaths(it: Evidence, seen: Seen) -> list[Exit]:
    found = []
    for pod in it.pods:
        # What a deleted pod's containers report on the way out is no exit.
        if pod.is_deleting or it.replaced.has(pod):
            continue
        for death in pod.deaths:
            cause = None if seen.judged(pod, death.id) else cause_of(pod, death)
            if cause is None or (REASONS[cause] is Reason.SHUTDOWN and not is_down(it.pods, it.replaced)):
                continue
            message = death.message or (death.reason if death.reason not in {"Error", "Completed"} else None)
            found.append(Exit(cause, pod.name, death.container, death.exit_code, message))
    return found


class _Deletions:
    """Judges the pods that are gone or going."""

    def __init__(self, it: Evidence, seen: Seen) -> None:
        self.it = it
        self.seen = seen
        self.judged = {pod.uid for pod in it.pods if pod.is_deleting}
        self.open: set[str] = set()
        self.confirm: dict[str, Owner] = {}

    def exits(self) -> list[Exit]:
        """Return the exits; fill in what was judged, what is still open and whom to ask."""
        found = [exit_ for pod in self._candidates() if (exit_ := self._judge(pod))]
        return found or self._vanished_unseen()

    def _candidates(self) -> list[Pod]:
        """Return the pods that were there, are to go or gone, and were not judged."""
        going = [pod for pod in self.it.pods if pod.is_deleting]
        return [
            pod
            for pod in (*going, *self.it.ghosts)
            if self.seen.knows(pod) and not self.seen.judged(pod, GONE) and not self.it.replaced.has(pod)
        ]

    def _judge(self, pod: Pod) -> Exit | None:
        if not is_down(self.it.pods, self.it.replaced):
            return None
        wanted = self._was_wanted(pod)
        if wanted is None:
            self.judged.discard(pod.uid)
            self.open.add(short_uid(pod.uid))
            return None
        if wanted:
            return None
        return Exit(Cause.DISRUPTED if pod.is_disrupted else Cause.DELETED, pod.name)

    def _was_wanted(self, pod: Pod) -> bool | None:
        """Tell whether the pod's controller has no use for it; None while that cannot be told."""
        controller = self.it.controllers.get(pod.owner.uid) if pod.owner else None
        if pod.owner is None or controller is None or controller.is_deleting:
            return True
        if controller.uid not in self.it.fresh:
            self.confirm[controller.uid] = pod.owner
            return None
        return _WANTED[controller.kind](pod, controller, self.it.pods, self.seen)

    def _vanished_unseen(self) -> list[Exit]:
        """Judge the pods that went while nobody watched: all that is left of them is a short UID.

        Only when all remembered pods are gone was the child down for certain, and only when the workload's generation
        is the same did nobody scale it or roll it out.
        """
        it, workload = self.it, self.it.workload
        known = {uid for uid, deaths in self.seen.pods.items() if GONE not in deaths}
        present = {short_uid(pod.uid) for pod in (*it.pods, *it.ghosts)}
        if not known or known & present or known <= it.replaced.uids or workload is None or workload.replicas == 0:
            return []
        if workload.is_deleting or workload.generation != self.seen.generation:
            return []
        return [Exit(Cause.DELETED, message="its pods were replaced while nobody watched")]


def _survivors(pod: Pod, pods: Sequence[Pod], seen: Seen) -> int:
    """Count the controller's pods that it had beside the one that goes; what it made since does not count."""
    mates = [it for it in pods if it.owner == pod.owner and it.uid != pod.uid]
    return sum(not it.is_deleting and seen.knows(it) for it in mates)


def _wanted_by_replica_set(pod: Pod, controller: Workload, pods: Sequence[Pod], seen: Seen) -> bool | None:
    return _survivors(pod, pods, seen) >= controller.replicas


def _wanted_by_stateful_set(pod: Pod, controller: Workload, _pods: Sequence[Pod], _seen: Seen) -> bool | None:
    ordinal = pod.name.rpartition("-")[2]
    if ordinal.isdigit() and int(ordinal) >= controller.first_ordinal + controller.replicas:
        return True
    if controller.observed_generation < controller.generation:
        return None
    return bool(controller.update_revision) and pod.revision != controller.update_revision


def _wanted_by_daemon_set(pod: Pod, controller: Workload, pods: Sequence[Pod], seen: Seen) -> bool | None:
    """A DaemonSet does not say its current revision: what it puts in the pod's place does."""
    if controller.replicas == 0:
        return True
    heirs = [it for it in pods if it.owner == pod.owner and not it.is_deleting and not seen.knows(it)]
    return all(it.revision != pod.revision for it in heirs) if heirs else None


_WANTED: dict[str, Callable[[Pod, Workload, Sequence[Pod], Seen], bool | None]] = {
    "ReplicaSet": _wanted_by_replica_set,
    "StatefulSet": _wanted_by_stateful_set,
    "DaemonSet": _wanted_by_daemon_set,
}
