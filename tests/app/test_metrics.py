"""Metrics say what the status says."""

import time

import pytest
from prometheus_client import REGISTRY

from suptree.api.model import to_time
from suptree.api.outcomes import Cause, ExhaustedReason, Outcome
from suptree.api.status import BudgetStatus, Exhausted, HistoryEntry, SupervisionTreeStatus
from suptree.app import metrics
from suptree.app.queue import Queue
from suptree.cluster.store import Store
from suptree.cluster.trees import tree_of
from tests.cluster.builders import tree

KEY = ("shop", "tree")


def test_the_queue_shows_as_it_is() -> None:
    """A dashboard shows how many restarts are under way in the cluster, and how many wait for their turn."""
    store = Store()
    namespace = store.namespace("shop")
    metrics.follow(Queue(store, limit=1))
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


def test_a_tree_that_is_gone_leaves_no_gauge() -> None:
    """A dashboard does not show trees that were deleted."""
    metrics.BUDGET_LEFT.labels(*KEY).set(1)
    metrics.forget(KEY)
    metrics.forget(KEY)
    assert value("suptree_budget_left") is None
