"""Reported situations that pod statuses show, written on kwok's fake nodes as kubelets and controllers write them."""

import time

from e2e.lib import check, crash, statuses
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, pod_template, tree, workload


def shop(kube: Kube, *names: str, kind: str = "StatefulSet", replicas: int = 1, **spec: object) -> None:
    """Apply a tree of these children, and wait until it is Ready."""
    kube.apply(
        tree("shop", *(child(kind, name) for name in names), **spec),
        *(workload(kind, name, replicas, real=False) for name in names),
    )
    wait_ready(kube, "shop")


def used(kube: Kube) -> int:
    """Return how much of the tree's budget is spent."""
    found: int = kube.status("shop")["budget"]["used"]
    return found


def last_exit(kube: Kube, name: str) -> Json | None:
    """Return the last exit of a child, if it had one."""
    found: Json | None = {it["name"]: it.get("lastExit") for it in kube.status("shop")["children"]}[name]
    return found


def test_c03_one_crash_is_counted_once_whatever_shows_it(fake: Kube, killed: Operator) -> None:
    """A crash shows in state, in CrashLoopBackOff, in lastState, in a relist and to a new operator: it is one entry."""
    shop(fake, "db", "web", strategy="OneForOne")
    was = statuses.container(fake, "db-0")
    dead = statuses.terminated(was, 137, "OOMKilled")
    down = statuses.conditions(Ready=False, ContainersReady=False)
    statuses.write(fake, "db-0", main={"state": dead, "restartCount": 3, "ready": False}, conditions=down)
    eventually(lambda: used(fake) == 1, "the crash is counted")
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    statuses.write(fake, "db-0", main={"state": waits, "lastState": dead})
    runs = {"state": {"running": {"startedAt": statuses.now()}}, "containerID": "fake://new", "restartCount": 4}
    up = statuses.conditions(Ready=True, ContainersReady=True)
    statuses.write(fake, "db-0", main={**runs, "lastState": dead, "ready": True}, conditions=up)
    wait_history(fake, "shop", 1)
    killed.kill()
    killed.start()
    crash.pretend(fake, "web-0", 3)
    crash.recover(fake, "web-0")
    status = wait_history(fake, "shop", 2)
    assert (status["restarts"], status["budget"]["used"]) == (2, 2)
    entry = status["history"][1]
    assert (entry["child"], entry["cause"], entry["exitCode"]) == ("db", "OOMKilled", 137)


def test_c08_a_node_that_reboots_is_one_incident(fake: Kube, recorder: Recorder, killed: Operator) -> None:
    """A node stops to answer and comes back with all containers restarted: nothing is counted, the group is restarted once, in order."""
    names = ("postgres", "kafka", "web")
    fake.apply(
        tree("shop", *(child("StatefulSet", name, notReadySeconds=1) for name in names), strategy="RestForOne"),
        *(workload("StatefulSet", name, real=False) for name in names),
    )
    wait_ready(fake, "shop")
    before = check.census(recorder, *names)
    for name in names:
        statuses.cut_off(fake, f"{name}-0")
    wait_condition(fake, "shop", "Ready", "False", "ChildrenNotUp")
    time.sleep(3)
    check.cost_nothing(fake.status("shop"))
    killed.kill()  # It ran on that node, too; so what it sees at first is all that has happened.
    for name in names:
        statuses.rebooted(fake, f"{name}-0")
    killed.start()
    status = wait_history(fake, "shop", 1)
    assert (status["restarts"], status["budget"]["used"]) == (0, 0)
    entry = status["history"][0]
    assert (entry["cause"], entry["counted"], entry["slice"]) == ("Lost", False, list(names))
    check.replaced_once(recorder, before)
    starts = [recorder.first(name, "released", but=check.old(before)) for name in names]
    assert starts == sorted(starts), recorder.story()


def test_c10_replicas_that_die_in_one_outage_are_one_restart(fake: Kube, recorder: Recorder) -> None:
    """Six replicas of one child crash within seconds because their database is away: one restart, one count, no pod replaced."""
    shop(fake, "api", kind="Deployment", replicas=6, strategy="OneForOne", intensity=3, periodSeconds=60)
    before = check.census(recorder, "api")
    pods = [pod["metadata"]["name"] for pod in fake.pods("api")]
    for name in pods:
        crash.pretend(fake, name, 1)
    eventually(lambda: used(fake) == 1, "the outage is counted")
    for name in pods:
        crash.recover(fake, name)
    check.counted_once(wait_history(fake, "shop", 1))
    assert wait_ready(fake, "shop")["children"][0]["restarts"] == 1
    check.untouched(recorder, before)


