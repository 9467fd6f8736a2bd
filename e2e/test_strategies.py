"""The three strategies on real containers: who is stopped, who is held, who is started, in what order, at what cost."""

from itertools import pairwise

from e2e.lib import check, crash
from e2e.lib.kube import Kube, wait_history, wait_ready
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, tree, workload


def shop(kube: Kube, strategy: str, **spec: object) -> None:
    """Apply a tree of three: a StatefulSet db, Deployments web (2 pods) and worker; wait until all is Ready."""
    kube.apply(
        tree(
            "shop",
            child("StatefulSet", "db", shutdownSeconds=2),
            child("Deployment", "web", shutdownSeconds=2),
            child("Deployment", "worker", shutdownSeconds=2),
            strategy=strategy,
            **spec,
        ),
        workload("StatefulSet", "db"),
        workload("Deployment", "web", 2),
        workload("Deployment", "worker"),
    )
    wait_ready(kube, "shop")


def test_one_for_one_counts_the_kubelets_restart_and_deletes_nothing(real: Kube, recorder: Recorder) -> None:
    """Under OneForOne the kubelet's restart in place is the restart: it is counted once, and no pod is replaced."""
    shop(real, "OneForOne")
    crash.end(real, "db-0", 3)
    status = wait_history(real, "shop", 1)
    assert recorder.deleted() == []
    assert status["restarts"] == 1
    assert status["budget"]["used"] == 1
    assert [child["restarts"] for child in status["children"]] == [1, 0, 0]
    entry = status["history"][0]
    assert (entry["child"], entry["cause"], entry["exitCode"], entry["slice"]) == ("db", "Crash", 3, ["db"])
    db = real.get("pod", "db-0")
    assert db["status"]["containerStatuses"][0]["restartCount"] == 1


def test_one_for_all_replaces_every_pod_once(real: Kube, recorder: Recorder) -> None:
    """Under OneForAll all pods are replaced once for one count: stopped in reverse order, started in order, held meanwhile."""
    shop(real, "OneForAll")
    before = check.census(recorder, "db", "web", "worker")
    crash.end(real, _a_pod(real, "web"), 3)
    status = wait_history(real, "shop", 1)
    assert status["budget"]["used"] == 1
    assert status["history"][0]["slice"] == ["db", "web", "worker"]
    for app, old in before.items():
        new = [uid for uid in recorder.uids(app) if uid not in old]
        assert len(new) == len(old), recorder.story()
    assert sorted(recorder.deleted()) == sorted(check.old(before))
    _assert_reverse_stop_and_ordered_start(recorder, ["db", "web", "worker"], before)


def test_c25_rest_for_one_restarts_who_comes_later_and_nobody_else(real: Kube, recorder: Recorder) -> None:
    """Under RestForOne the child that failed and the later ones are replaced; the earlier ones are not touched."""
    shop(real, "RestForOne")
    before = check.census(recorder, "db", "web", "worker")
    crash.end(real, _a_pod(real, "web"), 3)
    status = wait_history(real, "shop", 1)
    assert status["history"][0]["slice"] == ["web", "worker"]
    assert recorder.uids("db") == before["db"]
    assert sorted(recorder.deleted()) == sorted(before["web"] + before["worker"])
    _assert_reverse_stop_and_ordered_start(recorder, ["web", "worker"], before)


def _a_pod(kube: Kube, app: str) -> str:
    return str(kube.list("pods", f"app={app}")[0]["metadata"]["name"])


def _assert_reverse_stop_and_ordered_start(recorder: Recorder, order: list[str], before: check.Census) -> None:
    old = check.old(before)
    for earlier, later in pairwise(order):
        assert recorder.last(later, "gone") < recorder.first(earlier, "deleting"), recorder.story()
        ready = recorder.first(earlier, "ready", after=recorder.first(earlier, "released", but=old), but=old)
        assert ready < recorder.first(later, "released", but=old), recorder.story()
        assert recorder.first(later, "held", but=old) < ready, recorder.story()
