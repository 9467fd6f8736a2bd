"""Prometheus' own engine, asked what a query shows over given samples (e2e/cluster/go/promql)."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from e2e.cluster import build, pins
from e2e.cluster.report import Report


@dataclass(frozen=True)
class Series:
    """Samples of one series: seconds and values; None says that it is gone from then on."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float | None]]


Json = dict[str, Any]
Vector = list[tuple[dict[str, str], float]]
"""Labels and value of each element."""
Matrix = list[tuple[dict[str, str], list[tuple[float, float]]]]
"""Labels of each element, and its values with their times (seconds)."""


@cache
def _program() -> str:
    all_pins = pins.load()
    return str(build.build(all_pins.families["promql"], all_pins, Report())["promql"])


def ask(series: Sequence[Series], *queries: tuple[str, float]) -> list[Vector]:
    """Evaluate queries, each at its time (seconds).

    Raises:
        AssertionError: A query is wrong; with what is wrong.
    """
    lines = _answer(series, queries=[_query(expr, at, at, 1) for expr, at in queries])["queries"]
    return [[(it["labels"], float(it["points"][0][1])) for it in of_one] for of_one in lines]


def ask_over(series: Sequence[Series], queries: Sequence[str], start: float, end: float, step: float) -> list[Matrix]:
    """Evaluate queries at each step from start to end (seconds), as a dashboard does.

    Raises:
        AssertionError: A query is wrong; with what is wrong.
    """
    lines = _answer(series, queries=[_query(expr, start, end, step) for expr in queries])["queries"]
    return [[(it["labels"], [(float(t), float(v)) for t, v in it["points"]]) for it in of_one] for of_one in lines]


@dataclass(frozen=True)
class Firing:
    """An alert that fires at a time, with its texts filled in."""

    at: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def firing(series: Sequence[Series], rules: str, end: float, step: float) -> list[Firing]:
    """Evaluate the alerts of a file of rules at each step from 0 to end (seconds), as Prometheus does.

    Raises:
        AssertionError: A rule is wrong; with what is wrong.
    """
    return [Firing(**it) for it in _answer(series, rules={"text": rules, **_range(0, end, step)})["firing"]]


def _range(start: float, end: float, step: float) -> Json:
    return {"start": start, "end": end, "step": step}


def _query(expr: str, start: float, end: float, step: float) -> Json:
    return {"expr": expr, **_range(start, end, step)}


def _answer(series: Sequence[Series], **asked: object) -> Json:
    given = {"series": [{"labels": dict(it.labels), "samples": list(it.samples)} for it in series], **asked}
    done = subprocess.run([_program()], input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: Json = json.loads(done.stdout)
    return answer
