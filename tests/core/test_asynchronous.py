"""The machine when stopping and starting take time: any event may come in between, twice, late, or never.

A small world answers the supervisor's effects in any order and at any time. Children die meanwhile, starts fail, old
answers come in again. Whatever the order, some things always hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.core import effects as do
from suptree.core import events, machine
from suptree.core.budget import add, prune
from suptree.core.restart import Reason
from suptree.core.spec import AutoShutdown, Backoff, Child, OnExhausted, Ordering, Restart, Strategy, Supervisor
from suptree.core.state import Kind, Life, State, adopted, created

FAST = settings(max_examples=80, deadline=None, derandomize=True)
MAX_STEPS = 400


@st.composite
def supervisors(draw: st.DrawFn, /, **fixed: Any) -> Supervisor:  # noqa: ANN401 - flags of any type
    """Draw a supervisor that OTP would accept."""
    auto = draw(st.sampled_from(AutoShutdown))
    children = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        restart = draw(st.sampled_from(Restart))
        can_end = auto is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
        children.append(Child(name, restart, significant=can_end and draw(st.booleans())))
    flags = {
        "strategy": draw(st.sampled_from(Strategy)),
        "intensity": draw(st.integers(0, 4)),
        "period": draw(st.sampled_from((1, 20, 1000))),
        "ordering": draw(st.sampled_from(Ordering)),
        "on_exhausted": draw(st.sampled_from(OnExhausted)),
        "backoff": draw(st.sampled_from((Backoff(), Backoff(5, 2, 60, 10)))),
    }
    return Supervisor(tuple(children), auto_shutdown=auto, **{**flags, **fixed})


things = st.tuples(
    st.sampled_from(("answer", "answer", "answer", "fail", "exit", "exit", "echo", "back", "time", "reset")),
    st.integers(0, 11),
    st.sampled_from(Reason),
)
histories = st.lists(things, min_size=4, max_size=40)


@dataclass
class World:
    """Answers a supervisor's effects as a history says, and keeps its own books."""

    sup: Supervisor
    state: State
    now: float = 0
    window: tuple[float, ...] = ()
    """The counted restarts on record, by a fold over the decisions alone."""
    counted: int = 0
    refused: str | None = None
    """The child whose restart was refused."""
    told: list[events.Event] = field(default_factory=list)
    answers: list[events.Event] = field(default_factory=list)

    @property
    def todo(self) -> tuple[do.Effect, ...]:
        """What the supervisor wants done."""
        return do.effects(self.sup, self.state)

    def live(self, history: list[tuple[str, int, Reason]]) -> Iterator[events.Decision]:
        """Let all of it happen, one thing after the other."""
        for what, number, reason in history:
            event = self.event(what, number, reason)
            if event is not None:
                yield self.feed(event)

    def feed(self, event: events.Event) -> events.Decision:
        """Give the supervisor an event and keep the books."""
        self.told.append(event)
        self.state, decision = machine.step(self.sup, self.state, event)
        if isinstance(event, events.Reset):
            self.window = ()
        if isinstance(decision, events.Restarting) and decision.counted:
            self.window = add(self.window, self.now, self.sup.period)
            self.counted += 1
        if isinstance(decision, events.GaveUp) and isinstance(event, events.Exited | events.Retry):
            self.refused = event.child
        return decision

    def event(self, what: str, number: int, reason: Reason) -> events.Event | None:  # noqa: PLR0911 - one a kind
        """Return what happens next, if it can happen."""
        name = self.sup.children[number % len(self.sup.children)].name
        match what:
            case "exit":
                return events.Exited(name, reason, self.now, counted=number % 3 > 0, jitter=number / 12)
            case "echo" if self.answers:
                return self.answers[number % len(self.answers)]
            case "time":
                self.now += number
                return events.Due(self.now)
            case "back" if self.state.life(name) is not Life.ALIVE:
                return events.Started(name)
            case "reset" if number < 3:
                return events.Reset(self.refused if self.state.ending else None)
            case "answer" | "fail" if self.todo:
                return self.answer(self.todo[number % len(self.todo)], fails=what == "fail")
        return None

    def answer(self, effect: do.Effect, *, fails: bool = False) -> events.Event | None:
        """Answer one effect."""
        match effect:
            case do.Stop(name):
                answer: events.Event = events.Stopped(name)
            case do.Start(name):
                answer = events.StartFailed(name) if fails else events.Started(name)
            case do.Wait(until):
                self.now = max(self.now, until)
                answer = events.Due(self.now)
            case do.Attempt(name):
                return events.Retry(name, self.now)
            case do.End():
                return None
        self.answers.append(answer)
        return answer


