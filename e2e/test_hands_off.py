"""When the operator must keep its hands off, and what happens to what it held."""

import time

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready, wait_restarted
from e2e.lib.recorder import WHAT, Recorder
from e2e.lib.workloads import child, tree, workload


def pair(kube: Kube, **spec: object) -> None:
    """Apply a tree of two Deployments under OneForAll, and wait until it is Ready."""
    kube.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), strategy="OneForAll", **spec),
        workload("Deployment", "db"),
        workload("Deployment", "web"),
    )


def test_a_suspended_tree_is_left_alone_and_nothing_is_replayed(real: Kube, recorder: Recorder) -> None:
    """While a tree is suspended crashes cost nothing and new pods start at once; on resume nothing of it is made up for."""
    pair(real)
    wait_ready(real, "shop")
    real.patch("suptree", "shop", {"spec": {"suspend": True}})
    wait_condition(real, "shop", "Ready", "False", "Suspended")
    before = check.census(recorder, "db", "web")
    db = real.pod("db")
    crash.end(real, db, 3)
    wait_restarted(real, db, 1)
    check.cost_nothing(real.status("shop"))
    check.untouched(recorder, before)
    real.delete("pod", real.pod("web"))
    eventually(lambda: [it["ready"] for it in real.status("shop")["children"]] == [1, 1], "web runs again")
    check.untouched(recorder, before, "db")

    real.patch("suptree", "shop", {"spec": {"suspend": False}})
    check.cost_nothing(wait_condition(real, "shop", "Ready", "True", "AllChildrenUp"))
    before = check.census(recorder, "db", "web")
    crash.end(real, real.pod("web"), 4)
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["child"], entry["exitCode"]) == ("web", 4)
    check.replaced_once(recorder, before)


def test_suspending_in_the_middle_of_a_restart_lets_every_pod_go(fake: Kube, recorder: Recorder) -> None:
    """Suspending a tree ends its restart where it is: what was held starts, and the restart is not taken up again on resume."""
    middle_of_a_restart(fake, recorder)
    fake.patch("suptree", "shop", {"spec": {"suspend": True}})
    wait_condition(fake, "shop", "Ready", "False", "Suspended")
    all_started(fake)
    assert fake.status("shop")["history"][0]["outcome"] == "Superseded"
    assert "operation" not in fake.status("shop")
    before = check.census(recorder, "db", "web", "worker")
    fake.patch("suptree", "shop", {"spec": {"suspend": False}})
    status = wait_condition(fake, "shop", "Ready", "True", "AllChildrenUp")
    assert (status["restarts"], len(status["history"])) == (1, 1)
    check.untouched(recorder, before)


def test_observe_decides_and_touches_nothing(real: Kube, recorder: Recorder) -> None:
    """In mode Observe the history says what would have been restarted and the budget counts it, but no pod is touched or held."""
    pair(real, mode="Observe")
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "web")
    db = real.pod("db")
    crash.end(real, db, 3)
    status = wait_history(real, "shop", 1, outcome="Observed")
    wait_restarted(real, db, 1)
    entry = status["history"][0]
    assert (entry["slice"], entry["cause"], entry["counted"]) == (["db", "web"], "Crash", True)
    assert status["budget"]["used"] == 1
    eventually(lambda: real.events("WouldRestart"), "an Event tells of it")
    check.untouched(recorder, before)
    real.delete("pod", real.pod("web"))
    wait_history(real, "shop", 2, outcome="Observed")
    wait_ready(real, "shop")
    check.untouched(recorder, before, "db")
    assert recorder.held() == []


def test_a_job_is_refused_by_name_when_jobs_may_not_be_created(real: Kube, recorder: Recorder) -> None:
    """A tree with a Job is not accepted unless recreate.enabled is set: the condition names it, and nothing is touched."""
    job = {"name": "job", "targetRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "job"}}
    real.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), job, strategy="OneForAll"),
        workload("Deployment", "db"),
        workload("Deployment", "web"),
    )
    status = wait_condition(real, "shop", "Accepted", "False", "RecreateDisabled")
    said = next(it["message"] for it in status["conditions"] if it["type"] == "Accepted")
    assert "job (Job job)" in said
    assert "recreate.enabled" in said
    real.wait_rolled_out("deployment", "db")
    real.wait_rolled_out("deployment", "web")
    before = check.census(recorder, "db", "web")
    db = real.pod("db")
    crash.end(real, db, 3)
    wait_restarted(real, db, 1)
    check.untouched(recorder, before)
    assert real.condition("shop", "Ready")["reason"] == "NotAccepted"
    real.patch("suptree", "shop", {"spec": {"children": [child("Deployment", "db"), child("Deployment", "web")]}})
    check.cost_nothing(wait_condition(real, "shop", "Ready", "True", "AllChildrenUp"))
    check.untouched(recorder, before)


