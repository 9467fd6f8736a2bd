"""Where a tree goes when it has given up, or waits: Hold, retryAfterSeconds, autoShutdown, and the backoff."""

import time
from datetime import datetime

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.recorder import WHAT, Recorder
from e2e.lib.workloads import child, tree, workload


def shop(kube: Kube, **spec: object) -> None:
    """Apply a tree of two Deployments on fake nodes, db and web, that are restarted together, and wait until they are Ready."""
    children = [child("Deployment", name, shutdownSeconds=1) for name in ("db", "web")]
    kube.apply(
        tree("shop", *children, **{"strategy": "OneForAll", **spec}),
        workload("Deployment", "db", real=False),
        workload("Deployment", "web", real=False),
    )
    wait_ready(kube, "shop")


def seconds(stamp: str) -> float:
    """Return a time of a status, in seconds since the epoch."""
    return datetime.fromisoformat(stamp).timestamp()


def states(kube: Kube, name: str = "shop") -> list[str]:
    """Return what the children are doing."""
    return [str(it["state"]) for it in kube.status(name)["children"]]


def first_time(recorder: Recorder, what: str, after: int) -> float:
    """Return when, after that change, a pod was seen so for the first time."""
    return min(it.time for it in recorder.changes[after:] if WHAT[what](it))


def test_hold_stops_all_until_a_reset(fake: Kube, recorder: Recorder) -> None:
    """With onExhausted Hold the children are stopped last to first and held, and a reset starts them first to last."""
    shop(fake, intensity=0, onExhausted="Hold")
    before = check.census(recorder, "db", "web")
    crash.pretend(fake, fake.pod("db"))
    wait_condition(fake, "shop", "Stalled", "True", "Held")
    eventually(lambda: len(fake.held()) == 2 and states(fake) == ["Held", "Held"], "both are held")
    assert recorder.last("web", "gone") < recorder.first("db", "deleting"), recorder.story()
    status = fake.status("shop")
    assert (status["restarts"], status["history"][0]["outcome"]) == (0, "Exhausted")
    assert "nextAttemptTime" not in status, "only a person lets it go on"
    fake.reset("shop")
    status = wait_ready(fake, "shop")
    check.replaced_once(recorder, before)
    at = recorder.last("db", "gone")
    assert recorder.first("db", "ready", after=at) < recorder.first("web", "released", after=at), recorder.story()
    assert status["budget"]["used"] == 0
    assert (status["history"][0]["rule"], status["history"][0]["counted"]) == ("Reset", False)


def test_a_child_that_is_taken_out_of_the_list_is_let_go(fake: Kube) -> None:
    """A pod that a tree holds is released when its child is no longer one of the tree's: no pod stays held for ever."""
    shop(fake, intensity=0, onExhausted="Hold")
    crash.pretend(fake, fake.pod("db"))
    eventually(lambda: states(fake) == ["Held", "Held"], "both are held")
    fake.apply(tree("shop", child("Deployment", "db", shutdownSeconds=1), strategy="OneForAll"))
    wait_ready(fake, "shop")
    eventually(lambda: fake.held() == [], "web is let go")


@pytest.mark.parametrize("way", ["Park", "Hold"])
def test_a_retry_comes_by_itself_when_it_was_announced(
    fake: Kube, recorder: Recorder, operator: Operator, way: str
) -> None:
    """After retryAfterSeconds a tree tries once more with an empty window; an operator that was killed meanwhile keeps to the time."""
    shop(fake, intensity=0, onExhausted=way, retryAfterSeconds=8)
    recorder.catch_up()
    at, db = len(recorder.changes), fake.pod("db")
    crash.pretend(fake, db)
    wait_condition(fake, "shop", "Stalled", "True", "Held" if way == "Hold" else "Parked")
    if way == "Hold":
        eventually(lambda: states(fake) == ["Held", "Held"], "both are held")
    else:
        crash.recover(fake, db)
    status = fake.status("shop")
    announced = status["nextAttemptTime"]
    assert seconds(announced) == pytest.approx(seconds(status["exhausted"]["time"]) + 8, abs=1e-3)
    restart(fake, operator, announced)
    eventually(lambda: "exhausted" not in fake.status("shop"), "it tries once more")
    status = wait_ready(fake, "shop")
    assert seconds(fake.condition("shop", "Stalled")["lastTransitionTime"]) >= int(seconds(announced))
    assert (status["budget"]["used"], status["restarts"]) == (0, 0)
    assert "nextAttemptTime" not in status
    recorder.catch_up()
    if way == "Hold":
        assert first_time(recorder, "released", at) >= seconds(announced), recorder.story()
    else:
        assert recorder.deleted() == [], "the kubelet had restarted the container, so nothing was left to do"


