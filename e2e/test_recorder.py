"""The record of the tests themselves: what it does not show must not have happened."""

from functools import partial

from e2e.lib.kube import Kube, eventually
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import workload


def test_a_record_that_is_cut_goes_on_where_it_was(kube: Kube, recorder: Recorder) -> None:
    """However often the API server drops a slow reader, every pod that came and went is in the record."""
    kube.apply(workload("Deployment", "web", 3, real=False))
    for replicas in (3, 1, 2, 0):
        recorder.interrupt()
        kube.patch("deployment", "web", {"spec": {"replicas": replicas}})
        eventually(partial(_are_there, kube, replicas), f"{replicas} pods are there")
        recorder.interrupt()
    recorder.catch_up()
    assert len(recorder.uids("web")) == 4
    assert sorted(recorder.deleted()) == sorted(recorder.uids("web"))


def _are_there(kube: Kube, count: int) -> bool:
    return len(kube.pods("web")) == count
