"""OTP's rules (docs: OTP's supervisor, as observed), one test a rule that a single supervisor can show."""

import pytest

from suptree.core import effects as do
from suptree.core import events
from suptree.core.spec import AutoShutdown, Strategy
from suptree.core.state import Ending, Life, created
from tests.core.running import ABNORMAL, NORMAL, REASONS, SHUTDOWN, Running, running, supervisor

ONE, ALL, REST = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE
STRATEGIES = [
    pytest.param(ONE, id="one_for_one"),
    pytest.param(ALL, id="one_for_all"),
    pytest.param(REST, id="rest_for_one"),
]


# Which exits are restarted (rules 1 to 3).


@pytest.mark.parametrize(
    ("kind", "reason", "restarted"),
    [
        pytest.param(
            kind, reason, kind == "permanent" or (kind == "transient" and reason == "abnormal"), id=f"{kind}_{reason}"
        )
        for kind in ("permanent", "transient", "temporary")
        for reason in ("normal", "shutdown", "abnormal")
    ],
)
def test_the_table_of_exits(kind: str, reason: str, restarted: bool) -> None:
    """Whether a child comes back depends on its restart type and on how it ended, and on nothing else."""
    it = running(f"a:{kind} b")
    decision = it.exit("a", REASONS[reason])
    if restarted:
        assert decision == events.Restarting(1, ("a",), counted=True)
        assert it.settle() == "-a +a"
        assert it.alive == "a b"
    else:
        assert decision == events.LetGo()
        assert it.settle() == ""
        assert it.state.life("a") is (Life.UNDEFINED if kind == "transient" else Life.ENDED)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ["transient", "temporary"])
def test_an_end_that_is_not_restarted_costs_nothing(strategy: Strategy, kind: str) -> None:
    """A child that may end does so without touching a sibling or the budget, whatever the strategy (rule 2)."""
    it = running(f"a b:{kind} c", strategy)
    it.exit("b", NORMAL)
    assert it.settle() == ""
    assert (it.state.window, it.state.restarts, it.state.serial) == ((), 0, 0)
    assert it.alive == "a c"


def test_an_exit_of_nobody_is_ignored() -> None:
    """Something that is no child of the tree can end without any effect (rule 3)."""
    it = running("a b:temporary", ALL)
    before = it.state
    assert it.exit("stranger") == events.Absorbed()
    assert it.state == before
    it.exit("b")
    gone = it.state
    assert it.exit("b") == events.Absorbed()
    assert it.state == gone


# Who is restarted, in what order (rules 4 to 12).


def test_start_goes_in_order_and_stop_in_reverse() -> None:
    """A supervisor starts its children one after the other and ends them the other way round (rule 4)."""
    it = Running(sup := supervisor("a b c"), created(sup))
    it.feed(events.StartUp())
    assert it.settle() == "+a +b +c"
    it.feed(events.ShutDown())
    assert it.settle() == "-c -b -a"
    assert it.ending is Ending.STOPPED


@pytest.mark.parametrize(
    ("strategy", "done"),
    [
        pytest.param(ONE, "-b +b", id="one_for_one: itself (rule 5)"),
        pytest.param(REST, "-d -c -b +b +c +d", id="rest_for_one: itself and the later ones (rule 6)"),
        pytest.param(ALL, "-d -c -b -a +a +b +c +d", id="one_for_all: all (rule 7)"),
    ],
)
def test_the_group_stops_in_reverse_and_starts_in_order(strategy: Strategy, done: str) -> None:
    """What is restarted together is stopped last to first, and only then started first to last."""
    it = running("a b c d", strategy)
    it.exit("b")
    assert it.settle() == done
    assert it.alive == "a b c d"


@pytest.mark.parametrize(
    ("strategy", "done"),
    [
        pytest.param(REST, "-d -c -b +b +d", id="rest_for_one"),
        pytest.param(ALL, "-d -c -b -a +a +b +d", id="one_for_all"),
    ],
)
def test_a_temporary_sibling_is_stopped_and_not_started(strategy: Strategy, done: str) -> None:
    """A temporary child caught in its group's restart is gone for good (rule 8)."""
    it = running("a b c:temporary d", strategy)
    it.exit("b")
    assert it.settle() == done
    assert it.state.life("c") is Life.REMOVED
    assert it.state.names == ("a", "b", "d")
    it.exit("b")
    assert "c" not in it.settle()


@pytest.mark.parametrize("strategy", [ALL, REST])
def test_a_sibling_without_a_process_is_started_too(strategy: Strategy) -> None:
    """A transient child that had ended runs again when its group restarts (rule 9)."""
    it = running("a b:transient", strategy)
    it.exit("b", NORMAL)
    it.exit("a")
    assert it.settle().endswith("+a +b")
    assert it.alive == "a b"


