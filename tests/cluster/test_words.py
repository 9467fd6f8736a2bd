"""What a user is told: the conditions as a table, and the sentences."""

from typing import Any

import pytest

from suptree.api.choices import ConditionStatus
from suptree.api.outcomes import Cause, ExhaustedReason, Stage, State
from suptree.api.reasons import CONDITION_REASONS, ConditionType, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import ChildStatus, HistoryEntry, OperationStatus, SupervisionTreeStatus
from suptree.cluster import narrate
from suptree.cluster.causes import Exit
from suptree.cluster.conditions import SETTLED, Facts, conditions
from suptree.cluster.narrate import WayOut
from tests.cluster.builders import T0, child, tree

SPEC = SupervisionTreeSpec.model_validate(tree(child("db"), child("web"), strategy="OneForAll")["spec"])
CRASH = Exit(Cause.CRASH, "db-0", "main", 3)


def spec(**fields: Any) -> SupervisionTreeSpec:  # noqa: ANN401 - fields of the spec
    """Return a spec of two children."""
    return SupervisionTreeSpec.model_validate(tree(child("db"), child("web"), **fields)["spec"])


def children(*states: State) -> tuple[ChildStatus, ...]:
    """Return children in these states."""
    return tuple(ChildStatus(name=f"c{at}", state=state) for at, state in enumerate(states))


def operation(stage: Stage = Stage.STOPPING) -> OperationStatus:
    """Return an operation that is that far."""
    return OperationStatus(id=1, stage=stage, start_time="2026-03-01T00:00:00Z")


def told(facts: Facts) -> dict[str, str]:
    """Return the conditions as 'True Reason'."""
    return {it.type: f"{it.status} {it.reason}" for it in conditions(facts, SupervisionTreeStatus())}


@pytest.mark.parametrize(
    ("facts", "type_", "expected"),
    [
        pytest.param({"children": children(State.UP, State.UP)}, "Ready", "True AllChildrenUp", id="all up"),
        pytest.param(
            {"children": children(State.UP, State.SUSPENDED)}, "Ready", "True AllChildrenUp", id="one at zero"
        ),
        pytest.param({"children": children(State.UP, State.COMPLETED)}, "Ready", "True AllChildrenUp", id="one done"),
        pytest.param({"children": children(State.UP, State.DOWN)}, "Ready", "False ChildrenNotUp", id="one down"),
        pytest.param({"children": children(State.UP, State.HELD)}, "Ready", "False ChildrenNotUp", id="one held"),
        pytest.param(
            {"children": children(State.CANNOT_START), "obstacles": ("c0 cannot start (pod x: ErrImagePull)",)},
            "Ready",
            "False ChildCannotStart",
            id="C52: one cannot start",
        ),
        pytest.param(
            {"children": children(State.UP), "obstacles": ("c0 cannot start (pod x: Unschedulable)",)},
            "Ready",
            "True AllChildrenUp",
            id="one replica more has no room",
        ),
        pytest.param(
            {"unresolved": ((Reason.CHILD_MISSING, "child db: gone"),)}, "Ready", "False Unresolved", id="one missing"
        ),
        pytest.param(
            {"unresolved": ((Reason.CHILD_MISSING, "child db: gone"),)},
            "ResolvedRefs",
            "False ChildMissing",
            id="C58: the missing one is named in ResolvedRefs",
        ),
        pytest.param({"refusal": Reason.INVALID}, "Accepted", "False Invalid", id="a spec that breaks a rule"),
        pytest.param({"refusal": Reason.INVALID}, "Ready", "False NotAccepted", id="which is then not Ready"),
        pytest.param(
            {"refusal": Reason.INVALID}, "ResolvedRefs", "False NotAccepted", id="nor are its children looked at"
        ),
        pytest.param({"given_up": (Reason.PARKED, "why")}, "Stalled", "True Parked", id="parked"),
        pytest.param({"given_up": (Reason.HELD, "why")}, "Stalled", "True Held", id="held"),
        pytest.param({"given_up": (Reason.PARKED, "why")}, "Ready", "False Parked", id="parked is not Ready"),
        pytest.param({}, "Stalled", "False NotStalled", id="not stalled"),
        pytest.param({}, "Reconciling", "False Idle", id="idle"),
        pytest.param({"operation": operation()}, "Reconciling", "True Restarting", id="a restart under way"),
        pytest.param(
            {"operation": operation(Stage.WAITING)}, "Reconciling", "True Waiting", id="a restart that backs off"
        ),
        pytest.param(
            {"operation": operation(), "stuck": "pod x"},
            "Reconciling",
            "True StuckTerminating",
            id="C29: a pod is stuck",
        ),
        pytest.param({"spec": spec(suspend=True)}, "Ready", "False Suspended", id="C60: suspended"),
        pytest.param({"spec": spec(ordering="Parallel")}, "OrderEnforced", "False NotOrdered", id="parallel"),
        pytest.param({"is_gate_installed": False}, "OrderEnforced", "False GateNotInstalled", id="no policy"),
        pytest.param({}, "OrderEnforced", "True GateInstalled", id="the policy is there"),
    ],
)
def test_the_table_of_conditions(facts: dict[str, Any], type_: str, expected: str) -> None:
    """Each condition says what holds, with a reason of one word."""
    assert told(Facts(**{"generation": 1, "now": T0, "spec": SPEC, **facts}))[type_] == expected


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({}, id="all is well"),
        pytest.param({"given_up": (Reason.SHUT_DOWN, "why")}, id="handed up"),
        pytest.param({"refusal": Reason.RECREATE_DISABLED, "refusal_message": "why", "spec": None}, id="refused"),
        pytest.param(
            {"operation": operation(), "operation_message": "why", "children": children(*State)}, id="at work"
        ),
        pytest.param({"spec": spec(mode="Observe", suspend=True)}, id="hands off"),
    ],
)
def test_every_reason_is_one_that_is_documented_for_its_condition(facts: dict[str, Any]) -> None:
    """A dashboard that knows the documented reasons knows all that can show."""
    found = conditions(Facts(**{"generation": 4, "now": T0, "spec": SPEC, **facts}), SupervisionTreeStatus())
    for it in found:
        assert Reason(it.reason) in CONDITION_REASONS[ConditionType(it.type)]  # type: ignore[call-arg]
        assert it.message
        assert it.observed_generation == 4
    assert {"Ready", "Reconciling", "Stalled", "Accepted", "ResolvedRefs"} <= {it.type for it in found}


