"""Whole stories: a child fails, and the tree restarts whom it should, in order, once (design sections 3 and 4)."""

from typing import Any

import pytest

from tests.cluster.builders import child, container, disrupted, terminated, tree, unschedulable, waiting
from tests.cluster.scene import Scene, scene

ALL, REST, ONE = "OneForAll", "RestForOne", "OneForOne"


def shop(strategy: str = REST, **spec: Any) -> Scene:  # noqa: ANN401 - fields of the spec
    """Return a tree of a database, two replicas of a web server and a worker, all of them up."""
    return scene("db web=deploy*2 job", strategy=strategy, **spec)


# The three strategies.


def test_one_for_one_counts_and_leaves_the_pod_alone() -> None:
    """A container that the kubelet restarts in place is one restart; nothing is deleted."""
    it = shop(ONE)
    it.dies("web-r1-0", 3)
    assert it.settle() == ""
    assert it.outcomes == ["web Crash Restarted"]
    (entry,) = it.status.history
    assert (entry.pod, entry.container, entry.exit_code, entry.rule) == ("web-r1-0", "main", 3, "Default")
    assert (entry.slice, entry.counted, entry.budget_used) == (("web",), True, 1)
    assert entry.stopped_time is not None
    assert entry.ready_time is not None
    assert it.status.restarts == 1
    assert (it.child("web").restarts, it.child("db").restarts) == (1, 0)


@pytest.mark.parametrize(
    ("strategy", "dead", "done"),
    [
        pytest.param(
            REST, "db-0", "-job-0 -web-r1-0 -web-r1-1 -db-0 +db-0 +web-r1-0 +web-r1-1 +job-0", id="C31: the first"
        ),
        pytest.param(REST, "web-r1-1", "-job-0 -web-r1-0 -web-r1-1 +web-r1-0 +web-r1-1 +job-0", id="one in the middle"),
        pytest.param(REST, "job-0", "", id="the last, alone, in place"),
        pytest.param(
            ALL, "job-0", "-job-0 -web-r1-0 -web-r1-1 -db-0 +db-0 +web-r1-0 +web-r1-1 +job-0", id="one for all"
        ),
    ],
)
def test_a_group_stops_in_reverse_and_starts_in_order(strategy: str, dead: str, done: str) -> None:
    """The pods of the group are deleted last child first, and their successors let go first child first."""
    it = shop(strategy)
    it.dies(dead)
    assert it.settle() == done
    assert it.status.restarts == 1
    assert it.condition("Ready") == "True AllChildrenUp"
    assert it.condition("Reconciling") == "False Idle"


def test_nothing_starts_before_all_is_stopped() -> None:
    """C28: what is slow to stop keeps the others from starting; each child is gone before the next is stopped."""
    it = shop(ALL)
    it.dies("db-0")
    it.step()
    assert it.log == ["-job-0"]
    for _ in range(3):
        it.step()
    assert it.log == ["-job-0"]
    it.gone("job-0")
    it.fill(it.workload("StatefulSet", "job"))
    it.step()
    assert it.log == ["-job-0", "-web-r1-0", "-web-r1-1"]
    assert it.child("job").state == "Held"
    it.gone("web-r1-0")
    it.step()
    assert it.status.operation is not None
    assert (it.status.operation.stage, it.status.operation.child) == ("Stopping", "web")


def test_each_child_is_ready_before_the_next_starts() -> None:
    """C32: a child that does not become Ready keeps the later ones held, and the status says so."""
    it = shop(REST)
    it.dies("db-0")
    for _ in range(8):
        it.step()
        for name in [name for name, raw in it.pods.items() if "deletionTimestamp" in raw["metadata"]]:
            it.gone(name)
        for top in it.workloads:
            it.fill(top)
    assert it.log[-1] == "+db-0"
    assert it.status.operation is not None
    assert (it.status.operation.stage, it.status.operation.child) == ("Starting", "db")
    assert [it.child(name).state for name in ("db", "web", "job")] == ["Starting", "Held", "Held"]
    assert "starting db; after that web and job" in it.message("Reconciling")


