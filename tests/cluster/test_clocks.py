"""Starts that take too long, zombies, and the dead that nobody restarts: the operator's own clocks (design section 2)."""

from typing import Any

import pytest

from suptree.api.child import Child
from tests.cluster.builders import Raw, child, container, new_uid, pod, running, terminated, unschedulable, waiting
from tests.cluster.scene import scene
from tests.cluster.watching import Watch

UID = new_uid()


def db(*containers: Raw, **more: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return the one pod that these stories are about."""
    return pod("db-0", *containers, uid=UID, **more)


READY, NOT_READY = db(), db(ready=False)


def watch(*before: Raw, **fields: Any) -> Watch:  # noqa: ANN401 - fields of any type
    """Return the watch of a child that was looked at so."""
    it = Watch(child=Child.model_validate(child("db", **fields)))
    for raw in before:
        it.look(raw)
    return it


# Zombies.


def test_a_zombie_is_a_failure_after_its_time() -> None:
    """A pod that was Ready, runs, and is Not Ready for notReadySeconds has failed: once, not before, not again."""
    it = watch(READY, notReadySeconds=120)
    assert it.cause(NOT_READY) is None
    assert it.cause(NOT_READY, after=119) is None
    assert it.cause(NOT_READY, after=1) == "Zombie"
    assert it.cause(NOT_READY, after=600) is None


def test_the_tree_looks_again_when_a_clock_runs_out() -> None:
    """No event tells that time has passed, so the operator wakes up by itself."""
    it = watch(READY, notReadySeconds=120)
    found = it.look(NOT_READY)
    assert found.wake_at == pytest.approx(it.now + 120, abs=1)


def test_c47_a_pod_that_was_ready_in_between_is_no_zombie() -> None:
    """The clock begins anew each time the pod has been Ready."""
    it = watch(READY, notReadySeconds=120)
    for _ in range(5):
        assert it.cause(NOT_READY, after=60) is None
        assert it.cause(READY, after=60) is None


def test_a_pod_that_was_never_ready_is_no_zombie() -> None:
    """C51: the zombie clock runs only for a pod that has been Ready; slow starts have a clock of their own."""
    it = watch(db(container(waiting())), notReadySeconds=120)
    assert it.cause(NOT_READY) is None
    assert it.cause(NOT_READY, after=900) is None


def test_the_zombie_clock_begins_anew_for_each_pod() -> None:
    """A new pod is not held to its predecessor's clock."""
    it = watch(READY, notReadySeconds=120)
    it.look(NOT_READY, after=100)
    assert it.cause(pod("db-0", ready=False), after=1) is None
    assert it.cause(pod("db-0", ready=False), after=600) is None


def test_c54_the_zombie_clock_stands_still_while_the_dependency_is_down() -> None:
    """C54: who is Not Ready because its database is away is no zombie; the time does not count afterwards either."""
    it = watch(READY, notReadySeconds=120)
    it.look(NOT_READY)
    it.look(NOT_READY, after=50)
    assert it.cause(NOT_READY, after=10, dependency_is_down=True) is None
    assert it.cause(NOT_READY, after=400, dependency_is_down=True) is None
    assert it.cause(NOT_READY, after=1) is None
    assert it.cause(NOT_READY, after=30) is None
    assert it.cause(NOT_READY, after=60) == "Zombie"


def test_absent_means_never() -> None:
    """Without notReadySeconds a pod may be Not Ready for ever."""
    it = watch(READY)
    assert it.cause(NOT_READY) is None
    assert it.cause(NOT_READY, after=10**6) is None


# Starts.


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(running(), id="it runs"),
        pytest.param(waiting("RunContainerError"), id="it cannot be run"),
        pytest.param(waiting("CreateContainerConfigError"), id="C44: its config is wrong"),
    ],
)
def test_a_start_that_takes_too_long_has_failed(state: Raw) -> None:
    """C44: a container that was tried to start and is not Ready within startTimeoutSeconds is a failed start, once."""
    it = watch(db(container(waiting()), ready=False), startTimeoutSeconds=300)
    trying = db(container(state), ready=False)
    assert it.cause(trying) is None
    assert it.cause(trying, after=299) is None
    assert it.cause(trying, after=1) == "StartFailed"
    assert it.cause(trying, after=900) is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(db(container(waiting()), ready=False), id="C51: its container is being created"),
        pytest.param(db(container(waiting("ImagePullBackOff")), ready=False), id="C52: its image is missing"),
        pytest.param(db(container(waiting()), ready=False, conditions=[unschedulable()]), id="C51: no node has room"),
        pytest.param(db(gated=True), id="it is held"),
    ],
)
def test_the_start_clock_does_not_run_before_there_is_a_try(raw: Raw) -> None:
    """C51: while a pod waits for a node, an image or its turn, its start has not begun."""
    it = watch(raw, startTimeoutSeconds=300)
    assert it.cause(raw) is None
    assert it.cause(raw, after=3600) is None


