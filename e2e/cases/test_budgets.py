"""Budgets: how a tree slows down, gives up, keeps the evidence and is let go on (C32, C38, C39, C44, C49)."""

from datetime import datetime

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, tree, workload

START_TIMEOUT = 3
CONFIG: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": {"code": "0"}}


def needs_config(name: str) -> Json:
    """Return a Deployment whose containers cannot be made without the ConfigMap."""
    return workload("Deployment", name, envFrom=[{"configMapRef": {"name": "config"}}])


def test_c44_a_child_that_cannot_be_started_again_uses_up_the_budget(real: Kube, recorder: Recorder) -> None:
    """A start that fails counts: the tree parks with the child named, and a reset lets it go on when the cause is mended.

    C32: meanwhile nothing is started against the dead database. C39: the crash after the reset is the first.
    """
    real.apply(
        CONFIG,
        tree(
            "shop",
            child("Deployment", "db", startTimeoutSeconds=START_TIMEOUT),
            child("Deployment", "app"),
            strategy="RestForOne",
            intensity=1,
        ),
        needs_config("db"),
        workload("Deployment", "app"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "app")
    real.delete("configmap", "config")
    crash.end(real, real.pod("db"), 3)
    status = wait_condition(real, "shop", "Stalled", "True", "Parked")
    assert [(it["cause"], it["outcome"]) for it in status["history"]] == [
        ("StartFailed", "Exhausted"),
        ("Crash", "Exhausted"),
    ]
    assert (status["restarts"], status["budget"]["used"]) == (1, 1)
    assert "db did not become Ready in time" in real.condition("shop", "Ready")["message"]
    assert status["children"][0]["lastExit"]["cause"] == "StartFailed"
    app = check.new(recorder, before, "app")
    assert not {it.uid for it in recorder.changes if it.uid in app and it.pod["spec"].get("nodeName")}, (
        "app was started"
    )
    assert len(real.held()) == 1

    real.apply(CONFIG)
    real.reset("shop")
    status = wait_ready(real, "shop")
    assert status["budget"]["used"] == 0
    number = status["history"][0]["operation"]
    crash.end(real, real.pod("db"), 4)
    status = wait_history(real, "shop", number + 1)
    assert (status["budget"]["used"], status["history"][0]["exitCode"]) == (1, 4)
    assert real.condition("shop", "Stalled")["status"] == "False"
    assert wait_ready(real, "shop")["restarts"] == 2


def seconds(stamp: str) -> float:
    """Return a time of a status, in seconds since the epoch."""
    return datetime.fromisoformat(stamp).timestamp()


def test_c38_a_group_whose_new_pods_fail_at_once_is_restarted_ever_more_slowly(real: Kube) -> None:
    """When an init container fails in each new pod, restarts of the group wait twice as long each time, and say until when."""
    a = workload("Deployment", "a")
    init = {**a["spec"]["template"]["spec"]["containers"][0], "name": "init", "command": ["sh", "-c", "exit $code"]}
    a["spec"]["template"]["spec"]["initContainers"] = [{**init, "envFrom": [{"configMapRef": {"name": "config"}}]}]
    backoff = {"initialSeconds": 2, "factor": 2, "maxSeconds": 60, "jitterPercent": 0}
    real.apply(
        CONFIG,
        tree(
            "shop",
            child("Deployment", "a"),
            child("Deployment", "b"),
            strategy="OneForAll",
            intensity=100,
            periodSeconds=3600,
            backoff=backoff,
        ),
        a,
        workload("Deployment", "b"),
    )
    wait_ready(real, "shop")
    real.apply({**CONFIG, "data": {"code": "1"}})
    crash.end(real, real.pod("a"), 3)
    eventually(lambda: real.status("shop")["restarts"] >= 3, "the group is restarted three times")
    status = real.status("shop")
    assert seconds(status["nextAttemptTime"]) >= seconds(status["history"][0]["time"]) + 4
    assert real.condition("shop", "Reconciling")["reason"] == "Waiting"
    times = sorted(seconds(it["time"]) for it in status["history"])
    # The first does not wait, so the second fails at once; it waits for 2 s, and so the third cannot fail before.
    assert times[2] - times[1] >= 2
    assert {it["container"] for it in status["history"][:-1]} == {"init"}
    assert [it["counted"] for it in status["history"]] == [True] * len(times)


def subtree(name: str) -> Json:
    """Return a child that is a tree."""
    return {"name": name, "targetRef": {"apiVersion": "suptree.dev/v1alpha1", "kind": "SupervisionTree", "name": name}}


def crash_in_place(kube: Kube, app: str, count: int, inside: str) -> None:
    """Let the app crash that often; its tree counts each, and its kubelet restarts it."""
    for number in range(1, count + 1):
        pod = kube.pod(app)
        crash.pretend(kube, pod)
        wait_history(kube, inside, number, "InProgress")
        crash.recover(kube, pod)
        wait_history(kube, inside, number)


def used(kube: Kube, *names: str) -> list[int]:
    """Return what these trees have spent."""
    return [kube.status(name)["budget"]["used"] for name in names]


def test_c49_each_part_has_a_budget_of_its_own(fake: Kube, recorder: Recorder) -> None:
    """Cheap restarts do not spend what dear ones are allowed: each part is a tree, and only a part that gives up costs the whole."""
    fake.apply(
        tree("all", child("Deployment", "controller"), subtree("heavy"), subtree("light"), strategy="RestForOne"),
        tree("heavy", child("Deployment", "engine"), intensity=1),
        tree("light", child("Deployment", "cache"), intensity=10),
        *(workload("Deployment", name, real=False) for name in ("controller", "engine", "cache")),
    )
    names = ("all", "heavy", "light")
    for name in names:
        wait_ready(fake, name)
    before = check.census(recorder, "controller", "engine", "cache")
    crash_in_place(fake, "cache", 3, "light")
    crash_in_place(fake, "engine", 1, "heavy")
    assert used(fake, *names) == [0, 1, 3]
    check.untouched(recorder, before)

    crash.pretend(fake, fake.pod("engine"))
    entry = check.counted_once(wait_history(fake, "all", 1))
    assert (entry["child"], entry["origin"], entry["slice"]) == ("heavy", "engine", ["heavy", "light"])
    check.replaced_once(recorder, before, "engine", "cache")
    check.untouched(recorder, before, "controller")

    crash.pretend(fake, fake.pod("controller"))
    assert wait_history(fake, "all", 2)["history"][0]["slice"] == ["controller", "heavy", "light"]
    for name in names:
        wait_ready(fake, name)
    assert used(fake, *names) == [2, 0, 0]
