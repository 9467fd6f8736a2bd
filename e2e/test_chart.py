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

from e2e.lib import monitoring
from e2e.lib.target import Target
from suptree.cluster.client import Api
from tests import yamls

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
    "maxSimultaneousRestarts": 3,
    "scaleKinds": [{"apiGroup": "example.org", "resource": "caches"}, {"apiGroup": "", "resource": "things"}],
    "serviceAccount": {"name": "other", "annotations": {"example.org/role": "suptree"}},
    "extraArgs": ["--verbose"],
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "podLabels": {"team": "platform", "app.kubernetes.io/name": "mine"},
    "podAnnotations": {"example.org/scrape": "true"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "control-plane", "operator": "Exists", "effect": "NoSchedule"}],
    "commonLabels": {"cost-centre": "7"},
    "networkPolicy": {"enabled": True, "metricsFrom": [{"namespaceSelector": {}}], "apiServerPorts": [6443]},
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
    },
}
NOTHING: Json = {
    "replicas": 0,
    "crds": {"enabled": False},
    "gate": {"enabled": False},
    "confine": {"enabled": False},
    "metrics": {"enabled": False},
    "rbac": {"create": False},
    "serviceAccount": {"create": False},
}
VALUE_SETS: dict[str, Json] = {
    "defaults": {},
    "recreate": {"recreate": {"enabled": True}},
    "everything": EVERYTHING,
    "nothing": NOTHING,
}


