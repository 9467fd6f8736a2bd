"""Groups that are restarted: who waits for whom, and who may never be waited for in vain (C33)."""

from typing import Any

from tests.cluster.builders import container, pod, running, stamp
from tests.cluster.scene import Scene, scene

TIMEOUT = 300


def rabbit(**fields: Any) -> Scene:  # noqa: ANN401 - fields of the child
    """Return a cluster of three whose first pod was made anew, waits for the others, and is never Ready.

    Its StatefulSet has podManagementPolicy OrderedReady, the default, and so makes no other pod.
    """
    more = {"r": {"startTimeoutSeconds": TIMEOUT, "notReadySeconds": TIMEOUT, **fields}}
    it = scene("r*3 app", more=more, strategy="OneForAll", intensity=1, periodSeconds=3600)
    it.dies("r-0")
    while any(name.startswith("r-") for name in it.pods):
        it.step()
        for name in [name for name, raw in it.pods.items() if "deletionTimestamp" in raw["metadata"]]:
            it.gone(name)
    waits_for_peers(it)
    return it


def waits_for_peers(it: Scene) -> None:
    """Let the StatefulSet make the first pod anew; it runs and is not Ready."""
    it.pods.pop("r-0", None)
    raw = pod(
        "r-0", container(running()), of=it.workload("StatefulSet", "r"), ready=False, created=stamp(it.now), gated=False
    )
    raw["status"]["containerStatuses"][0] |= {"ready": False}
    it.add(raw)
    it.step()


def test_c33_a_stateful_set_that_waits_for_itself_parks_and_says_how_to_restart_it() -> None:
    """Pods that are made one after the other and need each other are not restarted for ever: the tree parks, and names OneByOne."""
    it = rabbit()
    for _ in range(3):
        it.now += TIMEOUT + 1
        it.step()
        if "deletionTimestamp" in it.pods["r-0"]["metadata"]:
            waits_for_peers(it)
    assert it.condition("Stalled") == "True Parked"
    assert it.status.restarts == 1
    assert it.status.history[0].cause == "StartFailed"
    for where in ("Stalled", "Ready"):
        assert "podManagementPolicy OrderedReady" in it.message(where)
        assert "set replacement: OneByOne on child r" in it.message(where)
    deleted = list(it.log)
    it.now += 10 * TIMEOUT
    it.step()
    assert it.log == deleted, "parked is parked"


def test_c33_a_start_that_takes_long_says_what_it_may_be() -> None:
    """Without a start timeout nothing is restarted at all, and Ready says after half a minute why it may take for ever."""
    it = rabbit(startTimeoutSeconds=None)
    assert "OneByOne" not in it.message("Ready")
    plan = it.decide()
    assert plan.wake_at is not None
    it.now = plan.wake_at
    it.step()
    assert "set replacement: OneByOne on child r" in it.message("Ready")
    it.now += 10 * TIMEOUT
    it.step()
    assert it.condition("Stalled") == "False NotStalled"
    assert it.status.restarts == 1


def test_c33_there_is_no_advice_where_nothing_waits() -> None:
    """A StatefulSet that starts as it should, or makes its pods side by side, is not spoken of."""
    it = rabbit()
    it.workload("StatefulSet", "r")["spec"]["podManagementPolicy"] = "Parallel"
    it.now += 100
    it.step()
    assert "OneByOne" not in it.message("Ready")


def test_a_restart_that_ends_with_a_normal_end_is_complete() -> None:
    """When the last child of a restart is one that does its work and ends, the restart is Restarted, not in progress for ever."""
    it = scene("db job:transient", strategy="OneForAll")
    it.dies("db-0")
    while "job" not in {child.name for child in it.status.children if child.state == "Starting"}:
        it.step()
        it.run_cluster()
    it.dies("job-0", 0)
    it.step()
    assert it.status.operation is None
    assert it.outcomes == ["db Crash Restarted"]