def world_of(sup: Supervisor, *, is_new: bool = False) -> World:
    """Return a world in which all children run, or in which the supervisor is about to start them."""
    world = World(sup, created(sup) if is_new else adopted(sup))
    if is_new:
        world.feed(events.StartUp())
    return world


def named(effects: tuple[do.Effect, ...], kind: type[do.Stop | do.Start | do.Attempt]) -> list[str]:
    """Return the children that effects of one kind are about."""
    return [effect.child for effect in effects if isinstance(effect, kind)]


@given(supervisors(), histories, st.booleans())
@FAST
def test_what_is_asked_for_is_what_is_under_way(sup: Supervisor, history: list[Any], is_new: bool) -> None:
    """A child that no restart is about is never touched, and a list of work is always in order."""
    world = world_of(sup, is_new=is_new)
    order = [child.name for child in sup.children]
    for _ in world.live(history):
        op = world.state.operation
        stop, start = (op.stop, op.start) if op else ((), ())
        assert op is None or stop or start
        assert set(named(world.todo, do.Stop)) <= set(stop)
        assert set(named(world.todo, do.Start)) <= set(start) - set(stop)
        assert set(named(world.todo, do.Attempt)) <= set(world.state.retries)
        assert list(start) == sorted(start, key=order.index)
        assert list(stop) == sorted(stop, key=order.index, reverse=True)
        assert len({*stop}) == len(stop)
        assert op is None or op.until is None or world.todo[0] == do.Wait(op.until)


@given(supervisors(), histories, st.booleans())
@FAST
def test_the_window_is_the_sum_of_the_counted_restarts(sup: Supervisor, history: list[Any], is_new: bool) -> None:
    """No restart is ever lost from the budget and none is counted twice, in whatever order things happen."""
    world = world_of(sup, is_new=is_new)
    for decision in world.live(history):
        period = sup.period
        assert prune(world.state.window, world.now, period) == prune(world.window, world.now, period)
        assert world.state.restarts == world.counted
        assert len(world.state.window) <= sup.intensity
        if isinstance(decision, events.Restarting | events.GaveUp):
            assert decision.operation == world.state.serial


@given(supervisors(), histories, st.booleans())
@FAST
def test_everything_comes_to_an_end(sup: Supervisor, history: list[Any], is_new: bool) -> None:
    """Once every stop and start is answered the tree is quiet: all children that should run do, or it has given up."""
    world = world_of(sup, is_new=is_new)
    for _ in world.live(history):
        pass
    for _ in range(MAX_STEPS):
        event = world.answer(world.todo[0]) if world.todo else None
        if event is None:
            break
        world.feed(event)
    assert world.state.operation is None
    if world.state.ending is not None:
        assert world.todo == (do.End(world.state.ending),)
        return
    assert world.todo == ()
    lives = {world.state.life(child.name) for child in sup.children if child.restart is Restart.PERMANENT}
    assert lives <= {Life.ALIVE}
    assert not {Life.STOPPED, Life.RESTARTING} & {life for _, life in world.state.children}


@given(supervisors(ordering=Ordering.ORDERED, strategy=Strategy.REST_FOR_ONE), histories, st.booleans())
@FAST
def test_ordered_stops_in_reverse_and_starts_in_order(sup: Supervisor, history: list[Any], is_new: bool) -> None:
    """A child is stopped when all later ones of its group are, and started when the group is stopped and earlier ones run."""
    world = world_of(sup, is_new=is_new)
    order = [child.name for child in sup.children]
    for _ in world.live(history):
        op = world.state.operation
        for name in named(world.todo, do.Stop):
            assert op is not None
            assert not any(order.index(other) > order.index(name) for other in op.stop)
        for name in named(world.todo, do.Start):
            assert op is not None
            assert op.stop == ()
            assert not any(order.index(other) < order.index(name) for other in op.start)
        assert len(named(world.todo, do.Stop)) + len(named(world.todo, do.Start)) <= 1


@given(supervisors(ordering=Ordering.ONE_AT_A_TIME), histories)
@FAST
def test_one_at_a_time_never_has_two_stopped(sup: Supervisor, history: list[Any]) -> None:
    """Where nothing can be held, no child is stopped while one that was stopped before it is not back yet."""
    world = world_of(sup)
    # An old answer in between would be taken for one to the question that is open now.
    for _ in world.live([thing for thing in history if thing[0] != "echo"]):
        op = world.state.operation
        if op is None or op.kind is not Kind.RESTART or sup.strategy is Strategy.ONE_FOR_ONE:
            continue
        stopping = named(world.todo, do.Stop)
        waiting = [name for name in op.start if name not in op.stop and world.state.life(name) is Life.STOPPED]
        assert len(stopping) <= 1
        assert not (stopping and waiting)


