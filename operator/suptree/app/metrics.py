"""Metrics, made from what was written: a restart is counted when its decision is persisted, and once.

Labels are bounded by the trees and children that exist: namespace, tree, child, and the words of the API.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prometheus_client import Counter, Gauge, Info, start_http_server

import suptree
from suptree.api.outcomes import Outcome
from suptree.api.status import SupervisionTreeStatus
from suptree.app.queue import Queue

RESTARTS = Counter("suptree_restarts", "Restarts that began.", ["namespace", "tree", "child", "cause", "counted"])
EXHAUSTED = Counter("suptree_exhausted", "Times that a tree gave up.", ["namespace", "tree", "reason"])
BUDGET_LEFT = Gauge("suptree_budget_left", "Restarts that a tree has left in its window.", ["namespace", "tree"])
UNDER_WAY = Gauge("suptree_restarts_under_way", "Restarts that have a place among those of the cluster.")
QUEUED = Gauge("suptree_restarts_queued", "Restarts that wait for their turn.")
WATCH_AGE = Gauge("suptree_watch_age_seconds", "How long the API server was not heard on a watch.", ["resource"])
BUILD = Info("suptree_build", "The running version.")


def serve(port: int) -> None:
    """Serve the metrics on that port."""
    BUILD.info({"version": suptree.__version__})
    start_http_server(port)


def follow(queue: Queue) -> None:
    """Have the gauges of the queue show what it says whenever they are read."""
    UNDER_WAY.set_function(lambda: len(queue.look(time.time()).under_way))
    QUEUED.set_function(lambda: len(queue.look(time.time()).waiting))


def show_watch_ages(resources: Iterable[str], ages: Callable[[], Mapping[str, float]]) -> None:
    """Show the ages of the watches, as they are when they are scraped."""
    for resource in resources:
        WATCH_AGE.labels(resource).set_function(partial(_age, ages, resource))


def _age(ages: Callable[[], Mapping[str, float]], resource: str) -> float:
    return ages()[resource]


def record(key: tuple[str, str], before: SupervisionTreeStatus, after: SupervisionTreeStatus) -> None:
    """Count what a written status says that the one before did not."""
    for entry in after.history:
        if entry.operation > (before.serial or 0) and entry.outcome is not Outcome.EXHAUSTED:
            RESTARTS.labels(*key, entry.child, entry.cause, str(entry.counted).lower()).inc()
    if after.exhausted is not None and after.exhausted != before.exhausted:
        EXHAUSTED.labels(*key, after.exhausted.reason).inc()
    if after.budget is not None:
        BUDGET_LEFT.labels(*key).set(after.budget.limit - after.budget.used)


def forget(key: tuple[str, str]) -> None:
    """Drop the gauge of a tree that is gone."""
    BUDGET_LEFT.labels(*key)  # So that there is one to be removed.
    BUDGET_LEFT.remove(*key)