def test_the_transition_time_moves_only_with_the_status() -> None:
    """`kubectl wait` and alerts see when a condition changed, not when it was last looked at."""
    first = conditions(Facts(1, T0, SPEC), SupervisionTreeStatus())
    later = conditions(Facts(1, T0 + 60, SPEC), SupervisionTreeStatus(conditions=first))
    assert [it.last_transition_time for it in later] == [it.last_transition_time for it in first]
    parked = conditions(Facts(1, T0 + 60, SPEC, given_up=(Reason.PARKED, "x")), SupervisionTreeStatus(conditions=first))
    changed = {
        it.type for it, was in zip(parked, first, strict=True) if it.last_transition_time != was.last_transition_time
    }
    assert changed == {"Ready", "Stalled"}
    assert {it.status for it in parked} <= {ConditionStatus.TRUE, ConditionStatus.FALSE}


def test_only_a_child_as_it_should_be_is_settled() -> None:
    """The column CHILDREN counts children that are up, done, or at zero by their owner's wish."""
    assert {State.UP, State.COMPLETED, State.SUSPENDED} == SETTLED


# The sentences.


@pytest.mark.parametrize(
    ("names", "text"),
    [
        pytest.param((), "", id="nobody"),
        pytest.param(("a",), "a", id="one"),
        pytest.param(("a", "b"), "a and b", id="two"),
        pytest.param(("a", "b", "c"), "a, b and c", id="three"),
    ],
)
def test_names_are_listed_as_a_person_would(names: tuple[str, ...], text: str) -> None:
    """Lists of children read as English."""
    assert narrate.listing(names) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(CRASH, "db crashed (pod db-0, container main, exit code 3)", id="a crash with all its evidence"),
        pytest.param(
            Exit(Cause.OOM_KILLED, "db-0", "main", 0),
            "db ran out of memory (pod db-0, container main, exit code 0)",
            id="OOM",
        ),
        pytest.param(
            Exit(Cause.COMPLETED, "db-0", "main", 0),
            "db ended with exit code 0 (pod db-0, container main)",
            id="a good end",
        ),
        pytest.param(Exit(Cause.DELETED), "db was deleted", id="a deletion without a name"),
        pytest.param(Exit(Cause.DISRUPTED, "db-0"), "db was disrupted (pod db-0)", id="an eviction"),
        pytest.param(
            Exit(Cause.EXHAUSTED, "x-0", origin="cache/redis", origin_cause=Cause.CRASH),
            "db gave up because db/cache/redis crashed (pod x-0)",
            id="a tree that gave up names the whole path",
        ),
    ],
)
def test_what_happened(found: Exit, text: str) -> None:
    """A failure is one sentence with its evidence."""
    assert narrate.what_happened("db", found) == text


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_verb(cause: Cause) -> None:
    """No cause leaves a hole in a sentence."""
    assert narrate.what_happened("db", Exit(cause)).startswith("db ")


