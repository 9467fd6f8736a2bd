"""Children of 200 pods, on fake nodes."""

import json
from collections.abc import Iterator

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_history, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.recorder import Recorder
from e2e.lib.target import Target
from e2e.lib.workloads import child, tree, workload

PODS = {"first": 20, "middle": 200, "last": 200}
"""The first is there to be left alone."""
KINDS = {"first": "Deployment", "middle": "StatefulSet", "last": "Deployment"}
STATUS_LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def crowd(target: Target, operator: Operator) -> Iterator[Kube]:
    """A namespace with three workloads, two of them of 200 pods, and one that no tree names."""
    assert operator.process is not None
    if not target.fake_nodes:
        pytest.skip("kwok's fake nodes must be there for this: use CLUSTER=local")
    with target.namespace() as kube:
        made = [workload(kind, name, PODS[name], real=False) for name, kind in KINDS.items()]
        kube.apply(*made, workload("Deployment", "stranger", 5, real=False))
        for name, kind in KINDS.items():
            kube.wait_rolled_out(kind, name)
        yield kube


@pytest.fixture
def record(crowd: Kube) -> Iterator[Recorder]:
    """A record of every change of every pod of the crowd."""
    with Recorder(crowd) as found:
        yield found


def size(status: Json) -> int:
    """Return how large a status is, in bytes."""
    return len(json.dumps(status, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("spec", "children", "replaced"),
    [
        pytest.param({"strategy": "OneForOne", "ordering": "Ordered"}, [*KINDS], [], id="OneForOne"),
        pytest.param(
            {"strategy": "RestForOne", "ordering": "Parallel"}, [*KINDS], ["middle", "last"], id="RestForOne, Parallel"
        ),
        pytest.param(
            {"strategy": "OneForAll", "ordering": "Ordered"}, ["last", "middle"], ["last", "middle"], id="OneForAll"
        ),
    ],
)
def test_every_pod_of_the_slice_is_replaced_once(
    crowd: Kube, record: Recorder, spec: dict[str, str], children: list[str], replaced: list[str]
) -> None:
    """However many pods a child has, one crash is one count: each pod of the slice is replaced once, no other is touched, the status stays small."""
    crowd.apply(tree("shop", *(child(KINDS[name], name) for name in children), **spec))
    try:
        wait_ready(crowd, "shop")
        before = check.census(record, *KINDS, "stranger")
        with Recorder(crowd, "supervisiontrees") as trees:
            crash.pretend(crowd, "middle-7")
            if not replaced:
                eventually(lambda: crowd.status("shop")["restarts"], "the restart in place is counted")
                crash.recover(crowd, "middle-7")
            entry = check.counted_once(wait_history(crowd, "shop", 1))
            wait_ready(crowd, "shop")
            trees.catch_up()
        assert (entry["pod"], entry["slice"]) == ("middle-7", replaced or ["middle"])
        if replaced:
            check.replaced_once(record, before, *replaced)
        check.untouched(record, before, *(before.keys() - replaced))
        check.none_held(crowd)
        assert max(size(it.pod["status"]) for it in trees.changes) < STATUS_LIMIT
    finally:
        crowd.delete("suptree", "shop")
