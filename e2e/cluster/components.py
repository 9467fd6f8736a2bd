"""The command line of each component of the control plane, and of kwok, which plays the kubelets of fake nodes."""

import dataclasses
import pathlib

import yaml

from e2e.cluster import pki
from e2e.cluster.pins import HERE
from e2e.cluster.spec import HOST, Spec

MANIFESTS = HERE / "manifests"
FAKE_LABEL = {"suptree.dev/node": "fake"}
FAKE_TAINT = {"key": "suptree.dev/fake", "effect": "NoSchedule"}
_QPS, _BURST, _WORKERS = 2000, 4000, 20


@dataclasses.dataclass(frozen=True)
class Component:
    """One process of the cluster."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


def _component(spec: Spec, name: str, flags: dict[str, object]) -> Component:
    return Component(name, (str(spec.programs[name]), *(f"--{flag}={value}" for flag, value in flags.items())))


def etcd(spec: Spec) -> Component:
    """Store everything, without waiting for the disk: nothing here outlives the cluster."""
    client, peer = (f"http://{HOST}:{port}" for port in (spec.ports.etcd, spec.ports.etcd_peer))
    flags = {
        "data-dir": spec.folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
        "quota-backend-bytes": 8 * 1024**3,
        "log-level": "warn",
    }
    return _component(spec, "etcd", flags)


def api_server(spec: Spec) -> Component:
    """Serve the API on loopback, with RBAC, the audit log, and limits that tests do not run into."""
    flags = {
        "etcd-servers": f"http://{HOST}:{spec.ports.etcd}",
        "bind-address": HOST,
        "secure-port": spec.ports.api,
        "advertise-address": HOST,
        "endpoint-reconciler-type": "none",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "service-cluster-ip-range": pki.SERVICES,
        "client-ca-file": spec.pki / "ca.crt",
        "tls-cert-file": spec.pki / "api.crt",
        "tls-private-key-file": spec.pki / "api.key",
        "cert-dir": spec.pki,
        "service-account-issuer": pki.ISSUER,
        "service-account-key-file": spec.pki / "service-accounts.key",
        "service-account-signing-key-file": spec.pki / "service-accounts.key",
        "kubelet-certificate-authority": spec.pki / "ca.crt",
        "kubelet-client-certificate": spec.pki / "kubelet-client.crt",
        "kubelet-client-key": spec.pki / "kubelet-client.key",
        "kubelet-preferred-address-types": "Hostname,InternalIP",
        "max-requests-inflight": 4000,
        "max-mutating-requests-inflight": 2000,
        "audit-policy-file": MANIFESTS / "audit-policy.yaml",
        "audit-log-path": spec.audit_log,
        "audit-log-maxsize": 0,
    }
    return _component(spec, "kube-apiserver", flags)


def controller_manager(spec: Spec) -> Component:
    """Run the workload controllers, with more workers and requests a second than the defaults."""
    kubeconfig = spec.user("controllers")
    controllers = ("deployment", "replicaset", "statefulset", "daemonset", "job", "gc", "endpoint", "service-endpoint")
    flags: dict[str, object] = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": HOST,
        "secure-port": spec.ports.controllers,
        "cert-dir": spec.pki / "controllers",
        "leader-elect": "false",
        "use-service-account-credentials": "true",
        "service-account-private-key-file": spec.pki / "service-accounts.key",
        "root-ca-file": spec.pki / "ca.crt",
        "cluster-signing-cert-file": spec.pki / "ca.crt",
        "cluster-signing-key-file": spec.pki / "ca.key",
        "kube-api-qps": _QPS,
        "kube-api-burst": _BURST,
        **{f"concurrent-{name}-syncs": _WORKERS for name in controllers},
    }
    return _component(spec, "kube-controller-manager", flags)


def scheduler(spec: Spec) -> Component:
    """Place the pods."""
    kubeconfig = spec.user("scheduler")
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": _QPS, "burst": _BURST},
    }
    file = spec.pki / "scheduler-config.yaml"
    file.write_text(yaml.safe_dump(config))
    flags = {
        "config": file,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": HOST,
        "secure-port": spec.ports.scheduler,
        "cert-dir": spec.pki / "scheduler",
    }
    return _component(spec, "kube-scheduler", flags)


def kwok(spec: Spec) -> Component:
    """Play the kubelet of every fake node; real nodes are left alone."""
    flags = {
        "kubeconfig": spec.user("kwok"),
        "config": MANIFESTS / "kwok-stages.yaml",
        "manage-all-nodes": "false",
        "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
        "node-ip": HOST,
        "cidr": "100.64.0.0/10",
        "node-lease-duration-seconds": 40,
    }
    return _component(spec, "kwok", flags)


def _fake_node(number: int) -> dict[str, object]:
    name = f"fake-{number}"
    labels = {**FAKE_LABEL, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    metadata = {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": [FAKE_TAINT]}}


def first_objects(spec: Spec) -> pathlib.Path:
    """Write what the cluster has from the start: kwok's rights and the fake nodes."""
    file = spec.folder / "first-objects.yaml"
    nodes = yaml.safe_dump_all([_fake_node(number) for number in range(spec.fake_nodes)])
    file.write_text(f"{(MANIFESTS / 'kwok-access.yaml').read_text()}---\n{nodes}")
    return file
