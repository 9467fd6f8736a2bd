"""When a tree must not act, and pods that do not do what they should (design sections 1, 3 and 5)."""

from typing import Any

import pytest

from suptree.api.status import SupervisionTreeStatus
from tests.cluster.builders import new_uid, pod, tree
from tests.cluster.scene import SPECS, Scene, scene

ALL = "OneForAll"


def shop(**spec: Any) -> Scene:  # noqa: ANN401 - fields of the spec
    """Return a tree of three children that are up."""
    return scene("db web=deploy*2 job:temporary", **spec)


def test_observe_decides_and_touches_nothing() -> None:
    """With mode Observe the history shows what would have been done, and no pod is touched or held."""
    it = shop(strategy=ALL, mode="Observe")
    it.dies("db-0")
    plan = it.decide()
    assert plan.deletes == ()
    assert not plan.is_gated
    assert [str(notice.reason) for notice in plan.notices] == ["WouldRestart"]
    assert it.outcomes == ["db Crash Observed"]
    assert it.settle() == ""
    assert "Observe" in it.message("Accepted")


def test_an_observing_tree_spends_its_budget_too() -> None:
    """Observe tells when the tree would have given up."""
    it = shop(strategy=ALL, mode="Observe", intensity=1)
    for _ in range(3):
        it.dies("db-0")
        assert it.settle() == ""
    assert it.condition("Stalled").startswith("True")


def test_c60_what_happens_while_suspended_is_not_replayed() -> None:
    """C60: a suspended tree keeps its hands off, and what crashed meanwhile is history when it resumes."""
    it = shop(strategy=ALL)
    it.tree["spec"]["suspend"] = True
    it.settle()
    assert it.condition("Ready") == "False Suspended"
    for _ in range(4):
        it.dies("db-0")
        assert it.settle() == ""
    it.tree["spec"]["suspend"] = False
    assert it.settle() == ""
    assert it.outcomes == []
    assert it.condition("Ready") == "True AllChildrenUp"
    it.dies("db-0")
    it.settle()
    assert it.outcomes == ["db Crash Restarted"]


def test_c60_suspending_in_the_middle_lets_go_what_was_held() -> None:
    """C60: a restart under way gives way to the suspension, and no pod stays held."""
    it = shop(strategy=ALL)
    it.dies("db-0")
    for _ in range(3):
        it.step()
        it.run_cluster()
    assert any(raw["spec"].get("schedulingGates") for raw in it.pods.values())
    it.tree["spec"]["suspend"] = True
    it.settle()
    assert not any(raw["spec"].get("schedulingGates") for raw in it.pods.values())
    assert it.status.operation is None
    assert it.outcomes == ["db Crash Superseded"]


@pytest.mark.parametrize("suspend", [False, True], ids=["C27: acting", "C60: suspended"])
def test_a_tree_that_is_being_deleted_only_lets_go(suspend: bool) -> None:
    """C27: from the moment a tree has a deletionTimestamp it stops and starts nothing, and releases what it held."""
    it = shop(strategy=ALL)
    it.dies("db-0")
    for _ in range(3):
        it.step()
        it.run_cluster()
    held = {name for name, raw in it.pods.items() if raw["spec"].get("schedulingGates")}
    assert held
    it.tree["metadata"]["deletionTimestamp"] = "2026-03-01T00:10:00Z"
    it.tree["spec"]["suspend"] = suspend
    it.dies("db-0")
    before = it.status
    plan = it.decide()
    assert plan.deletes == ()
    assert {found.pod.name for found in plan.releases} == held
    assert plan.status == before


def test_in_a_namespace_that_goes_a_tree_only_lets_go() -> None:
    """Pods that are deleted with their namespace are no failure, and what a tree held there is released."""
    it = shop(strategy=ALL)
    it.dies("db-0")
    for _ in range(3):
        it.step()
        it.run_cluster()
    held = {name for name, raw in it.pods.items() if raw["spec"].get("schedulingGates")}
    it.is_namespace_going = True
    for name in it.pods:
        it.delete(name)
    for name in held:
        del it.pods[name]["metadata"]["deletionTimestamp"]
    before = it.status
    plan = it.decide()
    assert (plan.deletes, plan.notices, plan.status) == ((), (), before)
    assert {found.pod.name for found in plan.releases} == held != set()