def test_c51_a_slow_start_in_time_is_no_failure() -> None:
    """C51: 180 s without a node, 120 s of creating and 900 s of recovering logs are fine within a timeout of 1,000 s."""
    it = watch(db(container(waiting()), ready=False, conditions=[unschedulable()]), startTimeoutSeconds=1000)
    assert it.cause(db(container(waiting()), ready=False), after=180) is None
    assert it.cause(NOT_READY, after=120) is None
    assert it.cause(NOT_READY, after=900) is None
    assert it.cause(READY) is None


def test_a_crash_during_the_start_is_a_crash_and_starts_the_clock_anew() -> None:
    """A death that was counted is never counted again as a failed start."""
    it = watch(db(container(waiting()), ready=False), startTimeoutSeconds=300)
    it.look(NOT_READY)
    dead = terminated(1)
    assert it.cause(db(container(dead), ready=False), after=200) == "Crash"
    again = db(container(running(), last=dead, restarts=1), ready=False)
    assert it.cause(again, after=10) is None
    assert it.cause(again, after=299) is None
    assert it.cause(again, after=1) == "StartFailed"


# The dead that nobody restarts.


@pytest.mark.parametrize(
    ("restarts", "seconds"),
    [
        pytest.param(0, 30, id="the first restart is immediate"),
        pytest.param(1, 40, id="the second after 10 s"),
        pytest.param(3, 70, id="the fourth after 40 s"),
        pytest.param(20, 330, id="no later than after 300 s"),
    ],
)
def test_a_dead_container_that_the_kubelet_forgets_is_abandoned(restarts: int, seconds: int) -> None:
    """A container that is dead 30 s after its kubelet should have restarted it is nobody's: its pod has to be replaced."""
    it = watch(READY)
    dead = db(container(terminated(1), restarts=restarts), ready=False)
    assert it.look(dead).abandoned == ()
    assert it.look(dead, after=seconds - 2).abandoned == ()
    assert [found.name for found in it.look(dead, after=3).abandoned] == ["db-0"]


def test_c20_a_pod_that_stays_dead_is_replaced_as_part_of_the_same_restart() -> None:
    """C20: a child of its own whose pod never comes back is replaced, by UID, and counted once."""
    it = scene("db web")
    it.dies("db-0")
    uid = it.pods["db-0"]["metadata"]["uid"]
    assert it.step().deletes == ()
    it.now += 40
    (delete,) = it.step().deletes
    assert delete.pod.uid == uid
    it.settle()
    assert it.status.restarts == 1
    assert it.outcomes == ["db Crash Restarted"]


def test_a_zombie_alone_is_replaced() -> None:
    """Nobody else restarts a zombie, so its pod is replaced and the others of its child stay."""
    it = scene("db=deploy*2", more={"db": {"notReadySeconds": 60}})
    it.pods["db-r1-0"]["status"]["conditions"][0]["status"] = "False"
    it.step()
    it.now += 60
    assert [found.pod.name for found in it.step().deletes] == ["db-r1-0"]
    it.settle()
    assert it.outcomes == ["db Zombie Restarted"]


def test_c54_in_a_whole_tree() -> None:
    """C54: under RestForOne a database that is away does not make zombies of those that need it."""
    more = {name: {"notReadySeconds": 120} for name in ("api",)}
    it = scene("db api=deploy*4", strategy="RestForOne", more=more)
    for raw in it.pods.values():
        raw["status"]["conditions"][0]["status"] = "False"
    for _ in range(8):
        it.step()
        it.now += 50
    assert it.outcomes == []
    for name in it.pods:
        it.runs(name)
    it.settle()
    assert it.outcomes == []
