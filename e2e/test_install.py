"""Installed by Helm from its image, upgraded, uninstalled: what a platform team does, and what becomes of their workloads."""

from collections.abc import Iterator

import pytest

from e2e.lib import check, crash, rights
from e2e.lib.installation import NAMESPACE, RELEASE, Installation, installation
from e2e.lib.installed import left_behind
from e2e.lib.kube import Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.recorder import Recorder
from e2e.lib.target import ROOT
from e2e.lib.workloads import child, tree, workload
from suptree.cluster.labels import INDEX_LABEL

POLICIES = {"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}
ALL: dict[str, object] = {"extraArgs": ["--verbose"], "podLabels": {"team": "platform"}}
"""Values of a release that watches all namespaces."""
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A cluster of its own that has the image; each test says which values it needs."""
    with installation(tmp_path_factory.mktemp("image")) as found:
        yield found


@pytest.fixture
def shop(installed: Installation) -> Iterator[Kube]:
    """A namespace with a shop that runs."""
    with installed.target.namespace() as kube:
        kube.apply(workload("StatefulSet", "db"), workload("Deployment", "web"))
        yield kube


def supervise(kube: Kube, **spec: object) -> None:
    """Give the shop a supervisor, and wait until it is at work."""
    children = (child("StatefulSet", "db"), child("Deployment", "web"))
    kube.apply(tree("shop", *children, strategy="RestForOne", **spec))
    wait_ready(kube, "shop")


def test_from_helm_install_to_helm_upgrade(installed: Installation, shop: Kube) -> None:
    """Installed for one namespace, the operator in the cluster restarts a group there and reads nothing elsewhere; upgraded to watch all, it has touched nobody and goes on."""
    assert installed.target.audit_log is not None
    old = {it["metadata"]["uid"] for it in installed.ensure(watchNamespaces=[shop.namespace])}
    with installed.target.namespace() as elsewhere, Recorder(shop) as recorder:
        elsewhere.apply(workload("StatefulSet", "db", real=False), tree("shop", child("StatefulSet", "db")))
        supervise(shop)
        before = check.census(recorder, "db", "web")
        crash.end(shop, "db-0")
        entry = check.counted_once(wait_history(shop, "shop", 1))
        wait_ready(shop, "shop")
        check.replaced_once(recorder, before)
        assert (entry["cause"], entry["exitCode"], entry["slice"]) == ("Crash", 3, ["db", "web"])
        assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in installed.pods()] == [0, 0]

        made = [*rights.requests(installed.target.audit_log, ACCOUNT)]
        assert {it["objectRef"].get("namespace") for it in made} == {shop.namespace, NAMESPACE, None}
        assert {it["objectRef"]["resource"] for it in made if "namespace" not in it["objectRef"]} == POLICIES
        assert rights.refused(made) == set()
        assert elsewhere.status("shop") == {}

        before = check.census(recorder, "db", "web")
        for pod in installed.ensure(**ALL):
            assert pod["metadata"]["uid"] not in old
            assert pod["metadata"]["labels"]["team"] == "platform"
            assert pod["spec"]["containers"][0]["args"][-1] == "--verbose"
        check.cost_nothing(wait_ready(elsewhere, "shop"))
        crash.pretend(elsewhere, "db-0")
        eventually(lambda: elsewhere.status("shop")["restarts"], "the crash is counted")
        crash.recover(elsewhere, "db-0")
        wait_history(elsewhere, "shop", 1)
        check.counted_once(wait_ready(shop, "shop"))
        check.untouched(recorder, before)


def test_nothing_in_the_image_helps_an_intruder(installed: Installation) -> None:
    """The operator's container is not root, cannot write to its root, and has neither a shell nor a package manager."""
    pod = installed.ensure(**ALL)[0]["metadata"]["name"]
    program = (
        "import os, shutil; print(os.getuid(), os.access('/', os.W_OK), os.access('/tmp', os.W_OK),"
        " [it for it in ('sh', 'bash', 'dash', 'busybox', 'apt', 'dpkg', 'pip') if shutil.which(it)])"
    )
    assert installed.kube.run("exec", pod, "--", "python", "-c", program).stdout == "65532 False False []\n"


def test_the_operator_uses_every_right_that_it_has(installed: Installation) -> None:
    """Each verb on each resource that the chart grants was used by the time that a tree has seen everything, and no other was tried."""
    assert installed.target.audit_log is not None
    installed.ensure(**ALL)
    with installed.target.namespace() as kube:
        kinds = {"StatefulSet": "db", "Deployment": "web", "ReplicaSet": "worker", "DaemonSet": "agent"}
        kube.apply(*(workload(kind, name, real=False) for kind, name in kinds.items()))
        children = [child(kind, name) for kind, name in kinds.items()]
        kube.apply(tree("all", *children, strategy="OneForAll", intensity=0, onExhausted="Hold"))
        wait_ready(kube, "all")
        _replace_all_while_nobody_watches(installed, kube)
        wait_history(kube, "all", 1)
        wait_ready(kube, "all")
        crash.pretend(kube, "db-0")
        wait_condition(kube, "all", "Stalled", "True", "Held")
        eventually(lambda: len(kube.held()) >= len(kinds), "new pods of every child are held")
        kube.delete("suptree", "all")
        eventually(lambda: not kube.held(), "no pod is held")
        eventually(lambda: not kube.list("configmaps", INDEX_LABEL), "the index is gone")
    entries = [*rights.requests(installed.target.audit_log, ACCOUNT)]
    granted = rights.granted(installed.kube, RELEASE)
    assert rights.refused(entries) == set(), "the operator may not do what it must; add it to the chart's roles"
    assert sorted(map(str, granted - rights.used(entries))) == [], "the chart grants what the operator does not use"
    documented = rights.documented(ROOT / "docs" / "security.md")
    assert sorted(map(str, granted ^ documented)) == [], "docs/security.md lists other rights than the chart grants"


def _replace_all_while_nobody_watches(installed: Installation, kube: Kube) -> None:
    """Have the operator find new pods when it comes back, so that it must ask whether that was wanted."""
    installed.kube.scale("deployment", "suptree", 0)
    eventually(lambda: not installed.pods(), "no operator runs")
    kube.delete_all("pods")
    installed.kube.scale("deployment", "suptree", 2)
    installed.roll_out()


def test_helm_uninstall_lets_every_pod_go_and_leaves_nothing(installed: Installation, shop: Kube) -> None:
    """The job of `helm uninstall` runs in the image: afterwards nothing is held, workloads run, only the CRD is left, and the job used every right that it had."""
    installed.ensure(**ALL)
    supervise(shop, intensity=0, onExhausted="Hold")
    crash.end(shop, "db-0")
    wait_condition(shop, "shop", "Stalled", "True", "Held")
    eventually(lambda: len(shop.held()) == len(("db", "web")), "both children are held")
    granted = rights.of_helm(installed.helm("get hooks"))
    installed.helm("uninstall", "--wait", "--timeout=180s")
    for it in ("statefulset/db", "deployment/web"):
        shop.run("rollout", "status", it, "--timeout=60s")
    check.none_held(shop)
    eventually(lambda: not installed.kube.list("pods"), "neither operator nor job is left")
    assert left_behind(shop) == {("CustomResourceDefinition", "supervisiontrees.suptree.dev")}
    assert installed.target.audit_log is not None
    entries = [*rights.requests(installed.target.audit_log, f"{ACCOUNT}-uninstall")]
    assert rights.refused(entries) == set()
    assert sorted(map(str, granted - rights.used(entries))) == [], "the job may do what it does not"
    documented = rights.documented(ROOT / "docs" / "security.md", "### The job of `helm uninstall`")
    assert sorted(map(str, granted ^ documented)) == [], "docs/security.md lists other rights than the job has"
