"""Prometheus' own engine, asked what a query shows over given samples (e2e/cluster/go/promql)."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from prometheus_client.parser import text_string_to_metric_families

from e2e.cluster import build, pins
from e2e.cluster.report import Report


@dataclass(frozen=True)
class Series:
    """Samples of one series: seconds and values."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


Vector = list[tuple[dict[str, str], float]]
"""Labels and value of each element."""


@cache
def _program() -> str:
    all_pins = pins.load()
    return str(build.build(all_pins.families["promql"], all_pins, Report())["promql"])


def steady(name: str, value: float, until: float, **labels: str) -> Series:
    """Return a series that has had the same value every 15 seconds from 0 until then."""
    return Series({"__name__": name, **labels}, [(at, value) for at in range(0, int(until) + 1, 15)])


def scraped(text: str, at: float) -> list[Series]:
    """Return the series of a scrape, as if they had been so for ten minutes."""
    return [
        Series({"__name__": it.name, **it.labels}, [(at - back, it.value) for back in range(600, -1, -15)])
        for family in text_string_to_metric_families(text)
        for it in family.samples
    ]


def ask(series: Sequence[Series], *queries: tuple[str, float]) -> list[Vector]:
    """Evaluate queries, each at its time (seconds).

    Raises:
        AssertionError: A query is wrong; with what is wrong.
    """
    given = {
        "series": [{"labels": dict(it.labels), "samples": list(it.samples)} for it in series],
        "queries": [{"expr": expr, "at": at} for expr, at in queries],
    }
    done = subprocess.run([_program()], input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [[(it["labels"], float(it["value"])) for it in vector] for vector in json.loads(done.stdout)]
