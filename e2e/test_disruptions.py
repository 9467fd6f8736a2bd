"""What happens to pods from outside, on fake nodes: evictions and lost nodes; and how a tree paces what it does about them."""

import time
from collections.abc import Iterator

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.recorder import Recorder
from e2e.lib.statuses import evict
from e2e.lib.workloads import child, tree, workload
from suptree.api.model import from_time

ZONE = "example.org/zone"


def test_a_drain_restarts_the_rest_only_when_it_takes_a_child_down(fake: Kube, recorder: Recorder) -> None:
    """C15: evicting one replica of three is no exit; evicting the only one restarts the rest of the group, and spends no budget."""
    fake.apply(
        tree("shop", child("Deployment", "web"), child("StatefulSet", "db"), strategy="OneForAll"),
        workload("Deployment", "web", 3, real=False),
        workload("StatefulSet", "db", real=False),
    )
    wait_ready(fake, "shop")
    before = check.census(recorder, "web", "db")
    evict(fake, fake.pod("web"))
    eventually(lambda: len(check.new(recorder, before, "web")) == 1, "the replica is replaced")
    eventually(lambda: [it["ready"] for it in fake.status("shop")["children"]] == [3, 1], "the replica is back")
    check.cost_nothing(wait_ready(fake, "shop"))
    check.untouched(recorder, before, "db")

    before = check.census(recorder, "web", "db")
    evict(fake, "db-0")
    status = wait_history(fake, "shop", 1)
    entry = status["history"][0]
    assert (entry["child"], entry["cause"], entry["counted"]) == ("db", "Disrupted", False)
    assert (status["restarts"], status["budget"]["used"]) == (0, 0)
    check.replaced_once(recorder, before)


def test_restarts_of_a_group_wait_longer_each_time(fake: Kube, recorder: Recorder) -> None:
    """C38: the first restart is immediate; the next ones wait, longer each time, until the time that the status shows."""
    fake.apply(
        tree(
            "shop",
            child("StatefulSet", "db"),
            child("StatefulSet", "web"),
            strategy="OneForAll",
            intensity=5,
            backoff={"initialSeconds": 2, "factor": 2, "maxSeconds": 60, "jitterPercent": 0},
        ),
        workload("StatefulSet", "db", real=False),
        workload("StatefulSet", "web", real=False),
    )
    wait_ready(fake, "shop")
    for number, wait in enumerate((0, 2, 4), start=1):
        before = check.census(recorder, "db", "web")
        crash.pretend(fake, "db-0")
        due = 0.0
        if wait:
            status = wait_condition(fake, "shop", "Reconciling", "True", "Waiting")
            due = from_time(status["nextAttemptTime"])
            assert due - from_time(status["history"][0]["time"]) == pytest.approx(wait, abs=0.01)
            check.untouched(recorder, before)
        status = wait_history(fake, "shop", number)
        wait_ready(fake, "shop")
        check.replaced_once(recorder, before)
        gone = [
            it.time
            for it in recorder.changes
            if it.uid == before["web"][0] and it.pod["metadata"].get("deletionTimestamp")
        ]
        assert gone[0] >= due
    assert status["restarts"] == 3


def test_daemon_sets_and_replica_sets_are_children_too(fake: Kube, recorder: Recorder) -> None:
    """A DaemonSet is restarted on all its nodes, and a ReplicaSet with all its pods, each pod once."""
    fake.apply(
        tree("shop", child("DaemonSet", "log"), child("ReplicaSet", "web"), strategy="OneForAll"),
        workload("DaemonSet", "log", real=False),
        workload("ReplicaSet", "web", 2, real=False),
    )
    status = wait_ready(fake, "shop")
    nodes = status["children"][0]["desired"]
    assert nodes > 1
    assert [it["ready"] for it in status["children"]] == [nodes, 2]
    for number, app in enumerate(("web", "log"), start=1):
        before = check.census(recorder, "log", "web")
        crash.pretend(fake, fake.pod(app))
        entry = wait_history(fake, "shop", number)["history"][0]
        assert (entry["child"], entry["cause"], entry["slice"]) == (app, "Crash", ["log", "web"])
        wait_ready(fake, "shop")
        check.replaced_once(recorder, before)


# Nodes without a kubelet: nobody finishes what is deleted there.


