"""Fixtures of the end-to-end tests. CLUSTER chooses the cluster: local (default), kind, or kubeconfig."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.lib.kube import Kube
from e2e.lib.operator import NAMESPACE, Operator, install, kubeconfig
from e2e.lib.preloaded import PreloadedOperator
from e2e.lib.recorder import Recorder
from e2e.lib.target import Target, UnavailableError
from e2e.lib.target import target as provide

LONGEST_FIRST = (
    "test_install.py",
    "test_recreate.py",
    "test_kubelet.py",
    "test_exits.py",
    "test_kill.py",
    "test_uninstall.py",
    "test_examples.py",
    "test_nested.py",
    "test_budgets.py",
    "test_disruptions.py",
    "test_many.py",
    "test_cluster.py",
    "test_operator.py",
    "test_hands_off.py",
    "test_ways_out.py",
)
"""The files that take a minute and more; a worker takes a whole file, because what a file's tests share takes long to make."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that all workers end at about the same time."""
    order = {name: at for at, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda it: order.get(it.path.name, len(order)))


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """The cluster that the tests run on."""
    try:
        with provide(
            os.environ.get("CLUSTER", "local"),
            kubernetes=os.environ.get("KUBERNETES", "1.37"),
            name=f"e2e-{secrets.token_hex(3)}",
        ) as found:
            yield found
    except UnavailableError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture(scope="session")
def operator(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator, installed from the chart, running beside the cluster with its service account's rights."""
    install(target)
    folder = tmp_path_factory.mktemp("operator")
    running = PreloadedOperator(target.kube.within(NAMESPACE), kubeconfig(target, folder), folder / "operator.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def killed(operator: Operator) -> Iterator[Operator]:
    """The operator, which a test may leave dead."""
    yield operator
    if operator.process is None:
        operator.start()


@pytest.fixture
def kube(target: Target, operator: Operator) -> Iterator[Kube]:
    """An empty namespace, with the operator at work."""
    assert operator.process is not None
    with target.namespace() as here:
        yield here


@pytest.fixture
def real(target: Target, kube: Kube) -> Kube:
    """An empty namespace on a cluster where containers really run."""
    if not target.real_node:
        pytest.skip(f"containers must run for this: {target.real_node_reason}")
    return kube


@pytest.fixture
def fake(target: Target, kube: Kube) -> Kube:
    """An empty namespace on a cluster with kwok's fake nodes."""
    if not target.fake_nodes:
        pytest.skip("kwok's fake nodes must be there for this: use CLUSTER=local")
    return kube


@pytest.fixture
def audit_log(target: Target) -> Path:
    """The API server's audit log."""
    if target.audit_log is None:
        pytest.skip("the API server's audit log is needed for this: use CLUSTER=local")
    return target.audit_log


@pytest.fixture
def recorder(kube: Kube) -> Iterator[Recorder]:
    """A record of every change of every pod of the namespace."""
    with Recorder(kube) as found:
        yield found


@pytest.fixture(scope="module")
def recreating(target: Target, operator: Operator) -> Iterator[None]:
    """The operator, with recreate.enabled."""
    before = operator.args
    operator.stop()
    install(target, "recreate.enabled=true")
    operator.args = (*before, "--recreate")
    operator.start()
    yield
    if operator.process is not None:
        operator.stop()
    install(target)
    operator.args = before
    operator.start()
