"""The budget: how a tree gives up, what it leaves behind, and how it is let go on."""

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, tree, workload

STAYS_BROKEN = "trap 'exit 0' TERM; until [ -e /kept/end ]; do sleep 0.1; done; exit $(cat /kept/end)"
"""Once told to end, this pod's container ends each time it is started; only a new pod is well again."""


def breakable(name: str) -> Json:
    """Return a Deployment whose pod stays broken once it was broken."""
    made = workload("Deployment", name, script=STAYS_BROKEN, volumeMounts=[{"name": "kept", "mountPath": "/kept"}])
    made["spec"]["template"]["spec"]["volumes"] = [{"name": "kept", "emptyDir": {}}]
    return made


def break_(kube: Kube, pod: str, code: int) -> None:
    """Break such a pod."""
    kube.run("exec", pod, "--", "sh", "-c", f"echo {code} > /kept/new; mv /kept/new /kept/end")


def died_again(kube: Kube, pod: str) -> bool:
    """Tell whether the container was restarted and has ended again."""
    found = kube.get("pod", pod)["status"]["containerStatuses"][0]
    return found["restartCount"] >= 1 and "running" not in found["state"]


def exhaust(kube: Kube, app: str, *, after: int = 0) -> Json:
    """Let the pod of a tree with intensity 1 on fake nodes crash twice, so that the tree is parked; return its status."""
    crash.pretend(kube, kube.pod(app))
    wait_history(kube, "shop", after + 1)
    wait_ready(kube, "shop")
    crash.pretend(kube, kube.pod(app))
    return wait_condition(kube, "shop", "Stalled", "True", "Parked")


def test_the_fourth_crash_parks_and_a_reset_lets_go_on(real: Kube, recorder: Recorder) -> None:
    """With intensity 3 the fourth crash parks the tree, which keeps the evidence until a reset starts it with an empty budget."""
    real.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=3),
        breakable("db"),
        workload("Deployment", "web"),
    )
    wait_ready(real, "shop")
    for operation in (1, 2, 3):
        before = check.census(recorder, "db", "web")
        break_(real, real.pod("db"), 40 + operation)
        status = wait_history(real, "shop", operation)
        assert (status["restarts"], status["budget"]["used"]) == (operation, operation)
        check.replaced_once(recorder, before)
    before = check.census(recorder, "db", "web")
    last = real.pod("db")
    break_(real, last, 44)

    status = wait_condition(real, "shop", "Stalled", "True", "Parked")
    ready = real.condition("shop", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Parked")
    assert "suptree.dev/reset=now" in ready["message"]
    entry = status["history"][0]
    assert (entry["outcome"], entry["counted"], entry["operation"]) == ("Exhausted", False, 4)
    assert (entry["exitCode"], entry["pod"], entry["container"], entry["cause"]) == (44, last, "main", "Crash")
    assert [it["outcome"] for it in status["history"][1:]] == ["Restarted"] * 3
    assert (status["restarts"], status["budget"]["used"], status["budget"]["limit"]) == (3, 3, 3)
    # The kubelet starts the broken container again, and it dies again: that is no news.
    eventually(lambda: died_again(real, last), "it goes on crashing")
    check.untouched(recorder, before)
    after = real.status("shop")
    assert (after["history"], after["restarts"]) == (status["history"], 3)
    eventually(lambda: real.events("Parked"), "an Event tells of it")
    assert len(real.events("Parked")) == 1
    assert len(real.events("Restarting")) == 3
    assert columns(real, "shop") == {
        "NAME": "shop",
        "READY": "False",
        "STRATEGY": "OneForAll",
        "CHILDREN": "1/2",
        "RESTARTS": "3",
        "BUDGET": "3/3",
        "REASON": "Parked",
    }

    real.reset("shop")
    status = wait_condition(real, "shop", "Ready", "True", "AllChildrenUp")
    assert real.condition("shop", "Stalled")["status"] == "False"
    assert (status["restarts"], status["budget"]["used"], status["budget"].get("times", [])) == (3, 0, [])
    assert [it["state"] for it in status["children"]] == ["Up", "Up"]
    assert status["history"][0]["counted"] is False
    check.replaced_once(recorder, before)

    operation = status["history"][0]["operation"] + 1
    break_(real, real.pod("db"), 45)
    status = wait_history(real, "shop", operation)
    assert (status["budget"]["used"], status["restarts"], status["history"][0]["budgetUsed"]) == (1, 4, 1)
    assert columns(real, "shop")["CHILDREN"] == "2/2"


def columns(kube: Kube, name: str) -> dict[str, str]:
    """Return the columns that `kubectl get -o wide` prints of a tree, but for its age."""
    heads, row = (line.split() for line in kube.run("get", "suptree", name, "-o", "wide").stdout.splitlines())
    found = dict(zip(heads, row, strict=True))
    assert found.pop("AGE")
    return found


def test_intensity_0_parks_at_once(real: Kube, recorder: Recorder) -> None:
    """With intensity 0 the first crash parks the tree, and nothing is restarted."""
    real.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=0),
        workload("Deployment", "db"),
        workload("Deployment", "web"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "web")
    crash.end(real, real.pod("db"), 7)
    status = wait_condition(real, "shop", "Stalled", "True", "Parked")
    assert (status["restarts"], status["budget"]["used"], status["budget"]["limit"]) == (0, 0, 0)
    assert [(it["outcome"], it["exitCode"]) for it in status["history"]] == [("Exhausted", 7)]
    assert [it["restarts"] for it in status["children"]] == [0, 0]
    check.untouched(recorder, before)
    eventually(lambda: real.events("Parked"), "an Event tells of it")
    assert real.events("Restarting") == []


def test_a_change_of_spec_resets(fake: Kube, recorder: Recorder) -> None:
    """A parked tree whose spec is changed goes on with an empty budget; other trees are not concerned."""
    fake.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=1),
        tree("other", child("Deployment", "elsewhere"), strategy="OneForAll"),
        *(workload("Deployment", name, real=False) for name in ("db", "web", "elsewhere")),
    )
    wait_ready(fake, "shop")
    exhaust(fake, "db")
    before = check.census(recorder, "db", "web", "elsewhere")
    fake.patch("suptree", "shop", {"spec": {"intensity": 2}})
    status = wait_ready(fake, "shop")
    assert (status["restarts"], status["budget"]["used"], status["budget"]["limit"]) == (1, 0, 2)
    assert fake.condition("shop", "Stalled")["status"] == "False"
    check.replaced_once(recorder, before, "db", "web")
    check.untouched(recorder, before, "elsewhere")
    check.cost_nothing(wait_ready(fake, "other"))


def test_each_new_value_of_the_annotation_is_one_reset(fake: Kube) -> None:
    """A reset counts once: it empties the budget of a running tree too, and the annotation that stays does nothing more."""
    fake.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=1),
        *(workload("Deployment", name, real=False) for name in ("db", "web")),
    )
    wait_ready(fake, "shop")
    crash.pretend(fake, fake.pod("db"))
    assert wait_history(fake, "shop", 1)["budget"]["used"] == 1
    fake.reset("shop")
    eventually(lambda: fake.status("shop")["budget"]["used"] == 0, "the budget is empty")
    status = exhaust(fake, "db", after=1)
    assert (status["restarts"], status["budget"]["used"]) == (2, 1)
