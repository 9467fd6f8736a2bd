"""Slow starts, starts that cannot be, and pods that are Not Ready through no fault of theirs (C08, C51, C52, C54)."""

from typing import Any

import pytest

from suptree.api.child import Child
from tests.cluster.builders import Raw, child, container, new_uid, pod, running, terminated, waiting
from tests.cluster.scene import scene
from tests.cluster.watching import Watch

UID = new_uid()


def db(*containers: Raw, **more: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return the one pod that these stories are about."""
    return pod("db-0", *containers, uid=UID, **more)


def watch(*before: Raw, **fields: Any) -> Watch:  # noqa: ANN401 - fields of any type
    """Return the watch of a child that was looked at so."""
    it = Watch(child=Child.model_validate(child("db", **fields)))
    for raw in before:
        it.look(raw)
    return it


def starting(last: Raw, restarts: int = 1) -> Raw:
    """Return a container whose startup probe has not succeeded yet, after a restart in place."""
    return {**container(running(), last=last, restarts=restarts), "started": False, "ready": False}


def test_c51_a_restart_in_place_may_take_as_long_as_its_startup_probe_needs() -> None:
    """A broker that crashed and recovers its logs is no zombie: the clock begins when its startup probe has succeeded."""
    it = watch(db(), notReadySeconds=300)
    dead = terminated(1)
    assert it.cause(db(container(dead), ready=False)) == "Crash"
    assert it.cause(db(starting(dead), ready=False)) is None
    assert it.cause(db(starting(dead), ready=False), after=900) is None
    started = db(container(running(), last=dead, restarts=1), ready=False)
    assert it.cause(started) is None
    assert it.cause(started, after=299) is None
    assert it.cause(started, after=1) == "Zombie"


def test_c51_a_restart_in_place_has_a_time_to_start() -> None:
    """A startup probe that never succeeds is for startTimeoutSeconds to end, also after a restart in place."""
    it = watch(db(), startTimeoutSeconds=300, notReadySeconds=60)
    dead = terminated(1)
    it.look(db(container(dead), ready=False))
    assert it.cause(db(starting(dead), ready=False)) is None
    assert it.cause(db(starting(dead), ready=False), after=299) is None
    assert it.cause(db(starting(dead), ready=False), after=1) == "StartFailed"


def test_c54_what_has_started_cannot_fail_to_start() -> None:
    """Without notReadySeconds a pod that was Ready may be Not Ready for ever; startTimeoutSeconds says nothing about it."""
    it = watch(db(), startTimeoutSeconds=300)
    assert it.cause(db(ready=False)) is None
    assert it.cause(db(ready=False), after=10**6) is None


@pytest.mark.parametrize(
    "fields", [{"notReadySeconds": 60}, {"startTimeoutSeconds": 60}], ids=lambda it: next(iter(it))
)
def test_c08_a_node_that_does_not_answer_makes_no_zombies(fields: dict[str, int]) -> None:
    """While a node is away its pods are Not Ready and nobody can restart them: no clock runs, and none has run afterwards."""
    healthy = db(conditions=[{"type": "ContainersReady", "status": "True"}])
    # What the node controller writes: Ready becomes False, without a reason, and nothing else changes.
    cut_off = db(ready=False, conditions=[{"type": "ContainersReady", "status": "True"}])
    it = watch(healthy, **fields)
    assert it.cause(cut_off) is None
    assert it.cause(cut_off, after=600) is None
    back = db(ready=False, conditions=[{"type": "ContainersReady", "status": "False", "reason": "ContainersNotReady"}])
    assert it.cause(back) is None
    assert it.cause(back, after=59) is None
    assert it.cause(back, after=1) == ("Zombie" if "notReadySeconds" in fields else None)


def test_a_readiness_gate_that_closes_is_the_pods_own() -> None:
    """A pod that its readiness gate keeps Not Ready is not taken for one whose node is away."""
    it = watch(db(), notReadySeconds=60)
    closed = db(conditions=[{"type": "ContainersReady", "status": "True"}], ready=False)
    closed["status"]["conditions"][0]["reason"] = "ReadinessGatesNotReady"
    assert it.cause(closed) is None
    assert it.cause(closed, after=60) == "Zombie"


def sidecar(state: Raw, *, restart: str, main: Raw) -> Raw:
    """Return the pod with a native sidecar in that state."""
    raw = db(main, init=[container(state, name="proxy")], sidecars=["proxy"], ready=False)
    raw["spec"]["restartPolicy"] = restart
    return raw


@pytest.mark.parametrize(
    ("restart", "main", "cause"),
    [
        pytest.param("Never", terminated(0), None, id="the pod has done its work: the kubelet ends the sidecar"),
        pytest.param("OnFailure", terminated(0), None, id="the same with OnFailure"),
        pytest.param("Never", running(), "Crash", id="the pod still works"),
        pytest.param("Always", running(), "Crash", id="a pod that is to run for ever"),
    ],
)
def test_a_sidecar_that_ends_with_its_pod_is_no_exit(restart: str, main: Raw, cause: str | None) -> None:
    """A sidecar is a part of its pod: its death is the child's exit, unless the pod's work is done."""
    it = Watch()
    it.look(sidecar(running(), restart=restart, main=container(running())))
    it.look(sidecar(running(), restart=restart, main=container(main)))
    assert it.cause(sidecar(terminated(143), restart=restart, main=container(main))) == cause


def test_c52_a_quota_that_is_used_up_is_named() -> None:
    """When no pod can be created at all the child cannot start; the condition says why, and nothing is counted."""
    it = scene("db=deploy web", strategy="OneForAll")
    mine = [found for found in it.workloads if found["metadata"]["name"].startswith("db")]
    for found in mine:
        found["spec"]["replicas"] = 0
    it.pods.pop("db-r1-0")
    it.step()
    message = 'pods "db-r1-1" is forbidden: exceeded quota: small'
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    for found in mine:
        found["status"]["conditions"] = [refused]
        found["spec"]["replicas"] = 1
    it.step()
    assert it.child("db").state == "CannotStart"
    assert it.condition("Ready") == "False ChildCannotStart"
    assert "exceeded quota" in it.message("Ready")
    assert it.outcomes == []


def test_c52_waiting_for_an_image_is_no_failure_however_long() -> None:
    """A wrong image keeps the pod Pending; no clock runs, and a restart is not tried."""
    it = watch(db(container(waiting()), ready=False), startTimeoutSeconds=5, notReadySeconds=5)
    for reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull") * 3:
        assert it.cause(db(container(waiting(reason)), ready=False, phase="Pending"), after=150) is None
