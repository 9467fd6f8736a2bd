"""The budget, the backoff and the end: parked with the evidence, and the ways on (design section 4)."""

from typing import Any

import pytest

from suptree.api.model import from_time, to_time
from tests.cluster.builders import T0, disrupted
from tests.cluster.scene import Scene, scene

ALL, REST = "OneForAll", "RestForOne"
BACKOFF = {"initialSeconds": 5, "factor": 2, "maxSeconds": 300, "jitterPercent": 10}


def crash(it: Scene, name: str = "db-0", code: int = 1) -> str:
    """Let a pod crash and everybody do their work; answer what the tree did."""
    it.dies(name, code)
    return it.settle()


def parked(children: str = "db web", **spec: Any) -> Scene:  # noqa: ANN401 - fields of the spec
    """Return a tree that has spent a budget of one restart and was parked by a second crash of db, which stays dead."""
    it = scene(children, **{"strategy": ALL, "intensity": 1, **spec})
    crash(it)
    it.dies("db-0", 9, message="disk full")
    it.decide()
    return it


def test_the_budget_spent_parks_the_tree_with_the_evidence() -> None:
    """C39: an exhausted tree says so and why, and touches nothing; the last failure stays readable."""
    it = parked()
    plan = it.decide()
    assert plan.deletes == ()
    assert it.condition("Stalled") == "True Parked"
    assert it.condition("Ready") == "False Parked"
    for word in ("db crashed", "db-0", "exit code 9", "budget of 1 restarts in 300 s", "suptree.dev/reset=now"):
        assert word in it.message("Stalled")
    assert it.outcomes == ["db Crash Restarted", "db Crash Exhausted"]
    assert it.status.history[0].exit_code == 9
    assert it.child("db").last_exit.message == "disk full"
    assert it.status.exhausted is not None
    assert it.status.exhausted.reason == "BudgetExhausted"


def test_a_refused_restart_is_not_counted() -> None:
    """What was refused is in the history, but neither in the restarts nor in the budget."""
    it = parked()
    assert it.status.restarts == 1
    assert it.status.budget is not None
    assert (it.status.budget.used, it.status.budget.limit) == (1, 1)
    assert (it.status.history[0].counted, it.status.history[0].slice) == (False, ())
    assert it.child("web").restarts == 1


def test_a_parked_tree_leaves_every_pod_as_it_is() -> None:
    """Whatever happens to a parked tree's pods, their controllers and kubelets deal with it alone."""
    it = parked()
    it.dies("web-0")
    it.delete("db-0")
    assert it.settle() == "+db-0"  # A new pod is let go at once.
    assert len(it.status.history) == 2


def test_a_parked_tree_holds_no_new_pod_of_a_child_that_runs() -> None:
    """Somebody who rolls out or deletes pods of a parked tree's healthy child gets new ones that start."""
    it = scene("db web", intensity=1)
    it.dies("web-0")
    it.decide()
    it.dies("db-0")
    it.settle()
    assert it.condition("Stalled") == "True Parked"
    assert it.child("web").state == "Up"
    it.delete("web-0")
    it.settle()
    assert it.child("web").state == "Up"
    assert it.pods["web-0"]["spec"].get("schedulingGates") in (None, [])


def test_c41_parking_is_told_once() -> None:
    """C41: three restarts are three events, and giving up is one."""
    it = scene("db web", strategy=ALL)
    told: list[str] = []
    for _ in range(5):
        it.dies("db-0")
        for _ in range(10):
            told += [str(notice.reason) for notice in it.step().notices]
            it.run_cluster()
    assert told.count("Restarting") == 3
    assert told.count("Restarted") == 3
    assert told.count("Parked") == 1


def test_c45_intensity_0_parks_at_the_first_crash() -> None:
    """C45: with no restarts allowed the first failure parks the tree."""
    it = scene("db web", strategy=ALL, intensity=0)
    assert crash(it) == ""
    assert it.condition("Stalled") == "True Parked"
    assert it.status.restarts == 0


@pytest.mark.parametrize(
    ("gap", "stalled"),
    [
        pytest.param(60, "True Parked", id="the edge of the window is inside"),
        pytest.param(61, "False NotStalled", id="one second later it is not"),
    ],
)
def test_old_restarts_leave_the_budget(gap: int, stalled: str) -> None:
    """Only restarts within periodSeconds count against the intensity, the edge inside (OTP rule 15)."""
    it = scene("db web", strategy=ALL, intensity=1, periodSeconds=60)
    it.dies("db-0")
    it.now = T0 + 1000
    it.settle()
    it.now = T0 + 1000 + gap
    it.dies("db-0")
    it.decide()
    assert it.condition("Stalled") == stalled


