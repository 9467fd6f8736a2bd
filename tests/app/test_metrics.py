"""Metrics say what the status says."""

import time
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from suptree.api.model import to_time
from suptree.api.outcomes import Cause, ExhaustedReason, Outcome, Stage
from suptree.api.status import BudgetStatus, Exhausted, HistoryEntry, OperationStatus, SupervisionTreeStatus
from suptree.app import metrics
from suptree.app.queue import Queue
from suptree.cluster.store import Store
from suptree.cluster.trees import tree_of
from suptree.cluster.views import pod_of
from tests.cluster.builders import pod, tree

KEY = ("shop", "tree")


def test_the_queue_shows_as_it_is() -> None:
    """A dashboard shows how many restarts are under way in the cluster, and how many wait for their turn."""
    store = Store()
    namespace = store.namespace("shop")
    metrics.follow(Queue(store, limit=1), store, lambda: True)
    for name, stage in (("a", "Starting"), ("b", "Waiting"), ("c", "Waiting")):
        raw = tree(name=name)
        op = {"id": 1, "kind": "restart", "stage": stage, "startTime": to_time(time.time()), "slice": ["db"]}
        raw["status"] = {"uid": raw["metadata"]["uid"], "operation": {**op, "turnTime": to_time(time.time())}}
        namespace.put_tree(tree_of(raw))
    assert REGISTRY.get_sample_value("suptree_restarts_under_way") == 1
    assert REGISTRY.get_sample_value("suptree_restarts_queued") == 2


def entry(operation: int, outcome: Outcome = Outcome.IN_PROGRESS) -> HistoryEntry:
    """Return an entry of the history."""
    return HistoryEntry(operation=operation, time=to_time(1), child="db", cause=Cause.CRASH, outcome=outcome)


def value(name: str, **labels: str) -> float | None:
    """Return what a scrape would show."""
    return REGISTRY.get_sample_value(name, {"namespace": KEY[0], "tree": KEY[1], **labels})


@pytest.fixture(autouse=True)
def _clean() -> None:
    metrics.RESTARTS.clear()
    metrics.EXHAUSTED.clear()


def test_a_restart_is_counted_when_it_is_written_and_once() -> None:
    """A dashboard shows one restart for one decision, also when its entry is written again as it ends."""
    none = SupervisionTreeStatus(serial=0)
    begun = SupervisionTreeStatus(serial=1, history=(entry(1),), budget=BudgetStatus(used=1, limit=3))
    ended = begun.model_copy(update={"history": (entry(1, Outcome.RESTARTED),)})
    metrics.record(KEY, none, begun)
    metrics.record(KEY, begun, ended)
    assert value("suptree_restarts_total", child="db", cause="Crash", counted="true") == 1
    assert value("suptree_budget_left") == 2


def test_a_refused_restart_is_no_restart_but_the_tree_gave_up() -> None:
    """An alert on exhausted trees fires once, and the count of restarts stays."""
    before = SupervisionTreeStatus(serial=3)
    gave_up = Exhausted(reason=ExhaustedReason.BUDGET_EXHAUSTED, time=to_time(1))
    after = SupervisionTreeStatus(serial=4, history=(entry(4, Outcome.EXHAUSTED),), exhausted=gave_up)
    metrics.record(KEY, before, after)
    metrics.record(KEY, after, after)
    assert value("suptree_restarts_total", child="db", cause="Crash", counted="true") is None
    assert value("suptree_exhausted_total", reason="BudgetExhausted") == 1


def test_a_restart_is_timed_once_it_is_over() -> None:
    """A dashboard shows how long a whole restart took, and its two parts, when all is up again, and once."""
    before = [value_of(f"suptree_{it}_duration_seconds_sum") for it in ("restart", "stop", "start")]
    begun = SupervisionTreeStatus(serial=1, history=(entry(1),))
    times = {"stopped_time": to_time(4), "ready_time": to_time(11), "outcome": Outcome.RESTARTED}
    ended = SupervisionTreeStatus(serial=1, history=(entry(1).model_copy(update=times),))
    metrics.record(KEY, begun, ended)
    metrics.record(KEY, ended, ended)
    after = [value_of(f"suptree_{it}_duration_seconds_sum") for it in ("restart", "stop", "start")]
    assert [new - old for old, new in zip(before, after, strict=True)] == [10, 3, 7]