@pytest.fixture
def nodes(fake: Kube) -> Iterator[tuple[str, str]]:
    """Two nodes on which pods can be placed, and where nothing ever happens to them."""
    names = (f"gone-{fake.namespace}", f"tainted-{fake.namespace}")
    for name in names:
        labels = {ZONE: name}
        fake.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
        room = {"cpu": "10", "memory": "10Gi", "pods": "10"}
        ready = {"type": "Ready", "status": "True", "reason": "Test", "lastHeartbeatTime": stamp()}
        fake.patch(
            "node",
            name,
            {"status": {"capacity": room, "allocatable": room, "conditions": [ready]}},
            subresource="status",
        )
    yield names
    fake.run("delete", "node", *names, "--ignore-not-found")
    for node in fake.list("nodes", ZONE):
        fake.patch("node", node["metadata"]["name"], {"metadata": {"labels": {ZONE: None}}})


def dying(kube: Kube) -> list[str]:
    """Return the databases that are being deleted."""
    pods = [it["metadata"] for it in kube.list("pods") if it["metadata"].get("deletionTimestamp")]
    return [it["name"] for it in pods if it["name"].endswith("-db-0")]


def stamp() -> str:
    """Return the time as a kubelet writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def placed(name: str, node: str) -> Json:
    """Return a StatefulSet whose pods go where that zone is, whatever is wrong with the node."""
    it = workload("StatefulSet", name, real=False)
    it["spec"]["template"]["spec"] |= {"nodeSelector": {ZONE: node}, "tolerations": [{"operator": "Exists"}]}
    return it


def runs(kube: Kube, pod: str) -> None:
    """Write into a pod that it runs and is Ready, as the kubelet of its node did before it was lost."""
    eventually(lambda: kube.get("pod", pod)["spec"].get("nodeName"), f"{pod} is placed")
    now = stamp()
    container = {"name": "main", "image": "i", "imageID": "i", "containerID": f"fake://{pod}", "restartCount": 0}
    container |= {"ready": True, "started": True, "state": {"running": {"startedAt": now}}}
    conditions = [{"type": it, "status": "True", "lastTransitionTime": now} for it in ("Ready", "ContainersReady")]
    status = {"phase": "Running", "startTime": now, "containerStatuses": [container], "conditions": conditions}
    kube.patch("pod", pod, {"status": status}, subresource="status", type_="strategic")


def test_a_pod_that_is_stuck_on_a_lost_node_is_named_and_goes_with_it(
    fake: Kube, recorder: Recorder, nodes: tuple[str, str]
) -> None:
    """C29: the condition names pod and node and says what to do; once the node is deleted, or tainted out-of-service, Kubernetes lets the pod go and the restart ends, each other pod replaced once."""
    gone, tainted = nodes
    trees = {"a": gone, "b": tainted}
    for name, node in trees.items():
        fake.apply(
            tree(
                name,
                child("StatefulSet", f"{name}-db", shutdownSeconds=1),
                child("StatefulSet", f"{name}-web"),
                strategy="OneForAll",
            ),
            placed(f"{name}-db", node),
            workload("StatefulSet", f"{name}-web", real=False),
        )
        runs(fake, f"{name}-db-0")
    for name in trees:
        wait_ready(fake, name)
    before = check.census(recorder, *(f"{name}-{part}" for name in trees for part in ("db", "web")))
    for name in trees:
        crash.pretend(fake, f"{name}-web-0")
    eventually(lambda: len(dying(fake)) == len(trees), "both databases are to stop")

    fake.delete("node", gone)
    wait_condition(fake, "b", "Reconciling", "True", "StuckTerminating")
    said = fake.condition("b", "Reconciling")["message"]
    assert f"pod b-db-0 on node {tainted} should be gone and is not" in said
    assert "delete the node or taint it out-of-service" in said
    broken = {"type": "Ready", "status": "False", "reason": "Test", "lastHeartbeatTime": stamp()}
    fake.patch("node", tainted, {"status": {"conditions": [broken]}}, subresource="status", type_="strategic")
    fake.run("taint", "node", tainted, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")

    # Somewhere else there is room for what comes in their place.
    fake.patch("node", tainted, {"metadata": {"labels": {ZONE: None}}})
    for node, zone in zip(fake_nodes(fake), trees.values(), strict=False):
        fake.patch("node", node, {"metadata": {"labels": {ZONE: zone}}})
    for name in trees:
        check.counted_once(wait_history(fake, name, 1))
        wait_ready(fake, name)
    check.replaced_once(recorder, before)
    check.none_held(fake)


def fake_nodes(kube: Kube) -> list[str]:
    """Return kwok's nodes."""
    fake = [it for it in kube.list("nodes") if "kwok.x-k8s.io/node" in it["metadata"].get("annotations", {})]
    return [it["metadata"]["name"] for it in fake]
