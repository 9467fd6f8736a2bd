"""A budget that can never be exceeded is said in a condition."""

import pytest

from suptree.api.model import to_time
from suptree.api.outcomes import Cause, Outcome
from suptree.api.reasons import Reason
from suptree.api.status import HistoryEntry
from suptree.cluster.reach import out_of_reach
from suptree.core.spec import Backoff, Child, Strategy, Supervisor

SLOW = Backoff(initial_seconds=60, factor=2, max_seconds=300)


def supervisor(
    strategy: Strategy = Strategy.ONE_FOR_ALL, backoff: Backoff = SLOW, intensity: int = 3, period: int = 300
) -> Supervisor:
    """Build a supervisor of two children."""
    return Supervisor((Child("a"), Child("b")), strategy, intensity, period, backoff=backoff)


def took(seconds: float) -> HistoryEntry:
    """Return a restart that took so long."""
    return HistoryEntry(
        operation=1,
        time=to_time(1000),
        child="a",
        cause=Cause.CRASH,
        ready_time=to_time(1000 + seconds),
        outcome=Outcome.RESTARTED,
    )


@pytest.mark.parametrize(
    ("sup", "history", "reason"),
    [
        pytest.param(supervisor(intensity=5, period=400), [], Reason.BACKOFF_TOO_SLOW, id="the waits alone are longer"),
        pytest.param(supervisor(intensity=5, period=721), [], None, id="the waits just fit"),
        pytest.param(supervisor(intensity=1000, period=3600), [], Reason.BACKOFF_TOO_SLOW, id="very many restarts"),
        pytest.param(supervisor(intensity=0, period=1), [took(900)], None, id="intensity 0 is always in reach"),
        pytest.param(supervisor(Strategy.ONE_FOR_ONE, intensity=5, period=400), [], None, id="no backoff one for one"),
        pytest.param(
            supervisor(backoff=Backoff(), intensity=3, period=60),
            [took(85)],
            Reason.RESTART_TOO_SLOW,
            id="C43: 45 s to stop and 40 s to start, three in 60 s",
        ),
        pytest.param(
            supervisor(backoff=Backoff(), intensity=3, period=60), [took(85), took(10)], None, id="one was quick enough"
        ),
    ],
)
def test_a_budget_out_of_reach_is_said(sup: Supervisor, history: list[HistoryEntry], reason: Reason | None) -> None:
    """A user whose tree could restart for ever without parking reads why, and what to change."""
    found = out_of_reach(sup, history)
    assert (found[0] if found else None) is reason