def test_parallel_deletes_everything_at_once_and_holds_nothing() -> None:
    """With Parallel all pods of the group go in one decision, and no new pod ever waits."""
    it = shop(ALL, ordering="Parallel")
    it.dies("web-r1-0")
    plan = it.step()
    assert {found.pod.name for found in plan.deletes} == {"db-0", "web-r1-0", "web-r1-1", "job-0"}
    assert not plan.is_gated
    assert "+" not in it.settle()
    assert it.condition("OrderEnforced") == "False NotOrdered"
    assert it.condition("Ready") == "True AllChildrenUp"


def test_without_the_gate_one_child_goes_at_a_time() -> None:
    """Where the policy is not installed each child is replaced and waited for before the next, and the tree says so."""
    it = shop(ALL)
    it.is_gate_installed = False
    it.dies("job-0")
    assert it.settle() == "-db-0 -web-r1-0 -web-r1-1 -job-0"
    assert it.condition("OrderEnforced") == "False GateNotInstalled"
    assert it.status.restarts == 1


def test_one_at_a_time_waits_for_ready() -> None:
    """Without the gate the next child is not stopped before the last one is Ready again."""
    it = shop(ALL)
    it.is_gate_installed = False
    it.dies("db-0")
    it.step()
    it.gone("db-0")
    it.fill(it.workload("StatefulSet", "db"))
    it.pods["db-0"]["status"]["conditions"][0]["status"] = "False"
    it.step()
    assert it.log == ["-db-0"]
    it.runs("db-0")
    it.step()
    assert it.log == ["-db-0", "-web-r1-0", "-web-r1-1"]


def test_shutdown_seconds_are_the_grace_period() -> None:
    """The field shutdownSeconds is what a pod is given to stop; absent, it is the pod's own business."""
    it = scene("db web", strategy=ALL, more={"web": {"shutdownSeconds": 0}})
    it.dies("db-0")
    plan = it.step()
    assert [(found.pod.name, found.grace_seconds) for found in plan.deletes] == [("web-0", 0)]
    it.run_cluster()
    assert [found.grace_seconds for found in it.step().deletes] == [None]


def test_a_fresh_pod_is_left_alone() -> None:
    """A pod of the group that never started a container need not be replaced."""
    it = shop(ALL, ordering="Parallel")
    it.pods["web-r1-1"]["status"]["containerStatuses"] = [container(waiting("ImagePullBackOff"))]
    it.pods["web-r1-1"]["status"]["conditions"][0]["status"] = "False"
    it.decide()
    it.dies("db-0")
    assert {found.pod.name for found in it.step().deletes} == {"db-0", "web-r1-0", "job-0"}


# Exits in the middle of a restart.


def test_a_death_in_the_group_while_it_stops_is_absorbed() -> None:
    """C08: three pods that die in one incident are one restart."""
    it = shop(ALL)
    it.dies("db-0")
    it.decide()
    it.dies("web-r1-0")
    it.dies("job-0")
    it.settle()
    assert it.status.restarts == 1
    assert it.outcomes == ["db Crash Restarted"]


def test_c08_a_node_that_reboots_is_one_incident() -> None:
    """C08: all pods lost with one node restore the order once, and spend no budget."""
    it = scene("postgres kafka web", strategy=REST)
    for name in ("postgres-0", "kafka-0", "web-0"):
        it.dies(name, 255, "Unknown")
    assert it.settle() == "-web-0 -kafka-0 -postgres-0 +postgres-0 +kafka-0 +web-0"
    assert it.status.restarts == 0
    assert it.outcomes == ["postgres Lost Restarted"]


def test_an_exit_ahead_of_the_group_widens_it_and_counts() -> None:
    """A failure of an earlier child takes the restart under way along: two counts, and the first gave way."""
    it = shop(REST)
    it.dies("web-r1-0")
    it.step()
    it.dies("db-0")
    it.settle()
    assert it.outcomes == ["web Crash Superseded", "db Crash Restarted"]
    assert it.status.restarts == 2
    assert it.condition("Ready") == "True AllChildrenUp"


