"""A network that hangs without a word: the operator says that it hears nothing, and misses nothing when it hears again."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Kube, eventually, wait_history, wait_ready
from e2e.lib.operator import Operator, kubeconfig
from e2e.lib.proxy import Proxy
from e2e.lib.recorder import Recorder
from e2e.lib.target import Target
from e2e.lib.workloads import child, tree, workload
from tests import yamls

SILENCE_SECONDS = 7
"""Instead of 70: what is tested is what happens after it."""
LIMIT_SECONDS = 9
JSON = ("--log-format", "json")
UNREADABLE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": "it"}


@pytest.fixture
def proxy(target: Target, operator: Operator) -> Iterator[Proxy]:
    """What stands between an operator and its API server; the operator that the other tests have pauses meanwhile."""
    address = yamls.load(Path(target.kube.kubeconfig).read_text())["clusters"][0]["cluster"]["server"]
    operator.stop()
    with Proxy(address) as found:
        yield found
    operator.start()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as it:
        return int(it.getsockname()[1])


def ask(port: int, path: str) -> tuple[int, str]:
    """Return what the operator answers, as a kubelet would ask."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sample(port: int, series: str) -> float:
    """Return a value from the operator's metrics; 0 if there is no such series."""
    _, text = ask(port, "metrics")
    found = [float(line.rpartition(" ")[2]) for line in text.splitlines() if line.rpartition(" ")[0] == series]
    return found[0] if found else 0.0


def age(port: int, resource: str) -> float:
    """Return how long the operator has heard nothing on a watch, by its metrics."""
    return sample(port, f'suptree_watch_age_seconds{{resource="{resource}"}}')


def test_a_crash_while_the_network_hangs_is_found_afterwards(
    target: Target, fake: Kube, recorder: Recorder, proxy: Proxy, tmp_path: Path
) -> None:
    """C64: while nothing comes through, liveness fails and names the silent watches; then a crash of that time is found, once."""
    fake.apply(
        tree("shop", child("StatefulSet", "db"), child("Deployment", "web"), strategy="OneForAll"),
        tree("lost", child("Deployment", "nowhere")),
        tree("forbidden", child("Deployment", "it", targetRef=UNREADABLE)),
        workload("StatefulSet", "db", real=False),
        workload("Deployment", "web", 2, real=False),
    )
    health, metrics = free_port(), free_port()
    ports = ("--health-port", str(health), "--metrics-port", str(metrics))
    silence = ("--watch-silence-seconds", str(SILENCE_SECONDS))
    config = kubeconfig(target, tmp_path, proxy.url)
    proxy.hang()
    it = Operator(
        target.kube, config, tmp_path / "operator.log", ("--namespace", fake.namespace, *ports, *silence, *JSON)
    )
    it.start()
    try:
        code, said = ask(health, "readyz")
        assert code == 503, said
        proxy.resume()
        eventually(lambda: ask(health, "readyz") == (200, "ok\n"), "it is ready")
        wait_ready(fake, "shop")
        assert ask(health, "healthz") == (200, "ok\n")
        before = check.census(recorder, "db", "web")

        proxy.hang()
        crash.pretend(fake, "db-0")
        eventually(lambda: "pods for" in ask(health, "healthz")[1], "liveness names the pods' watch")
        assert ask(health, "healthz")[0] == 503
        assert age(metrics, "pods") > LIMIT_SECONDS
        check.untouched(recorder, before)

        proxy.resume()
        eventually(lambda: ask(health, "healthz")[0] == 200, "it hears again")
        check.counted_once(wait_history(fake, "shop", 1))
        wait_ready(fake, "shop")
        check.replaced_once(recorder, before)
        assert age(metrics, "pods") < LIMIT_SECONDS
        measured(metrics, fake.namespace)
    finally:
        it.stop()
    assert it.exit_code == 0
    logged(it, fake.namespace)


def measured(port: int, namespace: str) -> None:
    """Assert that the metrics say what has happened: one counted restart of two children with three pods."""
    mine = f'namespace="{namespace}",tree="shop"'
    expected = {
        f'suptree_restarts_total{{cause="Crash",child="db",counted="true",{mine}}}': 1.0,
        f"suptree_budget_left{{{mine}}}": 2.0,
        f"suptree_tree_exhausted{{{mine}}}": 0.0,
        f'suptree_trees{{namespace="{namespace}"}}': 3.0,
        f'suptree_held_pods{{namespace="{namespace}"}}': 0.0,
        'suptree_api_requests_total{code="200",resource="pods",verb="delete"}': 3.0,
        "suptree_restart_duration_seconds_count": 1.0,
        "suptree_stop_duration_seconds_count": 1.0,
        "suptree_start_duration_seconds_count": 1.0,
        "suptree_reaction_seconds_count": 1.0,
        "suptree_leader": 1.0,
    }
    assert {series: sample(port, series) for series in expected} == expected
    for resource in ("pods", "supervisiontrees", "deployments"):
        assert sample(port, f'suptree_api_requests_total{{code="200",resource="{resource}",verb="watch"}}') > 0
    assert sample(port, "suptree_restart_duration_seconds_sum") > 0


def logged(it: Operator, namespace: str) -> None:
    """Assert that each decision is one line with its fields, that a user's mistake is one, and that there is no stack trace."""
    text = it.log.read_text()
    assert "Traceback" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    mine = [line for line in lines if line.get("namespace") == namespace]
    told = [line for line in mine if line["tree"] == "shop" and "operation" in line]
    assert [(line["reason"], line["operation"], line["child"], line["cause"]) for line in told] == [
        ("Restarting", 1, "db", "Crash"),
        ("Restarted", 1, "db", "Crash"),
    ]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    mistakes = [(line["tree"], line["reason"]) for line in mine if line["tree"] in {"lost", "forbidden"}]
    assert len(mistakes) == len(set(mistakes)), mistakes
    assert {tree for tree, _ in mistakes} == {"lost", "forbidden"}, mistakes
