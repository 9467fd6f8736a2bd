"""The causes of exits, as tables: which evidence names which cause, and what each cause means to a supervisor."""

from collections.abc import Callable
from dataclasses import dataclass

from suptree.api.choices import FailureAction
from suptree.api.outcomes import Cause
from suptree.cluster.views import Death, Pod
from suptree.core.restart import Reason

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
"""The exit reason that OTP would see (design section 2)."""

UNCOUNTED = frozenset({Cause.DISRUPTED, Cause.LOST, Cause.DELETED})
"""Causes whose restarts spend neither budget nor backoff, unless `failurePolicy` says otherwise."""

_LOST_EXIT = 255
NODE_GONE = "DeletionByPodGC"
"""Why Kubernetes' own garbage collector deletes a pod: its node does not exist any more, or is out of service."""
_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})

DEATH_RULES: tuple[tuple[str, Callable[[Pod, Death], bool], Cause | None], ...] = (
    ("the kernel ran out of memory, whatever the exit code", lambda _, d: d.reason == "OOMKilled", Cause.OOM_KILLED),
    ("an init container has done its work", lambda _, d: d.is_init and d.exit_code == 0, None),
    # It never ran: how long a start may take is for startTimeoutSeconds to say.
    ("it is tried again", lambda pod, d: d.reason in _NEVER_RAN and pod.restart_policy != "Never", None),
    ("nobody knows how it ended", lambda _, d: d.reason == "ContainerStatusUnknown", Cause.LOST),
    ("its node went down", lambda _, d: d.exit_code == _LOST_EXIT and d.reason == "Unknown", Cause.LOST),
    ("its node is gone", lambda pod, _: pod.disruption == NODE_GONE, Cause.LOST),
    ("its pod was disrupted", lambda pod, _: pod.is_disrupted, Cause.DISRUPTED),
    ("it never ran", lambda _, d: d.reason in _NEVER_RAN or not d.container, Cause.START_FAILED),
    ("it ended well", lambda _, d: d.exit_code == 0 and d.signal == 0, Cause.COMPLETED),
    ("anything else", lambda *_: True, Cause.CRASH),
)
"""Why, the evidence, and the cause (None: not an exit); the first that matches wins."""

DEATHS = frozenset(cause for _, _, cause in DEATH_RULES if cause is not None)
"""Causes that are found in the death of a container."""

GRAVITY = (
    Cause.OOM_KILLED,
    Cause.CRASH,
    Cause.ZOMBIE,
    Cause.START_FAILED,
    Cause.JOB_FAILED,
    Cause.COMPLETED,
    Cause.JOB_COMPLETE,
    Cause.LOST,
    Cause.DISRUPTED,
    Cause.DELETED,
    Cause.EXHAUSTED,
)
"""Of several failures seen together the gravest stands for all."""

IN_PLACE = frozenset({Cause.CRASH, Cause.OOM_KILLED, Cause.COMPLETED, Cause.LOST, Cause.DISRUPTED, Cause.DELETED})
"""Causes after which the kubelet, or the pod's controller, brings the child back by itself."""


def cause_of_deletion(pod: Pod) -> Cause:
    """Return the cause of the deletion of a pod that its controller wanted to keep."""
    if pod.disruption == NODE_GONE:
        return Cause.LOST
    return Cause.DISRUPTED if pod.is_disrupted else Cause.DELETED


def cause_of(pod: Pod, death: Death) -> Cause | None:
    """Return the cause of a container's death; None when it is no exit."""
    return next(cause for _, matches, cause in DEATH_RULES if matches(pod, death))


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
    action: FailureAction | None = None
    """What a rule of `failurePolicy` says about it; None: what its cause says."""
    rule: str = "Default"

    @property
    def reason(self) -> Reason:
        """The exit reason that OTP would see; a rule that asks for a restart makes it a failure."""
        restarts = self.action in {FailureAction.RESTART, FailureAction.RESTART_UNCOUNTED, FailureAction.EXHAUST}
        return Reason.ABNORMAL if restarts else REASONS[self.cause]

    @property
    def is_counted(self) -> bool:
        """Whether a restart for it spends the budget."""
        if self.action is None:
            return self.cause not in UNCOUNTED
        return self.action is not FailureAction.RESTART_UNCOUNTED
