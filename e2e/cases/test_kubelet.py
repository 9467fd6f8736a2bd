"""Reported situations that only a real kubelet shows: containers that really run, start slowly, run out of memory, or cannot start."""

import contextlib
import pathlib
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from e2e.cluster import BUSYBOX, Cluster
from e2e.cluster.bootstrap import is_in_service
from e2e.cluster.spec import REAL_NODE
from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready, wait_restarted
from e2e.lib.recorder import Recorder
from e2e.lib.target import Target
from e2e.lib.workloads import CRASHES_WHEN_TOLD, child, tree, workload

LOSES_A_CHILD_PROCESS = (
    "touch /ok; until [ -e /tmp/end ]; do sleep 0.1; done; "
    "tail /dev/zero & wait $!; [ $(cat /tmp/end) = 0 ] || rm /ok; touch /survived; while :; do sleep 1; done"
)
"""Runs on when the kernel has killed its child process; told a number other than 0 it is not Ready any more."""


def probe(file: str, **fields: Any) -> Json:  # noqa: ANN401 - fields of any type
    """Return a probe that succeeds while a file is there."""
    return {"exec": {"command": ["test", "-e", file]}, "periodSeconds": 1, "failureThreshold": 1, **fields}


def container(kube: Kube, pod: str) -> Json:
    """Return the status of a pod's first container."""
    found: Json = kube.get("pod", pod)["status"]["containerStatuses"][0]
    return found


def states(kube: Kube, name: str = "shop") -> dict[str, str]:
    """Return the state of each child."""
    return {it["name"]: str(it["state"]) for it in kube.status(name)["children"]}


def test_c24_a_child_process_that_runs_out_of_memory_shows_only_in_readiness(real: Kube, recorder: Recorder) -> None:
    """The kernel kills a process within a container: Not Ready makes a Zombie of it; still Ready, nothing is guessed."""
    small: Json = {
        "script": LOSES_A_CHILD_PROCESS,
        "resources": {"limits": {"memory": "32Mi"}},
        "readinessProbe": probe("/ok"),
    }
    names = ("blind", "seen")
    real.apply(
        tree("shop", *(child("Deployment", name, notReadySeconds=1) for name in names), strategy="OneForOne"),
        *(workload("Deployment", name, **small) for name in names),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, *names)
    blind, seen = (real.pod(name) for name in names)
    crash.end(real, blind, 0)
    eventually(
        lambda: real.run("exec", blind, "--", "test", "-e", "/survived", check=False).returncode == 0, "it lives"
    )
    crash.end(real, seen, 1)
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["child"], entry["cause"], entry["pod"]) == ("seen", "Zombie", seen)
    check.untouched(recorder, before, "blind")
    check.replaced_once(recorder, before, "seen")
    found = container(real, blind)
    assert (found["restartCount"], found["ready"]) == (0, True)


def test_c51_a_slow_start_is_no_failure(real: Kube, recorder: Recorder) -> None:
    """What a startup probe waits for is neither a zombie nor a failed start, at first and after a restart in place."""
    slow = f"sleep 4; touch /started; {CRASHES_WHEN_TOLD}"
    real.apply(
        tree("shop", child("StatefulSet", "db", notReadySeconds=1, startTimeoutSeconds=60), strategy="OneForOne"),
        workload("StatefulSet", "db", script=slow, startupProbe=probe("/started", failureThreshold=60)),
    )
    check.cost_nothing(wait_ready(real, "shop"))
    before = check.census(recorder, "db")
    crash.end(real, "db-0", 3)
    wait_restarted(real, "db-0", 1)
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["cause"], entry["exitCode"]) == ("Crash", 3)
    check.untouched(recorder, before)


