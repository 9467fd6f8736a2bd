"""The budget: a sliding log of restarts, and how long they wait for one another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.core.budget import add, delay, is_exceeded, prune, uncounted_limit
from suptree.core.spec import Backoff

FAST = settings(max_examples=100, deadline=None, derandomize=True)

KUBELET = Backoff(initial_seconds=5, factor=2, max_seconds=300, jitter_percent=10)

moments = st.floats(min_value=0, max_value=5_000)
logs = st.lists(moments, max_size=12).map(lambda times: tuple(sorted(times, reverse=True)))


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        pytest.param(0, True, id="just now"),
        pytest.param(59, True, id="one second inside"),
        pytest.param(60, True, id="the edge is inside"),
        pytest.param(61, False, id="one second outside"),
    ],
)
def test_the_edge_of_the_window_is_inside(age: int, kept: bool) -> None:
    """A restart exactly periodSeconds ago still counts; a second later it does not (OTP rule 15)."""
    assert prune((1000.0 - age,), 1000.0, 60) == ((1000.0 - age,) if kept else ())


@pytest.mark.parametrize(
    ("then", "now", "kept"),
    [
        pytest.param(0.9, 60.1, True, id="an age of 59.2 s"),
        pytest.param(0.0, 60.9, True, id="an age of 60.9 s within 60 whole seconds"),
        pytest.param(0.9, 61.0, False, id="an age of 60.1 s over 61 whole seconds"),
    ],
)
def test_ages_are_whole_seconds(then: float, now: float, kept: bool) -> None:
    """As in OTP, time is cut to whole seconds, so between P and P+1 the phase decides (OTP rule 17)."""
    assert bool(prune((then,), now, 60)) is kept


def test_a_restart_is_recorded_and_the_old_ones_leave() -> None:
    """The newest restart comes first, and what has left the window is forgotten."""
    assert add((90.0, 50.0, 20.0), 100.0, 60) == (100.0, 90.0, 50.0)


@pytest.mark.parametrize(
    ("recorded", "limit", "exceeded"),
    [
        pytest.param(3, 3, False, id="as many as allowed"),
        pytest.param(4, 3, True, id="one more than allowed"),
        pytest.param(0, 0, False, id="C45: none with intensity 0"),
        pytest.param(1, 0, True, id="C45: the first with intensity 0"),
    ],
)
def test_one_more_than_the_intensity_is_too_many(recorded: int, limit: int, exceeded: bool) -> None:
    """As many restarts as the intensity says are fine; the next one is refused (OTP rule 14)."""
    assert is_exceeded((0.0,) * recorded, limit) is exceeded


@given(logs, moments, st.integers(1, 1000))
@FAST
def test_a_sliding_log_is_no_counter(log: tuple[float, ...], later: float, period: int) -> None:
    """Restarts leave the window one by one, each at its own time, and pruning in steps is pruning at once."""
    now = max((later, *log))
    kept = prune(log, now, period)
    assert kept == log[: len(kept)]
    assert all(now - time < period + 1 for time in kept)
    assert all(now - time >= period for time in log[len(kept) :])
    middle = max(log, default=0.0)
    assert prune(prune(log, middle, period), now, period) == kept
    assert add(log, now, period) == (now, *kept)


@pytest.mark.parametrize(
    ("intensity", "limit"),
    [
        pytest.param(0, 10, id="at least 10"),
        pytest.param(2, 10, id="10 is 5 times 2"),
        pytest.param(3, 15, id="5 times the intensity"),
        pytest.param(100, 500, id="with a large intensity too"),
        pytest.param(1000, 500, id="500 at most: the window must fit into the status"),
    ],
)
def test_uncounted_restarts_have_a_limit_of_their_own(intensity: int, limit: int) -> None:
    """An eviction loop ends in a parked tree after the larger of 10 and 5 x intensity restarts."""
    assert uncounted_limit(intensity) == limit


@pytest.mark.parametrize(
    ("earlier", "seconds"),
    [
        pytest.param(0, 0, id="the first is immediate"),
        pytest.param(1, 5, id="the second waits initialSeconds"),
        pytest.param(2, 10, id="the third waits factor times that"),
        pytest.param(3, 20, id="and so on"),
        pytest.param(7, 300, id="up to maxSeconds"),
        pytest.param(10_000, 300, id="and no further however many"),
    ],
)
def test_the_wait_grows_and_stops_growing(earlier: int, seconds: float) -> None:
    """The first restart in an empty window is immediate, each further one waits longer, none beyond maxSeconds."""
    assert delay(KUBELET, earlier, 0.0) == seconds


backoffs = st.builds(
    Backoff,
    initial_seconds=st.integers(0, 1000),
    factor=st.integers(1, 10),
    max_seconds=st.integers(0, 86_400),
    jitter_percent=st.integers(0, 100),
)


@given(backoffs, st.integers(0, 2000), st.floats(0, 1))
@FAST
def test_jitter_only_lengthens_and_within_bounds(backoff: Backoff, earlier: int, jitter: float) -> None:
    """A wait is never shorter than the backoff says and at most jitterPercent longer."""
    plain, drawn = delay(backoff, earlier, 0.0), delay(backoff, earlier, jitter)
    assert plain <= drawn <= plain * (1 + backoff.jitter_percent / 100) + 1e-6
    assert plain <= max(backoff.max_seconds, 0)


@given(backoffs, st.integers(0, 200))
@FAST
def test_a_later_restart_never_waits_less(backoff: Backoff, earlier: int) -> None:
    """With more restarts in the window the wait stays or grows."""
    assert delay(backoff, earlier, 0.0) <= delay(backoff, earlier + 1, 0.0)


def test_no_backoff_is_no_wait() -> None:
    """A tree whose backoff is all zero restarts at once however often it does."""
    assert delay(Backoff(), 50, 1.0) == 0
