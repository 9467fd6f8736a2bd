"""Each alert of the chart, evaluated by Prometheus' own rules over half an hour: when it fires, and that it is quiet otherwise."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from e2e.lib.promql import Series, ask, firing
from e2e.lib.target import ROOT
from tests import yamls

Values = Callable[[int], float | None]
"""What a series says at a time (seconds); None: it is not there."""

RULES = (ROOT / "charts/suptree/files/alerts.yaml").read_text()
ALERTS: dict[str, dict[str, Any]] = {it["alert"]: it for it in yamls.load(RULES)["groups"][0]["rules"]}
END, STEP = 1800, 15


def steps(*changes: tuple[int, float | None]) -> Values:
    """Return what has each value from its time on."""
    return lambda at: next(value for begin, value in reversed(changes) if at >= begin)


def always(value: float | None) -> Values:
    """Return what has one value."""
    return steps((0, value))


def heard(*, until: int = END) -> Values:
    """Return the age of a watch with a sign of life each minute, until then."""
    return lambda at: at % 60 if at < until else at - until


LEADER, OTHER = "suptree_leader of suptree-0", "suptree_leader of suptree-1"
EXHAUSTED, LEFT, LIMIT = "suptree_tree_exhausted", "suptree_budget_left", "suptree_budget_limit"
BEGAN, AGE = "suptree_operation_start_time_seconds", "suptree_watch_age_seconds"
WELL: dict[str, Values] = {
    EXHAUSTED: always(0),
    LEFT: always(3),
    LIMIT: always(3),
    BEGAN: always(0),
    LEADER: always(1),
    OTHER: always(0),
    AGE: heard(),
}
GAVE_UP, SPENT, STUCK = "SuptreeTreeExhausted", "SuptreeBudgetNearlySpent", "SuptreeOperationStuck"
NOT_ACTING, STALE = "SuptreeNotActing", "SuptreeWatchStale"


def labels(name: str) -> dict[str, str]:
    """Return the labels of a series of `WELL`."""
    metric, _, pod = name.partition(" of ")
    if metric == AGE:
        return {"__name__": metric, "resource": "pods", "pod": "suptree-0"}
    return {"__name__": metric, "pod": pod} if pod else {"__name__": metric, "namespace": "shop", "tree": "web"}


def series(changes: dict[str, Values]) -> list[Series]:
    """Return half an hour in which all is well but for these changes."""
    return [
        Series(labels(name), [(at, values(at)) for at in range(0, END + 1, STEP)])
        for name, values in (WELL | changes).items()
    ]


QUIET: dict[str, dict[str, Values]] = {
    "all is well": {},
    "a child tree gives up, and its parent restarts it": {EXHAUSTED: steps((0, 0), (300, 1), (345, 0))},
    "two of three restarts are left": {LEFT: steps((0, 3), (300, 2))},
    "intensity is 0": {LEFT: always(0), LIMIT: always(0)},
    "a restart takes 15 minutes": {BEGAN: steps((0, 0), (300, 300), (1200, 0))},
    "one restart follows the other": {BEGAN: lambda at: at // 600 * 600},
    "the other takes over": {LEADER: steps((0, 1), (300, None)), OTHER: steps((0, 0), (330, 1))},
    "a roll-out replaces both": {LEADER: steps((0, 1), (300, None)), OTHER: steps((0, 0), (300, None), (390, 1))},
    "a late sign of life": {AGE: lambda at: (at - 300) % 150},
}
FIRES: dict[str, tuple[dict[str, Values], dict[str, tuple[int, int]]]] = {
    "a tree gives up": ({EXHAUSTED: steps((0, 0), (300, 1))}, {GAVE_UP: (360, END)}),
    "a tree gives up and is reset": ({EXHAUSTED: steps((0, 0), (300, 1), (900, 0))}, {GAVE_UP: (360, 885)}),
    "one of three is left for a while": ({LEFT: steps((0, 3), (300, 1), (600, 2))}, {SPENT: (360, 585)}),
    "none of one is left": ({LEFT: steps((0, 1), (300, 0)), LIMIT: always(1)}, {SPENT: (360, END)}),
    "the budget is spent, and it gives up": (
        {LEFT: steps((0, 3), (300, 0)), EXHAUSTED: steps((0, 0), (600, 1))},
        {SPENT: (360, 585), GAVE_UP: (660, END)},
    ),
    "a restart ends after 20 minutes": ({BEGAN: steps((0, 0), (300, 300), (1500, 0))}, {STUCK: (1215, 1485)}),
    "nobody leads": ({LEADER: steps((0, 1), (300, 0))}, {NOT_ACTING: (420, END)}),
    "nobody is scraped for a while": (
        {LEADER: steps((0, 1), (300, None), (900, 1)), OTHER: steps((0, 0), (300, None), (900, 0))},
        {NOT_ACTING: (420, 885)},
    ),
    "nobody was ever scraped": ({LEADER: always(None), OTHER: always(None)}, {NOT_ACTING: (120, END)}),
    "a watch dies": ({AGE: heard(until=300)}, {STALE: (495, END)}),
}


@pytest.mark.parametrize("changes", QUIET.values(), ids=QUIET.keys())
def test_nobody_is_woken(changes: dict[str, Values]) -> None:
    """No alert fires for what is as it should be, or was mended before a person would have looked."""
    assert firing(series(changes), RULES, END, STEP) == []


@pytest.mark.parametrize(("changes", "when"), FIRES.values(), ids=FIRES.keys())
def test_an_alert_fires_in_time(changes: dict[str, Values], when: dict[str, tuple[int, int]]) -> None:
    """Whoever is on call hears of it once it has lasted, and no longer than it lasts; no other alert fires."""
    fired = firing(series(changes), RULES, END, STEP)
    by_name = itertools.groupby(sorted(fired, key=lambda it: it.labels["alertname"]), lambda it: it.labels["alertname"])
    times = {name: [round(it.at) for it in group] for name, group in by_name}
    assert times == {name: list(range(first, last + 1, STEP)) for name, (first, last) in when.items()}


def test_an_alert_fires_once_for_each_tree_and_says_which() -> None:
    """The texts name the tree and give the command to look at it with, whichever replica reported it."""
    two = [
        Series({**labels(EXHAUSTED), "tree": tree, "pod": pod}, [(at, 1) for at in range(0, 91, STEP)])
        for tree in ("web", "mail")
        for pod in ("suptree-0", "suptree-1")
    ]
    fired = [it for it in firing(two, RULES, 60, STEP) if it.labels["alertname"] == GAVE_UP]
    assert {it.annotations["summary"] for it in fired} == {
        "The tree shop/web has given up.",
        "The tree shop/mail has given up.",
    }
    assert all(f"kubectl -n shop describe suptree {it.labels['tree']}" in it.annotations["description"] for it in fired)
    assert len(fired) == 2


def test_every_alert_is_seen_to_fire() -> None:
    """No alert is left that no test has seen fire."""
    assert {name for _, when in FIRES.values() for name in when} == ALERTS.keys()
    assert ask(series({}), *((it["expr"], END) for it in ALERTS.values())) == [[]] * len(ALERTS)
