"""What the panels of a Grafana dashboard show: their queries, answered by Prometheus' own engine, and their units."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.lib.promql import Series, ask_over

Json = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """What there is to look at: series, from when to when (seconds), and how often they were scraped."""

    series: Sequence[Series]
    start: float
    end: float
    scraped_every: float
    namespace: str = ".*"
    """What is chosen in Grafana's list of namespaces."""

    def filled(self, expr: str) -> str:
        """Put in what Grafana would."""
        window = f"{round(4000 * self.scraped_every)}ms"
        return expr.replace("$namespace", self.namespace).replace("$__rate_interval", window)


@dataclass(frozen=True)
class Line:
    """A series as a panel shows it."""

    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        """Its newest value."""
        return self.points[-1][1]


def evaluated(panels: Sequence[Json], scene: Scene) -> dict[int, list[Line]]:
    """Return what each panel shows, by its id."""
    asked = [(panel, target) for panel in panels for target in panel["targets"]]
    exprs = [scene.filled(target["expr"]) for _, target in asked]
    steps = math.floor((scene.end - scene.start) / scene.scraped_every)
    start = scene.end - steps * scene.scraped_every  # so that the newest samples are in it
    answers = ask_over(scene.series, exprs, start, scene.end, scene.scraped_every)
    shown: dict[int, list[Line]] = {panel["id"]: [] for panel in panels}
    for (panel, target), answer in zip(asked, answers, strict=True):
        for labels, values in answer:
            points = [(at, value) for at, value in values if math.isfinite(value)]
            is_shown = points and (not target.get("instant") or points[-1][0] > scene.end - scene.scraped_every)
            if is_shown:
                shown[panel["id"]].append(Line(_name(panel, target, labels), labels, points))
    return shown


def _name(panel: Json, target: Json, labels: Mapping[str, str]) -> str:
    name = re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), target["legendFormat"])
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["id"] == "byName"
        if override["matcher"]["options"] == name:
            name = next(it["value"] for it in override["properties"] if it["id"] == "displayName")
    return name


def _seconds(value: float) -> str:
    for above, factor, unit in ((3600, 1 / 3600, "hours"), (60, 1 / 60, "mins"), (1, 1, "s")):
        if value >= above:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1000:.3g} ms" if value else "0 s"


_UNITS: dict[str, Callable[[float], str]] = {
    "none": lambda value: f"{value:.3g}",
    "s": _seconds,
    "percentunit": lambda value: f"{value * 100:.3g}%",
    "reqps": lambda value: f"{value:.3g} req/s",
}


def formatted(value: float, settings: Json) -> str:
    """Write a value as a panel's unit and decimals (its field configuration) say."""
    decimals = settings.get("decimals")
    return _UNITS[settings["unit"]](value if decimals is None else round(value, decimals))


def reduced(line: Line, how: str) -> float:
    """Return the one number that stands for a line in a legend or a stat."""
    return {"lastNotNull": line.last, "max": max(value for _, value in line.points)}[how]
