"""Alerts, runbooks, dashboard and metrics name the same things."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from suptree.app import metrics
from tests import yamls

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "suptree" / "files"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS: list[Json] = yamls.load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD: Json = json.loads((FILES / "dashboard.json").read_text())
PANELS: list[Json] = DASHBOARD["panels"]


def known() -> dict[str, tuple[str, ...]]:
    """Give the samples of Suptree's metrics, each with its labels."""
    found: dict[str, tuple[str, ...]] = {"suptree_build_info": ("version",), "suptree_held_pods": ("namespace",)}
    endings = {"counter": "_total", "gauge": "", "histogram": "_bucket"}
    for metric in vars(metrics).values():
        name, kind = getattr(metric, "_name", None), getattr(metric, "_type", None)
        if name is not None and kind in endings:
            found[name + endings[kind]] = (*metric._labelnames, *(["le"] if kind == "histogram" else []))
    return found


def named(expr: str) -> set[str]:
    """Give the metrics that a query names."""
    return set(re.findall(r"suptree_\w+", expr))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda it: str(it["alert"]))
def test_an_alert_says_what_to_do(alert: Json) -> None:
    """Whoever is woken learns how bad it is, what it means, and where to read what to do."""
    assert alert["labels"]["severity"] in {"warning", "critical"}
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook"}
    assert notes["runbook"] == f"docs/runbooks/{alert['alert']}.md in the sources of Suptree"
    assert re.search("`kubectl [^`]+`", notes["description"]), "the first step is in the alert itself"
    assert named(alert["expr"]) <= known().keys()
    asked = set(re.findall(r"\$labels\.(\w+)", " ".join(notes.values())))
    assert asked <= set(re.findall(r"\w+", alert["expr"])), "a label that the query does not keep would be empty"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda it: str(it["alert"]))
def test_a_runbook_leads_on(alert: Json) -> None:
    """Each alert's runbook says what it means, what to look at and what to do next, with commands."""
    text = (RUNBOOKS / f"{alert['alert']}.md").read_text()
    assert text.startswith(f"# {alert['alert']}\n")
    assert "**What it means for users.**" in text
    assert "**What to look at" in text
    assert "what to do" in text.lower()
    assert "kubectl" in text


def test_every_runbook_has_its_alert() -> None:
    """No runbook is left whose alert is gone."""
    assert {file.stem for file in RUNBOOKS.iterdir()} == {str(alert["alert"]) for alert in ALERTS}


@pytest.mark.parametrize("panel", PANELS, ids=lambda it: str(it["title"]))
def test_a_panel_shows_what_is_measured(panel: Json) -> None:
    """Each panel says what it shows, and asks only for metrics and labels that there are."""
    assert panel["description"].endswith((".", "--overwrite"))
    for target in panel["targets"]:
        names = named(target["expr"])
        assert names
        assert names <= known().keys()
        labels = {label for name in names for label in known()[name]}
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels
        for group in re.findall(r"by \(([^)]*)\)", target["expr"]):
            assert set(group.split(", ")) <= labels


def test_panels_do_not_overlap() -> None:
    """Every panel has its own place."""
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells
