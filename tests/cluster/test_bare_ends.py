"""Ends of Jobs and bare Pods that come at an awkward moment; each was found by a random story (test_fuzz_bare.py)."""

import pytest

from tests.cluster.bare_scene import BareScene, bare_pod, bare_scene, job, states
from tests.cluster.builders import disrupted, stamp

REST, ONE = "RestForOne", "OneForOne"
FAILED = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}


def ends(it: BareScene, name: str, code: int) -> None:
    """Let a pod that is not restarted by its kubelet come to its end."""
    it.dies(name, code)
    it.pods[name]["status"]["phase"] = "Failed" if code else "Succeeded"


def fresh_job(it: BareScene) -> None:
    """Let somebody replace the Job by a new one, no pod of which has run."""
    it.job_gone("sync")
    it.pods = {name: raw for name, raw in it.pods.items() if not name.startswith("sync")}
    it.apply(job("sync"))
    it.decide()


def test_a_job_that_failed_while_suspended_is_created_again() -> None:
    """A Job whose last pod failed just as somebody suspended it is a failed Job: it is run again, and nobody waits for it."""
    it = bare_scene("migrate=job:transient web", strategy=REST)
    it.suspend("migrate")
    it.ends("migrate", "Failed")
    assert it.settle() == "-web-0 -migrate *migrate"


def test_a_job_that_fails_before_its_turn_is_created_again() -> None:
    """A Job that a restart had spared, because it was fresh, and that fails before its turn is run again in that restart."""
    it = bare_scene("db sync=job", strategy=REST)
    fresh_job(it)
    it.dies("db-0")
    it.step()
    it.jobs["sync"]["status"] = {"conditions": [FAILED]}
    assert it.settle() == "+db-0 -sync *sync"
    assert (it.outcomes, states(it)) == (["db Crash Restarted"], "Up Up")


def test_a_job_whose_held_pod_was_deleted_is_created_again() -> None:
    """A Job that failed because somebody deleted its held pod has ended, though no container of it ever ran."""
    it = bare_scene("db sync=job", strategy=REST)
    fresh_job(it)
    it.run_cluster()
    (pod,) = it.pods_of(it.jobs["sync"])
    pod["spec"]["schedulingGates"] = [{"name": "suptree.dev/hold"}]
    pod["status"] |= {"containerStatuses": [], "phase": "Pending"}
    it.delete(pod["metadata"]["name"])
    it.jobs["sync"]["status"] = {"conditions": [FAILED], "failed": 1}
    assert it.settle() == "-sync *sync"
    assert (it.outcomes, states(it)) == (["sync JobFailed Restarted"], "Up Up")


@pytest.mark.parametrize(("seconds", "causes"), [(1, []), (0, ["migrate JobFailed InProgress"])])
def test_what_a_job_says_when_it_is_deleted(seconds: int, causes: list[str]) -> None:
    """A Job that is deleted counts its deleted pods as failed, and that is no failure; one that had failed before is one."""
    it = bare_scene("migrate=job:transient web", strategy=REST)
    raw = it.jobs["migrate"]
    raw["metadata"] |= {"deletionTimestamp": stamp(it.now), "finalizers": ["foregroundDeletion"]}
    raw["status"] = {"conditions": [FAILED | {"lastTransitionTime": stamp(it.now + seconds)}], "failed": 7}
    it.decide()
    assert it.outcomes == causes
    if not causes:
        it.job_gone("migrate")
        it.settle()
        assert (states(it), it.outcomes) == ("Missing Up", [])


@pytest.mark.parametrize("code", [0, 137])
@pytest.mark.parametrize(("restart", "state"), [("permanent", "Up"), ("transient", "Missing")])
def test_how_a_deleted_pod_ends_says_nothing(code: int, restart: str, state: str) -> None:
    """A bare Pod that was deleted and has ended on its way out was Deleted, and is neither done nor forgotten."""
    it = bare_scene(f"tool=pod:{restart}", strategy=ONE)
    it.delete("tool")
    ends(it, "tool", code)
    it.decide()
    it.gone("tool")
    it.settle()
    assert (it.child("tool").last_exit.cause, states(it)) == ("Deleted", state)


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_bare_pod_whose_node_is_gone_is_lost(*, is_gone: bool) -> None:
    """A bare Pod that is deleted because its node does not exist any more is Lost, whenever the operator looks."""
    it = bare_scene("tool=pod", strategy=ONE)
    it.pods["tool"]["status"]["conditions"].append(disrupted("DeletionByPodGC"))
    it.delete("tool")
    if is_gone:
        it.decide()
        it.gone("tool")
    it.settle()
    assert it.outcomes == ["tool Lost Restarted"]


def test_an_end_is_not_told_again_as_a_deletion() -> None:
    """A bare Pod whose kubelet has told its container's end, and not yet the pod's, has ended: its removal is no second exit."""
    it = bare_scene("tool=pod:transient")
    it.dies("tool", 0)
    it.decide()
    it.gone("tool")
    it.apply(bare_pod("tool"))
    it.decide()
    assert it.child("tool").last_exit.cause == "Completed"


def test_what_a_restart_deletes_is_no_deletion_by_somebody_when_it_begins_anew() -> None:
    """A web server that a restart has deleted is not told as Deleted when its dependency goes again before it is seen gone."""
    it = bare_scene("tool=pod web", strategy=REST, ordering="Parallel")
    for _ in range(2):
        it.gone("tool")
        it.apply(bare_pod("tool"))
        it.pods["tool"]["status"] = {"phase": "Pending", "conditions": [], "containerStatuses": []}
        it.step()
        it.run_cluster()
    it.settle()
    assert it.outcomes == ["tool Deleted Superseded", "tool Deleted Restarted"]
    assert it.child("web").last_exit is None


def test_a_job_is_created_when_the_pods_of_those_before_it_are_gone() -> None:
    """A Job that somebody replaces and deletes in the middle of a restart is made again when its pods have stopped, and not before."""
    it = bare_scene("sync=job", strategy=ONE)
    it.ends("sync", "Failed")
    it.step()
    it.run_cluster()
    it.apply(job("sync"))
    it.run_cluster()
    it.job_gone("sync")
    it.step()
    assert it.created == []
    assert it.settle() == "*sync"
    assert states(it) == "Up"