@pytest.mark.parametrize("dead", ["a", "c"])
def test_a_death_in_the_group_while_it_stops_is_absorbed(dead: str) -> None:
    """One incident is one restart: siblings found dead on the way down are not counted (rule 10)."""
    it = running("a b c", ALL)
    it.exit("b")
    assert it.exit(dead) == events.Absorbed()
    assert it.settle() == "-c -b -a +a +b +c"
    assert (len(it.state.window), it.state.restarts, it.state.serial) == (1, 1, 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_restarts_never_reorder(strategy: Strategy) -> None:
    """However often and in whatever way children are restarted, the order is that of the list (rule 11)."""
    it = running("a b c", strategy, intensity=10)
    for name, failing in (("b", "b"), ("a", ""), ("c", "c"), ("b", "c")):
        it.exit(name)
        it.settle(failing=failing)
    assert it.state.names == ("a", "b", "c")
    assert it.alive == "a b c"


# The budget (rules 14 to 21).


@pytest.mark.parametrize("intensity", [0, 1, 3])
def test_one_more_than_the_intensity_is_refused(intensity: int) -> None:
    """As many restarts as the intensity are done; at the next exit the supervisor ends (rule 14; C45 for 0)."""
    it = running("a b", intensity=intensity)
    for now in range(intensity):
        assert isinstance(it.exit("a", now=now), events.Restarting)
        it.settle(now)
    assert it.exit("a", now=intensity) == events.GaveUp(intensity + 1, Ending.INTENSITY)
    assert it.state.restarts == intensity
    assert len(it.state.window) == intensity


@pytest.mark.parametrize(
    ("times", "ending"),
    [
        pytest.param((0, 60), Ending.INTENSITY, id="at 0 and P: both are in the window (rule 15)"),
        pytest.param((0, 61), None, id="at 0 and P+1: they are not (rule 15)"),
        pytest.param((0, 61, 100), Ending.INTENSITY, id="the window slides, it does not reset (rule 16)"),
        pytest.param((0, 61, 122, 183), None, id="slowly enough it goes on for ever (rule 16)"),
    ],
)
def test_the_window_slides(times: tuple[int, ...], ending: Ending | None) -> None:
    """What counts is how many restarts lie within the period before each one."""
    it = running("a b", intensity=1, period=60)
    for now in times:
        it.exit("a", now=now)
        it.settle(now)
    assert it.ending is ending


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(ONE, id="one_for_one_escalation"),
        pytest.param(ALL, id="one_for_all_escalation"),
        pytest.param(REST, id="rest_for_one_escalation"),
    ],
)
def test_escalation_stops_all_and_ends(strategy: Strategy) -> None:
    """Out of budget nothing is restarted: all children are ended in reverse order, and then the supervisor (rule 18)."""
    it = running("a b c", strategy, intensity=0)
    it.exit("b")
    assert it.state.life("b") is Life.UNDEFINED
    assert it.settle() == "-c -b -a"
    assert it.ending is Ending.INTENSITY


def test_temporary_exits_never_count() -> None:
    """Temporary children may end as often as they like (rule 21)."""
    it = running("a b:temporary c:temporary", intensity=0)
    it.exit("b")
    it.exit("c", SHUTDOWN)
    assert it.todo == ()
    assert it.state.window == ()


# A start that fails (rules 22 to 25).


@pytest.mark.parametrize("kind", ["permanent", "transient", "temporary"])
def test_a_first_start_that_fails_ends_the_supervisor(kind: str) -> None:
    """At a supervisor's own start the first failure undoes what was started, without a retry or a count (rule 22)."""
    it = Running(sup := supervisor(f"a b:{kind} c", intensity=5), created(sup))
    it.feed(events.StartUp())
    assert it.settle(failing="b") == "+a xb -c -b -a"  # stopping what never started is nothing to do
    assert it.ending is Ending.START_FAILED
    assert it.state.window == ()


@pytest.mark.parametrize(
    ("strategy", "done"),
    [
        pytest.param(ONE, "-b xb -b +b", id="one_for_one_fails_restart"),
        pytest.param(REST, "-c -b xb -c -b +b +c", id="rest_for_one_fails_restart"),
        pytest.param(ALL, "-c -b -a +a xb -c -b -a +a +b +c", id="one_for_all_fails_restart"),
    ],
)
def test_every_attempt_counts(strategy: Strategy, done: str) -> None:
    """A child that fails to start is tried again, and each attempt spends budget (rules 23 and 24)."""
    it = running("a b c", strategy)
    it.exit("b")
    assert it.settle(failing="b") == done
    assert len(it.state.window) == 2
    assert it.alive == "a b c"