@given(supervisors(ordering=Ordering.PARALLEL), histories, st.booleans())
@FAST
def test_parallel_offers_all_at_once(sup: Supervisor, history: list[Any], is_new: bool) -> None:
    """With Parallel no child ever waits for another one."""
    world = world_of(sup, is_new=is_new)
    for _ in world.live(history):
        op = world.state.operation
        if op is not None and op.until is None:
            assert set(named(world.todo, do.Stop)) == set(op.stop)
            assert set(named(world.todo, do.Start)) == set(op.start) - set(op.stop)


@given(supervisors(strategy=Strategy.ONE_FOR_ONE), histories)
@FAST
def test_one_for_one_children_never_wait_for_one_another(sup: Supervisor, history: list[Any]) -> None:
    """Children that are restarted one for one are stopped and started independently, whatever the ordering."""
    world = world_of(sup)
    for _ in world.live(history):
        op = world.state.operation
        if op is not None and op.kind is Kind.RESTART and op.until is None:
            assert set(named(world.todo, do.Stop)) == set(op.stop)
            assert set(named(world.todo, do.Start)) == set(op.start) - set(op.stop)


def meaningless(state: State, name: str, now: float) -> list[events.Event]:
    """Return the events about a child that mean nothing in this state, be they late or told twice."""
    op, life = state.operation, state.life(name)
    in_stop, in_start = bool(op and name in op.stop), bool(op and name in op.start)
    found: list[events.Event] = []
    if not in_stop:
        found.append(events.Stopped(name))
    if in_stop or not in_start:
        found.append(events.StartFailed(name))
    if in_stop or state.ending is not None or (life is Life.ALIVE and not in_start):
        found.append(events.Started(name))
    if op is None or op.until is None or now < op.until:
        found.append(events.Due(now))
    if name not in state.retries and life is not Life.RESTARTING:
        found.append(events.Retry(name, now))
    if state.ending is not None or in_stop or (life is not Life.ALIVE and not in_start):
        found += [events.Exited(name, reason, now) for reason in Reason]
    if state.ending is not None:
        found.append(events.ShutDown())
    return found


@given(supervisors(), histories, st.booleans())
@FAST
def test_what_means_nothing_changes_nothing(sup: Supervisor, history: list[Any], is_new: bool) -> None:
    """Late answers, answers told twice and deaths of what is being stopped anyway leave everything as it is."""
    world = world_of(sup, is_new=is_new)
    for _ in world.live(history):
        for child in sup.children:
            for event in meaningless(world.state, child.name, world.now):
                after, decision = machine.step(sup, world.state, event)
                assert after == world.state, event
                assert not isinstance(decision, events.Restarting | events.GaveUp | events.LetGo)


@given(supervisors(), histories, st.booleans())
@FAST
def test_the_same_events_make_the_same_supervisor(sup: Supervisor, history: list[Any], is_new: bool) -> None:
    """A new leader that is told what the old one was told knows what the old one knew, and wants the same."""
    world = world_of(sup, is_new=is_new)
    decisions = list(world.live(history))
    other = created(sup) if is_new else adopted(sup)
    again = []
    for event in world.told:
        other, decision = machine.step(sup, other, event)
        again.append(decision)
    assert other == world.state
    assert do.effects(sup, other) == world.todo
    assert again[is_new:] == decisions


@given(supervisors(), histories)
@FAST
def test_a_supervisor_that_has_ended_does_nothing_more(sup: Supervisor, history: list[Any]) -> None:
    """A parked tree touches nothing; one that shuts down only stops."""
    world = world_of(sup)
    for _ in world.live(history):
        if world.state.ending is not None:
            assert not named(world.todo, do.Start)
            assert not named(world.todo, do.Attempt)
            if sup.on_exhausted is OnExhausted.PARK and world.state.operation is not None:
                assert world.state.operation.kind is Kind.SHUTDOWN


@pytest.mark.parametrize("strategy", Strategy)
def test_a_large_group_is_restarted_in_one_operation(strategy: Strategy) -> None:
    """A large group is one restart and one count, and it ends."""
    sup = Supervisor(tuple(Child(f"c{at}") for at in range(256)), strategy, ordering=Ordering.PARALLEL)
    world = world_of(sup)
    world.feed(events.Exited("c0", Reason.ABNORMAL, 0))
    for _ in range(2):
        for effect in world.todo:
            answer = world.answer(effect)
            assert answer is not None
            world.feed(answer)
    assert world.state.operation is None
    assert world.state.restarts == 1
