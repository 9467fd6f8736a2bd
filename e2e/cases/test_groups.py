"""Groups that are restarted: nothing overlaps, nothing starts against what is down, nothing of a workload is written (C28, C36, C43, C55)."""

from typing import Any

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, wait_condition, wait_history, wait_ready
from e2e.lib.recorder import WHAT, Recorder
from e2e.lib.workloads import child, tree, workload
from tests import yamls

SLOW_STOP = "trap 'sleep 3; exit 0' TERM; until [ -e /tmp/end ]; do sleep 0.1; done; exit $(cat /tmp/end)"


def positions(recorder: Recorder, what: str, uids: list[str]) -> list[int]:
    """Return for each of these pods the position of the first change in which it is so.

    Raises:
        AssertionError: One never was.
    """
    found: dict[str, int] = {}
    for at, change in enumerate(recorder.changes):
        if change.uid in uids and WHAT[what](change):
            found.setdefault(change.uid, at)
    assert found.keys() == set(uids), f"not all were {what}: {recorder.story()}"
    return [found[uid] for uid in uids]


def test_c28_nothing_new_starts_before_all_of_the_old_is_gone(real: Kube, recorder: Recorder) -> None:
    """However long one member takes to stop, no new pod of its group starts before it is gone.

    C43: the restart was too slow for three of them to fit into the period, and a condition says so.
    """
    real.apply(
        tree("shop", child("Deployment", "a"), child("Deployment", "b"), strategy="OneForAll", periodSeconds=5),
        workload("Deployment", "a"),
        workload("Deployment", "b", script=SLOW_STOP),
    )
    wait_ready(real, "shop")
    assert real.condition("shop", "BudgetReachable")["status"] == "True"
    before = check.census(recorder, "a", "b")
    crash.end(real, real.pod("a"), 3)
    wait_history(real, "shop", 1)
    check.replaced_once(recorder, before)
    new = [uid for app in before for uid in check.new(recorder, before, app)]
    gone = positions(recorder, "gone", [*check.old(before)])
    assert max(gone) < min(positions(recorder, "released", new)), recorder.story()

    wait_condition(real, "shop", "BudgetReachable", "False", "RestartTooSlow")
    assert "raise periodSeconds or lower intensity" in real.condition("shop", "BudgetReachable")["message"]


def in_turn(name: str) -> Json:
    """Return a StatefulSet of three on fake nodes that makes its pods one after the other."""
    made = workload("StatefulSet", name, 3, real=False)
    del made["spec"]["podManagementPolicy"]
    return made


def test_c36_members_of_a_cluster_are_all_gone_or_replaced_one_by_one(fake: Kube, recorder: Recorder) -> None:
    """A BEAM cluster's old pods are all gone before a new one starts, one at a time; with OneByOne at most one is ever away."""
    fake.apply(
        tree(
            "cluster",
            child("StatefulSet", "beam"),
            child("StatefulSet", "quorum", replacement="OneByOne"),
            strategy="OneForAll",
        ),
        in_turn("beam"),
        in_turn("quorum"),
    )
    wait_ready(fake, "cluster")
    before = check.census(recorder, "beam", "quorum")
    crash.pretend(fake, "beam-1")
    check.counted_once(wait_history(fake, "cluster", 1))
    check.replaced_once(recorder, before)

    beam = check.new(recorder, before, "beam")
    started = positions(recorder, "released", beam)
    assert max(positions(recorder, "gone", before["beam"])) < min(started), recorder.story()
    ready = positions(recorder, "ready", beam)
    assert all(earlier < later for earlier, later in zip(ready, started[1:], strict=False)), recorder.story()

    quorum = check.new(recorder, before, "quorum")
    stopped = sorted(positions(recorder, "deleting", before["quorum"]))
    ready = sorted(positions(recorder, "ready", quorum))
    assert max(ready[:2]) < stopped[2], recorder.story()
    assert ready[0] < stopped[1], recorder.story()
    assert max(positions(recorder, "ready", beam)) < stopped[0], "where it stands in the start order"


def desired(it: Json) -> dict[str, Any]:
    """Return what a user or a GitOps tool compares: the spec, labels, annotations, and who has written which field of them."""
    meta = it["metadata"]
    fields = [entry for entry in meta["managedFields"] if entry.get("subresource") != "status"]
    # The Deployment controller notes its revision: that is Kubernetes' own.
    written = [entry for entry in fields if entry["manager"] != "kube-controller-manager"]
    return {key: meta.get(key) for key in ("labels", "annotations", "ownerReferences", "finalizers", "generation")} | {
        "spec": it["spec"],
        "written": written,
    }


def test_c55_a_restart_leaves_no_trace_on_the_workloads(fake: Kube, recorder: Recorder) -> None:
    """After a restart of the group nothing has changed that another operator or a GitOps tool would put back."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}
    fake.apply(owner)
    uid = fake.get("configmap", "owner")["metadata"]["uid"]
    web = workload("Deployment", "web", 2, real=False)
    web["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]
    fake.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll"),
        workload("StatefulSet", "db", real=False),
        web,
    )
    wait_ready(fake, "shop")
    before, pods = shown(fake), check.census(recorder, "db", "web")
    crash.pretend(fake, "db-0")
    check.counted_once(wait_history(fake, "shop", 1))
    check.replaced_once(recorder, pods)
    assert shown(fake) == before


def shown(kube: Kube) -> list[dict[str, Any]]:
    """Return what a GitOps tool would see of the two workloads."""
    return [
        desired(yamls.load(kube.run("get", *it, "--output", "yaml", "--show-managed-fields").stdout))
        for it in (("statefulset", "db"), ("deployment", "web"))
    ]
