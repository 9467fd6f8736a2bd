"""Installed by Helm from its image, upgraded, uninstalled: what a platform team does, and what becomes of their workloads."""

from collections.abc import Iterator

import pytest

from e2e.lib import check, crash
from e2e.lib.installation import Installation, installation
from e2e.lib.kube import Kube, wait_history, wait_ready
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, tree, workload


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
