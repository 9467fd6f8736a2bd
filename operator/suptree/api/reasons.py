"""Types and reasons of conditions, and reasons of events: each is one word that is documented here and nowhere else.

A word means the same wherever it shows: in a condition, in an event, in the history and in a metric's label. Dashboards
and scripts match on these words, so one that has been released is never renamed.
"""

from enum import StrEnum

from suptree.api.outcomes import ExhaustedReason
from suptree.api.words import Word

TREE_LABEL = "suptree.dev/tree"
"""On a pod that a tree started: the name of the tree."""

RESET_ANNOTATION = "suptree.dev/reset"
"""On a tree: a new value empties the window and lets an exhausted tree try again."""

HOLD_GATE = "suptree.dev/hold"
"""The scheduling gate of a pod that may not start yet."""


class ConditionType(Word):
    """The aspects of a tree's state."""

    READY = "Ready", "every child is up, or has ended as it should."
    RECONCILING = "Reconciling", "a restart is under way."
    STALLED = "Stalled", "the tree is exhausted and waits for a person, a retry or its parent."
    ACCEPTED = "Accepted", "the spec is one that this version of Suptree can act upon."
    RESOLVED_REFS = "ResolvedRefs", "every child is found and belongs to this tree alone."
    BUDGET_REACHABLE = "BudgetReachable", "restarts can come fast enough to exceed the budget at all."
    ORDER_ENFORCED = "OrderEnforced", "a pod whose turn has not come is kept from starting."


class Reason(Word):
    """Why a condition has its status, and what an event is about."""

    # The spec
    ACCEPTED = "Accepted", "the spec is valid and everything in it is supported."
    INVALID = "Invalid", "the spec breaks a rule that the API server did not check; the message names field and rule."
    RECREATE_DISABLED = (
        "RecreateDisabled",
        "a child is a Job or bare Pod, which does not come back by itself; set recreate.enabled in the chart.",
    )
    NOT_ACCEPTED = "NotAccepted", "the spec is not accepted, so the tree does not act; see the condition Accepted."

    # The children and where they are
    RESOLVED = "Resolved", "every child was found."
    CHILD_MISSING = "ChildMissing", "the target of a child does not exist, or not yet."
    INVALID_TARGET = (
        "InvalidTarget",
        "the target of a child is of a kind that has no scale, or its scale does not tell its pods; the message says which.",
    )
    FORBIDDEN = (
        "Forbidden",
        "Suptree may not read the scale of a child's target; the message names the chart's value that lets it.",
    )
    REFERENCE_CYCLE = "ReferenceCycle", "a tree is its own descendant."
    TWO_PARENTS = "TwoParents", "another tree names this tree as a child; the older parent keeps it."
    CLAIMED_BY_OTHER_TREE = "ClaimedByOtherTree", "pods of a child belong to an older tree, which the message names."
    CHILDREN_OVERLAP = "ChildrenOverlap", "two children of this tree claim the same pods."
    UNRESOLVED = "Unresolved", "a child is not resolved, so the tree does not act; see the condition ResolvedRefs."

    # How the tree is
    ALL_CHILDREN_UP = "AllChildrenUp", "every child is up, or has ended as it should."
    CHILDREN_NOT_UP = "ChildrenNotUp", "at least one child is not up; the message names it."
    CHILD_CANNOT_START = (
        "ChildCannotStart",
        "something that a restart cannot help keeps a child from starting; the message says what.",
    )
    SUSPENDED = "Suspended", "spec.suspend is set; Suptree keeps its hands off."
    OBSERVING = "Observing", "spec.mode is Observe; Suptree decides and records, but touches nothing."
    NOT_OBSERVED = "NotObserved", "the tree has not been looked at yet."

    # A restart
    IDLE = "Idle", "no restart is under way."
    WAITING = "Waiting", "a restart backs off until status.nextAttemptTime."
    QUEUED = (
        "Queued",
        "a restart waits for its turn: as many are under way in the cluster as --max-simultaneous-restarts allows.",
    )
    RESTARTING = "Restarting", "children are being stopped and started."
    RESTARTED = "Restarted", "a restart is complete; all its children are up again."
    SUPERSEDED = "Superseded", "a restart gave way to another failure, a change of the spec or a reset."
    RESTART_REFUSED = "RestartRefused", "a restart was due, but the budget is spent."
    WOULD_RESTART = "WouldRestart", "with spec.mode Enforce this would have been a restart."
    MANIFEST_MISSING = (
        "ManifestMissing",
        "a Job or bare Pod is to be created again and its manifest is gone; the message says which to apply.",
    )
    STUCK_TERMINATING = (
        "StuckTerminating",
        "a pod or Job that was to stop does not go; the message names it, and its node or the finalizers that keep it.",
    )

    # Giving up
    PARKED = "Parked", "the tree is exhausted and has left every pod as it is."
    HELD = "Held", "the tree is exhausted and has stopped its children; or a pod is kept from starting until its turn."
    SHUT_DOWN = "ShutDown", "the tree has stopped its children and handed the failure, or its end, up to its parent."
    NOT_STALLED = "NotStalled", "the tree is not exhausted."
    BUDGET_EXHAUSTED = "BudgetExhausted", ExhaustedReason.BUDGET_EXHAUSTED.meaning
    DISRUPTION_STORM = "DisruptionStorm", ExhaustedReason.DISRUPTION_STORM.meaning
    RESET = "Reset", "a person, a retry, a parent or a new spec gave the tree an empty window."

    # What is only a warning
    BUDGET_IN_REACH = "BudgetInReach", "restarts can come fast enough to exceed the budget."
    BACKOFF_TOO_SLOW = "BackoffTooSlow", "the backoff is so long that the budget can never be exceeded."
    RESTART_TOO_SLOW = "RestartTooSlow", "stopping and starting take so long that the budget can never be exceeded."
    GATE_INSTALLED = "GateInstalled", "the admission policy that holds pods is installed."
    GATE_NOT_INSTALLED = (
        "GateNotInstalled",
        "the admission policy is not there, so pods are deleted child by child and not held.",
    )
    GATE_NOT_IN_FORCE = (
        "GateNotInForce",
        "the admission policy is installed, and a new pod was not held; the message names it and says what to do.",
    )
    NOT_ORDERED = "NotOrdered", "spec.ordering is Parallel; no pod is ever held."