def test_a_crash_while_it_starts_counts_and_goes_on_from_there() -> None:
    """A child that crashes before it is Ready has failed to start: one more count, and earlier ones keep running."""
    it = shop(REST)
    it.dies("db-0")
    for _ in range(30):
        it.step()
        if "+web-r1-0" in it.log:
            break
        it.run_cluster()
    it.dies("web-r1-0", 7)
    db = it.pods["db-0"]["metadata"]["uid"]
    it.settle()
    assert it.outcomes == ["db Crash Superseded", "web Crash Restarted"]
    assert it.status.restarts == 2
    assert it.pods["db-0"]["metadata"]["uid"] == db
    assert it.condition("Ready") == "True AllChildrenUp"


# What costs nothing.


def test_a_disruption_restarts_the_rest_and_spends_nothing() -> None:
    """C15: the eviction of an only pod restarts its group, without a count and without a wait."""
    it = shop(REST, backoff={"initialSeconds": 60})
    it.pods["db-0"]["status"]["conditions"].append(disrupted())
    it.delete("db-0")
    assert it.settle() == "-job-0 -web-r1-0 -web-r1-1 +db-0 +web-r1-0 +web-r1-1 +job-0"
    assert (it.status.restarts, it.status.budget and it.status.budget.used) == (0, 0)
    (entry,) = it.status.history
    assert (entry.cause, entry.counted) == ("Disrupted", False)


def test_a_foreign_delete_restarts_the_rest_and_spends_nothing() -> None:
    """C02: somebody who deletes the only pod of a child restarts its group; the budget is not touched."""
    it = shop(REST)
    it.delete("db-0")
    it.settle()
    assert it.outcomes == ["db Deleted Restarted"]
    assert it.status.restarts == 0


@pytest.mark.parametrize("kind", ["transient", "temporary"])
def test_a_transient_or_temporary_child_that_is_deleted_restarts_nobody(kind: str) -> None:
    """For such a child the group is not restarted for a disruption; its controller brings it back, and that is all."""
    it = scene(f"db:{kind} web", strategy=ALL)
    it.delete("db-0")
    assert "-web-0" not in it.settle()
    assert it.outcomes == []
    assert it.child("db").last_exit.cause == "Deleted"
    assert it.condition("Ready") == "True AllChildrenUp"


@pytest.mark.parametrize(
    ("kind", "restarts"),
    [
        pytest.param("permanent", 1, id="C18: permanent_normal"),
        pytest.param("transient", 0, id="C18: transient_normal"),
        pytest.param("temporary", 0, id="C18: temporary_normal"),
    ],
)
def test_c18_exit_0_is_a_normal_end(kind: str, restarts: int) -> None:
    """C18: a process that ends well is restarted with its group only if it is permanent, CrashLoopBackOff or not."""
    it = scene(f"db:{kind} web", strategy=ALL)
    dead = terminated(0)
    it.pods["db-0"]["status"]["containerStatuses"] = [container(waiting("CrashLoopBackOff"), last=dead, restarts=5)]
    it.pods["db-0"]["status"]["conditions"][0]["status"] = "False"
    it.settle()
    assert it.status.restarts == restarts
    assert it.child("web").restarts == restarts
    assert it.child("db").last_exit.cause == "Completed"
    assert it.condition("Ready") == "True AllChildrenUp"


def test_c12_a_rollout_costs_nothing() -> None:
    """C12: new pods of a rollout are let go at once, and no sibling notices."""
    it = scene("web=deploy*2 db", strategy=ALL)
    old, top = it.workload("ReplicaSet", "web-r1"), it.workload("Deployment", "web")
    top["metadata"]["generation"] = 2
    new = {**old, "metadata": {**old["metadata"], "name": "web-r2", "uid": "99999999-0000"}}
    it.workloads.append(new)
    for left in (1, 0):
        old["spec"] = {**old["spec"], "replicas": left}
        it.delete(f"web-r1-{left}")
        it.settle()
    assert it.outcomes == []
    assert it.status.restarts == 0
    assert {name for name in it.pods if name.startswith("web")} == {"web-r2-0", "web-r2-1"}
    assert it.condition("Ready") == "True AllChildrenUp"


def test_c14_a_child_scaled_to_zero_is_skipped() -> None:
    """C14: a group restart neither waits for a child that its owner scaled to zero nor scales it up."""
    it = scene("db web=deploy*2 job", strategy=ALL)
    for top in (it.workload("Deployment", "web"), it.workload("ReplicaSet", "web-r1")):
        top["spec"]["replicas"] = 0
        top["metadata"]["generation"] += 1
    it.delete("web-r1-0")
    it.delete("web-r1-1")
    it.settle()
    assert it.child("web").state == "Suspended"
    it.dies("job-0")
    assert it.settle() == "-job-0 -db-0 +db-0 +job-0"
    assert it.outcomes == ["job Crash Restarted"]
    assert it.condition("Ready") == "True AllChildrenUp"