def restart(kube: Kube, operator: Operator, announced: str) -> None:
    """Kill the operator and start it again; assert that it keeps to what was announced."""
    operator.kill()
    operator.start()
    kube.patch("suptree", "shop", {"metadata": {"labels": {"looked": "at"}}})  # It decides once more.
    now = kube.status("shop").get("nextAttemptTime")
    assert now == announced or time.time() >= seconds(announced)


def test_the_backoff_is_kept_by_a_new_operator(fake: Kube, recorder: Recorder, operator: Operator) -> None:
    """While a tree backs off, nextAttemptTime says until when, and an operator that was killed meanwhile shortens nothing."""
    shop(fake, backoff={"initialSeconds": 8, "factor": 1, "maxSeconds": 8, "jitterPercent": 0})
    crash.pretend(fake, fake.pod("db"))
    eventually(lambda: fake.status("shop")["restarts"] == 1, "the first restart is immediate")
    assert fake.status("shop")["operation"]["stage"] != "Waiting"
    wait_ready(fake, "shop")
    before = check.census(recorder, "db", "web")
    crash.pretend(fake, fake.pod("db"))
    status = wait_condition(fake, "shop", "Reconciling", "True", "Waiting")
    announced = status["nextAttemptTime"]
    assert status["operation"]["stage"] == "Waiting"
    assert seconds(announced) == pytest.approx(seconds(status["history"][0]["time"]) + 8, abs=1e-3)
    assert f"backing off until {announced}" in fake.condition("shop", "Reconciling")["message"]
    at = len(recorder.changes)
    restart(fake, operator, announced)
    eventually(lambda: fake.status("shop")["history"][0]["outcome"] == "Restarted", "the restart is carried out")
    check.replaced_once(recorder, before)
    assert first_time(recorder, "deleting", at) >= seconds(announced), recorder.story()
    status = wait_ready(fake, "shop")
    assert (status["restarts"], status["budget"]["used"]) == (2, 2)
    assert "nextAttemptTime" not in status


def batch(kube: Kube, auto: str, *above: Json) -> None:
    """Apply a tree of a helper and two significant Transient children, one and two, and wait until they are Ready."""
    significant = {"restart": "Transient", "significant": True, "shutdownSeconds": 1}
    kube.apply(
        *above,
        tree(
            "batch",
            child("Deployment", "helper", shutdownSeconds=1),
            *(child("Deployment", name, **significant) for name in ("one", "two")),
            autoShutdown=auto,
        ),
        *(workload("Deployment", name) for name in ("helper", "one", "two")),
    )
    wait_ready(kube, "batch")


def supervision(kube: Kube, name: str) -> str:
    """Return how batch sees a child."""
    found = [str(it["supervision"]) for it in kube.status("batch")["children"] if it["name"] == name]
    return found[0]


def test_the_end_of_any_significant_child_ends_the_tree(real: Kube) -> None:
    """With AnySignificant the normal end of one significant child stops and holds all, and the tree says why."""
    batch(real, "AnySignificant")
    crash.end(real, real.pod("one"), 0)
    status = wait_condition(real, "batch", "Stalled", "True", "Held")
    eventually(lambda: len(real.held()) == 3, "all are held")
    assert status["exhausted"]["reason"] == "AutoShutdown"
    said = real.condition("batch", "Ready")["message"]
    assert said.startswith("one ended with exit code 0")
    assert "autoShutdown is AnySignificant" in said
    assert (status["restarts"], status["history"]) == (0, [])


def test_the_end_of_the_last_significant_child_ends_the_tree_and_its_parent_is_told(real: Kube) -> None:
    """With AllSignificant the tree goes on until the last one has ended; its parent then restarts it, for one count."""
    ref = {"apiVersion": "suptree.dev/v1alpha1", "kind": "SupervisionTree", "name": "batch"}
    batch(real, "AllSignificant", tree("top", {"name": "batch", "targetRef": ref}))
    wait_ready(real, "top")
    end_for_a_while(real, "one")
    assert real.condition("batch", "Stalled")["status"] == "False"
    assert supervision(real, "two") == "alive"
    crash.end(real, real.pod("two"), 0)
    eventually(lambda: real.status("top")["restarts"] == 1, "the parent is told")
    entry = real.status("top")["history"][0]
    assert (entry["child"], entry["cause"]) == ("batch", "Exhausted")
    assert (entry["origin"], entry["originCause"]) == ("two", "Completed")
    wait_ready(real, "top")
    status = wait_ready(real, "batch")
    assert status["budget"]["used"] == 0
    check.none_held(real)


def end_for_a_while(kube: Kube, app: str) -> None:
    """Let a container end with 0 twice: the kubelet restarts it at once, and then not for 10 s."""
    pod = kube.pod(app)
    crash.end(kube, pod, 0)
    eventually(lambda: kube.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"] == 1, f"{app} is back")
    eventually(lambda: supervision(kube, app) == "alive", f"{app} runs again")
    crash.end(kube, pod, 0)
    eventually(lambda: supervision(kube, app) == "undefined", f"{app} has ended")