def test_the_used_budget_falls_by_itself() -> None:
    """The budget in the status falls when an entry leaves the window, and the tree looks again just then."""
    it = scene("db web", strategy=ALL, periodSeconds=60)
    crash(it)
    assert it.status.budget is not None
    assert it.status.budget.used == 1
    wake_at = it.decide().wake_at
    assert wake_at is not None
    assert wake_at == from_time(it.status.budget.times[0]) + 61
    it.now = wake_at
    it.decide()
    assert it.status.budget.used == 0
    assert it.status.restarts == 1


def test_c22_an_eviction_loop_ends_in_a_parked_tree() -> None:
    """C22: evictions spend no budget, but too many of them park the tree and say so."""
    it = scene("db web", strategy=ALL, intensity=1)
    for _ in range(11):
        it.pods["db-0"]["status"]["conditions"].append(disrupted("TerminationByKubelet"))
        it.delete("db-0")
        it.settle()
    assert it.condition("Stalled") == "True Parked"
    assert it.status.exhausted is not None
    assert it.status.exhausted.reason == "DisruptionStorm"
    assert it.status.restarts == 0
    assert "disruptions" in it.message("Stalled")


# The ways on.


def reset(it: Scene, value: str = "now") -> None:
    """Let a person reset the tree."""
    it.tree["metadata"].setdefault("annotations", {})["suptree.dev/reset"] = value


def change(it: Scene, **fields: Any) -> None:  # noqa: ANN401 - fields of the spec
    """Let a person change the spec."""
    it.tree["spec"] |= fields
    it.tree["metadata"]["generation"] += 1


@pytest.mark.parametrize("by", ["annotation", "spec"])
def test_c39_a_reset_goes_on_with_an_empty_budget(by: str) -> None:
    """C39: after a reset, or a change of the spec, the refused restart is done and the window is empty."""
    it = parked()
    if by == "annotation":
        reset(it)
    else:
        change(it, intensity=2)
    assert it.settle() == "-web-0 -db-0 +db-0 +web-0"
    assert it.condition("Stalled") == "False NotStalled"
    assert it.condition("Ready") == "True AllChildrenUp"
    assert it.status.budget is not None
    assert it.status.budget.used == 0
    assert it.status.history[0].rule == "Reset"
    assert it.status.history[0].counted is False


def test_c39_the_crash_after_a_reset_is_the_first() -> None:
    """C39: one crash after a reset does not park the tree again."""
    it = parked()
    reset(it)
    it.settle()
    crash(it)
    assert it.condition("Stalled") == "False NotStalled"
    assert it.status.budget is not None
    assert it.status.budget.used == 1


def test_a_reset_is_obeyed_once() -> None:
    """The same annotation does not reset a tree again, and a new value does."""
    it = parked()
    reset(it)
    it.settle()
    crash(it)
    it.dies("db-0")
    it.decide()
    assert it.condition("Stalled") == "True Parked"
    it.now += 10
    it.decide()
    assert it.condition("Stalled") == "True Parked"
    reset(it, "later")
    it.settle()
    assert it.condition("Stalled") == "False NotStalled"


def test_a_reset_of_a_tree_that_has_come_back_restarts_nothing() -> None:
    """When the child that failed runs again by itself, a reset only empties the budget."""
    it = parked()
    it.settle()
    assert it.condition("Stalled") == "True Parked"
    reset(it)
    assert it.settle() == ""
    assert it.condition("Ready") == "True AllChildrenUp"
    crash(it)
    assert it.status.history[0].outcome == "Restarted"


def test_a_change_of_the_spec_of_a_healthy_tree_restarts_nothing() -> None:
    """C65: editing a tree that is well changes what is decided next, and its window stays."""
    it = scene("db web", strategy=ALL, intensity=1)
    crash(it)
    change(it, intensity=5)
    assert it.settle() == ""
    assert it.status.observed_generation == 2
    assert it.status.budget is not None
    assert (it.status.budget.used, it.status.budget.limit) == (1, 5)


def test_other_annotations_reset_nothing() -> None:
    """Only the reset annotation resets."""
    it = parked()
    it.tree["metadata"]["annotations"] = {"team": "shop"}
    it.decide()
    assert it.condition("Stalled") == "True Parked"


def test_retry_after_seconds_tries_once_more() -> None:
    """C40: with retryAfterSeconds an exhausted tree says when it tries again, and does then, with an empty budget."""
    it = parked(retryAfterSeconds=900)
    gave_up_at = it.now
    assert it.status.next_attempt_time == to_time(gave_up_at + 900)
    assert (it.decide().wake_at or 0) <= gave_up_at + 900
    it.now = gave_up_at + 899
    it.decide()
    assert it.condition("Stalled") == "True Parked"
    it.now = gave_up_at + 900
    assert it.settle() == "-web-0 -db-0 +db-0 +web-0"
    assert it.condition("Stalled") == "False NotStalled"


