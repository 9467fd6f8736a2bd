"""The cap on simultaneous restarts, on fake nodes: a node failure does not restart all trees at once."""

import json
from collections.abc import Iterator

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, tree, workload

NAMES = ("a", "b", "c", "d", "e")
HOLD = "example.org/not-yet"
"""A finalizer that keeps a pod from going until the test takes it off."""


@pytest.fixture
def capped(fake: Kube, operator: Operator) -> Iterator[Operator]:
    """An operator that restarts two trees at once."""
    assert fake.namespace
    usual = operator.args
    operator.stop()
    operator.args = (*usual, "--max-simultaneous-restarts", "2")
    operator.start()
    yield operator
    operator.stop()
    operator.args = usual
    operator.start()
    for name in NAMES:
        fake.run("delete", "statefulset", f"{name}-db", "--cascade=orphan")
    let_go(fake, *NAMES)


def slow_to_stop(name: str) -> Json:
    """Return a StatefulSet whose pods do not go before they are let go."""
    it = workload("StatefulSet", f"{name}-db", real=False)
    it["spec"]["template"]["metadata"]["finalizers"] = [HOLD]
    return it


def let_go(kube: Kube, *names: str) -> None:
    """Let the database pods of these trees go when they are deleted."""
    for name in names:
        kube.run("patch", "pod", f"{name}-db-0", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))


def has_place(status: Json) -> bool:
    """Tell whether a tree's restart is under way."""
    op = status.get("operation") or {}
    return "turnTime" in op and op["stage"] != "Waiting"


def test_a_node_failure_restarts_two_trees_at_a_time(fake: Kube, capped: Operator, recorder: Recorder) -> None:
    """C09: five trees lose their database; two restart, three say what they wait for and for how many, in the order of their failures, also across a kill."""
    for name in NAMES:
        fake.apply(
            slow_to_stop(name),
            workload("Deployment", f"{name}-web", real=False),
            tree(name, child("StatefulSet", f"{name}-db"), child("Deployment", f"{name}-web"), strategy="OneForAll"),
        )
    for name in NAMES:
        wait_ready(fake, name)
    apps = [f"{name}-{part}" for name in NAMES for part in ("db", "web")]
    before = check.census(recorder, *apps)

    with Recorder(fake, "supervisiontrees") as trees:
        for name, reason in zip(NAMES, ("Restarting", "Restarting", "Queued", "Queued", "Queued"), strict=True):
            crash.pretend(fake, f"{name}-db-0", 255, "Unknown")
            wait_condition(fake, name, "Reconciling", "True", reason)
        said = fake.condition("c", "Reconciling")["message"]
        assert "c-db was lost with its node" in said
        assert "waits: 2 restarts are under way in the cluster" in said
        assert len([it for it in fake.events("Queued") if it["involvedObject"]["name"] == "c"]) == 1
        check.untouched(recorder, before, *(f"{name}-{part}" for name in "cde" for part in ("db", "web")))

        capped.kill()
        capped.start()
        let_go(fake, "b")
        wait_history(fake, "b", 1)
        wait_condition(fake, "c", "Reconciling", "True", "Restarting")
        assert fake.condition("d", "Reconciling")["reason"] == "Queued"
        let_go(fake, "a", "c", "d", "e")
        for name in NAMES:
            status = wait_history(fake, name, 1)
            assert (status["restarts"], len(status["history"])) == (0, 1), "a lost node spends no budget"
            wait_ready(fake, name)
        trees.catch_up()
    check.replaced_once(recorder, before)
    check.none_held(fake)

    begun: list[str] = []
    now: dict[str, bool] = {}
    for change in trees.changes:
        now[change.name] = has_place(change.pod.get("status", {}))
        assert sum(now.values()) <= 2, f"{now}"
        begun += [change.name] if now[change.name] and change.name not in begun else []
    assert begun[:3] == ["a", "b", "c"]
    assert sorted(begun) == sorted(NAMES)
    eventually(lambda: not any(map(has_place, map(fake.status, NAMES))), "every place is free again")
