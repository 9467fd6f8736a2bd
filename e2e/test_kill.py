"""The operator is killed, at the worst moments, and started again: nothing is done twice, missed, or left half done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Kube, eventually, is_ready, wait_history, wait_ready, wait_restarted
from e2e.lib.operator import NAMESPACE, RELEASE, Operator
from e2e.lib.preloaded import PreloadedOperator
from e2e.lib.recorder import WHAT, Recorder
from e2e.lib.workloads import READY_WHEN_TOLD, child, tree, workload

THREE = ("db", "web", "worker")
MILLISECONDS = {"Parallel": (0, 60, 200), "Ordered": (0, 250)}
"""How long after the decision the operator is killed."""


def is_seen(recorder: Recorder, app: str, what: str) -> bool:
    """Tell whether a pod of the app was seen so."""
    return any(it.app == app and WHAT[what](it) for it in list(recorder.changes))


def wait_seen(recorder: Recorder, app: str, what: str) -> None:
    """Wait until a pod of the app is seen so."""
    eventually(lambda: is_seen(recorder, app, what), f"a pod of {app} is {what}")


def test_killed_between_the_first_and_the_second_stop(real: Kube, recorder: Recorder, killed: Operator) -> None:
    """Killed while the first of three children is still stopping, the operator comes back and ends that same restart, for one count."""
    real.apply(
        tree(
            "shop",
            child("StatefulSet", "db"),
            child("Deployment", "web"),
            child("Deployment", "worker", shutdownSeconds=3),
            strategy="OneForAll",
        ),
        workload("StatefulSet", "db"),
        workload("Deployment", "web", 2),
        workload("Deployment", "worker", script="exec deaf"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, *THREE)
    crash.end(real, "db-0", 3)
    wait_seen(recorder, "worker", "deleting")
    killed.kill()
    operation = real.status("shop")["operation"]
    assert (operation["id"], operation["stage"], operation["slice"]) == (1, "Stopping", list(THREE))
    assert not is_seen(recorder, "web", "deleting")
    wait_seen(recorder, "worker", "gone")
    eventually(lambda: len(real.held()) == 1, "the new pod of worker is held though the operator is down")
    check.untouched(recorder, before, "db", "web")
    killed.start()
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["child"], entry["exitCode"], entry["slice"]) == ("db", 3, list(THREE))
    check.replaced_once(recorder, before)
    check.none_held(real)


def test_killed_while_children_are_held(real: Kube, recorder: Recorder, killed: Operator) -> None:
    """Killed while children wait for an earlier one, the operator comes back and lets each go in its turn."""
    real.apply(
        tree("shop", *(child("Deployment", name) for name in THREE), strategy="OneForAll"),
        workload("Deployment", "db", readinessProbe=READY_WHEN_TOLD),
        workload("Deployment", "web"),
        workload("Deployment", "worker"),
    )
    crash.be_ready(real, "db")
    wait_ready(real, "shop")
    before = check.census(recorder, *THREE)
    crash.end(real, real.pod("web"), 3)

    def is_waiting() -> bool:
        operation = real.status("shop").get("operation") or {}
        return (operation.get("stage"), operation.get("child")) == ("Starting", "db") and len(real.held()) == 2

    eventually(is_waiting, "web and worker wait for db")
    killed.kill()
    crash.be_ready(real, "db")
    eventually(lambda: is_ready(real.get("pod", real.pod("db"))), "db is Ready")
    assert len(real.held()) == 2
    killed.start()
    check.counted_once(wait_history(real, "shop", 1))
    check.replaced_once(recorder, before)
    old = check.old(before)
    released_at = recorder.first("web", "released", but=old)
    assert recorder.last("web", "held") < released_at
    ready_at = recorder.first("web", "ready", after=released_at, but=old)
    assert ready_at < recorder.first("worker", "released", but=old), recorder.story()
    check.none_held(real)


def test_crashes_while_the_operator_is_down_are_one_exit(real: Kube, recorder: Recorder, killed: Operator) -> None:
    """A child that crashed twice while nobody watched is one exit, counted once, when the operator is back."""
    real.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll"),
        workload("StatefulSet", "db"),
        workload("Deployment", "web"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "web")
    killed.kill()
    crash.end(real, "db-0", 3)
    wait_restarted(real, "db-0", 1)
    crash.end(real, "db-0", 4)
    eventually(
        lambda: "running" not in real.get("pod", "db-0")["status"]["containerStatuses"][0]["state"], "it ends again"
    )
    check.untouched(recorder, before)
    killed.start()
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert (entry["cause"], entry["exitCode"]) == ("Crash", 4)
    check.replaced_once(recorder, before)


def test_c02_a_pod_deleted_while_the_operator_is_down_restarts_its_group(
    real: Kube, recorder: Recorder, killed: Operator
) -> None:
    """A child whose only pod was deleted while nobody watched is noticed by its new pod's UID, though the name is the same."""
    real.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll"),
        workload("StatefulSet", "db"),
        workload("Deployment", "web"),
    )
    wait_ready(real, "shop")
    before = check.census(recorder, "db", "web")
    killed.kill()
    real.delete("pod", "db-0")
    eventually(lambda: real.held() == ["db-0"], "the new pod is held, for the order")
    killed.start()
    status = wait_history(real, "shop", 1)
    assert (status["history"][0]["cause"], status["history"][0]["counted"]) == ("Deleted", False)
    assert status["budget"]["used"] == 0
    check.replaced_once(recorder, before)
    check.none_held(real)


