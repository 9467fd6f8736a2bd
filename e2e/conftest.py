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
    name = f"t-{secrets.token_hex(4)}"
    here = target.kube.within(name)
    here.create_namespace()
    yield here
    here.delete_namespace()
    if target.fake_nodes:
        here.drop_fake_pods()


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
