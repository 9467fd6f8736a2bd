"""Metrics, made from what was written: a restart is counted when its decision is persisted, and once.

Labels are bounded by the trees and children that exist (namespace, tree, child, and the words of the API), and by the kinds
of requests that Suptree makes. docs/metrics.md lists them all, and a test keeps it true.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from prometheus_client import (
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import suptree
from suptree.api.model import from_time
from suptree.api.outcomes import Outcome
from suptree.api.status import HistoryEntry, SupervisionTreeStatus
from suptree.app.queue import Queue
from suptree.cluster.store import Namespace, Store

disable_created_metrics()  # type: ignore[no-untyped-call]

_TREE = ["namespace", "tree"]
_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_FRACTIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

RESTARTS = Counter("suptree_restarts", "Restarts that began.", [*_TREE, "child", "cause", "counted"])
EXHAUSTED = Counter("suptree_exhausted", "Times that a tree gave up.", [*_TREE, "reason"])
IS_EXHAUSTED = Gauge(
    "suptree_tree_exhausted", "1 while a tree has given up: it needs a person, or waits to retry.", _TREE
)
BUDGET_LEFT = Gauge("suptree_budget_left", "Restarts that a tree has left in its window, when last written.", _TREE)
BUDGET_LIMIT = Gauge("suptree_budget_limit", "Restarts that a tree may have in its window: its intensity.", _TREE)
BEGAN = Gauge(
    "suptree_operation_start_time_seconds",
    "When the restart that is under way began, in seconds since the epoch; 0 when none is.",
    _TREE,
)
UNDER_WAY = Gauge("suptree_restarts_under_way", "Restarts that have a place among those of the cluster.")
QUEUED = Gauge("suptree_restarts_queued", "Restarts that wait for their turn.")
RESTART_SECONDS = Histogram(
    "suptree_restart_duration_seconds", "Whole restarts, from the decision until all was up again.", buckets=_SECONDS
)
STOP_SECONDS = Histogram(
    "suptree_stop_duration_seconds",
    "The part of a restart until all that was to be stopped was gone.",
    buckets=_SECONDS,
)
START_SECONDS = Histogram(
    "suptree_start_duration_seconds", "The part of a restart from then until all was up again.", buckets=_SECONDS
)
REACTION_SECONDS = Histogram(
    "suptree_reaction_seconds",
    "From the moment when a loop was woken until the first delete that it led to was answered.",
    buckets=_FRACTIONS,
)
REQUESTS = Counter(
    "suptree_api_requests",
    "Requests to the API server that were answered, or failed: code 0 is no answer.",
    ["verb", "resource", "code"],
)
WATCH_AGE = Gauge("suptree_watch_age_seconds", "How long the API server was not heard on a watch.", ["resource"])
LEADER = Gauge("suptree_leader", "1 if this process acts, 0 if it waits to take over.")
BUILD = Info("suptree_build", "The running version.")

_OF_A_TREE = (RESTARTS, EXHAUSTED, IS_EXHAUSTED, BUDGET_LEFT, BUDGET_LIMIT, BEGAN)


class _Stored(Collector):
    """What is counted when it is asked for."""

    store: Store | None = None

    def describe(self) -> list[Metric]:
        return list(self._families(()))

    def collect(self) -> Iterator[Metric]:
        yield from self._families(list(self.store.namespaces.items()) if self.store is not None else [])

    @staticmethod
    def _families(namespaces: Iterable[tuple[str, Namespace]]) -> Iterator[Metric]:
        trees = GaugeMetricFamily("suptree_trees", "Trees that this process knows.", labels=["namespace"])
        held = GaugeMetricFamily("suptree_held_pods", "Pods that Suptree's gate holds.", labels=["namespace"])
        for name, it in namespaces:
            # Copies, because metrics are read in another thread.
            known = len(it.trees)
            waiting = sum(pod.is_gated for pod in list(it.pods_by_uid.values()))
            if known:
                trees.add_metric([name], known)
            if known or waiting:
                held.add_metric([name], waiting)
        yield trees
        yield held


_STORED = _Stored()
REGISTRY.register(_STORED)


def serve(port: int) -> None:
    """Serve the metrics on that port."""
    BUILD.info({"version": suptree.__version__})
    start_http_server(port)


def follow(queue: Queue, store: Store, is_acting: Callable[[], bool]) -> None:
    """Have the gauges show what these say whenever they are read."""
    UNDER_WAY.set_function(lambda: len(queue.look(time.time()).under_way))
    QUEUED.set_function(lambda: len(queue.look(time.time()).waiting))
    LEADER.set_function(is_acting)
    _STORED.store = store


def show_watch_ages(resources: Iterable[str], ages: Callable[[], Mapping[str, float]]) -> None:
    """Show the ages of the watches, as they are when they are scraped."""
    for resource in resources:
        WATCH_AGE.labels(resource).set_function(partial(_age, ages, resource))


def _age(ages: Callable[[], Mapping[str, float]], resource: str) -> float:
    return ages()[resource]


def record(key: tuple[str, str], before: SupervisionTreeStatus, after: SupervisionTreeStatus) -> None:
    """Count what a written status says that the one before did not."""
    known = {entry.operation: entry for entry in before.history}
    for entry in after.history:
        if entry.operation > (before.serial or 0) and entry.outcome is not Outcome.EXHAUSTED:
            RESTARTS.labels(*key, entry.child, entry.cause, str(entry.counted).lower()).inc()
        old = known.get(entry.operation)
        if entry.outcome is Outcome.RESTARTED and (old is None or old.outcome is not Outcome.RESTARTED):
            _time(entry)
    if after.exhausted is not None and after.exhausted != before.exhausted:
        EXHAUSTED.labels(*key, after.exhausted.reason).inc()
    show(key, after)


def show(key: tuple[str, str], status: SupervisionTreeStatus) -> None:
    """Have the gauges of a tree say what its status says."""
    IS_EXHAUSTED.labels(*key).set(status.exhausted is not None)
    BEGAN.labels(*key).set(from_time(status.operation.start_time) if status.operation is not None else 0)
    if status.budget is not None:
        BUDGET_LEFT.labels(*key).set(status.budget.limit - status.budget.used)
        BUDGET_LIMIT.labels(*key).set(status.budget.limit)


def _time(entry: HistoryEntry) -> None:
    if entry.ready_time is None:
        return
    RESTART_SECONDS.observe(from_time(entry.ready_time) - from_time(entry.time))
    if entry.stopped_time is not None:
        STOP_SECONDS.observe(from_time(entry.stopped_time) - from_time(entry.time))
        START_SECONDS.observe(from_time(entry.ready_time) - from_time(entry.stopped_time))


def forget(key: tuple[str, str]) -> None:
    """Drop every series of a tree that is gone."""
    for metric in _OF_A_TREE:
        metric.remove_by_labels(dict(zip(_TREE, key, strict=True)))