def value_of(name: str) -> float:
    """Return what a scrape would show of a metric without labels."""
    return REGISTRY.get_sample_value(name) or 0.0


def test_a_tree_that_is_gone_leaves_nothing() -> None:
    """A dashboard does not show trees that were deleted, and keeps those of the same name elsewhere."""
    other = ("elsewhere", KEY[1])
    gave_up = Exhausted(reason=ExhaustedReason.BUDGET_EXHAUSTED, time=to_time(1))
    after = SupervisionTreeStatus(
        serial=1, history=(entry(1),), exhausted=gave_up, budget=BudgetStatus(used=1, limit=3)
    )
    for key in (KEY, other):
        metrics.record(key, SupervisionTreeStatus(serial=0), after)
    assert series(*KEY) == {it.partition("{")[0] for it in series(*other)} == OF_A_TREE
    metrics.forget(KEY)
    metrics.forget(KEY)
    assert series(*KEY) == set()
    assert series(*other) == OF_A_TREE


OF_A_TREE = {
    f"suptree_{it}"
    for it in (
        "restarts_total",
        "exhausted_total",
        "tree_exhausted",
        "budget_left",
        "budget_limit",
        "operation_start_time_seconds",
    )
}


def series(namespace: str, tree: str) -> set[str]:
    """Return the names of the series of a tree."""
    return {
        sample.name
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if (sample.labels.get("namespace"), sample.labels.get("tree")) == (namespace, tree)
    }


def test_held_pods_and_trees_are_counted_by_namespace() -> None:
    """A dashboard shows where pods wait, and no namespace in which there is nothing to see."""
    store = Store()
    store.namespace("empty")
    store.namespace("shop").put_tree(tree_of(tree(name="a")))
    held = pod_of(pod(gated=True))
    store.namespace("shop").put_pod(held)
    metrics.follow(Queue(store, limit=1), store, lambda: False)
    assert REGISTRY.get_sample_value("suptree_trees", {"namespace": "shop"}) == 1
    assert REGISTRY.get_sample_value("suptree_held_pods", {"namespace": "shop"}) == 1
    assert REGISTRY.get_sample_value("suptree_held_pods", {"namespace": "empty"}) is None
    assert REGISTRY.get_sample_value("suptree_leader") == 0


def test_a_restart_under_way_shows_since_when() -> None:
    """An alert on a restart that does not end knows when it began, also after the operator was replaced."""
    operation = OperationStatus(id=4, stage=Stage.STARTING, start_time=to_time(100))
    metrics.show(KEY, SupervisionTreeStatus(serial=4, operation=operation))
    assert value("suptree_operation_start_time_seconds") == 100
    metrics.show(KEY, SupervisionTreeStatus(serial=4))
    assert value("suptree_operation_start_time_seconds") == 0


DOCS = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def test_every_metric_is_documented() -> None:
    """docs/metrics.md names each metric that is served, with its type, its labels and the same sentence, and no other."""
    rows = set()
    for collector in REGISTRY._collector_to_names:
        labels = ", ".join(getattr(collector, "_labelnames", ["namespace"]))
        for metric in collector.describe() if hasattr(collector, "describe") else ():
            if metric.name.startswith("suptree_"):
                suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
                shown = "version" if metric.type == "info" else labels
                rows.add(f"| `{metric.name}{suffix}` | {metric.type} | {shown} | {metric.documentation} |")
    assert rows == {line for line in DOCS.splitlines() if line.startswith("| `suptree_")}
    assert len(rows) > 10
