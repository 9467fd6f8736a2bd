"""The core's state in the status: what is written is read again, and the next thing to do is the same."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.api.model import from_time, to_time
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import BudgetStatus, ChildStatus, SupervisionTreeStatus
from suptree.cluster.memory import Replaced
from suptree.cluster.record import Work, read, read_work, supervisor_of, write_operation, write_times
from suptree.core import effects as do
from suptree.core import events, machine
from suptree.core.restart import Reason
from suptree.core.spec import OnExhausted, Ordering
from suptree.core.state import State, adopted
from tests.cluster.builders import T0, child, tree

FAST = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def specs(draw: st.DrawFn) -> SupervisionTreeSpec:
    """Draw the spec of a tree with up to four children."""
    kinds = draw(st.lists(st.sampled_from(("Permanent", "Transient", "Temporary")), min_size=1, max_size=4))
    after = draw(st.sampled_from(("Keep", "Rerun")))
    raw = tree(
        *(child(name, restart=kind, afterCompletion=after) for name, kind in zip("abcd", kinds, strict=False)),
        strategy=draw(st.sampled_from(("OneForOne", "OneForAll", "RestForOne"))),
        ordering=draw(st.sampled_from(("Ordered", "Parallel"))),
        intensity=draw(st.integers(0, 3)),
        periodSeconds=draw(st.sampled_from((5, 300))),
    )
    if draw(st.booleans()):
        del raw["spec"]["backoff"]
    return SupervisionTreeSpec.model_validate(raw["spec"])


things = st.tuples(st.sampled_from(("exit", "answer", "answer", "fail", "wait", "reset")), st.integers(0, 11))


def write(state: State) -> dict[str, Any]:
    """Write a state as a decision does, and as JSON."""
    op = state.operation
    status = SupervisionTreeStatus(
        children=tuple(ChildStatus(name=name, supervision=str(life)) for name, life in state.children),
        budget=BudgetStatus(used=len(state.window), limit=0, times=write_times(state.window)),
        operation=write_operation(op, Work(state.names, to_time(T0)), None),
        next_attempt_time=to_time(op.until) if op is not None and op.until is not None else None,
        ending=str(state.ending) if state.ending else None,
        uncounted=write_times(state.uncounted),
        retry=state.retries,
        serial=state.serial,
        restarts=state.restarts,
    )
    stored: dict[str, Any] = json.loads(json.dumps(status.to_json()))
    return stored


@given(specs(), st.lists(things, min_size=3, max_size=25), st.booleans())
@FAST
def test_reading_what_was_written_is_the_same_state(
    spec: SupervisionTreeSpec, history: list[tuple[str, int]], gate: bool
) -> None:
    """An operator that is killed at any point comes back with the same supervisor, which wants the same things done."""
    sup = supervisor_of(spec, is_gate_in_force=gate)
    state, now = adopted(sup), T0
    for what, number in history:
        now += 0.123457 * number
        now = from_time(to_time(now))
        todo = do.effects(sup, state)
        name = sup.children[number % len(sup.children)].name
        event: events.Event | None = None
        match what:
            case "exit":
                event = events.Exited(name, [*Reason][number % 3], now, counted=number % 4 > 0, jitter=number / 12)
            case "wait":
                event = events.Due(now)
            case "reset" if state.ending is not None:
                event = events.Reset(name)
            case "answer" | "fail" if todo:
                event = answer(todo[number % len(todo)], now, fails=what == "fail")
        if event is not None:
            state, _ = machine.step(sup, state, event)
        if state.operation is not None and state.operation.until is not None:
            # Nothing is finer than the microseconds of a status.
            until = from_time(to_time(state.operation.until))
            state = replace(state, operation=replace(state.operation, until=until))
        again = read(SupervisionTreeStatus.model_validate(write(state)), sup)
        assert again == state
        assert do.effects(sup, again) == do.effects(sup, state)


def answer(effect: do.Effect, now: float, *, fails: bool) -> events.Event | None:
    """Answer an effect."""
    match effect:
        case do.Stop(name):
            return events.Stopped(name)
        case do.Start(name):
            return events.StartFailed(name) if fails else events.Started(name)
        case do.Attempt(name):
            return events.Retry(name, now)
        case do.Wait(until):
            return events.Due(until)
        case do.End():
            return None


def test_the_work_survives_too() -> None:
    """Which pods an operation replaces, its children and when it began are read as they were written."""
    spec = SupervisionTreeSpec.model_validate(tree(child("a"), child("b"), strategy="OneForAll")["spec"])
    sup = supervisor_of(spec, is_gate_in_force=True)
    state, _ = machine.step(sup, adopted(sup), events.Exited("a", Reason.ABNORMAL, T0))
    work = Work(("a", "b"), to_time(T0), {"a": Replaced(frozenset({"0123abcd"}), "2026-03-01T00:00:00Z")})
    status = SupervisionTreeStatus(operation=write_operation(state.operation, work, "b"))
    assert read_work(SupervisionTreeStatus.model_validate(status.to_json())) == work
    assert read_work(SupervisionTreeStatus()) == Work()


def test_a_child_that_the_spec_gained_is_taken_over_running() -> None:
    """Adding a child to a tree restarts nothing; taking one out forgets it."""
    old = SupervisionTreeSpec.model_validate(tree(child("a"), child("b"))["spec"])
    new = SupervisionTreeSpec.model_validate(tree(child("b"), child("c"))["spec"])
    sup = supervisor_of(old, is_gate_in_force=True)
    state, _ = machine.step(sup, adopted(sup), events.Exited("a", Reason.ABNORMAL, T0))
    after = read(SupervisionTreeStatus.model_validate(write(state)), supervisor_of(new, is_gate_in_force=True))
    assert after.names == ("b", "c")
    assert after.operation is None
    assert after.window == state.window


def test_without_the_gate_an_ordered_tree_goes_one_at_a_time() -> None:
    """Where pods cannot be held, each child is replaced and waited for before the next; Parallel stays Parallel."""
    ordered = SupervisionTreeSpec.model_validate(tree(child("a"))["spec"])
    parallel = SupervisionTreeSpec.model_validate(tree(child("a"), ordering="Parallel")["spec"])
    assert supervisor_of(ordered, is_gate_in_force=True).ordering is Ordering.ORDERED
    assert supervisor_of(ordered, is_gate_in_force=False).ordering is Ordering.ONE_AT_A_TIME
    assert supervisor_of(parallel, is_gate_in_force=False).ordering is Ordering.PARALLEL
    assert supervisor_of(ordered, is_gate_in_force=True).on_exhausted is OnExhausted.PARK