def helm(
    target: Target, *arguments: str, values: Json | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run helm with values."""
    command = [target.helm, "--kubeconfig", target.kube.kubeconfig, *arguments]
    with_values = [*command, "--values", "-"] if values is not None else command
    return subprocess.run(
        with_values, input=json.dumps(values or {}), text=True, check=check, stdout=-1, stderr=subprocess.STDOUT
    )


def rendered(target: Target, values: Json, *more: str) -> dict[tuple[str, str], Json]:
    """Render the chart; give its objects by kind and namespace-or-name."""
    text = helm(
        target, "template", "suptree", CHART, "--namespace", NAMESPACE, "--no-hooks", *more, values=values
    ).stdout
    objects = [it for it in yamls.load_all(text) if it]
    keys = [(it["kind"], it["metadata"].get("namespace") or it["metadata"]["name"]) for it in objects]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, objects, strict=True))


@pytest.fixture(scope="module")
def namespace(target: Target) -> str:
    """Make the namespace of the release, which takes only pods of the strictest standard."""
    labels = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn")}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    target.kube.apply(manifest)
    return NAMESPACE


@pytest.fixture(scope="module")
def prometheus(target: Target) -> collections.abc.Iterator[None]:
    """See to it that the cluster knows the kinds of the Prometheus operator."""
    group = "monitoring.coreos.com"
    if group in target.kube.run("api-versions").stdout:
        yield
        return
    kinds = [f"{it}.{group}" for it in ("servicemonitors", "prometheusrules")]
    target.kube.apply(*monitoring.definitions("servicemonitors", "prometheusrules"))
    for it in kinds:
        target.kube.wait_established(it)
    yield
    target.kube.run("delete", "crd", *kinds, "--wait=false")


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS.keys())
def test_helm_finds_nothing_wrong(target: Target, values: Json) -> None:
    """`helm lint --strict` is content."""
    assert "0 chart(s) failed" in helm(target, "lint", CHART, "--strict", values=values).stdout


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS.keys())
@pytest.mark.usefixtures("namespace", "prometheus")
def test_the_api_server_takes_every_object(target: Target, values: Json) -> None:
    """What the chart renders is valid to the last field, and the API server warns of nothing, of no pod that is not restricted either."""
    objects = rendered(target, values)
    text = yaml.safe_dump_all(objects.values())
    # Without --namespace, so that each object's own counts.
    command = [target.kube.kubectl, "--warnings-as-errors", "apply", "--dry-run=server", "--validate=strict", "-f", "-"]
    said = subprocess.run(command, input=text, text=True, check=True, stdout=-1, env=target.kube.env).stdout
    assert len(said.splitlines()) == len(objects)


def test_the_defaults_render_these_objects(target: Target) -> None:
    """Installed with nothing set, the operator watches all namespaces with rights of its own, and the gate is there."""
    objects = rendered(target, {})
    assert set(objects) == {
        ("CustomResourceDefinition", "supervisiontrees.suptree.dev"),
        ("ServiceAccount", NAMESPACE),
        ("ClusterRole", "suptree"),
        ("ClusterRoleBinding", "suptree"),
        ("ClusterRole", "suptree-view"),
        ("ClusterRole", "suptree-edit"),
        ("Role", NAMESPACE),
        ("RoleBinding", NAMESPACE),
        ("Deployment", NAMESPACE),
        ("PodDisruptionBudget", NAMESPACE),
        ("Service", NAMESPACE),
        ("MutatingAdmissionPolicy", "suptree-hold"),
        ("MutatingAdmissionPolicyBinding", "suptree-hold"),
        ("ValidatingAdmissionPolicy", "suptree-confine-pods"),
        ("ValidatingAdmissionPolicyBinding", "suptree-confine-pods"),
        ("ValidatingAdmissionPolicy", "suptree-confine-names"),
        ("ValidatingAdmissionPolicyBinding", "suptree-confine-names"),
    }
    deployment = objects["Deployment", NAMESPACE]["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (2, "RollingUpdate")
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "suptree/suptree:0.1.0"
    elects = ["--leader-elect", "--lease-name", "suptree"]
    assert container["args"] == ["--all-namespaces", *elects, "--max-simultaneous-restarts=10", "--metrics-port=9090"]
    assert "command" not in container, "the image knows how to run itself"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["runAsUser"] == 65532
    probes = [container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")]
    assert probes == ["/healthz", "/readyz"]
    gate = objects["MutatingAdmissionPolicy", "suptree-hold"]["spec"]
    assert gate["failurePolicy"] == "Ignore"
    (outside,) = gate["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert (outside["operator"], outside["values"]) == ("NotIn", ["kube-system", NAMESPACE])


def test_watched_namespaces_bound_the_rights_and_the_gate(target: Target) -> None:
    """With watchNamespaces the operator has rights, and pods are held, in those namespaces only."""
    objects = rendered(target, EVERYTHING)
    assert {key for key in objects if key[0] in {"Role", "RoleBinding"}} == {
        (kind, name) for kind in ("Role", "RoleBinding") for name in ("default", "kube-public", NAMESPACE)
    }
    (rule,) = objects["ClusterRole", "supervisor"]["rules"]
    assert (rule["resources"], rule["verbs"]) == (
        ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"],
        ["get"],
    )
    everywhere = rendered(target, {})["ClusterRole", "suptree"]["rules"]
    scales = [
        {"apiGroups": ["example.org"], "resources": ["caches/scale"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["things/scale"], "verbs": ["get"]},
    ]
    assert objects["Role", "default"]["rules"] == [it for it in everywhere if it != rule] + scales
    assert objects["RoleBinding", "default"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "other", "namespace": NAMESPACE}
    ]
    (container,) = objects["Deployment", NAMESPACE]["spec"]["template"]["spec"]["containers"]
    assert container["args"][:4] == ["--namespace", "default", "--namespace", "kube-public"]
    assert container["args"][4:] == [
        "--leader-elect",
        "--lease-name",
        "supervisor",
        "--max-simultaneous-restarts=3",
        "--metrics-port=9090",
        "--verbose",
    ]
    gate = objects["MutatingAdmissionPolicy", "suptree-hold"]["spec"]
    outside, inside = gate["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert outside["values"] == ["kube-system", NAMESPACE, "kube-node-lease"]
    assert (inside["operator"], inside["values"]) == ("In", ["default", "kube-public"])


def test_every_setting_reaches_the_pod(target: Target) -> None:
    """What is set for the operator's pod is in it, and the chart's own labels win."""
    objects = rendered(target, EVERYTHING)
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


def test_everything_can_be_left_out(target: Target) -> None:
    """Whoever brings the CRD, the rights and the account gets the Deployment alone."""
    assert set(rendered(target, NOTHING)) == {("Deployment", NAMESPACE)}


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "not kept"])
def test_the_crd_is_the_generated_one(target: Target, keep: bool) -> None:
    """The installed CRD is that of crds/, and `helm uninstall` leaves it unless told otherwise."""
    crd = rendered(target, {"crds": {"keep": keep}})["CustomResourceDefinition", "supervisiontrees.suptree.dev"]
    assert crd["metadata"].pop("annotations", None) == ({"helm.sh/resource-policy": "keep"} if keep else None)
    assert crd["metadata"].pop("labels")["app.kubernetes.io/part-of"] == "suptree"
    assert crd == yamls.load((ROOT / "crds" / "suptree.dev_supervisiontrees.yaml").read_text())


@pytest.mark.parametrize(("version", "is_there"), [("1.35.4", False), ("1.36.0", True), ("1.37.2", True)])
def test_the_gate_is_left_out_before_it_exists(target: Target, version: str, is_there: bool) -> None:
    """On Kubernetes before 1.36 the chart installs without the policy, which the API server would not know."""
    objects = rendered(target, {}, "--kube-version", version)
    assert (("MutatingAdmissionPolicy", "suptree-hold") in objects) is is_there
    assert (("MutatingAdmissionPolicyBinding", "suptree-hold") in objects) is is_there


REFUSED: dict[str, tuple[Json, str]] = {
    "fewer than none": ({"replicas": -1}, "replicas"),
    "a typing error": ({"gates": {"enabled": False}}, "gates"),
    "no namespace": ({"watchNamespaces": ["Not/One"]}, "watchNamespaces"),
    "a string for a number": ({"replicas": "one"}, "replicas"),
}


@pytest.mark.parametrize(("values", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_wrong_values_are_refused(target: Target, values: Json, field: str) -> None:
    """Helm names the value that is wrong instead of installing something else."""
    answer = helm(target, "template", "suptree", CHART, values=values, check=False)
    assert answer.returncode != 0
    assert field in answer.stdout


@pytest.fixture(scope="module")
def notes(target: Target, namespace: str) -> collections.abc.Iterator[str]:
    """Install the rights and nothing that other tests could notice; give the notes."""
    values = {"replicas": 0, "crds": {"enabled": False}, "gate": {"enabled": False}, "fullnameOverride": NAMESPACE}
    account = {"serviceAccount": {"name": "suptree"}}
    yield helm(target, "install", "chart-test", CHART, "--namespace", namespace, values={**values, **account}).stdout
    # The job of the uninstallation needs a container.
    helm(target, "uninstall", "chart-test", "--namespace", namespace, "--no-hooks")


def test_the_notes_say_what_to_do_next(notes: str) -> None:
    """After the installation Helm says how to wait, what to apply, and what was left out."""
    assert f"kubectl -n {NAMESPACE} rollout status deployment/{NAMESPACE}" in notes
    assert "kind: SupervisionTree" in notes
    assert "kubectl get crd supervisiontrees.suptree.dev" in notes
    assert "gate.enabled is false" in notes


# Verb, group, resource with its subresource, and name.
MAY = (
    ("get", "", "namespaces", "default"),
    ("list", "suptree.dev", "supervisiontrees", ""),
    ("update", "suptree.dev", "supervisiontrees/status", ""),
    ("delete", "", "pods", ""),
    ("patch", "", "pods", ""),
    ("watch", "apps", "deployments", ""),
    ("create", "events.k8s.io", "events", ""),
    ("create", "", "configmaps", ""),
    ("patch", "", "configmaps", "suptree-index"),
    ("get", "admissionregistration.k8s.io", "mutatingadmissionpolicies", "suptree-hold"),
    ("get", "admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "suptree-hold"),
    ("create", "coordination.k8s.io", "leases", "", NAMESPACE),
    ("get", "coordination.k8s.io", "leases", NAMESPACE, NAMESPACE),  # the release's objects have that name here
    ("update", "coordination.k8s.io", "leases", NAMESPACE, NAMESPACE),
)
MAY_NOT = (
    ("create", "", "pods", ""),
    ("update", "", "pods", ""),
    ("create", "", "pods/exec", ""),
    ("create", "", "pods/eviction", ""),
    ("deletecollection", "", "pods", ""),
    ("patch", "apps", "deployments", ""),
    ("patch", "apps", "statefulsets/scale", ""),
    ("update", "suptree.dev", "supervisiontrees", ""),
    ("delete", "suptree.dev", "supervisiontrees", ""),
    ("get", "", "configmaps", ""),
    ("patch", "", "configmaps", "other"),
    ("get", "", "secrets", ""),
    ("get", "", "nodes", ""),
    ("list", "", "namespaces", ""),
    ("delete", "", "namespaces", "default"),
    ("get", "admissionregistration.k8s.io", "mutatingadmissionpolicies", "other"),
    ("create", "admissionregistration.k8s.io", "mutatingadmissionpolicies", "suptree-hold"),
    ("update", "coordination.k8s.io", "leases", "other", NAMESPACE),
    ("delete", "coordination.k8s.io", "leases", NAMESPACE, NAMESPACE),
    ("create", "coordination.k8s.io", "leases", ""),
)


@pytest.mark.usefixtures("notes")
def test_the_operator_may_do_what_it_does_and_no_more(target: Target) -> None:
    """The API server grants the operator's account these rights and refuses the others."""

    def is_allowed(verb: str, group: str, resource: str, name: str, namespace: str = "default") -> object:
        resource, _, sub = resource.partition("/")
        about = {"verb": verb, "group": group, "resource": resource, "subresource": sub, "name": name}
        spec = {"user": ACCOUNT, "resourceAttributes": {**about, "namespace": namespace}}
        return target.kube.create("subjectaccessreview", {"spec": spec})["status"]["allowed"]

    assert [right for right in MAY if not is_allowed(*right)] == []
    assert [right for right in MAY_NOT if is_allowed(*right)] == []


@pytest.mark.usefixtures("notes")
def test_the_operators_index_can_be_written_with_these_rights(target: Target) -> None:
    """With its own account the operator creates, changes and deletes the index, and sees whether there is a policy."""
    token = target.kube.within(NAMESPACE).token("suptree", hours=1)
    account = yamls.load(pathlib.Path(target.kube.kubeconfig).read_text())["clusters"][0]["cluster"]
    asyncio.run(_write_index(account, token))
    assert "suptree-index" not in target.kube.within("kube-public").run("get", "configmaps").stdout


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
        await api.policy_changed_at()
    finally:
        await api.close()


def test_the_operators_pod_meets_the_strictest_standard(target: Target, namespace: str) -> None:
    """The pod is taken in a namespace that enforces the restricted Pod Security Standard."""
    template = rendered(target, {})["Deployment", NAMESPACE]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}, "spec": template["spec"]}
    del pod["spec"]["serviceAccountName"]
    said = target.kube.within(namespace).run("create", "--dry-run=server", "--filename", "-", given=json.dumps(pod))
    assert said.stdout == "pod/it created (server dry run)\n"
