"""Leaving: the release, a namespace, or the CRD may go at any time; everything ends, workloads run on, nothing stays held (C67)."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.cluster import Cluster
from e2e.lib import crash, rights
from e2e.lib.installed import HOOK, Installed, left_behind
from e2e.lib.kube import Kube, eventually, wait_condition, wait_ready
from e2e.lib.operator import NAMESPACE, RELEASE
from e2e.lib.target import ROOT, Target, of_local
from e2e.lib.workloads import child, tree, workload
from e2e.test_order_fallback import PROBE, keeper, would_be

GUIDE = ROOT / "docs" / "uninstall.md"
LATE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "late"},
    "spec": {"schedulingGates": [{"name": "suptree.dev/hold"}], "containers": [{"name": "main", "image": "none"}]},
}
"""A pod that was held when nobody was there to let it go."""
CRD = ("CustomResourceDefinition", "supervisiontrees.suptree.dev")


@pytest.fixture(scope="module")
def own(target: Target) -> Iterator[Target]:
    """A cluster without containers of its own: these tests take away what all other tests need."""
    if not target.fake_nodes:
        pytest.skip("a cluster with kwok's fake nodes must be started for this: use CLUSTER=local")
    version = ".".join(target.kube.run("version", "-o", "yaml").stdout.rsplit("gitVersion: v", 1)[1].split(".")[:2])
    with Cluster.start(f"uninstall-{secrets.token_hex(3)}", kubernetes=version, real_node=False) as cluster:
        found = of_local(cluster)
        # Without it the API server stops reading ConfigMaps for policies at the first uninstallation (#130887).
        found.kube.apply(*keeper())
        eventually(
            lambda: "kept" in would_be(found.kube, PROBE)["metadata"].get("labels", {}), "the keeper is in force"
        )
        yield found


@contextmanager
def installed_with(own: Target, folder: Path, **values: object) -> Iterator[Installed]:
    """Install the chart as a user does, with values."""
    found = Installed(own, folder, values)
    try:
        yield found
    finally:
        found.close()
        own.kube.run("delete", "crd", "supervisiontrees.suptree.dev", "--ignore-not-found", "--timeout=60s")


@pytest.fixture
def installed(own: Target, tmp_path: Path) -> Iterator[Installed]:
    """The chart, installed with its defaults."""
    with installed_with(own, tmp_path) as found:
        yield found


@pytest.fixture
def kube(own: Target) -> Iterator[Kube]:
    """An empty namespace."""
    with own.namespace() as found:
        yield found


@pytest.fixture
def other(own: Target) -> Iterator[Kube]:
    """Another empty namespace."""
    with own.namespace() as found:
        yield found


def trees(kube: Kube) -> dict[str, str]:
    """Make a tree that is well and one that has given up and holds its pods; give the UIDs of the pods that run."""
    kube.apply(
        tree("well", child("Deployment", "front")),
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), intensity=0, onExhausted="Hold"),
        workload("Deployment", "front", 2, real=False),
        workload("StatefulSet", "db", real=False),
        workload("Deployment", "web", 2, real=False),
    )
    wait_ready(kube, "shop")
    wait_ready(kube, "well")
    crash.pretend(kube, kube.pod("db"))
    wait_condition(kube, "shop", "Stalled", "True", "Held")
    eventually(lambda: len(kube.held()) == 3, "db and both pods of web are held")
    return uids(kube, "app=front")


def uids(kube: Kube, labels: str) -> dict[str, str]:
    """Give the UIDs of pods by name."""
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in kube.list("pods", labels)}


def all_run(kube: Kube) -> bool:
    """Tell whether every pod runs, and none is held."""
    pods = kube.list("pods")
    return bool(pods) and not kube.held() and all(pod["status"]["phase"] == "Running" for pod in pods)


def finalizers(kube: Kube) -> list[object]:
    """Give the finalizers of everything that Suptree looks at in a namespace."""
    kinds = ("pods", "deployments", "statefulsets", "replicasets", "configmaps", "controllerrevisions")
    everything = [it for kind in kinds for it in kube.list(kind)]
    return [it["metadata"]["finalizers"] for it in everything if it["metadata"].get("finalizers")]


def test_c67_leaving_a_namespace_and_then_the_cluster(installed: Installed, kube: Kube, other: Kube) -> None:
    """A namespace with held pods goes while the operator is down; `helm uninstall` lets every held pod go, leaves alone what runs, and leaves only the CRD and its trees."""
    trees(other)
    installed.operator.kill()
    other.run("delete", "namespace", other.namespace, "--timeout=90s")
    installed.operator.start()
    running = trees(kube)
    assert ("ConfigMap", "suptree-index") in left_behind(kube)
    assert "nothing is held any more; 3 pods were released" in installed.uninstall()
    eventually(lambda: all_run(kube), "all pods run")
    assert uids(kube, "app=front") == running
    # Nobody is left to release it: a new pod must start by itself.
    kube.run("delete", "pods", "-l", "app=web")
    kube.run("rollout", "status", "deployment/web", "--timeout=60s")
    assert left_behind(kube) == {CRD}
    assert sorted(it["metadata"]["name"] for it in kube.list("suptree")) == ["shop", "well"]
    assert finalizers(kube) == []
    assert [it for it in kube.list("suptree") if it["metadata"].get("finalizers")] == []
    kube.run("delete", "suptree", "well", "--cascade=orphan", "--timeout=60s")
    kube.run("delete", "suptree", "shop", "--cascade=foreground", "--timeout=60s")


def test_c67_the_crd_may_go_first(own: Target, tmp_path: Path, kube: Kube) -> None:
    """When the CRD is deleted, and all trees with it, the operator lets every held pod go; then a release that watches one namespace is uninstalled, by a job with rights there that it all uses."""
    assert own.audit_log is not None
    job = f"system:serviceaccount:{NAMESPACE}:{HOOK}"
    already = len([*rights.requests(own.audit_log, job)])
    with installed_with(own, tmp_path, watchNamespaces=[kube.namespace]) as installed:
        running = trees(kube)
        kube.run("delete", "crd", "supervisiontrees.suptree.dev", "--timeout=60s")
        eventually(lambda: all_run(kube), "the operator lets all pods go")
        installed.operator.kill()
        kube.apply(LATE)
        granted = rights.of_helm(installed.helm("get", "hooks", RELEASE))
        assert "1 pods were released" in installed.uninstall()
        assert uids(kube, "app=front") == running
        assert left_behind(kube) == set()
        assert finalizers(kube) == []
    made = [*rights.requests(own.audit_log, job)][already:]
    assert rights.refused(made) == set()
    assert granted == rights.used(made)


def test_c67_leaving_by_hand(installed: Installed, kube: Kube) -> None:
    """Without operator, CRD and job, the commands of docs/uninstall.md let every held pod go and leave nothing behind."""
    running = trees(kube)
    installed.operator.kill()
    kube.run("delete", "crd", "supervisiontrees.suptree.dev", "--timeout=60s")
    installed.uninstall_without_job()
    assert len(kube.held()) == 3
    (script,) = re.findall(r"```\n(kubectl delete mutatingadmissionpolicybinding.*?)```", GUIDE.read_text(), re.DOTALL)
    path = f"{Path(kube.kubectl).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True, env={**kube.env, "PATH": path})
    eventually(lambda: all_run(kube), "all pods run")
    assert uids(kube, "app=front") == running
    assert left_behind(kube) == set()