def entry(**fields: Any) -> HistoryEntry:  # noqa: ANN401 - fields of an entry
    """Return an entry of the history."""
    known = {
        "operation": 1,
        "time": "2026-03-01T00:00:00Z",
        "child": "db",
        "cause": Cause.CRASH,
        "slice": ("db", "web"),
    }
    return HistoryEntry.model_validate({**known, "budget_used": 2, "rule": "Default", **fields})


def test_a_restart_says_what_it_costs() -> None:
    """The event of a restart names the failure, the group, the strategy and the budget."""
    assert narrate.restart(SPEC, entry()) == "db crashed: restarting db and web (OneForAll); restart 2 of 3 in 300 s"
    assert narrate.restart(SPEC, entry(counted=False)).endswith("; not counted against the budget")
    assert narrate.restart(SPEC, entry(rule="Reset")).startswith("reset: restarting db and web")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        pytest.param(ExhaustedReason.BUDGET_EXHAUSTED, "budget of 3 restarts in 300 s", id="the budget"),
        pytest.param(ExhaustedReason.DISRUPTION_STORM, "disruptions in 300 s", id="a storm"),
        pytest.param(ExhaustedReason.FAILURE_POLICY, "failurePolicy[0]", id="a rule of the child"),
        pytest.param(ExhaustedReason.AUTO_SHUTDOWN, "autoShutdown", id="a significant child"),
    ],
)
def test_giving_up_says_why(reason: ExhaustedReason, words: str) -> None:
    """The reason for giving up names the failure and the limit."""
    said = narrate.exhausted(SPEC, entry(rule="failurePolicy[0]"), reason)
    assert said.startswith("db crashed, and ")
    assert words in said


@pytest.mark.parametrize(
    ("way_out", "words", "has_command"),
    [
        pytest.param(WayOut.PARK, "leaves every pod as it is", True, id="parked"),
        pytest.param(WayOut.HOLD, "holds them", True, id="held"),
        pytest.param(WayOut.SHUT_DOWN, "to its parent", False, id="handed up"),
    ],
)
def test_giving_up_says_what_to_do(way_out: WayOut, words: str, has_command: bool) -> None:
    """A tree that waits for a person says by which command it goes on."""
    said = narrate.given_up("shop", "because", way_out)
    assert words in said
    assert ("kubectl annotate suptree shop suptree.dev/reset=now --overwrite" in said) is has_command


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        pytest.param(Stage.WAITING, "db crashed: backing off until T before db and web restart", id="waiting"),
        pytest.param(Stage.STOPPING, "db crashed: stopping web", id="stopping"),
        pytest.param(Stage.STARTING, "db crashed: starting web; after that job", id="starting"),
    ],
)
def test_an_operation_says_how_far_it_is(stage: Stage, text: str) -> None:
    """The message of Reconciling says why, what now and what then."""
    assert narrate.operation(entry(), stage, ("web",), ("job",), "T") == text


def test_a_stuck_pod_says_where_it_is() -> None:
    """A pod that does not go is named with its node, and what a person can do."""
    assert "pod q-0 on node n1" in narrate.stuck("pod", "q-0", "n1", [])
    assert "on node" not in narrate.stuck("pod", "q-0", "", [])


@pytest.mark.parametrize(
    ("finalizers", "text"),
    [
        (["a/x"], "the finalizer a/x keeps it; see to it that whoever set it runs"),
        (["a/x", "b/y"], "the finalizers a/x and b/y keep it; see to it that whoever set them runs"),
    ],
)
def test_what_a_finalizer_keeps_is_said_with_it(finalizers: list[str], text: str) -> None:
    """What somebody's finalizer keeps is named with that finalizer, and nothing is said about a lost node."""
    said = narrate.stuck("Job", "sync", "", finalizers)
    assert said.startswith("Job sync should be gone and is not: ")
    assert text in said
    assert "lost" not in said
