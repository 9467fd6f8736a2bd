"""What a tree says about itself: one row a condition, each computed from the facts of one decision."""

from dataclasses import dataclass

from suptree.api.choices import ConditionStatus, Mode, Ordering
from suptree.api.model import to_time
from suptree.api.outcomes import Stage, State
from suptree.api.reasons import ConditionType, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import ChildStatus, Condition, OperationStatus, SupervisionTreeStatus
from suptree.cluster.narrate import listing

SETTLED = frozenset({State.UP, State.COMPLETED, State.SUSPENDED})
"""States in which a child is as it should be."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the conditions are computed from."""

    generation: int
    now: float
    spec: SupervisionTreeSpec | None
    refusal: Reason | None = None
    refusal_message: str = ""
    children: tuple[ChildStatus, ...] = ()
    unresolved: tuple[tuple[Reason, str], ...] = ()
    obstacles: tuple[str, ...] = ()
    """Why children cannot start."""
    stuck: str = ""
    """Which pods should be gone and are not."""
    unmade: str = ""
    """Which Jobs and bare Pods are to be created again and cannot be."""
    operation: OperationStatus | None = None
    operation_message: str = ""
    is_queued: bool = False
    """Whether the restart waits for its turn."""
    given_up: tuple[Reason, str] | None = None
    """What the tree does since it has given up, why, and how to go on."""
    notes: tuple[str, ...] = ()
    """What else keeps children from being up."""
    out_of_reach: tuple[Reason, str] | None = None
    """Why the budget can never be exceeded."""
    is_gate_installed: bool = True
    unheld: str | None = None
    """A pod that the gate policy should have held and has not; None: there is none."""


Verdict = tuple[ConditionStatus, Reason, str]
TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE


def conditions(facts: Facts, before: SupervisionTreeStatus) -> tuple[Condition, ...]:
    """Return all conditions; the time of the last transition is kept while the status stays the same."""
    old = {condition.type: condition for condition in before.conditions}
    found = []
    for type_, verdict in (
        (ConditionType.READY, _ready(facts)),
        (ConditionType.RECONCILING, _reconciling(facts)),
        (ConditionType.STALLED, _stalled(facts)),
        (ConditionType.ACCEPTED, _accepted(facts)),
        (ConditionType.RESOLVED_REFS, _resolved_refs(facts)),
        (ConditionType.ORDER_ENFORCED, _order_enforced(facts)),
        (ConditionType.BUDGET_REACHABLE, _budget_reachable(facts)),
    ):
        status, reason, message = verdict
        was = old.get(type_)
        same = was is not None and was.status == status
        found.append(
            Condition(
                type=type_,
                status=status,
                reason=reason,
                message=message,
                observed_generation=facts.generation,
                last_transition_time=was.last_transition_time if was and same else to_time(int(facts.now)),
            )
        )
    return tuple(found)


def _ready(facts: Facts) -> Verdict:  # noqa: PLR0911 - a table of cases, the most serious first
    if facts.refusal:
        return FALSE, Reason.NOT_ACCEPTED, "the spec is not accepted, so the tree does not act; see Accepted"
    if facts.given_up:
        return FALSE, *facts.given_up
    if facts.spec and facts.spec.suspend:
        return (
            FALSE,
            Reason.SUSPENDED,
            "the tree is suspended and keeps its hands off; set spec.suspend to false to resume",
        )
    if facts.unresolved:
        return FALSE, Reason.UNRESOLVED, "; ".join(message for _, message in facts.unresolved)
    down = [f"{child.name} is {child.state}" for child in facts.children if child.state not in SETTLED]
    if facts.unmade:
        return FALSE, Reason.MANIFEST_MISSING, facts.unmade
    if facts.obstacles and down:
        return FALSE, Reason.CHILD_CANNOT_START, "; ".join(facts.obstacles)
    if down:
        return FALSE, Reason.CHILDREN_NOT_UP, "; ".join((listing(down), *facts.notes))
    return TRUE, Reason.ALL_CHILDREN_UP, f"all {len(facts.children)} children are up"


def _reconciling(facts: Facts) -> Verdict:
    if facts.operation is None:
        return FALSE, Reason.IDLE, "no restart is under way"
    if facts.stuck:
        return TRUE, Reason.STUCK_TERMINATING, facts.stuck
    if facts.unmade:
        return TRUE, Reason.MANIFEST_MISSING, facts.unmade
    waiting = Reason.QUEUED if facts.is_queued else Reason.WAITING
    reason = waiting if facts.operation.stage is Stage.WAITING else Reason.RESTARTING
    return TRUE, reason, facts.operation_message


def _stalled(facts: Facts) -> Verdict:
    if facts.given_up:
        return TRUE, *facts.given_up
    return FALSE, Reason.NOT_STALLED, "the tree is not exhausted"


def _accepted(facts: Facts) -> Verdict:
    if facts.refusal:
        return FALSE, facts.refusal, facts.refusal_message
    if facts.spec and facts.spec.mode is Mode.OBSERVE:
        return TRUE, Reason.ACCEPTED, "the spec is accepted; mode is Observe, so the tree decides but touches nothing"
    return TRUE, Reason.ACCEPTED, "the spec is accepted"


def _resolved_refs(facts: Facts) -> Verdict:
    if facts.refusal:
        return FALSE, Reason.NOT_ACCEPTED, "the children are not looked at; see Accepted"
    if facts.unresolved:
        return FALSE, facts.unresolved[0][0], "; ".join(message for _, message in facts.unresolved)
    return TRUE, Reason.RESOLVED, f"all {len(facts.children)} children are found"


def _budget_reachable(facts: Facts) -> Verdict:
    if facts.out_of_reach:
        return FALSE, *facts.out_of_reach
    return TRUE, Reason.BUDGET_IN_REACH, "restarts can come fast enough to exceed the budget"


_CHILD_BY_CHILD = "a restart goes child by child: each is deleted and waited for before the next"

_NOT_INSTALLED = (
    f"the admission policy suptree-hold is not installed, so {_CHILD_BY_CHILD}; for a full stop before the start set "
    f"gate.enabled in the chart (Kubernetes 1.36 or newer)"
)


def _not_in_force(pod: str) -> str:
    return (
        f"{f'pod {pod}' if pod else 'a pod'} was created without the gate that the index asked for: the admission policy "
        f"suptree-hold is installed and not in force in this namespace, so {_CHILD_BY_CHILD}. If the policy or its binding was "
        f"away for a moment (an uninstallation, gate.enabled off and on), Kubernetes 1.37 may read no ConfigMaps for policies any "
        f"more (kubernetes/kubernetes#130887): restart the API server, each of them. Otherwise see whether the chart's "
        f"gate.excludeNamespaces or watchNamespaces leave this namespace out. The next pod that is held ends this"
    )


def _order_enforced(facts: Facts) -> Verdict:
    if facts.spec and facts.spec.ordering is Ordering.PARALLEL:
        return FALSE, Reason.NOT_ORDERED, "ordering is Parallel; no pod is ever held"
    if not facts.is_gate_installed:
        return FALSE, Reason.GATE_NOT_INSTALLED, _NOT_INSTALLED
    if facts.unheld is not None:
        return FALSE, Reason.GATE_NOT_IN_FORCE, _not_in_force(facts.unheld)
    return TRUE, Reason.GATE_INSTALLED, "a pod whose turn has not come is held by the scheduling gate suptree.dev/hold"