def test_a_child_that_is_taken_out_of_the_list_is_let_go() -> None:
    """The held pods of a child that is no longer one of the tree's are released, and no others."""
    it = shop(strategy=ALL, intensity=0, onExhausted="Hold")
    it.dies("db-0")
    it.settle()
    held = {name for name, raw in it.pods.items() if raw["spec"].get("schedulingGates")}
    assert {name.partition("-")[0] for name in held} == {"db", "web", "job"}
    for raw in it.pods.values():
        raw["metadata"]["labels"]["suptree.dev/tree"] = "shop"
    it.tree["spec"]["children"] = it.tree["spec"]["children"][:1]
    released = {found.pod.name for found in it.decide().releases}
    assert released == {name for name in held if not name.startswith("db")}


def holding(children: str = "db web=deploy*2 job:temporary") -> Scene:
    """Return a tree that has given up and holds all its pods, each with the tree's mark."""
    it = scene(children, strategy=ALL, intensity=0, onExhausted="Hold")
    it.dies("db-0")
    it.settle()
    for raw in it.pods.values():
        raw["metadata"]["labels"]["suptree.dev/tree"] = "shop"
    return it


def take_away(it: Scene, name: str) -> None:
    """Let a workload go, and leave its pods there."""
    it.workloads = [raw for raw in it.workloads if raw["metadata"]["name"] != name]


def test_what_is_held_for_a_missing_target_is_not_let_go_for_it() -> None:
    """While the target of a child that is to stay down is away, nobody can tell whose a held pod is, so it waits."""
    it = holding()
    take_away(it, "db")
    assert it.decide().releases == ()


def test_a_child_that_is_taken_out_is_let_go_while_another_is_missing() -> None:
    """What is wrong with one child keeps no pod waiting that is no child's any more."""
    it = holding()
    take_away(it, "db")
    it.tree["spec"]["children"] = [raw for raw in it.tree["spec"]["children"] if raw["name"] != "web"]
    assert {found.pod.name for found in it.decide().releases} == {"web-r1-0", "web-r1-1"}


def test_a_held_pod_of_a_missing_target_that_no_restart_holds_is_let_go() -> None:
    """A pod that was held at its creation starts at once when no restart is under way, though its controller is not seen yet."""
    it = shop(strategy=ALL)
    sts = it.workload("StatefulSet", "db")
    take_away(it, "db")
    it.gone("db-0")
    it.add(pod("db-0", of=sts, gated=True, labels={"suptree.dev/tree": "shop"}))
    plan = it.decide()
    assert it.condition("ResolvedRefs") == "False ChildMissing"
    assert [found.pod.name for found in plan.releases] == ["db-0"]


def test_a_held_pod_of_another_tree_is_left_to_that_one() -> None:
    """A pod whose labels fit two trees is let go only by the one whose child made it, whatever its mark says."""
    it = holding()
    it.tree["spec"]["children"], others = it.tree["spec"]["children"][:1], it.tree["spec"]["children"][1:]
    it.others = [tree(*others, name="books")]
    assert it.decide().releases == ()


def test_c39_a_restored_tree_starts_afresh() -> None:
    """A tree that comes out of a backup, with the status of another UID, restarts nothing and begins with an empty budget."""
    it = shop(strategy=ALL)
    it.dies("db-0")
    it.step()
    assert it.status.operation is not None
    it.tree["metadata"]["uid"] = new_uid()
    it.known = {}
    plan = it.decide()
    assert plan.deletes == ()
    after = it.status
    assert after.operation is None
    assert after.history == ()
    assert (it.status.restarts, it.status.budget and it.status.budget.used) == (0, 0)


def test_a_status_that_cannot_be_read_is_none() -> None:
    """A status that somebody broke is no reason to do anything: the tree starts afresh."""
    it = shop(strategy=ALL)
    it.tree["status"] = {"conditions": "broken", "operation": 7}
    it.dies("db-0")
    assert it.decide().deletes == ()
    assert it.outcomes == []