_GIVEN_UP = (Reason.PARKED, Reason.HELD, Reason.SHUT_DOWN)

CONDITION_REASONS: dict[ConditionType, tuple[Reason, ...]] = {
    ConditionType.READY: (
        Reason.ALL_CHILDREN_UP,
        Reason.CHILDREN_NOT_UP,
        Reason.CHILD_CANNOT_START,
        Reason.STUCK_TERMINATING,
        Reason.MANIFEST_MISSING,
        Reason.NOT_ACCEPTED,
        Reason.UNRESOLVED,
        Reason.SUSPENDED,
        Reason.NOT_OBSERVED,
        *_GIVEN_UP,
    ),
    ConditionType.RECONCILING: (
        Reason.IDLE,
        Reason.WAITING,
        Reason.QUEUED,
        Reason.RESTARTING,
        Reason.STUCK_TERMINATING,
        Reason.MANIFEST_MISSING,
        Reason.SUSPENDED,
        Reason.OBSERVING,
        Reason.NOT_ACCEPTED,
        *_GIVEN_UP,
    ),
    ConditionType.STALLED: (Reason.NOT_STALLED, *_GIVEN_UP),
    ConditionType.ACCEPTED: (Reason.ACCEPTED, Reason.INVALID, Reason.RECREATE_DISABLED),
    ConditionType.RESOLVED_REFS: (
        Reason.RESOLVED,
        Reason.CHILD_MISSING,
        Reason.INVALID_TARGET,
        Reason.FORBIDDEN,
        Reason.REFERENCE_CYCLE,
        Reason.TWO_PARENTS,
        Reason.CLAIMED_BY_OTHER_TREE,
        Reason.CHILDREN_OVERLAP,
        Reason.NOT_ACCEPTED,
    ),
    ConditionType.BUDGET_REACHABLE: (Reason.BUDGET_IN_REACH, Reason.BACKOFF_TOO_SLOW, Reason.RESTART_TOO_SLOW),
    ConditionType.ORDER_ENFORCED: (
        Reason.GATE_INSTALLED,
        Reason.GATE_NOT_INSTALLED,
        Reason.GATE_NOT_IN_FORCE,
        Reason.NOT_ORDERED,
    ),
}
"""The reasons that each condition may give."""

EVENT_REASONS: tuple[Reason, ...] = (
    Reason.INVALID,
    Reason.RECREATE_DISABLED,
    Reason.CHILD_MISSING,
    Reason.CLAIMED_BY_OTHER_TREE,
    Reason.CHILD_CANNOT_START,
    Reason.WAITING,
    Reason.QUEUED,
    Reason.RESTARTING,
    Reason.RESTARTED,
    Reason.SUPERSEDED,
    Reason.RESTART_REFUSED,
    Reason.WOULD_RESTART,
    Reason.STUCK_TERMINATING,
    Reason.MANIFEST_MISSING,
    Reason.BUDGET_EXHAUSTED,
    Reason.DISRUPTION_STORM,
    Reason.PARKED,
    Reason.HELD,
    Reason.SHUT_DOWN,
    Reason.RESET,
    Reason.SUSPENDED,
)
"""The reasons that events may give."""


class EventType(StrEnum):
    """The two types of events that Kubernetes knows."""

    NORMAL = "Normal"
    WARNING = "Warning"
