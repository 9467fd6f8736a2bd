"""Where the gate policy is not installed: an ordered restart goes child by child, and the tree says so."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from e2e.lib import check, crash
from e2e.lib.kube import Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.operator import Operator, install
from e2e.lib.recorder import WHAT, Recorder
from e2e.lib.target import Target
from e2e.lib.workloads import child, pod_template, tree, workload
from suptree.cluster.gating import LAG_SECONDS

ORDER = ["db", "web", "worker"]
BOTH = "mutatingadmissionpolicybinding,mutatingadmissionpolicy"
KEEPER = "keep-reading-configmaps"
PROBE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}


def keeper() -> list[dict[str, Any]]:
    """Return a policy whose parameters are ConfigMaps, too.

    When no binding uses ConfigMaps any more, the API server stops reading them and never begins again until it is
    started anew (kubernetes/kubernetes#130887): the gate policy would be dead for all tests that follow.
    """
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    mark = "Object{metadata: Object.metadata{labels: {'kept': 'yes'}}}"
    api = "admissionregistration.k8s.io/v1"
    policy = {
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "Never",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "probe", "expression": "object.metadata.name == 'probe'"}],
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": mark}}],
    }
    binding = {"policyName": KEEPER, "paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"}}
    return [
        {"apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": {"name": KEEPER}, "spec": policy},
        {"apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": KEEPER}, "spec": binding},
    ]


def would_be(kube: Kube, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what the API server would store."""
    return kube.create(manifest["kind"], manifest, is_dry_run=True)


def is_held(kube: Kube, app: str) -> bool:
    """Tell whether a new pod of the app would be held."""
    template = pod_template(app, real=True)
    template["metadata"]["name"] = "probe"
    pod = would_be(kube, {"apiVersion": "v1", "kind": "Pod", **template})
    return "schedulingGates" in pod["spec"]


@contextmanager
def without_gate(target: Target, operator: Operator, kube: Kube) -> Iterator[None]:
    """Let the operator start where there is no gate policy; put it back."""
    target.kube.apply(*keeper())
    eventually(lambda: "kept" in would_be(kube, PROBE)["metadata"].get("labels", {}), "the keeper is in force")
    operator.stop()
    target.kube.run("delete", BOTH, "suptree-hold")
    try:
        operator.start()
        yield
    finally:
        if operator.process is not None:
            operator.stop()
        install(target)
        operator.start()
        eventually(lambda: is_held(kube, "db"), "the gate is in force again")
        target.kube.run("delete", BOTH, KEEPER)


def test_without_the_gate_a_restart_goes_child_by_child(
    target: Target, operator: Operator, real: Kube, recorder: Recorder
) -> None:
    """Without the gate policy each child is stopped only when the one before it is Ready again; no pod is held, and a condition says why."""
    with without_gate(target, operator, real):
        real.apply(
            tree(
                "shop",
                child("StatefulSet", "front"),
                *(child("Deployment", name) for name in ORDER),
                strategy="RestForOne",
            ),
            workload("StatefulSet", "front"),
            workload("Deployment", "db"),
            workload("Deployment", "web", 2),
            workload("Deployment", "worker"),
        )
        wait_ready(real, "shop")
        status = wait_condition(real, "shop", "OrderEnforced", "False", "GateNotInstalled")
        said = next(it["message"] for it in status["conditions"] if it["type"] == "OrderEnforced")
        assert "child by child" in said
        before = check.census(recorder, "front", *ORDER)
        crash.end(real, real.pod("db"), 3)
        entry = check.counted_once(wait_history(real, "shop", 1))
        assert entry["slice"] == ORDER
        check.replaced_once(recorder, before, *ORDER)
        check.untouched(recorder, before, "front")
        for earlier, later in pairwise(ORDER):
            turn = recorder.first(later, "deleting")
            assert recorder.last(earlier, "gone") < turn, recorder.story()
            for uid in check.new(recorder, before, earlier):
                assert any(it.uid == uid and WHAT["ready"](it) for it in recorder.changes[:turn]), recorder.story()
        assert recorder.held() == []
    wait_condition(real, "shop", "OrderEnforced", "True", "GateInstalled")


def test_a_policy_that_is_not_in_force_is_told(target: Target, fake: Kube) -> None:
    """When the policy is there and holds nothing, OrderEnforced names a pod that shows it, until the next pod that is held."""
    fake.apply(tree("shop", child("StatefulSet", "web")), workload("StatefulSet", "web", real=False))
    wait_ready(fake, "shop")
    install(target, f"gate.excludeNamespaces={{{fake.namespace}}}")
    try:
        time.sleep(LAG_SECONDS + 2)
        fake.scale("statefulset", "web", 2)
        wait_condition(fake, "shop", "OrderEnforced", "False", "GateNotInForce")
        assert "pod web-1 " in fake.condition("shop", "OrderEnforced")["message"]
    finally:
        install(target)
    time.sleep(LAG_SECONDS + 2)
    fake.scale("statefulset", "web", 3)
    wait_condition(fake, "shop", "OrderEnforced", "True", "GateInstalled")
    wait_ready(fake, "shop")
