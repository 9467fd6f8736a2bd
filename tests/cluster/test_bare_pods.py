"""Bare Pods as children, and what is created again whatever happens in between."""

from typing import Any

import pytest

from tests.cluster.bare_scene import BareScene, bare_pod, bare_scene, states

REST, ALL, ONE = "RestForOne", "OneForAll", "OneForOne"


# Bare Pods.


def ends(it: BareScene, name: str, code: int) -> None:
    """Let a pod that is not restarted by its kubelet come to its end."""
    it.dies(name, code)
    it.pods[name]["status"]["phase"] = "Failed" if code else "Succeeded"


def test_c05_a_bare_pod_that_fails_every_time_parks_the_tree() -> None:
    """C05: a bare Pod that ends with 137 each time is created again three times, and the fourth failure parks the tree."""
    it = bare_scene("tool=pod", intensity=3, periodSeconds=300)
    uids = {it.pods["tool"]["metadata"]["uid"]}
    for used in (1, 2, 3):
        ends(it, "tool", 137)
        assert it.settle() == "-tool *tool"
        assert it.used == used
        uids.add(it.pods["tool"]["metadata"]["uid"])
        it.now += 20
    ends(it, "tool", 137)
    assert it.settle() == ""
    assert it.condition("Stalled") == "True Parked"
    assert len(uids) == 4
    assert it.status.exhausted is not None
    assert it.status.exhausted.exit_code == 137


def test_a_bare_pod_that_the_kubelet_restarts_is_left_alone() -> None:
    """A bare Pod with restartPolicy Always comes back in place: it is counted, and not replaced."""
    it = bare_scene("tool=pod")
    it.pods["tool"]["spec"]["restartPolicy"] = "Always"
    it.dies("tool")
    assert it.settle() == ""
    assert (it.outcomes, it.used) == (["tool Crash Restarted"], 1)


@pytest.mark.parametrize(("restart", "did"), [("permanent", "-tool *tool"), ("transient", ""), ("temporary", "")])
def test_c18_a_bare_pod_that_ends_well(restart: str, did: str) -> None:
    """C18: a bare Pod that ends with 0 is created again when it is Permanent, and is done otherwise."""
    it = bare_scene(f"tool=pod:{restart}")
    ends(it, "tool", 0)
    assert it.settle() == did
    assert states(it) == ("Up" if did else "Completed")
    it.known = {}
    if not did:
        it.gone("tool")
        assert it.settle() == ""
        assert states(it) == "Completed"


@pytest.mark.parametrize("seen", [True, False], ids=["watched", "while nobody watched"])
def test_a_bare_pod_that_somebody_deletes_is_created_again(*, seen: bool) -> None:
    """Nobody else makes a bare Pod again: its deletion restarts the group, and spends no budget."""
    it = bare_scene("tool=pod web", strategy=ALL)
    if seen:
        it.delete("tool")
        it.decide()
    it.gone("tool")
    if not seen:
        it.known = {}
    assert "*tool" in it.settle()
    assert it.outcomes == ["tool Deleted Restarted"]
    assert (states(it), it.used) == ("Up Up", 0)


def test_c02_a_bare_pod_that_somebody_replaced_is_one_deletion() -> None:
    """C02: another pod of the same name is noticed by its UID: the rest of the group is restarted once, and it is left alone."""
    it = bare_scene("tool=pod web", strategy=ONE)
    it.gone("tool")
    it.apply(bare_pod("tool"))
    assert it.settle() == ""
    assert it.outcomes == ["tool Deleted Restarted"]


def test_a_container_that_ended_well_beside_others_is_no_end() -> None:
    """A pod that runs to its end has ended when all its containers have."""
    it = bare_scene("tool=pod")
    status = it.pods["tool"]["status"]["containerStatuses"][0]
    it.pods["tool"]["status"]["containerStatuses"].append({**status, "name": "side"})
    it.pods["tool"]["status"]["containerStatuses"][0] = {
        **status,
        "state": {"terminated": {"exitCode": 0, "reason": "Completed", "containerID": "containerd://1"}},
    }
    it.decide()
    assert it.child("tool").last_exit is None


def test_a_pod_that_its_node_refused_failed_to_start() -> None:
    """A bare Pod that never ran since its node would not have it is a failed start: nobody tries again."""
    it = bare_scene("tool=pod")
    it.pods["tool"]["status"] = {"phase": "Failed", "reason": "NodeAffinity", "conditions": [], "containerStatuses": []}
    assert it.settle() == "-tool *tool"
    assert it.outcomes == ["tool StartFailed Restarted"]


