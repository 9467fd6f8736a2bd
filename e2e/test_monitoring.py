"""The dashboard, drawn from a real run: what Prometheus' own engine makes of a real operator's metrics."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, fromstring

import pytest

from e2e.dashboard import DASHBOARD, free_port, scene, set_up, story
from e2e.lib.grafana import draw
from e2e.lib.kube import Kube
from e2e.lib.operator import Operator
from e2e.lib.panels import Json, Scene, evaluated
from e2e.lib.promql import ask
from e2e.lib.scrape import Scrapes
from e2e.test_alerts import ALERTS

PANELS: list[Json] = DASHBOARD["panels"]
UNITS = {
    "none": r"\d+",
    "s": r"[\d.]+ (ms|s|mins)",
    "percentunit": r"\d+%",
    "reqps": r"[\d.]+ req/s",
}
"""How a value reads in each unit."""


@pytest.fixture
def scraping(operator: Operator) -> Iterator[str]:
    """Have the operator serve metrics; give their address."""
    port = free_port()
    operator.stop()
    before, operator.args = operator.args, (*operator.args, "--metrics-port", str(port))
    operator.start()
    yield f"http://127.0.0.1:{port}/metrics"
    operator.stop()
    operator.args = before
    operator.start()


def test_the_dashboard_shows_a_real_run(scraping: str, fake: Kube) -> None:
    """Every panel draws something in its unit while trees restart, give up and hang, a first restart too; an alert agrees."""
    set_up(fake)
    with Scrapes(scraping) as scrapes:
        story(fake)
        scrapes.wait(f'suptree_tree_exhausted{{namespace="{fake.namespace}",tree="report"}} 1.0')
        scrapes.wait(f'suptree_operation_start_time_seconds{{namespace="{fake.namespace}",tree="stuck"}} 1.')
        scrapes.wait('suptree_restarts_total{cause="Deleted"')
        scrapes.wait_for_a_line()
    seen = scene(scrapes, fake)
    picture = fromstring(str(draw(DASHBOARD, seen)))  # noqa: S314 - of our own making
    assert [it["title"] for it in PANELS if not _is_drawn(picture, it)] == []
    assert _names(seen, "Which trees have given up") == {"report"}
    assert _names(seen, "How long restarts have been under way") >= {"stuck"}
    assert _highest(seen, "Trees that have given up") == {"given up": 1}
    assert _highest(seen, "Processes that act") == {"acting": 1}
    causes = _highest(seen, "Restarts by cause")
    assert {cause: highest > 0 for cause, highest in causes.items()} == {
        "Crash": True,
        "OOMKilled": True,
        "Deleted": True,
    }
    assert _highest(seen, "Restarts by tree")[f"{fake.namespace}/mail"] == 1
    assert _highest(seen, "Held pods")[fake.namespace] > 0
    (parked,) = ask(seen.series, (ALERTS["SuptreeTreeExhausted"]["expr"], seen.end))
    assert [it[0]["tree"] for it in parked if it[0]["namespace"] == fake.namespace] == ["report"]


def _is_drawn(picture: Element, panel: Json) -> bool:
    """Tell whether a panel has lines and legends, values or rows, and values in its unit."""
    (group,) = [it for it in picture.iter() if it.get("id") == f"panel-{panel['id']}"]
    found: dict[str, list[str]] = {}
    for it in group:
        found.setdefault(it.get("class", ""), []).append(it.text or "")
    if panel["type"] == "table":
        return bool(found.get("cell"))
    kinds = ("value",) if panel["type"] == "stat" else ("series", "legend", "axis")
    values = [] if panel["options"].get("textMode") == "name" else found.get("value", []) + found.get("axis", [])
    unit = UNITS[panel["fieldConfig"]["defaults"]["unit"]]
    return all(found.get(it) for it in kinds) and all(re.fullmatch(unit, it) for it in values)


def _names(seen: Scene, title: str) -> set[str]:
    """Return the trees that a panel names."""
    (panel,) = [it for it in PANELS if it["title"] == title]
    return {it.labels["tree"] for it in evaluated([panel], seen)[panel["id"]]}


def _highest(seen: Scene, title: str) -> dict[str, float]:
    """Return the highest value of each line of a panel, rounded."""
    (panel,) = [it for it in PANELS if it["title"] == title]
    return {it.name: round(max(value for _, value in it.points)) for it in evaluated([panel], seen)[panel["id"]]}
