"""What counts as an exit and what does not, on real containers."""

from typing import Any

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_history, wait_ready, wait_restarted
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import CRASHES_WHEN_TOLD, child, tree, workload

RUNS_OUT_OF_MEMORY_WHEN_TOLD = "until [ -e /tmp/end ]; do sleep 0.1; done; exec child-oom $(cat /tmp/end)"
SICK_AND_DEAF = {
    "livenessProbe": {
        "exec": {"command": ["sh", "-c", "test ! -e /tmp/sick"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "terminationGracePeriodSeconds": 1,
    },
    "script": "exec deaf",
}
SICK_AND_POLITE = {**SICK_AND_DEAF, "script": "exec polite 0"}


def last_exit(kube: Kube, child_name: str) -> Json:
    """Wait until the status shows an exit of a child, and return it."""

    def shown() -> Json | None:
        found = [it.get("lastExit") for it in kube.status("shop")["children"] if it["name"] == child_name]
        return found[0] if found else None

    it = eventually(shown, f"an exit of {child_name} shows")
    assert it is not None
    return it


def states(status: Json) -> dict[str, str]:
    """Return the state of each child."""
    return {it["name"]: it["state"] for it in status["children"]}


def test_out_of_memory_counts_whatever_the_exit_code(real: Kube, recorder: Recorder) -> None:
    """A container whose child process the kernel killed ends with 0, and is still OOMKilled: a failure, even of a Transient child."""
    real.apply(
        tree("shop", child("Deployment", "hog", restart="Transient"), child("Deployment", "web"), strategy="OneForAll"),
        workload("Deployment", "hog", script=RUNS_OUT_OF_MEMORY_WHEN_TOLD, resources={"limits": {"memory": "32Mi"}}),
        workload("Deployment", "web"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "hog", "web")
    crash.end(real, real.pod("hog"), 0)
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["cause"], entry["child"], entry["exitCode"]) == ("OOMKilled", "hog", 0)
    check.replaced_once(recorder, before)


def test_c18_exit_0_by_restart_type(real: Kube, recorder: Recorder) -> None:
    """Exit 0 is a restart for a Permanent child only; a Temporary one is never restarted, and once stopped with its group it stays Held."""
    real.apply(
        tree(
            "shop",
            child("Deployment", "permanent"),
            child("Deployment", "transient", restart="Transient"),
            child("Deployment", "temporary", restart="Temporary"),
            strategy="OneForAll",
        ),
        *(workload("Deployment", name) for name in ("permanent", "transient", "temporary")),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "permanent", "transient", "temporary")

    crash.end(real, real.pod("transient"), 0)
    found = last_exit(real, "transient")
    assert (found["cause"], found["exitCode"], found["container"]) == ("Completed", 0, "main")
    crash.end(real, real.pod("temporary"), 3)
    found = last_exit(real, "temporary")
    assert (found["cause"], found["exitCode"]) == ("Crash", 3)
    wait_restarted(real, real.pod("transient"), 1)
    wait_restarted(real, real.pod("temporary"), 1)
    check.cost_nothing(wait_ready(real, "shop"))
    check.untouched(recorder, before)

    crash.end(real, real.pod("permanent"), 0)
    status = wait_history(real, "shop", 1)
    entry = check.counted_once(status)
    assert (entry["cause"], entry["child"], entry["exitCode"]) == ("Completed", "permanent", 0)
    assert states(status) == {"permanent": "Up", "transient": "Up", "temporary": "Held"}
    check.replaced_once(recorder, before)
    held = real.pod("temporary")
    assert real.held() == [held]

    real.delete("pod", held)
    eventually(lambda: real.pods("temporary") and real.held() == [real.pod("temporary")], "its next pod is held, too")
    crash.end(real, real.pod("transient"), 3)
    status = wait_history(real, "shop", 2)
    assert (status["restarts"], status["history"][0]["slice"]) == (2, ["permanent", "transient"])
    assert states(status)["temporary"] == "Held"


def test_c12_a_rollout_costs_nothing(real: Kube, recorder: Recorder) -> None:
    """A rollout, of whatever kind, spends no budget and restarts no sibling."""
    recreate = workload("Deployment", "recreate")
    recreate["spec"]["strategy"] = {"type": "Recreate"}
    real.apply(
        tree(
            "shop",
            child("Deployment", "still"),
            child("Deployment", "one"),
            child("Deployment", "two"),
            child("Deployment", "recreate"),
            child("StatefulSet", "db"),
            strategy="OneForAll",
        ),
        workload("Deployment", "still"),
        workload("Deployment", "one"),
        workload("Deployment", "two", 2),
        recreate,
        workload("StatefulSet", "db"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "still", "one", "two", "recreate", "db")
    rolled = ("deployment/one", "deployment/two", "deployment/recreate", "statefulset/db")
    real.run("set", "env", *rolled, "COLOUR=green")
    for name in rolled:
        real.wait_rolled_out(*name.split("/"))
    check.cost_nothing(wait_ready(real, "shop"))
    check.untouched(recorder, before, "still")
    check.all_gone(recorder, before, "one", "two", "recreate", "db")
    check.replaced_once(recorder, before, "one", "two", "recreate", "db")
    check.cost_nothing(wait_ready(real, "shop"))
    check.none_held(real)


def test_c14_a_change_of_scale_costs_nothing(real: Kube, recorder: Recorder) -> None:
    """Scaling down, to zero and up again is the owner's wish: nothing is counted and no sibling is restarted."""
    real.apply(
        tree(
            "shop",
            child("Deployment", "still"),
            child("Deployment", "web"),
            child("StatefulSet", "db"),
            strategy="OneForAll",
        ),
        workload("Deployment", "still"),
        workload("Deployment", "web", 3),
        workload("StatefulSet", "db", 2),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "still")
    for replicas, pods, state in ((1, 1, "Up"), (0, 0, "Suspended"), (2, 2, "Up")):
        for kind, name in (("deployment", "web"), ("statefulset", "db")):
            real.scale(kind, name, replicas)

        def is_so(pods: int = pods, state: str = state) -> bool:
            found = [(it["ready"], it["desired"], it["state"]) for it in real.status("shop")["children"][1:]]
            left = [*real.list("pods", "app=web"), *real.list("pods", "app=db")]
            return found == [(pods, pods, state)] * 2 and len(left) == 2 * pods

        eventually(is_so, f"web and db have {replicas} pods each")
        check.cost_nothing(wait_ready(real, "shop"))
    check.untouched(recorder, before)
    check.none_held(real)


def test_a_deleted_pod_restarts_the_group_only_when_it_was_the_last(real: Kube, recorder: Recorder) -> None:
    """Deleting one pod of three does nothing; deleting the only pod of a child restarts the rest of the group, and costs nothing either."""
    real.apply(
        tree(
            "shop",
            child("StatefulSet", "db"),
            child("Deployment", "one"),
            child("StatefulSet", "solo"),
            strategy="OneForAll",
        ),
        workload("StatefulSet", "db", 3),
        workload("Deployment", "one"),
        workload("StatefulSet", "solo"),
    )
    wait_ready(real, "shop")
    start = check.census(recorder, "db", "one", "solo")
    real.delete("pod", "db-1")
    eventually(lambda: [it["ready"] for it in real.status("shop")["children"]] == [3, 1, 1], "all are Ready again")
    check.cost_nothing(wait_ready(real, "shop"))
    check.untouched(recorder, start, "one", "solo")
    assert len(check.new(recorder, start, "db")) == 1

    for operation, (app, pod) in enumerate((("one", real.pod("one")), ("solo", "solo-0")), start=1):
        before = check.census(recorder, "db", "one", "solo")
        real.delete("pod", pod)
        status = wait_history(real, "shop", operation)
        entry = status["history"][0]
        assert (entry["cause"], entry["child"], entry["pod"], entry["counted"]) == ("Deleted", app, pod, False)
        assert (status["restarts"], status["budget"]["used"]) == (0, 0)
        check.replaced_once(recorder, before)
    check.none_held(real)


@pytest.mark.parametrize(
    ("sick", "cause", "code"),
    [
        pytest.param(SICK_AND_DEAF, "Crash", 137, id="killed"),
        pytest.param(SICK_AND_POLITE, "Completed", 0, id="ends with 0 when told to"),
    ],
)
def test_a_liveness_kill_is_counted_once(
    real: Kube, recorder: Recorder, sick: dict[str, Any], cause: str, code: int
) -> None:
    """A container that its liveness probe ended is one exit, though Ready never moved and only lastState shows it."""
    real.apply(
        tree("shop", child("Deployment", "web"), child("StatefulSet", "db"), strategy="OneForOne"),
        workload("Deployment", "web", **sick),
        workload("StatefulSet", "db", script=CRASHES_WHEN_TOLD),
    )
    wait_ready(real, "shop")
    pod = real.pod("web")
    real.run("exec", pod, "--", "sh", "-c", "touch /tmp/sick")
    wait_restarted(real, pod, 1)
    wait_history(real, "shop", 1)
    crash.end(real, "db-0", 3)
    status = wait_history(real, "shop", 2)
    entry = status["history"][1]
    assert (entry["cause"], entry["exitCode"], entry["pod"]) == (cause, code, pod)
    assert (status["restarts"], status["budget"]["used"]) == (2, 2)
    assert [it["restarts"] for it in status["children"]] == [1, 1]
    recorder.catch_up()
    assert recorder.deleted() == []
