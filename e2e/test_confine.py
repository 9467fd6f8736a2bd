"""What Suptree's own accounts may do beyond what RBAC can say: the chart's ValidatingAdmissionPolicies, on a real API server."""

import json

from e2e.lib.api import Api
from e2e.lib.kube import Json, Kube, eventually
from e2e.lib.operator import NAMESPACE, RELEASE

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
HELD_TWICE: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "it", "labels": {"app": "it"}, "annotations": {"note": "mine"}},
    "spec": {
        "schedulingGates": [{"name": "suptree.dev/hold"}, {"name": "example.org/other"}],
        "containers": [{"name": "main", "image": "none"}],
    },
}

SPEC, GATES = "nothing in a pod's spec but lift its own scheduling gate", "no scheduling gate of a pod but its own"
LABELS, REST = "no label of a pod but its own", "may not change a pod's annotations, finalizers or owners"
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "other", "uid": "00000000-0000-0000-0000-000000000000"}
REFUSED: dict[str, tuple[Json, str]] = {
    "another image": ({"spec": {"containers": [{"name": "main", "image": "other"}]}}, SPEC),
    "an end": ({"spec": {"activeDeadlineSeconds": 1}}, SPEC),
    "another node": ({"spec": {"nodeSelector": {"kubernetes.io/hostname": "mine"}}}, SPEC),
    "a toleration": ({"spec": {"tolerations": [{"key": "x", "operator": "Exists"}]}}, SPEC),
    "the gate of another": ({"spec": {"schedulingGates": None}}, GATES),
    "another label": ({"metadata": {"labels": {"app": "other"}}}, LABELS),
    "a label away": ({"metadata": {"labels": {"app": None}}}, LABELS),
    "a label more": ({"metadata": {"labels": {"more": ""}}}, LABELS),
    "an annotation": ({"metadata": {"annotations": {"note": "ours"}}}, REST),
    "all annotations away": ({"metadata": {"annotations": None}}, REST),
    "a finalizer": ({"metadata": {"finalizers": ["example.org/mine"]}}, REST),
    "an owner": ({"metadata": {"ownerReferences": [OWNER]}}, REST),
}
ITS_OWN: Json = {"metadata": {"labels": {"suptree.dev/tree": "shop", "suptree.dev/operation": "1"}}}


def against(api: Api, kube: Kube, patch: Json) -> str:
    """Try to patch the pod, without carrying it out; return what was said against it, empty if nothing."""
    try:
        api.patch(kube.path("pod", "it"), patch, "strategic", dryRun="All")
    except AssertionError as error:
        return str(error)
    return ""


def test_a_stolen_token_changes_no_pod(kube: Kube) -> None:
    """The operator lifts its gate from a pod; under its account nothing else of the pod can be changed, and the refusal says so; others may."""
    kube.apply(HELD_TWICE)
    eventually(lambda: not kube.held(), "the operator lets go what no tree holds")
    assert kube.get("pod", "it")["spec"]["schedulingGates"] == [{"name": "example.org/other"}]
    ours = Api(kube.kubeconfig, ACCOUNT)
    for name, (patch, why) in REFUSED.items():
        answer = eventually(lambda it=patch: against(ours, kube, it), f"{name} is refused")  # type: ignore[misc]
        assert f"'{RELEASE}-confine-pods'" in answer, f"{name}: {answer}"
        assert why in answer, f"{name}: {answer}"
        assert against(kube.api, kube, patch) == "", name
    assert against(ours, kube, ITS_OWN) == ""


def test_a_stolen_token_creates_nothing_under_another_name(kube: Kube) -> None:
    """RBAC cannot limit `create` by name; the policy does, for the index and for the Lease; others may."""
    command = ("--namespace", NAMESPACE, "create", "--dry-run=server", "-f", "-")
    for version, kind in (("v1", "ConfigMap"), ("coordination.k8s.io/v1", "Lease")):
        other = json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": "other"}})
        kube.run(*command, given=other)
        answer = eventually(
            lambda it=other: kube.run(*command, "--as", ACCOUNT, given=it, check=False).stderr,  # type: ignore[misc]
            f"the {kind} is refused",
        )
        assert f"may create no {kind} but" in answer
