"""The chart with the real Helm and a real API server: what it renders, refuses and allows."""

import asyncio
import collections.abc
import json
import pathlib
import subprocess
import typing

import kubernetes.aio.client
import pytest
import yaml

from e2e.cluster.cluster import Cluster
from suptree.cluster.client import Api

Json = dict[str, typing.Any]

ROOT = pathlib.Path(__file__).parents[1]
CHART = str(ROOT / "charts" / "suptree")
NAMESPACE = "suptree-chart-test"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:suptree"

EVERYTHING: Json = {
    "fullnameOverride": "supervisor",
    "image": {"repository": "example.org/suptree", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "watchNamespaces": ["default", "kube-public"],
    "crds": {"keep": False},
    "gate": {"excludeNamespaces": ["kube-node-lease", "kube-system"]},
    "serviceAccount": {"name": "other", "annotations": {"example.org/role": "suptree"}},
    "extraArgs": ["--verbose"],
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "podLabels": {"team": "platform", "app.kubernetes.io/name": "mine"},
    "podAnnotations": {"example.org/scrape": "true"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "control-plane", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
}
NOTHING: Json = {
    "replicas": 0,
    "crds": {"enabled": False},
    "gate": {"enabled": False},
    "rbac": {"create": False},
    "serviceAccount": {"create": False},
}
VALUE_SETS: dict[str, Json] = {"defaults": {}, "everything": EVERYTHING, "nothing": NOTHING}


# TEMPORARY: delete this fixture when e2e/conftest.py has one of this name (this one would hide it).
@pytest.fixture(scope="session")
def cluster() -> collections.abc.Iterator[Cluster]:
    """Start a cluster without a real node."""
    with Cluster.start("gate", real_node=False, fake_nodes=2) as it:
        yield it


def helm(
    cluster: Cluster, *arguments: str, values: Json | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run helm with values."""
    command = [str(cluster.helm), "--kubeconfig", str(cluster.kubeconfig), *arguments]
    with_values = [*command, "--values", "-"] if values is not None else command
    return subprocess.run(
        with_values, input=json.dumps(values or {}), text=True, check=check, stdout=-1, stderr=subprocess.STDOUT
    )


def rendered(cluster: Cluster, values: Json, *more: str) -> dict[tuple[str, str], Json]:
    """Render the chart; give its objects by kind and namespace-or-name."""
    text = helm(cluster, "template", "suptree", CHART, "--namespace", NAMESPACE, *more, values=values).stdout
    objects = [it for it in yaml.safe_load_all(text) if it]
    keys = [(it["kind"], it["metadata"].get("namespace") or it["metadata"]["name"]) for it in objects]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, objects, strict=True))


def kubectl(cluster: Cluster, *arguments: str, stdin: str = "", check: bool = True) -> str:
    """Run kubectl as the administrator."""
    command = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), *arguments]
    return subprocess.run(command, input=stdin, text=True, check=check, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> str:
    """Make the namespace of the release, which takes only pods of the strictest standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    kubectl(cluster, "apply", "--filename", "-", stdin=json.dumps(manifest))
    return NAMESPACE


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS.keys())
def test_helm_finds_nothing_wrong(cluster: Cluster, values: Json) -> None:
    """`helm lint --strict` is content."""
    assert "0 chart(s) failed" in helm(cluster, "lint", CHART, "--strict", values=values).stdout


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS.keys())
def test_the_api_server_takes_every_object(cluster: Cluster, namespace: str, values: Json) -> None:
    """What the chart renders is valid to the last field."""
    objects = rendered(cluster, values)
    text = yaml.safe_dump_all(objects.values())
    said = kubectl(
        cluster, "apply", "--namespace", namespace, "--dry-run=server", "--validate=strict", "--filename", "-",
        stdin=text,
    )  # fmt: skip
    assert len(said.splitlines()) == len(objects)


def test_the_defaults_render_these_objects(cluster: Cluster) -> None:
    """Installed with nothing set, the operator watches all namespaces with rights of its own, and the gate is there."""
    objects = rendered(cluster, {})
    assert set(objects) == {
        ("CustomResourceDefinition", "supervisiontrees.suptree.dev"),
        ("ServiceAccount", NAMESPACE),
        ("ClusterRole", "suptree"),
        ("ClusterRoleBinding", "suptree"),
        ("ClusterRole", "suptree-view"),
        ("ClusterRole", "suptree-edit"),
        ("Deployment", NAMESPACE),
        ("MutatingAdmissionPolicy", "suptree-hold"),
        ("MutatingAdmissionPolicyBinding", "suptree-hold"),
    }
    deployment = objects["Deployment", NAMESPACE]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "ghcr.io/suptree/suptree:0.1.0"
    assert (container["command"], container["args"]) == (["python", "-m", "suptree"], ["--all-namespaces"])
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["runAsUser"] == 65532
    assert {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} == {"/healthz"}
    gate = objects["MutatingAdmissionPolicy", "suptree-hold"]["spec"]
    assert gate["failurePolicy"] == "Ignore"
    (outside,) = gate["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert (outside["operator"], outside["values"]) == ("NotIn", ["kube-system", NAMESPACE])


def test_watched_namespaces_bound_the_rights_and_the_gate(cluster: Cluster) -> None:
    """With watchNamespaces the operator has rights, and pods are held, in those namespaces only."""
    objects = rendered(cluster, EVERYTHING)
    assert {key for key in objects if key[0] in {"Role", "RoleBinding"}} == {
        (kind, name) for kind in ("Role", "RoleBinding") for name in ("default", "kube-public")
    }
    (rule,) = objects["ClusterRole", "supervisor"]["rules"]
    assert (rule["resources"], rule["verbs"]) == (["mutatingadmissionpolicies"], ["get"])
    everywhere = rendered(cluster, {})["ClusterRole", "suptree"]["rules"]
    assert objects["Role", "default"]["rules"] == [it for it in everywhere if it != rule]
    assert objects["RoleBinding", "default"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "other", "namespace": NAMESPACE}
    ]
    (container,) = objects["Deployment", NAMESPACE]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["--namespace", "default", "--namespace", "kube-public", "--verbose"]
    gate = objects["MutatingAdmissionPolicy", "suptree-hold"]["spec"]
    outside, inside = gate["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert outside["values"] == ["kube-system", NAMESPACE, "kube-node-lease"]
    assert (inside["operator"], inside["values"]) == ("In", ["default", "kube-public"])


def test_every_setting_reaches_the_pod(cluster: Cluster) -> None:
    """What is set for the operator's pod is in it, and the chart's own labels win."""
    objects = rendered(cluster, EVERYTHING)
    template = objects["Deployment", NAMESPACE]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == "example.org/suptree@sha256:" + "0" * 64
    assert (container["imagePullPolicy"], container["env"]) == ("Always", EVERYTHING["extraEnv"])
    for name in ("imagePullSecrets", "priorityClassName", "nodeSelector", "tolerations", "affinity"):
        assert template["spec"][name] == EVERYTHING[name]
    assert template["spec"]["serviceAccountName"] == "other"
    assert template["metadata"]["labels"]["team"] == "platform"
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "suptree"
    assert template["metadata"]["annotations"] == EVERYTHING["podAnnotations"]
    assert objects["ServiceAccount", NAMESPACE]["metadata"]["annotations"] == {"example.org/role": "suptree"}


def test_everything_can_be_left_out(cluster: Cluster) -> None:
    """Whoever brings the CRD, the rights and the account gets the Deployment alone."""
    assert set(rendered(cluster, NOTHING)) == {("Deployment", NAMESPACE)}


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "not kept"])
def test_the_crd_is_the_generated_one(cluster: Cluster, keep: bool) -> None:
    """The installed CRD is that of crds/, and `helm uninstall` leaves it unless told otherwise."""
    crd = rendered(cluster, {"crds": {"keep": keep}})["CustomResourceDefinition", "supervisiontrees.suptree.dev"]
    assert crd["metadata"].pop("annotations", None) == ({"helm.sh/resource-policy": "keep"} if keep else None)
    assert crd["metadata"].pop("labels")["app.kubernetes.io/part-of"] == "suptree"
    assert crd == yaml.safe_load((ROOT / "crds" / "suptree.dev_supervisiontrees.yaml").read_text())