# What was removed is created again, whatever happens in between.


@pytest.mark.parametrize("kind", ["job", "pod"])
@pytest.mark.parametrize("rounds", range(6))
@pytest.mark.parametrize("acts", [True, False], ids=["after it acted", "before it acted"])
def test_killed_at_any_round_it_ends_the_same_restart(kind: str, rounds: int, *, acts: bool) -> None:
    """An operator that is killed at any point deletes the object once and creates it once, for one count."""
    it = bare_scene(f"db tool={kind}", strategy=REST)
    it.dies("db-0")
    for _ in range(rounds):
        it.step()
        it.known = {}
        it.run_cluster()
    plan = it.decide()
    if acts:
        it.act(plan)
    it.known = {}
    it.run_cluster()
    it.settle()
    assert len(it.created) == 1
    assert (states(it), it.used, it.outcomes) == ("Up Up", 1, ["db Crash Restarted"])


@pytest.mark.parametrize("kind", ["job", "pod"])
def test_a_tree_that_is_suspended_creates_what_it_removed(kind: str) -> None:
    """Hands off means that nobody waits for the tree: what it has deleted is created again at once."""
    it = bare_scene(f"db tool={kind}", strategy=REST)
    it.dies("db-0")
    it.is_refusing = True
    it.settle()
    it.tree["spec"]["suspend"] = True
    it.tree["metadata"]["generation"] += 1
    it.step()
    it.step()
    it.is_refusing = False
    assert it.settle() == "*tool"
    it.tree["spec"]["suspend"] = False
    it.tree["metadata"]["generation"] += 1
    assert it.settle() == ""
    assert states(it) == "Up Up"


def test_a_job_stopped_by_a_crash_after_another_is_still_ours() -> None:
    """A second failure in the middle of a restart does not make the tree forget what it has removed."""
    it = bare_scene("db web tool=job", strategy=REST)
    it.dies("web-0")
    it.step()
    it.dies("db-0")
    it.run_cluster()
    it.settle()
    assert states(it) == "Up Up Up"
    assert len(it.created) == 1
    assert it.child("tool").last_exit is None


@pytest.mark.parametrize(
    "spec",
    [
        {"onExhausted": "Hold", "intensity": 0, "strategy": ONE},
        {"onExhausted": "Hold", "intensity": 0, "strategy": ALL},
    ],
)
def test_what_a_tree_holds_is_created_when_it_is_reset(spec: dict[str, Any]) -> None:
    """A tree that gave up and holds its children has deleted its Jobs and bare Pods; a reset creates them again."""
    it = bare_scene("db sync=job tool=pod", **spec)
    it.dies("db-0")
    assert it.settle() == "-tool -sync -db-0"
    assert states(it) == "Held Held Held"
    it.known = {}
    it.settle()
    assert states(it) == "Held Held Held"
    it.tree["metadata"]["annotations"] = {"suptree.dev/reset": "1"}
    assert it.settle() == "+db-0 *sync *tool"
    assert states(it) == "Up Up Up"


def test_a_tree_that_observes_touches_nothing() -> None:
    """Mode Observe records what it would do to a Job, and neither deletes it nor keeps its manifest."""
    it = bare_scene("migrate=job:transient web", strategy=REST, mode="Observe")
    it.ends("migrate", "Failed")
    assert it.settle() == ""
    assert it.revisions == {}
    assert it.outcomes == ["migrate JobFailed Observed"]


def test_a_pod_of_a_controller_is_no_child() -> None:
    """A targetRef that names a pod of a StatefulSet is refused, with the name of the StatefulSet."""
    it = bare_scene("db")
    it.tree["spec"]["children"] = [{"name": "tool", "targetRef": {"apiVersion": "v1", "kind": "Pod", "name": "db-0"}}]
    it.settle()
    assert it.condition("ResolvedRefs") == "False InvalidTarget"
    assert "StatefulSet db" in it.message("ResolvedRefs")


def test_a_missing_manifest_is_said() -> None:
    """When the kept manifest is gone the restart waits, and the conditions say what to apply; applied, it goes on."""
    it = bare_scene("db tool=pod", strategy=REST)
    it.dies("db-0")
    it.is_refusing = True
    it.settle()
    it.is_unmade = True
    it.step()
    assert it.condition("Ready") == "False ManifestMissing"
    assert "Pod tool" in it.message("Ready")
    assert "kubectl apply" in it.message("Ready")
    it.is_unmade = False
    it.apply(bare_pod("tool"))
    it.settle()
    assert (states(it), it.outcomes) == ("Up Up", ["db Crash Restarted"])