def middle_of_a_restart(kube: Kube, recorder: Recorder) -> None:
    """Leave a tree of three in the middle of a restart: db takes its time to stop, web and worker are held."""
    deaf = workload("StatefulSet", "db", real=False)
    deaf["spec"]["template"]["metadata"]["annotations"] = {"suptree.dev/deaf": ""}
    kube.apply(
        tree(
            "shop",
            child("StatefulSet", "db", shutdownSeconds=4),
            child("Deployment", "web"),
            child("Deployment", "worker"),
            strategy="OneForAll",
        ),
        deaf,
        workload("Deployment", "web", 2, real=False),
        workload("Deployment", "worker", real=False),
    )
    wait_ready(kube, "shop")
    assert kube.tree("shop")["metadata"].get("finalizers", []) == []
    crash.pretend(kube, kube.pod("worker"), 3)
    eventually(lambda: any(WHAT["deleting"](it) for it in recorder.changes if it.app == "db"), "db is being stopped")
    eventually(lambda: len(kube.held()) == 3, "web and worker are held")
    assert kube.tree("shop")["metadata"].get("finalizers", []) == []


def all_started(kube: Kube) -> None:
    """Wait until all pods of the three run and none is held."""
    kube.wait_rolled_out("statefulset", "db")
    kube.wait_rolled_out("deployment", "web")
    kube.wait_rolled_out("deployment", "worker")
    check.none_held(kube)


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_deleting_a_tree_in_the_middle_of_a_restart_lets_every_pod_go(
    fake: Kube, recorder: Recorder, cascade: str
) -> None:
    """A tree can be deleted at any time, at once: it has no finalizer, and every pod that it held starts."""
    middle_of_a_restart(fake, recorder)
    fake.run("delete", "suptree", "shop", f"--cascade={cascade}", "--wait=true", "--timeout=60s")
    all_started(fake)
    recorder.catch_up()
    deleted = recorder.deleted()
    eventually(lambda: not fake.run("get", "configmap", "suptree-index", check=False).stdout, "its index is gone")
    fake.delete("pod", fake.pod("worker"))
    all_started(fake)
    recorder.catch_up()
    assert len(recorder.deleted()) == len(deleted) + 1


