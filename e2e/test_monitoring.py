"""Alerts and the dashboard, evaluated by Prometheus' own engine: over made-up series, and over a real scrape."""

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.lib import crash
from e2e.lib.kube import Kube, eventually, wait_condition, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.promql import Series, Vector, ask, scraped, steady
from e2e.lib.target import ROOT
from e2e.lib.workloads import child, tree, workload

Json = dict[str, Any]

FILES = ROOT / "charts" / "suptree" / "files"
ALERTS: dict[str, Json] = {
    it["alert"]: it for it in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
}
PANELS: list[Json] = json.loads((FILES / "dashboard.json").read_text())["panels"]

NOW = 3600.0
SHOP = {"namespace": "shop", "tree": "shop"}


def budget(left: float, limit: float) -> list[Series]:
    """Give the series of a tree's budget."""
    return [steady("suptree_budget_left", left, NOW, **SHOP), steady("suptree_budget_limit", limit, NOW, **SHOP)]


def exhausted(until: float = NOW) -> Series:
    """Give the series of a tree that has given up."""
    return steady("suptree_tree_exhausted", 1, until, **SHOP)


def began(at: float) -> Series:
    """Give the series of a restart that began then."""
    return steady("suptree_operation_start_time_seconds", at, NOW, **SHOP)


def leading(*values: float) -> list[Series]:
    """Give the series of processes that act or do not."""
    return [steady("suptree_leader", value, NOW, pod=f"suptree-{at}") for at, value in enumerate(values)]


def watch(age: float) -> Series:
    """Give the series of a watch."""
    return steady("suptree_watch_age_seconds", age, NOW, resource="pods", pod="suptree-0")


FIRES: dict[str, tuple[str, list[Series], dict[str, str]]] = {
    "a tree has given up": ("SuptreeTreeExhausted", [exhausted()], SHOP),
    "one of three is left": ("SuptreeBudgetNearlySpent", budget(1, 3), SHOP),
    "none of one is left": ("SuptreeBudgetNearlySpent", budget(0, 1), SHOP),
    "a restart takes 16 minutes": ("SuptreeOperationStuck", [began(NOW - 960)], SHOP),
    "nobody leads": ("SuptreeNotActing", leading(0, 0), {}),
    "nobody is scraped": ("SuptreeNotActing", [], {}),
    "a watch is dead": ("SuptreeWatchStale", [watch(130)], {"resource": "pods"}),
}
DOES_NOT_FIRE: dict[str, tuple[str, list[Series]]] = {
    "no tree has given up": ("SuptreeTreeExhausted", budget(3, 3)),
    "the tree was reset": ("SuptreeTreeExhausted", [exhausted(NOW - 600)]),
    "two of three are left": ("SuptreeBudgetNearlySpent", budget(2, 3)),
    "intensity is 0": ("SuptreeBudgetNearlySpent", budget(0, 0)),
    "it has given up already": ("SuptreeBudgetNearlySpent", [*budget(0, 3), exhausted()]),
    "no restart is under way": ("SuptreeOperationStuck", [began(0)]),
    "a restart takes 10 minutes": ("SuptreeOperationStuck", [began(NOW - 600)]),
    "one of two leads": ("SuptreeNotActing", leading(0, 1)),
    "a sign of life a minute ago": ("SuptreeWatchStale", [watch(65)]),
}


@pytest.mark.parametrize(("alert", "series", "labels"), FIRES.values(), ids=FIRES.keys())
def test_an_alert_fires(alert: str, series: list[Series], labels: dict[str, str]) -> None:
    """Whoever is on call hears of it, once for each tree, with the labels that the text needs."""
    (found,) = ask(series, (ALERTS[alert]["expr"], NOW))
    assert [it[0] for it in found] == [labels]


@pytest.mark.parametrize(("alert", "series"), DOES_NOT_FIRE.values(), ids=DOES_NOT_FIRE.keys())
def test_an_alert_is_quiet(alert: str, series: list[Series]) -> None:
    """Nobody is woken for what is as it should be."""
    assert ask(series, (ALERTS[alert]["expr"], NOW)) == [[]]


@pytest.fixture
def scraping(operator: Operator) -> Iterator[str]:
    """Have the operator serve metrics; give their address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    operator.stop()
    before, operator.args = operator.args, (*operator.args, "--metrics-port", str(port))
    operator.start()
    yield f"http://127.0.0.1:{port}/metrics"
    operator.stop()
    operator.args = before
    operator.start()


def test_the_dashboard_shows_a_real_run(scraping: str, fake: Kube) -> None:
    """Every panel shows something when one tree has restarted, one has given up and one is in the middle of a restart; the alerts agree."""
    no_node = {"nodeSelector": {"suptree.dev/node": "none"}}
    fake.apply(
        tree("well", child("Deployment", "well"), intensity=3),
        tree("parked", child("Deployment", "parked"), intensity=0),
        tree("busy", child("ReplicaSet", "first"), child("Deployment", "second"), strategy="OneForAll"),
        workload("ReplicaSet", "first", real=False),
        *(workload("Deployment", name, real=False) for name in ("well", "parked", "second")),
    )
    for name in ("well", "parked", "busy"):
        wait_ready(fake, name)
    crash.pretend(fake, fake.pod("well"))
    eventually(lambda: fake.status("well")["restarts"] == 1, "well is counted")
    crash.recover(fake, fake.pod("well"))
    wait_ready(fake, "well")
    crash.pretend(fake, fake.pod("parked"))
    # What takes its place fits on no node, so the restart does not end.
    fake.patch("replicaset", "first", {"spec": {"template": {"spec": no_node}}})
    crash.pretend(fake, fake.pod("second"))
    wait_condition(fake, "parked", "Stalled", "True", "Parked")
    eventually(lambda: fake.status("busy").get("operation"), "a restart is under way")
    eventually(lambda: _shows(_read(scraping), "suptree_tree_exhausted", fake, "parked"), "the metrics show it")
    now = time.time()
    series = scraped(_read(scraping), now)
    queries = [(panel["title"], _filled(target["expr"], fake)) for panel in PANELS for target in panel["targets"]]
    shown = dict(zip([title for title, _ in queries], ask(series, *((expr, now) for _, expr in queries)), strict=True))
    assert [title for title, vector in shown.items() if not vector] == []
    assert _values(shown["Trees that have given up"]) == [1]
    assert _values(shown["Processes that act"]) == [1]
    assert [labels["tree"] for labels, _ in shown["Which trees have given up"]] == ["parked"]
    assert "Crash" in {labels["cause"] for labels, _ in shown["Restarts by cause"]}
    assert [labels["tree"] for labels, _ in shown["How long restarts have been under way"]] == ["busy"]
    (parked,) = ask(series, (ALERTS["SuptreeTreeExhausted"]["expr"], now))
    assert [it[0]["tree"] for it in parked if it[0]["namespace"] == fake.namespace] == ["parked"]


def _read(address: str) -> str:
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - an address of our own
        return str(answer.read().decode())


def _shows(text: str, metric: str, kube: Kube, name: str) -> bool:
    return f'{metric}{{namespace="{kube.namespace}",tree="{name}"}} 1.0' in text


def _filled(expr: str, kube: Kube) -> str:
    """Put in what Grafana would: the chosen namespace, and an interval."""
    return expr.replace("$namespace", kube.namespace).replace("$__rate_interval", "5m")


def _values(vector: Vector) -> list[float]:
    return [value for _, value in vector]
