"""What Kubernetes adds to OTP's supervisor (design sections 2 to 4): waits, disruptions, parking, orderings."""

from dataclasses import replace

import pytest

from suptree.core import effects as do
from suptree.core import events
from suptree.core.effects import effects
from suptree.core.restart import Reason
from suptree.core.spec import Backoff, Ordering, Strategy
from suptree.core.state import Ending, created
from tests.core.running import SHUTDOWN, OnExhausted, Running, running, supervisor

ONE, ALL, REST = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


def uncounted(it: Running, times: int, now: float = 0) -> None:
    """Let `a` be disrupted and come back that often."""
    for _ in range(times):
        it.exit("a", SHUTDOWN, now, counted=False)
        it.settle(now)


def test_an_uncounted_restart_spends_no_budget() -> None:
    """A disruption restarts the group and leaves the budget as it was."""
    it = running("a b", ALL, intensity=0)
    uncounted(it, 10)
    assert it.alive == "a b"
    assert (it.state.window, it.state.restarts, it.state.serial) == ((), 0, 10)


@pytest.mark.parametrize(("intensity", "limit"), [(0, 10), (3, 15)])
def test_a_storm_of_disruptions_ends_the_supervisor(intensity: int, limit: int) -> None:
    """C22: an eviction loop ends with a reason of its own after the larger of 10 and 5 x intensity restarts."""
    it = running("a b", ALL, intensity=intensity)
    uncounted(it, limit)
    assert it.ending is None
    assert it.exit("a", SHUTDOWN, counted=False) == events.GaveUp(limit + 1, Ending.STORM)


def test_old_disruptions_leave_their_window() -> None:
    """Disruptions that are rare enough never end a tree."""
    it = running("a b", ALL, intensity=0, period=60)
    for round_ in range(5):
        uncounted(it, 10, 61 * round_)
    assert it.ending is None


WAITS = Backoff(initial_seconds=5, factor=2, max_seconds=300, jitter_percent=10)


def test_group_restarts_wait_for_one_another() -> None:
    """C38: the first group restart is immediate, the next ones wait 5, 10, 20 s, and nothing is stopped meanwhile."""
    it = running("a b", ALL, intensity=9, backoff=WAITS)
    for wait in (0, 5, 10, 20):
        it.exit("a", now=100)
        assert it.todo == ((do.Wait(100 + wait),) if wait else (do.Stop("b"),))
        it.settle(100)


def test_a_due_that_comes_too_early_changes_nothing() -> None:
    """A wait ends at its time, not before."""
    it = running("a b", ALL, backoff=WAITS)
    it.exit("a", now=0)
    it.settle()
    it.exit("a", now=10)
    waiting = it.state
    it.feed(events.Due(14.9))
    assert it.state == waiting
    it.feed(events.Due(15))
    assert it.todo == (do.Stop("b"),)


def test_a_restart_that_is_postponed_waits_for_its_time() -> None:
    """Whoever has its restarts wait for others says until when; a backoff that is longer still counts."""
    it = running("a b", ALL, backoff=WAITS)
    it.exit("a", now=7)
    it.feed(events.Postponed(7))
    assert it.todo == (do.Wait(7),)
    assert it.exit("b", now=8) == events.Absorbed()
    it.feed(events.Due(9))
    it.settle()
    it.exit("a", now=10)
    it.feed(events.Postponed(10))
    assert it.todo == (do.Wait(15),)
    it.feed(events.ShutDown())
    ending = it.state
    it.feed(events.Postponed(99))
    assert it.state == ending, "a shutdown waits for nobody"


def test_a_restart_in_place_does_not_wait() -> None:
    """The kubelet has its own back-off for a single container; a restart that it makes itself adds none."""
    it = running("a b", ONE, intensity=9, backoff=WAITS)
    for _ in range(3):
        it.feed(events.Exited("a", Reason.ABNORMAL, 10, in_place=True))
        assert it.todo == (do.Stop("a"),)
        it.settle(10)


def test_disruptions_do_not_wait_and_do_not_lengthen_the_wait() -> None:
    """C15: an eviction neither waits nor makes the next restart wait longer."""
    it = running("a b", ALL, intensity=9, backoff=WAITS)
    uncounted(it, 5)
    it.exit("a", SHUTDOWN, counted=False)
    assert it.todo == (do.Stop("b"),)
    it.settle()
    it.exit("a", now=0)
    assert it.todo == (do.Stop("b"),)


def test_a_wait_is_never_shortened() -> None:
    """A second failure during a backoff makes the tree wait for the later of the two times."""
    it = running("a b c", REST, intensity=9, backoff=Backoff(100, 1, 100))
    for name, now in (("b", 0), ("b", 10), ("a", 20)):
        it.exit(name, now=now)
        if not now:
            it.settle()
    assert it.todo == (do.Wait(120),)


def test_an_exit_ahead_of_the_group_widens_it() -> None:
    """A failure of an earlier child takes the restart under way with it, and counts (design section 3)."""
    it = running("a b c", REST)
    it.exit("c")
    it.feed(events.Stopped("c"))
    assert it.exit("a") == events.Restarting(2, ("a", "b", "c"), counted=True)
    assert it.settle() == "-c -b -a +a +b +c"
    assert it.state.restarts == 2


def test_a_failure_behind_a_start_under_way_is_not_lost() -> None:
    """A child that came up in this restart and crashes again is a new failure and counts."""
    it = running("a b c", REST)
    it.exit("a")
    for name in "cba":
        it.feed(events.Stopped(name))
    it.feed(events.Started("a"))
    assert it.todo == (do.Start("b"),)
    assert it.exit("a") == events.Restarting(2, ("a", "b", "c"), counted=True)


