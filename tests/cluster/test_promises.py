"""What must never break (design section 5), as far as a decision can break it."""

from typing import Any

import pytest

from suptree.api.model import to_time
from suptree.cluster.urgency import is_urgent
from tests.cluster.builders import T0
from tests.cluster.scene import SPECS, Scene, scene

ALL, REST = "OneForAll", "RestForOne"


def shop(**spec: Any) -> Scene:  # noqa: ANN401 - fields of the spec
    """Return a tree of three children that are up."""
    return scene("db web=deploy*2 job:temporary", **spec)


def decided(it: Scene) -> tuple[object, ...]:
    """Return what was decided, without what can be seen again."""
    status, plan = it.status, it.plan
    assert plan is not None
    op = status.operation
    return (
        status.history,
        status.restarts,
        status.budget,
        status.next_attempt_time,
        status.serial,
        (op.id, op.stage, op.slice, op.replacing, op.stop, op.start) if op else None,
        {found.pod.uid for found in plan.deletes},
        {(found.pod.uid, found.operation) for found in plan.releases},
    )


# Deciding again, and coming back.


@pytest.mark.parametrize("spec", SPECS)
def test_deciding_again_decides_nothing_new(spec: dict[str, Any]) -> None:
    """Events only wake the loop: looking twice at the same thing never restarts, counts or deletes more."""
    it = shop(**spec)
    for name in ("web-r1-0", "db-0"):
        it.dies(name)
        for _ in range(12):
            it.decide()
            first = decided(it)
            for _ in range(3):
                it.decide()
                assert decided(it) == first
            assert it.plan is not None
            it.act(it.plan)
            it.now += 1
            it.run_cluster()


@pytest.mark.parametrize("spec", SPECS)
def test_a_crash_before_the_write_loses_nothing(spec: dict[str, Any]) -> None:
    """C63: an operator that is killed before it wrote its decision takes the same one when it is back."""
    it = shop(**spec)
    it.dies("db-0")
    for _ in range(12):
        stored = it.tree["status"]
        it.decide()
        first = decided(it)
        it.tree["status"] = stored
        it.decide()
        assert decided(it) == first
        assert it.plan is not None
        it.act(it.plan)
        it.now += 1
        it.run_cluster()
    assert len(it.status.history) == 1


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("done", range(4))
def test_a_crash_after_the_write_finishes_the_same_operation(spec: dict[str, Any], done: int) -> None:
    """C63: killed between two of its deletes it deletes the rest, and no pod is replaced twice."""
    it = shop(**spec)
    it.dies("db-0")
    deleted: list[str] = []
    for _ in range(30):
        plan = it.decide()
        for delete in plan.deletes[:done]:
            raw = it.pods[delete.pod.name]
            assert raw["metadata"]["uid"] == delete.pod.uid
            deleted.append(delete.pod.uid)
            it.gone(delete.pod.name)
        it.known = {}  # The operator is killed and comes back: only the status is left.
        it.act(it.decide())
        it.now += 1
        it.run_cluster()
    assert len(deleted) == len(set(deleted))
    assert it.outcomes in (["db Crash Restarted"], ["db Crash Observed"])
    assert it.status.restarts == 1
    assert it.status.operation is None


def test_lost_news_is_only_news() -> None:
    """What is not written at once can be seen again: an operator that loses it goes on as if it had not."""
    it = shop(strategy=ALL)
    it.dies("db-0")
    written = it.status
    for _ in range(40):
        plan = it.decide()
        if is_urgent(written, plan.status, is_followed=plan.is_followed):
            written = plan.status
        it.tree["status"] = written.to_json()
        it.act(plan)
        it.now += 1
        it.run_cluster()
    assert it.outcomes == ["db Crash Restarted"]
    assert it.log == ["-job-0", "-web-r1-0", "-web-r1-1", "-db-0", "+db-0", "+web-r1-0", "+web-r1-1"]


# Urgency: what was decided is written before anything is done.


@pytest.mark.parametrize("spec", SPECS)
def test_nothing_is_done_before_it_is_written(spec: dict[str, Any]) -> None:
    """A pod is only ever deleted on the ground of a decision that is in the status already, or is written at once."""
    it = shop(**spec)
    for name in ("web-r1-0", "db-0"):
        it.dies(name)
        for _ in range(12):
            before = it.status
            plan = it.decide()
            was = (before.operation.replacing if before.operation else None) or {}
            now = (plan.status.operation.replacing if plan.status.operation else None) or {}
            if plan.deletes and was != now:
                assert is_urgent(before, plan.status)
            if before.history != plan.status.history and len(before.history) != len(plan.status.history):
                assert is_urgent(before, plan.status)
            assert {found.pod.uid[:8] for found in plan.deletes} <= {
                uids[at : at + 8]
                for text in now.values()
                for uids in [text.partition(";")[2]]
                for at in range(0, len(uids), 8)
            }
            it.act(plan)
            it.now += 1
            it.run_cluster()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"serial": 2}, id="a decision"),
        pytest.param({"restarts": 5}, id="a count"),
        pytest.param({"uncounted": (to_time(T0),)}, id="an uncounted restart"),
        pytest.param({"reset": "now"}, id="a reset"),
        pytest.param({"next_attempt_time": to_time(T0)}, id="a wait"),
        pytest.param({"retry": ("db",)}, id="an attempt to come"),
        pytest.param({"uid": "other"}, id="a restored tree"),
        pytest.param({"observed_generation": 9}, id="a new spec"),
        pytest.param({"ending": "intensity"}, id="the end"),
    ],
)
def test_what_was_decided_is_urgent(change: dict[str, Any]) -> None:
    """Whatever cannot be seen again is written before anything is done about it."""
    before = shop().status
    assert is_urgent(before, before.model_copy(update=change))


def test_which_pods_are_replaced_is_urgent() -> None:
    """A decision to replace one pod more is written before that pod is deleted."""
    it = shop(strategy=ALL)
    it.dies("db-0")
    before = it.decide().status
    assert before.operation is not None
    more = before.operation.model_copy(update={"replacing": {"db": "2026-03-01T00:00:00Z;0123abcd"}})
    assert is_urgent(before, before.model_copy(update={"operation": more}))


def test_what_can_be_seen_again_may_wait() -> None:
    """How many pods are Ready is no decision: it need not be written a thousand times."""
    before = shop().status
    children = tuple(it.model_copy(update={"ready": 0, "state": "Starting"}) for it in before.children)
    assert not is_urgent(before, before.model_copy(update={"children": children}))
    assert not is_urgent(before, before)


def test_a_judged_death_that_led_to_nothing_is_written_in_time() -> None:
    """An exit that restarts nobody shows in lastExit, and is written at once so that it is judged once."""
    it = scene("db web:transient", strategy=ALL)
    before = it.status
    it.dies("web-0", 0)
    assert is_urgent(before, it.decide().status)
