"""What Kubernetes itself takes away: the evidence for it, in the condition, in the phase, or in the deletion (C15, C20)."""

from typing import Any

import pytest

from suptree.cluster.views import pod_of
from tests.cluster.builders import Raw, container, disrupted, new_uid, pod, terminated, workload
from tests.cluster.scene import scene
from tests.cluster.watching import Watch

UID = new_uid()


def db(*containers: Raw, reason: str = "", **more: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return the one pod that these stories are about, with the reason of its phase."""
    raw = pod("db-0", *containers, uid=UID, **more)
    return {**raw, "status": {**raw["status"], "reason": reason}} if reason else raw


@pytest.mark.parametrize(
    ("phase", "reason", "code", "cause"),
    [
        pytest.param("Succeeded", "Terminated", 0, "Disrupted", id="C20: a node that shuts down, and it ended well"),
        pytest.param("Failed", "Terminated", 143, "Disrupted", id="C20: a node that shuts down"),
        pytest.param("Failed", "NodeShutdown", 143, "Disrupted", id="C20: as older kubelets say it"),
        pytest.param("Failed", "Evicted", 137, "Disrupted", id="C22: evicted by its kubelet"),
        pytest.param("Failed", "Preempting", 137, "Disrupted", id="preempted by its kubelet"),
        pytest.param("Failed", "DeadlineExceeded", 137, "Crash", id="its own deadline is a failure of its own"),
        pytest.param("Succeeded", "", 0, "Completed", id="it ended well by itself"),
        pytest.param("Running", "Evicted", 137, "Crash", id="it is not over"),
    ],
)
def test_c20_the_reason_of_the_phase_tells_a_disruption(phase: str, reason: str, code: int, cause: str) -> None:
    """A pod that its kubelet ended for the node's sake did not fail, though it has no condition that says so."""
    it = Watch()
    it.look(db())
    assert it.cause(db(container(terminated(code)), phase=phase, reason=reason, ready=False)) == cause


@pytest.mark.parametrize("is_seen_first", [True, False])
def test_c22_an_eviction_counts_though_the_next_pod_is_ready_by_then(*, is_seen_first: bool) -> None:
    """An evicted pod stays as a dead one; its heir, seen before that or not, does not hide that the child was down."""
    it = Watch()
    old, new = db(), pod("db-new")
    it.look(old)
    if is_seen_first:
        assert it.cause(old, pod("db-new", uid=new["metadata"]["uid"], ready=False)) is None
    dead = {**old, "status": db(container(terminated(137)), phase="Failed", reason="Evicted", ready=False)["status"]}
    assert it.cause(dead, new) == "Disrupted"
    assert it.cause(dead, new) is None


def test_c22_an_eviction_of_one_of_two_is_no_exit() -> None:
    """A replica that was Ready before the eviction, and is, has stood all the time: the child was not down."""
    it = Watch()
    old, mate = db(), pod("db-1")
    it.look(old, mate)
    dead = {**old, "status": db(container(terminated(137)), phase="Failed", reason="Evicted", ready=False)["status"]}
    assert it.cause(dead, mate, pod("db-2")) is None


def test_c20_a_succeeded_pod_of_a_permanent_child_is_replaced() -> None:
    """After a graceful node shutdown a dead pod that nobody replaces is deleted, by UID, and has cost nothing."""
    it = scene("db web", strategy="RestForOne")
    raw = it.pods["db-0"]
    uid = raw["metadata"]["uid"]
    it.dies("db-0", 0)
    raw["status"] |= {"phase": "Succeeded", "reason": "Terminated", "message": "node shutdown"}
    assert it.settle() == "-web-0 -db-0 +db-0 +web-0"
    assert it.outcomes == ["db Disrupted Restarted"]
    assert (it.used, it.status.restarts) == (0, 0)
    assert it.pods["db-0"]["metadata"]["uid"] != uid


def test_a_node_that_is_gone_loses_its_pods() -> None:
    """A pod that Kubernetes' garbage collector deletes because its node is gone is Lost, its containers still Running."""
    sts = workload("StatefulSet", "db")
    it = Watch(workloads=(sts,))
    it.look(db(of=sts))
    orphan = db(of=sts, phase="Failed", conditions=[disrupted("DeletionByPodGC")], deletes_at=it.now)
    assert it.cause(orphan) == "Lost"
    assert it.cause() is None


def test_a_pod_that_is_over_is_not_ready() -> None:
    """Whatever its conditions still say, a pod whose phase is Failed serves nobody."""
    assert not pod_of(db(phase="Failed", ready=True)).is_ready


@pytest.mark.parametrize("reason", ["EvictionByEvictionAPI", "PreemptionByScheduler", "DeletionByTaintManager"])
def test_c15_a_drain_neither_counts_nor_lengthens_the_wait(reason: str) -> None:
    """After any number of disruptions the next crash is the first: no entry, and no wait before its restart."""
    it = scene("db web", strategy="OneForAll", backoff={"initialSeconds": 60})
    for _ in range(3):
        it.pods["db-0"]["status"]["conditions"].append(disrupted(reason))
        it.dies("db-0", 143)
        it.settle()
    assert (it.used, it.status.restarts) == (0, 0)
    it.dies("db-0")
    it.step()
    assert it.status.next_attempt_time is None
    it.settle()
    assert it.outcomes == [*["db Disrupted Restarted"] * 3, "db Crash Restarted"]