def test_parked_leaves_every_child_as_it_is() -> None:
    """A tree that parks stops nothing, starts nothing and says that it has ended."""
    it = running("a b c", ALL, intensity=0, on_exhausted=OnExhausted.PARK)
    it.exit("b")
    assert it.todo == (do.End(Ending.INTENSITY),)
    assert it.alive == "a c"
    parked = it.state
    it.exit("a")
    it.feed(events.Stopped("a"))
    assert it.state == parked


def test_a_reset_lets_a_parked_tree_go_on() -> None:
    """C39: after a reset the window is empty and the refused restart is done; the next crash is the first."""
    it = running("a b c", REST, intensity=1, on_exhausted=OnExhausted.PARK)
    it.exit("b")
    it.settle()
    it.exit("b")
    assert it.ending is Ending.INTENSITY
    assert it.feed(events.Reset("b")) == events.Restarting(3, ("b", "c"), counted=False)
    assert it.settle() == "-c -b +b +c"
    assert isinstance(it.exit("b"), events.Restarting)
    assert len(it.state.window) == 1


def test_a_reset_of_a_tree_that_is_well_only_empties_the_window() -> None:
    """Resetting a tree that is not exhausted restarts nothing."""
    it = running("a b", ALL)
    it.exit("a")
    it.settle()
    it.feed(events.Reset(None))
    assert it.todo == ()
    assert it.state.window == ()
    assert it.state.restarts == 1


def test_a_reset_while_the_children_are_stopped_starts_them_again() -> None:
    """Somebody who resets a tree that is just stopping its children gets all of them back."""
    it = running("a b c", ONE, intensity=0)
    it.exit("a")
    it.feed(events.Stopped("c"))
    it.feed(events.Reset("a"))
    it.settle()
    assert it.alive == "a b c"


def test_a_reset_does_not_forget_a_child_that_failed_to_start() -> None:
    """Somebody who resets a tree in the middle of a restart does not lose the child whose next attempt is to come."""
    it = running("a b", ONE)
    for name in ("a", "b"):
        it.exit(name)
        it.feed(events.Stopped(name))
    it.feed(events.StartFailed("a"))
    it.feed(events.Reset(None))
    it.settle()
    assert it.alive == "a b"


def test_a_child_that_comes_back_before_its_attempt_takes_its_group_along() -> None:
    """A child that starts by itself after a failed start does not leave its siblings stopped."""
    it = running("a b", ALL)
    it.exit("a")
    it.feed(events.Stopped("b"))
    it.feed(events.Stopped("a"))
    it.feed(events.StartFailed("a"))
    it.feed(events.Started("a"))
    it.settle()
    assert it.alive == "a b"


@pytest.mark.parametrize("strategy", Strategy)
def test_a_reset_restarts_the_refused_child_though_finished_work_is_kept(strategy: Strategy) -> None:
    """With afterCompletion Keep a reset still restarts the child that crashed, and no restart of nobody stays under way."""
    it = running("a b", strategy, intensity=0, on_exhausted=OnExhausted.PARK)
    it.sup = replace(it.sup, children=tuple(replace(child, reruns=False) for child in it.sup.children))
    it.exit("a")
    it.feed(events.Reset("a"))
    assert it.settle().startswith("-")
    assert it.alive == "a b"
    assert it.state.operation is None


def test_one_at_a_time_never_stops_two() -> None:
    """Where nothing can be held, each child is stopped and started before the next one is stopped."""
    it = running("a b c:temporary d", ALL, ordering=Ordering.ONE_AT_A_TIME)
    it.exit("b")
    assert it.settle() == "-a +a -b +b -c -d +d"


def test_one_at_a_time_still_ends_in_reverse() -> None:
    """An orderly end goes last to first there too."""
    it = running("a b c", ALL, ordering=Ordering.ONE_AT_A_TIME)
    it.feed(events.ShutDown())
    assert it.settle() == "-c -b -a"


def test_parallel_offers_everything_at_once() -> None:
    """With Parallel all children are stopped at once, and each may start as soon as it is stopped."""
    it = running("a b c", ALL, ordering=Ordering.PARALLEL)
    it.exit("a")
    assert set(it.todo) == {do.Stop("a"), do.Stop("b"), do.Stop("c")}
    it.feed(events.Stopped("b"))
    assert set(it.todo) == {do.Stop("a"), do.Stop("c"), do.Start("b")}


def test_one_for_one_children_do_not_wait_for_one_another() -> None:
    """Two independent children that crash together are restarted together, not one after the other."""
    it = running("a b c", ONE)
    it.exit("c")
    it.exit("a")
    assert set(it.todo) == {do.Stop("a"), do.Stop("c")}
    it.feed(events.Stopped("c"))
    assert set(it.todo) == {do.Stop("a"), do.Start("c")}


def test_a_child_that_comes_back_by_itself_is_supervised_again() -> None:
    """A pod that its controller brought back is a child like any other: its next failure is an exit."""
    it = running("a b:temporary", ONE)
    it.exit("b")
    it.feed(events.Started("b"))
    assert it.alive == "a b"
    assert it.exit("b", Reason.NORMAL) == events.LetGo()


def test_a_start_is_done_once() -> None:
    """Telling a supervisor a second time to start changes nothing for the children that run."""
    it = Running(sup := supervisor("a b"), created(sup))
    it.feed(events.StartUp())
    it.settle()
    started = it.state
    it.feed(events.StartUp())
    assert it.state == started


def test_what_is_wanted_depends_on_the_state_alone() -> None:
    """After a crash between deciding and doing, the same things are wanted again."""
    it = running("a b c", REST)
    it.exit("a")
    assert effects(it.sup, it.state) == effects(it.sup, it.state) == (do.Stop("c"),)
