"""Whether the budget can be exceeded at all: one that is out of reach never parks a tree, however often it restarts.

A child that dies again as soon as it has started makes restart number n + 1 fall due when restart n is complete. If the
waits between so many restarts, or the time that they take, add up to more than the period, the first has left the window
before the last is recorded. That is a warning; the tree acts all the same.
"""

from collections.abc import Sequence

from suptree.api.model import from_time
from suptree.api.outcomes import Outcome
from suptree.api.reasons import Reason
from suptree.api.status import HistoryEntry
from suptree.core import budget
from suptree.core.spec import Strategy, Supervisor

_MANY = 64
"""More waits than these are summed up by their longest."""


def out_of_reach(sup: Supervisor, history: Sequence[HistoryEntry]) -> tuple[Reason, str] | None:
    """Say why the budget can never be exceeded; None when it can."""
    waits = sum(budget.delay(sup.backoff, earlier, 0) for earlier in range(1, min(sup.intensity, _MANY)))
    waits += max(0, sup.intensity - _MANY) * budget.delay(sup.backoff, _MANY, 0)
    # Children that are restarted by themselves wait for their kubelet, not for the backoff.
    if sup.strategy is not Strategy.ONE_FOR_ONE and waits > sup.period:
        return (
            Reason.BACKOFF_TOO_SLOW,
            (
                f"{sup.intensity} restarts wait {waits:.0f} s for one another, longer than the period of {sup.period} s, "
                f"so the budget can never be exceeded: raise periodSeconds, or lower intensity or backoff.maxSeconds"
            ),
        )
    taken = [
        from_time(it.ready_time) - from_time(it.time)
        for it in history
        if it.outcome is Outcome.RESTARTED and it.ready_time is not None
    ]
    if taken and sup.intensity * min(taken) > sup.period:
        return (
            Reason.RESTART_TOO_SLOW,
            (
                f"a restart takes {min(taken):.0f} s at least, so {sup.intensity + 1} of them do not fit into "
                f"{sup.period} s and the budget can never be exceeded: raise periodSeconds or lower intensity"
            ),
        )
    return None