def test_c44_a_config_error_is_a_failed_start(real: Kube) -> None:
    """A ConfigMap that is missing lets the start fail after startTimeoutSeconds, each try counts, and the tree parks and says so."""
    missing: Json = {"envFrom": [{"configMapRef": {"name": "missing"}}]}
    real.apply(
        tree("shop", child("Deployment", "web", startTimeoutSeconds=2), strategy="OneForOne", intensity=1),
        workload("Deployment", "web", **missing),
    )
    status = wait_condition(real, "shop", "Stalled", "True", "Parked")
    assert [(it["cause"], it["counted"]) for it in status["history"]] == [("StartFailed", False), ("StartFailed", True)]
    assert container(real, real.pod("web"))["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    real.create("configmap", {"metadata": {"name": "missing"}})
    real.reset("shop")
    assert wait_ready(real, "shop")["budget"]["used"] == 0


def test_c52_what_cannot_start_is_named_and_waited_for(real: Kube, recorder: Recorder) -> None:
    """A wrong image, or no node with room: nothing is restarted for it, the condition says why, and the order waits."""
    real.apply(
        tree(
            "shop", child("StatefulSet", "db", startTimeoutSeconds=1), child("Deployment", "web"), strategy="OneForAll"
        ),
        workload("StatefulSet", "db"),
        workload("Deployment", "web"),
        tree("full", child("Deployment", "big", startTimeoutSeconds=1), strategy="OneForOne"),
        workload("Deployment", "big", resources={"requests": {"cpu": "100000"}}),
    )
    wait_ready(real, "shop")
    real.run("set", "image", "statefulset/db", "main=suptree.dev/e2e/missing:1")
    cannot_start(real, "shop", "db", "ErrImageNeverPull")
    cannot_start(real, "full", "big", "Unschedulable")
    before = check.census(recorder, "web", "db")
    time.sleep(2)
    for name in ("shop", "full"):
        check.cost_nothing(real.status(name))
    check.untouched(recorder, before)

    crash.end(real, real.pod("web"), 3)
    eventually(lambda: real.held() == [real.pod("web")], "web is held until db has started")
    eventually(lambda: states(real) == {"db": "CannotStart", "web": "Held"}, "the status says so")
    cannot_start(real, "shop", "db", "ErrImageNeverPull")
    # Its controller replaces a pod that has not started; nobody need delete it.
    real.run("set", "image", "statefulset/db", f"main={BUSYBOX}")
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["child"], entry["slice"]) == ("web", ["db", "web"])


def cannot_start(kube: Kube, name: str, child_name: str, why: str) -> None:
    """Wait until a tree says that a child cannot start, and why."""
    status = wait_condition(kube, name, "Ready", "False", "ChildCannotStart")
    said = next(it["message"] for it in status["conditions"] if it["type"] == "Ready")
    assert f"{child_name} cannot start" in said
    assert why in said
    assert states(kube, name)[child_name] == "CannotStart"


def test_c38_init_containers_and_sidecars_fail_with_their_child(real: Kube, recorder: Recorder) -> None:
    """An init container that fails, and a native sidecar that ends, are crashes of the child and are named."""
    base = {"image": BUSYBOX, "imagePullPolicy": "Never"}
    init = workload("Deployment", "init")
    init["spec"]["template"]["spec"]["initContainers"] = [
        {"name": "prepare", **base, "command": ["exit-with", "7", "1"]}
    ]
    proxied = workload("Deployment", "proxied")
    proxied["spec"]["template"]["spec"]["initContainers"] = [
        {"name": "proxy", **base, "restartPolicy": "Always", "command": ["sh", "-c", CRASHES_WHEN_TOLD]}
    ]
    real.apply(
        tree("shop", child("Deployment", "proxied"), strategy="OneForOne"),
        tree("bad", child("Deployment", "init"), strategy="OneForOne", intensity=0),
    )
    real.apply(proxied, init)
    status = wait_condition(real, "bad", "Stalled", "True", "Parked")
    entry = status["history"][0]
    assert (entry["cause"], entry["container"], entry["exitCode"]) == ("Crash", "prepare", 7)
    assert real.pods("init")[0]["status"]["phase"] == "Pending"

    wait_ready(real, "shop")
    before = check.census(recorder, "proxied")
    script = "echo 3 > /tmp/end.new; mv /tmp/end.new /tmp/end"
    real.run("exec", real.pod("proxied"), "-c", "proxy", "--", "sh", "-c", script)
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["cause"], entry["container"], entry["exitCode"]) == ("Crash", "proxy", 3)
    check.untouched(recorder, before)


@pytest.fixture
def cluster(target: Target) -> Cluster:
    """The local cluster, whose components can be ended."""
    if target.cluster is None:
        pytest.skip("the node's own programs are ended here: use CLUSTER=local")
    return target.cluster