def test_a_spec_that_is_not_accepted_is_not_acted_upon() -> None:
    """A spec that breaks a rule is named in the condition, and nothing is touched."""
    it = shop(strategy=ALL)
    it.tree["spec"]["intensity"] = -1
    it.dies("db-0")
    assert it.decide().deletes == ()
    assert it.condition("Accepted") == "False Invalid"
    assert "intensity" in it.message("Accepted")
    assert it.condition("Ready") == "False NotAccepted"


# Pods that do not do what they should.


def test_c29_a_pod_that_does_not_go_is_named() -> None:
    """C29: a pod that is stuck Terminating is named with its node, and neither deleted again nor waited past."""
    it = shop(strategy=ALL)
    it.dies("web-r1-0")
    it.step()
    assert it.log == ["-job-0"]
    wake_at = it.decide().wake_at
    assert wake_at is not None
    assert it.condition("Reconciling") == "True Restarting"
    it.now = wake_at
    plan = it.decide()
    assert it.condition("Reconciling") == "True StuckTerminating"
    assert "job-0" in it.message("Reconciling")
    assert "node-1" in it.message("Reconciling")
    assert plan.deletes == ()
    it.gone("job-0")
    it.decide()
    assert it.condition("Reconciling") == "True Restarting"


def test_a_pod_that_stays_held_is_told() -> None:
    """A pod that waits for long gets one Event that names the tree, the child and why."""
    it = scene("db web", strategy=ALL)
    it.dies("db-0")
    for _ in range(4):
        it.step()
        for name in [name for name, raw in it.pods.items() if "deletionTimestamp" in raw["metadata"]]:
            it.gone(name)
        for top in it.workloads:
            it.fill(top)
    assert not it.decide().notices
    it.now += 30
    (notice,) = it.decide().notices
    assert (str(notice.reason), notice.pod and notice.pod.name) == ("Held", "web-0")
    for word in ("SupervisionTree shop", "web", "db crashed", "starting db"):
        assert word in notice.message
    assert it.decide().notices[0].key == notice.key


def test_a_new_pod_of_a_running_tree_is_let_go_at_once() -> None:
    """C71: with no restart under way a new pod never waits."""
    it = shop(strategy=ALL)
    it.delete("web-r1-0")
    it.step()
    it.run_cluster()
    assert "+web-r1-0" in it.settle()


def test_a_temporary_sibling_stays_down() -> None:
    """A temporary child caught in its group's restart is stopped, and what its controller makes is held."""
    it = shop(strategy=ALL)
    it.dies("db-0")
    assert "+job-0" not in it.settle()
    assert it.child("job").state == "Held"
    assert it.pods["job-0"]["spec"]["schedulingGates"]
    for _ in range(3):
        assert it.settle() == ""


@pytest.mark.parametrize("spec", SPECS)
def test_the_history_keeps_ten(spec: dict[str, Any]) -> None:
    """C69: however often a tree restarts, its status holds the last ten restarts, newest first."""
    it = shop(intensity=1000, **spec)
    for _ in range(13):
        it.dies("db-0")
        it.settle()
        it.now += 1000
    numbers = [entry.operation for entry in it.status.history]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 10
    assert it.status.restarts == 13


def test_a_new_tree_restarts_nothing() -> None:
    """C63: what a tree finds when it first looks, dead or alive, is history."""
    it = shop(strategy=ALL)
    it.tree["status"] = {}
    it.known = {}
    it.dies("db-0")
    it.dies("web-r1-0")
    assert it.decide().deletes == ()
    assert it.status == SupervisionTreeStatus.model_validate(it.tree["status"])
    assert it.outcomes == []
    assert it.settle() == ""


def test_a_temporary_child_that_ended_may_end_again() -> None:
    """A temporary child that died, came back by itself and is deleted before it is Ready disturbs nobody."""
    it = shop(strategy="OneForOne")
    it.dies("job-0")
    it.decide()
    it.delete("job-0")
    it.settle()
    assert it.outcomes == []
