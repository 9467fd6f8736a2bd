"""The cluster that tests run on: the local one, kind, or whatever KUBECONFIG names."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import Cluster
from e2e.lib.kube import Kube

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Target:
    """A cluster, and what it can do."""

    kube: Kube
    helm: str
    real_node: bool
    """Whether containers really run."""
    real_node_reason: str
    """Why not."""
    fake_nodes: bool
    """Whether kwok's nodes are there, on which pod statuses can be written."""
    audit_log: Path | None
    """The API server's audit log, one JSON object a line."""
    cluster: Cluster | None = None
    """The local cluster itself, when it is one."""

    @contextmanager
    def namespace(self, prefix: str = "t") -> Iterator[Kube]:
        """Make a namespace, and leave nothing at work in it; of a cluster that is not ours, leave nothing at all."""
        here = self.kube.within(f"{prefix}-{secrets.token_hex(4)}")
        here.create_namespace()
        yield here
        if self.cluster is None:
            here.delete_namespace()
        else:
            here.empty()


class UnavailableError(Exception):
    """The cluster that was asked for cannot be had here; the message says what to do."""


@contextmanager
def target(kind: str, *, kubernetes: str = "1.37", name: str = "e2e") -> Iterator[Target]:
    """Provide the cluster of that kind: `local`, `kind` or `kubeconfig`.

    Raises:
        UnavailableError: It cannot be had here.
    """
    if kind == "local":
        with Cluster.start(name, kubernetes=kubernetes) as cluster:
            yield of_local(cluster)
    elif kind == "kind":
        yield from _kind(name)
    elif kind == "kubeconfig":
        yield _existing(os.environ.get("KUBECONFIG", ""))
    else:
        raise UnavailableError(f"CLUSTER={kind}: use local, kind or kubeconfig")


def of_local(cluster: Cluster) -> Target:
    """Describe a local cluster."""
    return Target(
        kube=Kube(cluster.kubectl, cluster.kubeconfig),
        helm=str(cluster.helm),
        real_node=cluster.real_node,
        real_node_reason=cluster.real_node_reason,
        fake_nodes=True,
        audit_log=Path(cluster.audit_log),
        cluster=cluster,
    )


def _tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise UnavailableError(f"{name} is not on the PATH; install it, or use CLUSTER=local")
    return found


def _existing(kubeconfig: str) -> Target:
    if not kubeconfig:
        raise UnavailableError("CLUSTER=kubeconfig: set KUBECONFIG to the cluster to test on")
    return Target(Kube(_tool("kubectl"), kubeconfig), _tool("helm"), True, "", False, None)


def _kind(name: str) -> Iterator[Target]:
    kind = _tool("kind")
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = f"{folder}/kubeconfig"
        command = [kind, "create", "cluster", "--name", name, "--config", str(ROOT / "e2e/kind.yaml"), "--wait", "120s"]
        subprocess.run([*command, "--kubeconfig", kubeconfig], check=True)
        try:
            yield _existing(kubeconfig)
        finally:
            subprocess.run([kind, "delete", "cluster", "--name", name, "--kubeconfig", kubeconfig], check=True)