@pytest.mark.parametrize(
    ("strategy", "done"),
    [
        pytest.param(REST, "-d -c -b +b xc -d -c +c +d", id="rest_for_one_other_child_fails_restart"),
        pytest.param(ALL, "-d -c -b -a +a +b xc -d -c -b -a +a +b +c +d", id="one_for_all_other_child_fails_restart"),
    ],
)
def test_the_attempt_goes_on_from_the_child_that_failed(strategy: Strategy, done: str) -> None:
    """Under rest_for_one those that started in this round keep running; under one_for_all all begin anew (rule 24)."""
    it = running("a b c d", strategy)
    it.exit("b")
    assert it.settle(failing="c") == done
    assert len(it.state.window) == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_child_that_never_starts_ends_the_supervisor(strategy: Strategy) -> None:
    """Failed starts use up the budget like any failure, and then the supervisor gives up (rules 18 and 23; C44)."""
    it = running("a b c", strategy, intensity=2)
    it.exit("b")
    it.settle(failing="b b b b b")
    assert it.ending is Ending.INTENSITY
    assert it.state.restarts == 2


def test_the_retry_is_void_when_the_child_runs_already() -> None:
    """An attempt that somebody else's restart has made needless is not counted (rule 25)."""
    it = running("a b", REST, intensity=5)
    it.exit("b")
    it.feed(events.Stopped("b"))
    it.feed(events.StartFailed("b"))
    assert do.Attempt("b") in it.todo
    it.exit("a")
    assert it.settle() == "-b -a +a +b"
    assert len(it.state.window) == 2
    assert it.state.retries == ()


def test_two_failed_rounds_are_two_attempts() -> None:
    """Each pending attempt that finds its child still waiting is one more count (rule 25)."""
    it = running("a b", ONE, intensity=9)
    for name in ("a", "b"):
        it.exit(name)
        it.feed(events.Stopped(name))
        it.feed(events.StartFailed(name))
    assert it.state.retries == ("a", "b")
    it.settle()
    assert len(it.state.window) == 4
    assert it.alive == "a b"


def test_an_exit_during_its_own_start_is_a_failed_start() -> None:
    """A child that crashes before it is up has failed to start: that counts, and it is tried again (rule 23)."""
    it = running("a b", REST)
    it.exit("a", now=1)
    it.feed(events.Stopped("b"))
    it.feed(events.Stopped("a"))
    assert it.exit("a", now=2) == events.Restarting(2, ("a", "b"), counted=True)
    assert it.settle() == "-b -a +a +b"
    assert it.state.window == (2, 1)


# significant, auto_shutdown (rules 28 to 33).


@pytest.mark.parametrize(
    ("kind", "reason", "ends"),
    [
        pytest.param("transient", "normal", True, id="transient_normal"),
        pytest.param("transient", "shutdown", True, id="transient_shutdown"),
        pytest.param("transient", "abnormal", False, id="transient_abnormal is a restart"),
        pytest.param("temporary", "normal", True, id="temporary_normal"),
        pytest.param("temporary", "shutdown", True, id="temporary_shutdown"),
        pytest.param("temporary", "abnormal", True, id="temporary_abnormal"),
    ],
)
def test_the_end_of_a_significant_child_ends_the_supervisor(kind: str, reason: str, ends: bool) -> None:
    """When the child that the tree is for has ended, so does the tree, last child first (rules 28, 29 and 33)."""
    it = running(f"a b:{kind}! c")
    decision = it.exit("b", REASONS[reason])
    if ends:
        assert decision == events.GaveUp(1, Ending.AUTO_SHUTDOWN)
        assert it.settle() in {"-c -a", "-c -b -a"}
        assert it.ending is Ending.AUTO_SHUTDOWN
        assert it.state.window == ()
    else:
        assert isinstance(decision, events.Restarting)


def test_all_significant_waits_for_the_last_one() -> None:
    """With AllSignificant the tree ends when no significant child runs any more, not before (rule 30)."""
    it = running("a:transient! b:temporary! c:transient", auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    assert it.exit("a", NORMAL) == events.LetGo()
    assert it.exit("c", NORMAL) == events.LetGo()
    assert isinstance(it.exit("b", NORMAL), events.GaveUp)


def test_a_significant_child_that_is_being_retried_still_runs() -> None:
    """A significant child whose restart failed counts as running while its attempt is to come (rule 30)."""
    it = running("a:transient! b:transient!", auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    it.exit("a", ABNORMAL)
    it.feed(events.Stopped("a"))
    it.feed(events.StartFailed("a"))
    assert it.state.life("a") is Life.RESTARTING
    assert it.exit("b", NORMAL) == events.LetGo()


def test_an_insignificant_end_never_ends_the_supervisor() -> None:
    """Other children may end without ending the tree (rule 31)."""
    it = running("a:transient! b:transient c:temporary")
    it.exit("b", NORMAL)
    it.exit("c", NORMAL)
    assert it.ending is None
    assert it.todo == ()


def test_a_significant_child_swept_away_ends_nothing() -> None:
    """A significant temporary child stopped with its group leaves the tree running (rule 32)."""
    it = running("a b:temporary!", ALL)
    it.exit("a")
    assert it.settle() == "-b -a +a"
    assert it.ending is None
