"""Installed by Helm from its image, upgraded, uninstalled: what a platform team does, and what becomes of their workloads."""

import time
from collections.abc import Iterator

import pytest
import yaml

from e2e.lib import check, crash, rights
from e2e.lib.installation import NAMESPACE, RELEASE, Installation, installation
from e2e.lib.installed import left_behind
from e2e.lib.kube import Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.recorder import Recorder
from e2e.lib.target import ROOT
from e2e.lib.workloads import child, tree, workload
from suptree.cluster.labels import INDEX_LABEL

POLICIES = "mutatingadmissionpolicies"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Install the chart on a cluster of its own."""
    with installation(tmp_path_factory.mktemp("image")) as found:
        found.helm("install")
        found.roll_out()
        yield found


@pytest.fixture
def shop(installed: Installation) -> Iterator[Kube]:
    """Make a namespace with a supervised shop."""
    with installed.namespace() as kube:
        kube.apply(workload("StatefulSet", "db"), workload("Deployment", "web"))
        kube.apply(tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="RestForOne"))
        wait_ready(kube, "shop")
        yield kube


def test_helm_install_ends_with_a_supervised_tree(installed: Installation, shop: Kube) -> None:
    """The operator in the cluster restarts the group of a container that crashed, in order; nothing runs beside the cluster."""
    with Recorder(shop) as recorder:
        before = check.census(recorder, "db", "web")
        crash.end(shop, "db-0")
        entry = check.counted_once(wait_history(shop, "shop", 1))
        wait_ready(shop, "shop")
        check.replaced_once(recorder, before)
    assert (entry["cause"], entry["exitCode"], entry["slice"]) == ("Crash", 3, ["db", "web"])
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in installed.pods()] == [0, 0]


def test_nothing_in_the_image_helps_an_intruder(installed: Installation) -> None:
    """The operator's container is not root, cannot write to its root, and has neither a shell nor a package manager."""
    pod = installed.roll_out()[0]["metadata"]["name"]
    program = (
        "import os, shutil; print(os.getuid(), os.access('/', os.W_OK), os.access('/tmp', os.W_OK),"
        " [it for it in ('sh', 'bash', 'dash', 'busybox', 'apt', 'dpkg', 'pip') if shutil.which(it)])"
    )
    assert installed.kube.run("exec", pod, "--", "python", "-c", program).stdout == "65532 False False []\n"


def test_the_operator_uses_every_right_that_it_has(installed: Installation) -> None:
    """Each verb on each resource that the chart grants was used by the time that a tree has seen everything, and no other was tried."""
    assert installed.target.audit_log is not None
    with installed.namespace() as kube:
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
        kube.run("delete", "suptree", "all")
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
    installed.kube.run("scale", "deployment/suptree", "--replicas=0")
    eventually(lambda: not installed.pods(), "no operator runs")
    kube.run("delete", "pods", "--all")
    installed.kube.run("scale", "deployment/suptree", "--replicas=2")
    installed.roll_out()


def test_with_watch_namespaces_nothing_elsewhere_is_even_read(installed: Installation, shop: Kube) -> None:
    """Upgraded to watch one namespace, the operator supervises it with Roles there, and asks for nothing of another one."""
    assert installed.target.audit_log is not None
    with installed.namespace() as kube:
        kube.apply(workload("StatefulSet", "db", real=False), tree("shop", child("StatefulSet", "db")))
        wait_ready(kube, "shop")
        installed.helm("upgrade", watchNamespaces=[shop.namespace])
        installed.roll_out()
        start = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        crash.pretend(kube, "db-0")
        crash.end(shop, "db-0")
        check.counted_once(wait_history(shop, "shop", 1))
        wait_ready(shop, "shop")
        check.cost_nothing(kube.status("shop"))
        made = [*rights.requests(installed.target.audit_log, ACCOUNT)]
        new = [it for it in made if it["requestReceivedTimestamp"] > start]
        assert {it["objectRef"].get("namespace", "") for it in new} <= {shop.namespace, NAMESPACE, ""}
        assert {it["objectRef"]["resource"] for it in new if "namespace" not in it["objectRef"]} <= {POLICIES}
        assert rights.refused(new) == set()
    installed.helm("upgrade")
    installed.roll_out()


def test_an_upgrade_restarts_nobody(installed: Installation, shop: Kube) -> None:
    """After `helm upgrade` with other values another pod supervises the same trees, and no workload has noticed."""
    old = {pod["metadata"]["uid"] for pod in installed.roll_out()}
    with Recorder(shop) as recorder:
        before = check.census(recorder, "db", "web")
        installed.helm("upgrade", extraArgs=["--verbose"], podLabels={"team": "platform"})
        for pod in installed.roll_out():
            assert pod["metadata"]["uid"] not in old
            assert pod["metadata"]["labels"]["team"] == "platform"
            assert pod["spec"]["containers"][0]["args"][-1] == "--verbose"
        check.cost_nothing(wait_ready(shop, "shop"))
        check.untouched(recorder, before)
        crash.end(shop, "db-0")
        check.counted_once(wait_history(shop, "shop", 1))
        wait_ready(shop, "shop")
        check.replaced_once(recorder, before)


def test_helm_uninstall_lets_every_pod_go_and_leaves_nothing(installed: Installation, shop: Kube) -> None:
    """The job of `helm uninstall` runs in the image: afterwards nothing is held, workloads run, only the CRD is left, and the job used every right that it had."""
    shop.patch("suptree", "shop", {"spec": {"intensity": 0, "onExhausted": "Hold"}})
    wait_ready(shop, "shop")
    crash.end(shop, "db-0")
    wait_condition(shop, "shop", "Stalled", "True", "Held")
    eventually(lambda: len(shop.held()) == len(("db", "web")), "both children are held")
    roles = [it for it in yaml.safe_load_all(installed.helm("get hooks")) if it["kind"] in {"Role", "ClusterRole"}]
    installed.helm("uninstall", "--wait", "--timeout=180s")
    for it in ("statefulset/db", "deployment/web"):
        shop.run("rollout", "status", it, "--timeout=60s")
    check.none_held(shop)
    eventually(lambda: not installed.kube.list("pods"), "neither operator nor job is left")
    assert left_behind(shop) == {("CustomResourceDefinition", "supervisiontrees.suptree.dev")}
    assert installed.target.audit_log is not None
    entries = [*rights.requests(installed.target.audit_log, f"{ACCOUNT}-uninstall")]
    granted = rights.of_rules(rule for role in roles for rule in role["rules"])
    assert rights.refused(entries) == set()
    assert sorted(map(str, granted - rights.used(entries))) == [], "the job may do what it does not"
