"""How often: the restart intensity, a sliding log of restart times (OTP's `add_restart`), and the backoff."""

from collections.abc import Sequence

from suptree.core.spec import Backoff

_LEAST_UNCOUNTED, _MOST_UNCOUNTED = 10, 500


def prune(times: Sequence[float], now: float, period: int) -> tuple[float, ...]:
    """Drop the times that have left the window. The edge is inside (OTP rule 15).

    Times and `now` are seconds since any one epoch. As in OTP they are compared as whole seconds.
    """
    return tuple(time for time in times if int(now) - int(time) <= period)


def add(times: Sequence[float], now: float, period: int) -> tuple[float, ...]:
    """Record a restart at `now` and prune (OTP rule 14); the newest comes first."""
    return (now, *prune(times, now, period))


def is_exceeded(times: Sequence[float], limit: int) -> bool:
    """Tell whether more restarts are on record than allowed: `limit` are fine, one more is not (OTP rule 14)."""
    return len(times) > limit


def uncounted_limit(intensity: int) -> int:
    """Return the limit of the window of uncounted restarts, which ends a loop of disruptions (design section 2).

    It has an upper end because each restart in the window takes its place in the status.
    """
    return max(_LEAST_UNCOUNTED, min(_MOST_UNCOUNTED, 5 * intensity))


def delay(backoff: Backoff, earlier: int, jitter: float) -> float:
    """Return the seconds that a restart waits when `earlier` restarts are in the window with it.

    Args:
        backoff: The supervisor's backoff.
        earlier: How many counted restarts are in the window besides this one; the first is immediate.
        jitter: A number from 0 to 1, drawn by the caller.
    """
    if earlier < 1:
        return 0.0
    # The exponent is bounded so that no factor overflows; past it the maximum holds anyway.
    grown = backoff.initial_seconds * backoff.factor ** min(earlier - 1, 64)
    return max(0.0, min(grown, backoff.max_seconds) * (1 + jitter * backoff.jitter_percent / 100))