def test_c11_evictions_in_bulk_spend_nothing_and_show(fake: Kube, recorder: Recorder) -> None:
    """Five children are evicted within seconds: each comes back by itself, no budget is spent, and the history shows the churn."""
    names = ("a", "b", "c", "d", "e")
    shop(fake, *names, kind="Deployment", strategy="OneForOne", intensity=0)
    before = check.census(recorder, *names)
    for name in names:
        statuses.evict(fake, fake.pod(name))
    status = wait_history(fake, "shop", 5)
    assert (status["restarts"], status["budget"]["used"]) == (0, 0)
    assert {(it["child"], it["counted"]) for it in status["history"]} == {(name, False) for name in names}
    # A fake kubelet is so fast that a list may show a pod as gone before the watch tells why: then it was only Deleted.
    causes = {it["cause"] for it in status["history"]}
    assert "Disrupted" in causes
    assert causes <= {"Disrupted", "Deleted"}
    assert [it["restarts"] for it in wait_ready(fake, "shop")["children"]] == [1] * 5
    check.replaced_once(recorder, before)


def test_c14_a_child_scaled_to_zero_is_left_at_zero(fake: Kube, recorder: Recorder) -> None:
    """A downscaler set a child to zero: a group restart skips it, does not wait for it, and nobody scales it up."""
    shop(fake, "db", "web", "log", strategy="OneForAll")
    fake.scale("statefulset", "web", 0)
    eventually(lambda: _state(fake, "web") == "Suspended", "web is Suspended")
    before = check.census(recorder, "db", "log")
    crash.pretend(fake, "db-0", 3)
    check.counted_once(wait_history(fake, "shop", 1))
    check.replaced_once(recorder, before)
    web = fake.get("statefulset", "web")
    assert (web["spec"]["replicas"], web["metadata"]["generation"]) == (0, 2)
    assert _state(fake, "web") == "Suspended"
    fake.scale("statefulset", "web", 1)
    eventually(lambda: _state(fake, "web") == "Up", "web is Up again")
    status = wait_ready(fake, "shop")
    assert len(status["history"]) == 1


def _state(kube: Kube, name: str) -> str:
    states = {it["name"]: str(it["state"]) for it in kube.status("shop")["children"]}
    return states[name]


def test_c15_drain_preemption_and_taint_spend_nothing(fake: Kube, recorder: Recorder) -> None:
    """Evicted, preempted by the scheduler, driven off by a taint: the group restarts each time, uncounted, and the next crash is the first."""
    names = ("db", "web", "log")
    wait = {"initialSeconds": 600, "factor": 2, "maxSeconds": 3600, "jitterPercent": 0}
    fake.apply(
        tree("shop", *(child("Deployment", name) for name in names), strategy="OneForAll", intensity=1, backoff=wait),
        workload("Deployment", "db", real=False),
        workload("Deployment", "web", real=False, resources=MOST_OF_A_NODE),
        workload("Deployment", "log", real=False),
    )
    wait_ready(fake, "shop")
    disruptors = {"db": _evict, "web": _preempt, "log": _taint}
    try:
        for operation, (name, disrupt) in enumerate(disruptors.items(), start=1):
            before = check.census(recorder, *names)
            disrupt(fake, fake.pods(name)[0])
            status = wait_history(fake, "shop", operation)
            entry = status["history"][0]
            assert (entry["cause"], entry["counted"]) == ("Disrupted", False), (name, entry)
            assert (status["restarts"], status["budget"]["used"]) == (0, 0)
            check.replaced_once(recorder, before)
    finally:
        fake.run("taint", "nodes", "--all", f"{TAINT}-", check=False)
        fake.run("uncordon", "--selector=suptree.dev/node=fake")
        fake.run("delete", "priorityclass", fake.namespace, "--ignore-not-found")
    crash.pretend(fake, fake.pod("db"), 3)
    status = wait_history(fake, "shop", 4)
    assert (status["restarts"], status["budget"]["used"]) == (1, 1)


TAINT = "suptree.dev/test"
MOST_OF_A_NODE = {"requests": {"cpu": "600"}}


def _evict(kube: Kube, pod: Json) -> None:
    statuses.evict(kube, pod["metadata"]["name"])


def _taint(kube: Kube, pod: Json) -> None:
    kube.run("taint", "node", pod["spec"]["nodeName"], f"{TAINT}=x:NoExecute")


def _preempt(kube: Kube, pod: Json) -> None:
    """Place a pod that is more important on the node of this one, where there is room for one of them, and no other comes."""
    kube.run("create", "priorityclass", kube.namespace, "--value=1000")
    kube.run("cordon", pod["spec"]["nodeName"])  # Else the next pod may get there first, and be preempted again.
    node = kube.get("node", pod["spec"]["nodeName"])["metadata"]["labels"]["kubernetes.io/hostname"]
    urgent = pod_template("urgent", real=False, resources=MOST_OF_A_NODE)
    urgent["spec"]["tolerations"].append({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"})
    urgent["spec"] |= {"priorityClassName": kube.namespace, "nodeSelector": {"kubernetes.io/hostname": node}}
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "urgent"}, "spec": urgent["spec"]})