def ended(cluster: Cluster, *names: str) -> None:
    """Kill components of the cluster, and wait until they run again."""
    old = {name: cluster.components()[name] for name in names}
    for found in old.values():
        found.send(signal.SIGKILL)

    def run_again() -> bool:
        now = cluster.components()
        return all(name in now and now[name] != old[name] for name in names)

    eventually(run_again, f"{names} run again")


def containers_ended(cluster: Cluster) -> None:
    """Kill everything on the real node, as a power failure does: the runtime and the kubelet, the shims, the containers."""
    components = cluster.components()
    for name in ("kubelet", "containerd"):
        components[name].send(signal.SIGKILL)
    first = cluster.first_process()
    for shim in first.children() if first else ():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if pathlib.Path(f"/proc/{shim.pid}/exe").readlink().name.startswith("containerd-shim"):
                inside = shim.children()
                shim.send(signal.SIGKILL)
                for found in inside:
                    found.send(signal.SIGKILL)
    eventually(lambda: {"kubelet", "containerd"} <= cluster.components().keys(), "the node's programs run again")


def test_c09_a_kubelet_that_restarts_costs_nothing_and_a_node_that_reboots_little(
    real: Kube, recorder: Recorder, cluster: Cluster
) -> None:
    """Kubelet and runtime may restart beside running containers; when these die with their node, they are Lost and uncounted."""
    real.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=0),
        workload("StatefulSet", "db"),
        workload("Deployment", "web"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "web")
    ended(cluster, "kubelet", "containerd")
    eventually(lambda: real.run("exec", "db-0", "--", "true", check=False).returncode == 0, "the new kubelet works")
    time.sleep(2)
    assert [container(real, name)["restartCount"] for name in ("db-0", real.pod("web"))] == [0, 0]
    check.cost_nothing(wait_ready(real, "shop"))
    check.untouched(recorder, before)

    containers_ended(cluster)
    status = wait_history(real, "shop", 1)
    entry = status["history"][0]
    assert (entry["cause"], entry["counted"]) == ("Lost", False)
    assert (status["restarts"], status["budget"]["used"]) == (0, 0)
    check.replaced_once(recorder, before)


@contextlib.contextmanager
def shut_down(cluster: Cluster, kube: Kube) -> Iterator[None]:
    """Shut the real node down, gracefully, and cancel that: the node is left as it was."""
    cluster.spec.shutdown.touch()
    try:
        yield
    finally:
        cluster.spec.shutdown.unlink()
        eventually(lambda: is_in_service(kube.get("node", REAL_NODE)), "the node is in service again")


def ends_slowly(seconds: int, code: int) -> str:
    """Return a script that takes so long to end, as programs do: by then the node takes no new pods."""
    return f"trap 'sleep {seconds}; exit {code}' TERM; while :; do sleep 0.1; done"


def end_of(recorder: Recorder, uid: str) -> tuple[str, str, str] | None:
    """Return how a pod ended for good: its phase, why, and the reason of its disruption."""
    for change in recorder.changes:
        status = change.pod["status"]
        if change.uid == uid and status["phase"] in {"Failed", "Succeeded"}:
            marks = [it["reason"] for it in status["conditions"] if it["type"] == "DisruptionTarget"]
            return status["phase"], status.get("reason", ""), ",".join(marks)
    return None


def test_c20_a_node_that_shuts_down_gracefully_costs_nothing(real: Kube, recorder: Recorder, cluster: Cluster) -> None:
    """A kubelet whose node shuts down ends the pods for good: Disrupted, and the group comes again once, uncounted, with the node."""
    real.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=0),
        workload("StatefulSet", "db", script=ends_slowly(1, 0)),
        workload("Deployment", "web", script=ends_slowly(3, 1)),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "web")
    with shut_down(cluster, real):
        ends = [eventually(partial(end_of, recorder, uid), "the kubelet ends the pod") for (uid,) in before.values()]
    # What ended well has no reason, only the condition: seen so from the kubelet of 1.37.
    assert ends == [("Succeeded", "", "TerminationByKubelet"), ("Failed", "Terminated", "TerminationByKubelet")]
    status = wait_history(real, "shop", 1)
    entry = status["history"][0]
    assert (entry["child"], entry["cause"], entry["counted"]) == ("db", "Disrupted", False)
    assert (status["restarts"], status["budget"]["used"]) == (0, 0)
    check.replaced_once(recorder, before)
    assert recorder.last("db", "ready") < recorder.last("web", "released"), recorder.story()