def test_parallel_deletes_all_at_once_and_holds_nothing(real: Kube, recorder: Recorder) -> None:
    """With ordering Parallel every pod of the slice is on its way out before the first is gone, and no new one is held."""
    real.apply(
        tree(
            "shop",
            child("StatefulSet", "db", shutdownSeconds=2),
            child("Deployment", "web", shutdownSeconds=2),
            strategy="OneForAll",
            ordering="Parallel",
        ),
        workload("StatefulSet", "db", script="until [ -e /tmp/end ]; do sleep 0.1; done; exit 3"),
        workload("Deployment", "web", 2, script="exec deaf"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "web")
    crash.end(real, "db-0", 3)
    check.counted_once(wait_history(real, "shop", 1))
    check.replaced_once(recorder, before)
    assert recorder.held() == []
    going = [
        next(at for at, it in enumerate(recorder.changes) if it.uid == uid and WHAT["deleting"](it))
        for uid in before["db"] + before["web"]
    ]
    assert max(going) < min(recorder.first(app, "gone") for app in ("db", "web")), recorder.story()
    assert real.condition("shop", "OrderEnforced")["reason"] == "NotOrdered"


def test_of_two_trees_the_older_keeps_a_child_and_the_younger_takes_over(fake: Kube, recorder: Recorder) -> None:
    """A child that two trees name belongs to the older one; the younger says so, acts on nothing, and takes over when the older goes."""
    fake.apply(
        workload("Deployment", "web", real=False),
        workload("Deployment", "blog", real=False),
        workload("Deployment", "api", real=False),
        tree("a-older", child("Deployment", "web"), child("Deployment", "blog"), strategy="OneForAll"),
    )
    check.cost_nothing(wait_ready(fake, "a-older"))
    eventually(
        lambda: fake.tree("a-older")["metadata"]["creationTimestamp"] < server_time(fake), "the next one is younger"
    )
    fake.apply(tree("b-younger", child("Deployment", "web"), child("Deployment", "api"), strategy="OneForAll"))
    status = wait_condition(fake, "b-younger", "ResolvedRefs", "False", "ClaimedByOtherTree")
    assert "a-older" in next(it["message"] for it in status["conditions"] if it["type"] == "ResolvedRefs")
    before = check.census(recorder, "web", "blog", "api")
    crash.pretend(fake, fake.pod("web"), 3)
    check.counted_once(wait_history(fake, "a-older", 1))
    check.replaced_once(recorder, before, "web", "blog")
    check.untouched(recorder, before, "api")
    check.cost_nothing(fake.status("b-younger"))

    fake.delete("suptree", "a-older")
    check.cost_nothing(wait_ready(fake, "b-younger"))
    before = check.census(recorder, "web", "blog", "api")
    crash.pretend(fake, fake.pod("web"), 3)
    check.counted_once(wait_history(fake, "b-younger", 1))
    check.replaced_once(recorder, before, "web", "api")
    check.untouched(recorder, before, "blog")


def server_time(kube: Kube) -> str:
    """Return the API server's time, as it writes it into new objects."""
    made = kube.create("configmap", {"metadata": {"name": "clock"}}, is_dry_run=True)
    return str(made["metadata"]["creationTimestamp"])


def test_a_child_may_come_later_than_its_tree(fake: Kube, recorder: Recorder) -> None:
    """A child that is not there yet, or is deleted and made anew, is a condition and never a failure."""
    fake.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), strategy="OneForAll"),
        workload("Deployment", "web", real=False),
    )
    status = wait_condition(fake, "shop", "ResolvedRefs", "False", "ChildMissing")
    assert status["children"][0]["state"] == "Missing"
    fake.wait_rolled_out("deployment", "web")
    before = check.census(recorder, "web")
    fake.apply(workload("Deployment", "db", real=False))
    check.cost_nothing(wait_ready(fake, "shop"))

    fake.delete("deployment", "db")
    wait_condition(fake, "shop", "ResolvedRefs", "False", "ChildMissing")
    fake.apply(workload("Deployment", "db", real=False))
    check.cost_nothing(wait_condition(fake, "shop", "Ready", "True", "AllChildrenUp"))
    check.untouched(recorder, before)
    before = check.census(recorder, "db", "web")
    crash.pretend(fake, fake.pod("db"), 3)
    check.counted_once(wait_history(fake, "shop", 1))
    check.replaced_once(recorder, before)


def stays(kube: Kube) -> list[Json]:
    """Return what keeps a namespace's trees and controllers from going before its pods: a policy, and where it holds."""
    name = f"keep-trees-{kube.namespace}"
    kept = {"suptree.dev": "supervisiontrees", "apps": "*"}
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "resources": [resource], "operations": ["DELETE"]}
        for group, resource in kept.items()
    ]
    within = {"matchLabels": {"kubernetes.io/metadata.name": kube.namespace}}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": within},
        "validations": [{"expression": "false"}],
    }
    kind = "ValidatingAdmissionPolicy"
    version = "admissionregistration.k8s.io/v1"
    binding = {"policyName": name, "validationActions": ["Deny"]}
    policy = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    bound = {"apiVersion": version, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": binding}
    return [policy, bound]


def test_pods_that_go_with_their_namespace_are_no_failure(fake: Kube, recorder: Recorder) -> None:
    """While a namespace is being deleted its trees decide nothing: no restart is tried, none is counted or told."""
    fake.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll"),
        workload("StatefulSet", "db", real=False),
        workload("Deployment", "web", real=False),
        *stays(fake),
    )
    wait_ready(fake, "shop")

    def can_go() -> bool:
        asked = ("delete", "suptree", "shop", "--dry-run=server", "--ignore-not-found")
        return fake.run(*asked, check=False).returncode == 0

    eventually(lambda: not can_go(), "the tree cannot be deleted")
    try:
        fake.delete_namespace()
        eventually(lambda: not fake.list("pods"), "all pods are gone")
        recorder.catch_up()
        db = [it for it in recorder.changes if it.app == "db" and it.pod["metadata"].get("deletionTimestamp")]
        assert db, "the pods were there, and went"
        assert fake.list("statefulsets"), "their controllers would make new ones, and may not"
        time.sleep(2)  # For whatever would be decided and told about it.
        check.cost_nothing(fake.status("shop"))
        assert fake.events("Restarting") == []
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            fake.delete(kind, f"keep-trees-{fake.namespace}")
        eventually(can_go, "the tree can be deleted")