@pytest.mark.parametrize(("version", "is_there"), [("1.35.4", False), ("1.36.0", True), ("1.37.2", True)])
def test_the_gate_is_left_out_before_it_exists(cluster: Cluster, version: str, is_there: bool) -> None:
    """On Kubernetes before 1.36 the chart installs without the policy, which the API server would not know."""
    objects = rendered(cluster, {}, "--kube-version", version)
    assert (("MutatingAdmissionPolicy", "suptree-hold") in objects) is is_there
    assert (("MutatingAdmissionPolicyBinding", "suptree-hold") in objects) is is_there


REFUSED: dict[str, tuple[Json, str]] = {
    "two operators": ({"replicas": 2}, "replicas"),
    "a typing error": ({"gates": {"enabled": False}}, "gates"),
    "no namespace": ({"watchNamespaces": ["Not/One"]}, "watchNamespaces"),
    "a string for a number": ({"replicas": "one"}, "replicas"),
}


@pytest.mark.parametrize(("values", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_wrong_values_are_refused(cluster: Cluster, values: Json, field: str) -> None:
    """Helm names the value that is wrong instead of installing something else."""
    answer = helm(cluster, "template", "suptree", CHART, values=values, check=False)
    assert answer.returncode != 0
    assert field in answer.stdout


@pytest.fixture(scope="module")
def notes(cluster: Cluster, namespace: str) -> collections.abc.Iterator[str]:
    """Install the rights and nothing that other tests could notice; give the notes."""
    values = {"replicas": 0, "crds": {"enabled": False}, "gate": {"enabled": False}, "fullnameOverride": NAMESPACE}
    account = {"serviceAccount": {"name": "suptree"}}
    yield helm(cluster, "install", "chart-test", CHART, "--namespace", namespace, values={**values, **account}).stdout
    helm(cluster, "uninstall", "chart-test", "--namespace", namespace)


def test_the_notes_say_what_to_do_next(notes: str) -> None:
    """After the installation Helm says how to wait, what to apply, and what was left out."""
    assert f"kubectl -n {NAMESPACE} rollout status deployment/{NAMESPACE}" in notes
    assert "kind: SupervisionTree" in notes
    assert "kubectl get crd supervisiontrees.suptree.dev" in notes
    assert "gate.enabled is false" in notes


MAY = (
    "list supervisiontrees.suptree.dev",
    "update supervisiontrees.suptree.dev/status",
    "delete pods",
    "patch pods",
    "watch deployments.apps",
    "create events.events.k8s.io",
    "create configmaps",
    "patch configmaps/suptree-index",
)
MAY_NOT = (
    "create pods",
    "update pods",
    "create pods/exec",
    "deletecollection pods",
    "patch deployments.apps",
    "patch statefulsets.apps/scale",
    "update supervisiontrees.suptree.dev",
    "delete supervisiontrees.suptree.dev",
    "get configmaps",
    "patch configmaps/other",
    "get secrets",
    "get nodes",
    "list namespaces",
    "create mutatingadmissionpolicies.admissionregistration.k8s.io",
    "list mutatingadmissionpolicies.admissionregistration.k8s.io",
)


@pytest.mark.usefixtures("notes")
def test_the_operator_may_do_what_it_does_and_no_more(cluster: Cluster) -> None:
    """The API server grants the operator's account these rights and refuses the others."""
    found = {}
    for right in (*MAY, *MAY_NOT):
        verb, resource = right.split(" ")
        sub = ["--subresource", resource.split("/")[1]] if resource.endswith(("/status", "/exec", "/scale")) else []
        name = resource.split("/")[0] if sub else resource
        said = kubectl(
            cluster, "auth", "can-i", "--quiet", "--as", ACCOUNT, verb, name, *sub, "-n", "default", check=False
        )
        found[right] = said
        answer = kubectl(cluster, "auth", "can-i", "--as", ACCOUNT, verb, name, *sub, "-n", "default", check=False)
        found[right] = answer.strip()
    assert found == {right: "yes" for right in MAY} | {right: "no" for right in MAY_NOT}


@pytest.mark.usefixtures("notes")
def test_the_operators_index_can_be_written_with_these_rights(cluster: Cluster) -> None:
    """With its own account the operator creates, changes and deletes the index, and sees whether there is a policy."""
    token = kubectl(cluster, "create", "token", "suptree", "--namespace", NAMESPACE).strip()
    account = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    asyncio.run(_write_index(account, token))
    assert "suptree-index" not in kubectl(cluster, "get", "configmaps", "--namespace", "kube-public")


async def _write_index(account: Json, token: str) -> None:
    configuration = kubernetes.aio.client.Configuration()
    configuration.host = account["server"]
    configuration.verify_ssl = False
    configuration.api_key = {"BearerToken": f"Bearer {token}"}
    api = Api(configuration, "chart-test")
    try:
        await api.apply_index("kube-public", {"app.web": "shop hold app=web"})
        await api.apply_index("kube-public", {"app.db": "shop hold app=db"})
        await api.delete_index("kube-public")
        await api.is_policy_installed()
    finally:
        await api.close()


def test_the_operators_pod_meets_the_strictest_standard(cluster: Cluster, namespace: str) -> None:
    """The pod is taken in a namespace that enforces the restricted Pod Security Standard."""
    template = rendered(cluster, {})["Deployment", NAMESPACE]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}, "spec": template["spec"]}
    del pod["spec"]["serviceAccountName"]
    said = kubectl(cluster, "create", "-n", namespace, "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    assert said == "pod/it created (server dry run)\n"