def test_a_daemon_set_that_is_new_is_not_taken_for_one_that_wants_no_pods() -> None:
    """A tree is not Ready before the controller of its new DaemonSet has said on how many nodes it is to run."""
    it = scene("db log=ds")
    daemons = it.workload("DaemonSet", "log")
    was, daemons["status"] = daemons["status"], {}
    del it.pods["log-0"]
    it.decide()
    assert it.condition("Ready") == "False ChildrenNotUp"
    daemons["status"] = {**was, "desiredNumberScheduled": 0}
    it.decide()
    assert (it.child("log").state, it.condition("Ready")) == ("Suspended", "True AllChildrenUp")


def test_c52_a_child_that_cannot_start_is_named_and_waited_for() -> None:
    """C52: where a restart cannot help there is none: the condition says why, and later children wait."""
    it = shop(REST)
    it.dies("db-0")
    for _ in range(30):
        it.step()
        it.run_cluster()
        if it.log[-1] == "+db-0":
            break
    it.pods["db-0"]["status"] |= {
        "containerStatuses": [],
        "phase": "Pending",
        "conditions": [{"type": "Ready", "status": "False"}, unschedulable()],
    }
    for _ in range(5):
        it.step()
        it.now += 600
    assert it.child("db").state == "CannotStart"
    assert it.condition("Ready") == "False ChildCannotStart"
    assert "db-0" in it.message("Ready")
    assert "Unschedulable" in it.message("Ready")
    assert [it.child(name).state for name in ("web", "job")] == ["Held", "Held"]
    assert it.status.restarts == 1


# Children that are not there, or are somebody else's.


def test_c58_a_child_that_is_not_there_yet() -> None:
    """C58: a tree applied before its Deployment says so, counts nothing, and takes the child over when it comes."""
    it = scene("db web")
    missing = it.workload("StatefulSet", "web")
    it.workloads.remove(missing)
    it.gone("web-0")
    it.settle()
    assert it.condition("ResolvedRefs") == "False ChildMissing"
    assert it.child("web").state == "Missing"
    it.workloads.append(missing)
    it.fill(missing)
    it.settle()
    assert it.condition("ResolvedRefs") == "True Resolved"
    assert it.condition("Ready") == "True AllChildrenUp"
    assert it.outcomes == []


def test_a_missing_child_does_not_stop_the_others() -> None:
    """A group restart goes on though one of its children does not exist."""
    it = shop(ALL)
    it.workloads.remove(it.workload("StatefulSet", "job"))
    it.gone("job-0")
    it.settle()
    it.dies("db-0")
    assert it.settle() == "-web-r1-0 -web-r1-1 -db-0 +db-0 +web-r1-0 +web-r1-1"


def test_c57_the_older_tree_keeps_the_pods() -> None:
    """C57: of two trees that name one workload the older acts and the younger says whose it is, until that one goes."""
    it = scene("db web", strategy=ALL)
    older = tree(child("web"), name="older")
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    it.others = [older]
    it.settle()
    assert it.condition("ResolvedRefs") == "False ClaimedByOtherTree"
    assert "older" in it.message("ResolvedRefs")
    it.dies("db-0")
    assert "web" not in it.settle()
    it.others.clear()
    it.settle()
    assert it.condition("ResolvedRefs") == "True Resolved"
    it.dies("web-0")
    assert it.settle() == "-web-0 -db-0 +db-0 +web-0"


def test_two_children_of_one_tree_that_overlap() -> None:
    """A pod that two children claim belongs to the first; the second is named and not acted upon."""
    it = scene("db web")
    it.tree["spec"]["children"].append({"name": "all", "selector": {"matchLabels": {"app": "db"}}})
    it.settle()
    assert it.condition("ResolvedRefs") == "False ChildrenOverlap"
    it.dies("db-0")
    it.settle()
    assert it.outcomes == ["db Crash Restarted"]