def test_hold_stops_all_children_and_holds_them() -> None:
    """With onExhausted Hold an exhausted tree stops its children last to first, and keeps them from starting."""
    it = scene("db web", strategy=ALL, intensity=0, onExhausted="Hold")
    assert crash(it) == "-web-0 -db-0"
    assert it.condition("Stalled") == "True Held"
    assert [it.child(name).state for name in ("db", "web")] == ["Held", "Held"]
    reset(it)
    assert it.settle() == "+db-0 +web-0"
    assert it.condition("Ready") == "True AllChildrenUp"


def test_a_reset_while_hold_is_still_stopping_starts_all() -> None:
    """A person who resets a tree that is just stopping its children gets all of them back."""
    it = scene("db web job", strategy=ALL, intensity=0, onExhausted="Hold")
    it.dies("db-0")
    it.step()
    assert it.log == ["-job-0"]
    reset(it)
    it.settle()
    assert [it.child(name).state for name in ("db", "web", "job")] == ["Up", "Up", "Up"]
    assert it.condition("Ready") == "True AllChildrenUp"


@pytest.mark.parametrize(
    ("auto", "first", "second"),
    [
        pytest.param("AnySignificant", "True Held", "True Held", id="any: the first end is enough"),
        pytest.param("AllSignificant", "False NotStalled", "True Held", id="all: the last one ends it"),
    ],
)
def test_auto_shutdown_ends_the_tree(auto: str, first: str, second: str) -> None:
    """When the significant children have ended, the others are stopped and held (OTP rules 28 to 30)."""
    significant = {"significant": True}
    more = {"one": significant, "two": significant}
    it = scene("db one:transient two:transient", autoShutdown=auto, more=more)
    it.dies("one-0", 0)
    it.decide()
    assert it.condition("Stalled") == first
    it.dies("two-0", 0)
    it.decide()
    assert it.condition("Stalled") == second
    assert "-db-0" in it.settle()
    assert it.child("db").state == "Held"


# The backoff.


def waiting(jitter: float = 0.0) -> Scene:
    """Return a tree whose second crash has it back off."""
    it = scene("db web", strategy=ALL, backoff=BACKOFF)
    it.jitter = jitter
    crash(it)
    it.dies("db-0")
    it.decide()
    return it


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 5.0), (1.0, 5.5)])
def test_c38_the_second_restart_waits_and_says_until_when(jitter: float, seconds: float) -> None:
    """C38: while a tree backs off it touches nothing, and nextAttemptTime says when it goes on."""
    it = waiting(jitter)
    assert it.status.next_attempt_time == to_time(it.now + seconds)
    assert it.condition("Reconciling") == "True Waiting"
    assert it.status.operation is not None
    assert it.status.operation.stage == "Waiting"
    plan = it.decide()
    assert plan.deletes == ()
    assert plan.wake_at == from_time(it.status.next_attempt_time or "")


def test_deciding_again_never_moves_the_next_attempt() -> None:
    """Looking again, with another throw of the dice, neither shortens nor lengthens the wait."""
    it = waiting(0.3)
    until = it.status.next_attempt_time
    for at in range(20):
        it.jitter = (at * 7 % 10) / 10
        it.now += 0.2
        it.decide()
        assert it.status.next_attempt_time == until
    it.now = from_time(until or "") - 0.000001
    assert it.decide().deletes == ()
    it.now = from_time(until or "")
    assert [found.pod.name for found in it.decide().deletes] == ["web-0"]
    assert it.status.next_attempt_time is None


def test_what_comes_back_during_the_wait_is_replaced_after_it() -> None:
    """The pods that are replaced are those that are there when the wait is over, and none that was made since."""
    it = waiting()
    it.delete("web-0")
    for _ in range(3):
        it.step()
        it.run_cluster()
    uids = {raw["metadata"]["uid"] for raw in it.pods.values()}
    it.now = from_time(it.status.next_attempt_time or "")
    plan = it.decide()
    assert {found.pod.uid for found in plan.deletes} <= uids
    assert it.settle() == "-web-0 -db-0 +db-0 +web-0"


def test_c38_a_crash_loop_slows_down() -> None:
    """C38: pods that crash at once are replaced a few times in 90 s, not thirty times."""
    it = scene("db web", strategy=ALL, intensity=100, backoff=BACKOFF)
    start = it.now
    while it.now < start + 90:
        if it.pods["db-0"]["status"]["containerStatuses"] and not it.status.operation:
            it.dies("db-0")
        it.step()
        it.run_cluster()
    assert 3 <= (it.status.restarts or 0) <= 6


def test_disruptions_do_not_lengthen_the_wait() -> None:
    """C15: however often a pod was evicted, the first crash after that is restarted at once."""
    it = scene("db web", strategy=ALL, backoff=BACKOFF)
    for _ in range(4):
        it.delete("db-0")
        it.settle()
    it.dies("db-0")
    assert [found.pod.name for found in it.decide().deletes] == ["web-0"]