def test_c18_crash_loop_back_off_after_exit_0_is_no_crash(fake: Kube, recorder: Recorder) -> None:
    """A Transient child that ends with 0 five times is shown as CrashLoopBackOff, and costs nothing all the same."""
    fake.apply(
        tree(
            "shop",
            child("StatefulSet", "job", restart="Transient"),
            child("StatefulSet", "web"),
            strategy="OneForAll",
            intensity=0,
        ),
        *(workload("StatefulSet", name, real=False) for name in ("job", "web")),
    )
    wait_ready(fake, "shop")
    before = check.census(recorder, "job", "web")
    for _ in range(5):
        crash.pretend(fake, "job-0", 0, "Completed")
        dead = statuses.container(fake, "job-0")["state"]
        statuses.write(fake, "job-0", main={"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": dead})
        crash.recover(fake, "job-0")
    eventually(lambda: last_exit(fake, "job"), "the end shows")
    found = last_exit(fake, "job")
    assert found is not None
    assert (found["cause"], found["exitCode"]) == ("Completed", 0)
    check.cost_nothing(wait_ready(fake, "shop"))
    check.untouched(recorder, before)


def test_c20_a_pod_that_ends_with_its_node_is_replaced_for_nothing(fake: Kube, recorder: Recorder) -> None:
    """After a graceful node shutdown pods are Succeeded or Failed, for ever: they are replaced, the group restarts, nothing is counted."""
    fake.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=0),
        workload("StatefulSet", "db", real=False),
        workload("Deployment", "web", real=False),
    )
    wait_ready(fake, "shop")
    for operation, (app, phase, code, is_marked) in enumerate(
        (("db", "Succeeded", 0, False), ("web", "Succeeded", 0, True), ("web", "Failed", 143, False)), start=1
    ):
        before = check.census(recorder, "db", "web")
        statuses.is_over(fake, fake.pod(app), phase, "Terminated", code=code, is_marked=is_marked)
        status = wait_history(fake, "shop", operation)
        entry = status["history"][0]
        assert (entry["child"], entry["cause"], entry["counted"]) == (app, "Disrupted", False)
        assert (status["restarts"], status["budget"]["used"]) == (0, 0)
        check.replaced_once(recorder, before)


def test_c22_an_eviction_loop_parks_the_tree(fake: Kube) -> None:
    """A pod that is evicted again and again is no crash, and still the tree parks in the end, and says DisruptionStorm."""
    shop(fake, "cache", kind="Deployment", strategy="OneForOne", intensity=1, periodSeconds=600)
    for _ in range(11):
        pod = eventually(lambda: _ready_pod(fake, "cache"), "cache runs")
        assert pod is not None
        statuses.is_over(fake, pod, "Failed", "Evicted", code=137, is_marked=True)
    status = wait_condition(fake, "shop", "Stalled", "True", "Parked")
    assert status["exhausted"]["reason"] == "DisruptionStorm"
    assert (status["restarts"], status["budget"]["used"]) == (0, 0)
    said = next(it["message"] for it in status["conditions"] if it["type"] == "Stalled")
    assert "cache" in said


def _ready_pod(kube: Kube, app: str) -> str | None:
    found = [pod for pod in kube.pods(app) if pod["status"]["phase"] == "Running"]
    return str(found[0]["metadata"]["name"]) if found else None


def test_c54_who_waits_for_its_database_is_no_zombie(fake: Kube, recorder: Recorder) -> None:
    """While the database is Not Ready those that need it may be, too; alone they are zombies after notReadySeconds."""
    fake.apply(
        tree(
            "shop",
            child("StatefulSet", "db"),
            child("Deployment", "api", notReadySeconds=2),
            strategy="RestForOne",
        ),
        workload("StatefulSet", "db", real=False),
        workload("Deployment", "api", 2, real=False),
    )
    wait_ready(fake, "shop")
    before = check.census(recorder, "db", "api")
    api = [pod["metadata"]["name"] for pod in fake.pods("api")]
    for name in ("db-0", *api):
        statuses.not_ready(fake, name)
    wait_condition(fake, "shop", "Ready", "False", "ChildrenNotUp")
    time.sleep(4)
    check.cost_nothing(fake.status("shop"))
    check.untouched(recorder, before)
    for name in ("db-0", *api):
        statuses.ready(fake, name)
    check.cost_nothing(wait_ready(fake, "shop"))

    statuses.not_ready(fake, api[0])
    entry = check.counted_once(wait_history(fake, "shop", 1))
    assert (entry["child"], entry["cause"], entry["pod"]) == ("api", "Zombie", api[0])
    check.untouched(recorder, before, "db")