def test_a_restart_of_the_operator_touches_nothing(fake: Kube, recorder: Recorder, killed: Operator) -> None:
    """When nothing happens, an operator that is killed and started again touches no pod and writes no status."""
    names = ("db", "web")
    kinds = {"db": "StatefulSet", "web": "Deployment"}
    fake.apply(
        tree("shop", *(child(kinds[name], name) for name in names), strategy="OneForAll"),
        tree("done", child("Deployment", "old"), child("Deployment", "older"), strategy="OneForAll"),
        *(workload(kinds[name], name, 5, real=False) for name in names),
        *(workload("Deployment", name, real=False) for name in ("old", "older")),
    )
    wait_ready(fake, "shop")
    wait_ready(fake, "done")
    crash.pretend(fake, fake.pod("old"))
    wait_history(fake, "done", 1)
    wait_ready(fake, "done")
    before = check.census(recorder, "db", "web", "old", "older")
    versions = [fake.tree(name)["metadata"]["resourceVersion"] for name in ("shop", "done")]
    killed.kill()
    killed.start()
    fake.apply(tree("later", child("Deployment", "new")), workload("Deployment", "new", real=False))
    wait_ready(fake, "later")
    check.untouched(recorder, before)
    assert [fake.tree(name)["metadata"]["resourceVersion"] for name in ("shop", "done")] == versions


def big(kube: Kube, ordering: str, each: int) -> None:
    """Apply a tree of three on fake nodes that never runs out of budget; wait until it is Ready."""
    kube.apply(
        tree(
            "shop",
            child("StatefulSet", "db"),
            child("Deployment", "web"),
            child("Deployment", "worker"),
            strategy="OneForAll",
            ordering=ordering,
            intensity=100,
        ),
        workload("StatefulSet", "db", each, real=False),
        workload("Deployment", "web", each, real=False),
        workload("Deployment", "worker", each, real=False),
    )
    wait_ready(kube, "shop")


@pytest.mark.parametrize("ordering", ["Parallel", "Ordered"])
def test_killed_at_any_moment(fake: Kube, recorder: Recorder, killed: Operator, ordering: str) -> None:
    """However long after the decision the operator is killed, each of 24 pods is replaced once and the restart is counted once."""
    big(fake, ordering, 8)
    were_under_way = []
    with Recorder(fake, "supervisiontrees") as trees:
        for operation, delay in enumerate(MILLISECONDS[ordering], start=1):
            before = check.census(recorder, *THREE)
            crash.pretend(fake, fake.pod("web"))
            wait_decided(trees, operation)
            time.sleep(delay / 1000)
            killed.kill()
            were_under_way.append("operation" in fake.status("shop"))
            killed.start()
            status = wait_history(fake, "shop", operation)
            wait_ready(fake, "shop")
            assert (status["restarts"], status["budget"]["used"]) == (operation, operation), f"after {delay} ms"
            check.replaced_once(recorder, before)
            check.none_held(fake)
    assert any(were_under_way), "no kill came in time"


def wait_decided(trees: Recorder, operation: int) -> None:
    """Wait, without any pause, until the decision is in the status of a tree."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if trees.changes and (trees.changes[-1].pod.get("status", {}).get("operation") or {}).get("id") == operation:
            return
        time.sleep(0.001)
    raise AssertionError(f"operation {operation} was not decided: {trees.changes[-1].pod.get('status')}")


@contextmanager
def undeletable(kube: Kube, app: str) -> Iterator[None]:
    """Have the API server refuse the operator's deletes of an app's pods."""
    name = f"keep-{kube.namespace}"
    user = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
    policy: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}
                ]
            },
            "matchConditions": [
                {
                    "name": "ours",
                    "expression": f"request.userInfo.username == '{user}' && request.namespace == '{kube.namespace}'",
                }
            ],
            "validations": [{"expression": f"oldObject.metadata.labels['app'] != '{app}'"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    kube.apply(policy, binding)
    try:
        pod = kube.pod(app)
        eventually(
            lambda: kube.run("delete", "pod", pod, "--dry-run=server", f"--as={user}", check=False).returncode,
            "the policy is in force",
        )
        yield
    finally:
        kube.run("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


def test_killed_between_two_deletes(fake: Kube, recorder: Recorder, killed: Operator) -> None:
    """Refused by the API server and then killed with half of its deletes done, the operator comes back and does the other half."""
    big(fake, "Parallel", 3)
    before = check.census(recorder, *THREE)
    with undeletable(fake, "web"):
        crash.pretend(fake, fake.pod("web"))
        check.all_gone(recorder, before, "db", "worker")
        check.untouched(recorder, before, "web")
        killed.kill()
        assert fake.status("shop")["operation"]["id"] == 1
    killed.start()
    check.counted_once(wait_history(fake, "shop", 1))
    check.replaced_once(recorder, before)


@pytest.mark.parametrize("ordering", ["Parallel", "Ordered"])
def test_two_operators_at_once_decide_once(
    fake: Kube, recorder: Recorder, operator: Operator, tmp_path: Path, ordering: str
) -> None:
    """Two operators at once do what one would do: every pod is replaced once, for one count."""
    big(fake, ordering, 6)
    second = PreloadedOperator(operator.kube, operator.config, tmp_path / "second.log")
    second.start()
    try:
        for operation in (1, 2):
            before = check.census(recorder, *THREE)
            crash.pretend(fake, fake.pod("web"))
            status = wait_history(fake, "shop", operation)
            wait_ready(fake, "shop")
            assert (status["restarts"], status["budget"]["used"]) == (operation, operation)
            check.replaced_once(recorder, before)
            check.none_held(fake)
        eventually(lambda: len(fake.events("Restarting")) == 2, "two Events tell of it")
    finally:
        second.stop()
