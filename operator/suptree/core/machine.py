"""The supervisor as a machine: `step` takes one event and returns the new state and what was decided.

The machine is asynchronous: stopping and starting take time, and any event may come in between. Where OTP's
supervisor waits for each answer, the operation in the state waits instead. Answered at once, effect by effect, the
machine does what OTP does, trace for trace.
"""

from dataclasses import replace

from suptree.core import budget
from suptree.core.effects import is_starting, is_under_way
from suptree.core.events import (
    Absorbed,
    Decision,
    Done,
    Due,
    Event,
    Exited,
    GaveUp,
    LetGo,
    Postponed,
    Progress,
    Reset,
    Restarting,
    Retry,
    ShutDown,
    Started,
    StartFailed,
    StartUp,
    Stopped,
)
from suptree.core.restart import is_restarted
from suptree.core.spec import AutoShutdown, OnExhausted, Restart, Supervisor
from suptree.core.state import FORGOTTEN, Ending, Kind, Life, Operation, State
from suptree.core.strategy import slice_of


def step(sup: Supervisor, state: State, event: Event) -> tuple[State, Decision]:  # noqa: C901, PLR0911 - one case and one return a kind
    """Take one event.

    An event that no longer means anything (a duplicate, a late answer, a child that is gone) changes nothing.
    """
    match event:
        case StartUp():
            return _start_up(state), Progress()
        case ShutDown():
            return _shut_down(state, Ending.STOPPED), Progress()
        case Stopped(child):
            return _stopped(sup, state, child), Progress()
        case Started(child):
            return _started(state, child), Progress()
        case StartFailed(child):
            return _start_failed(sup, state, child), Progress()
        case Done(child):
            return _done(sup, state, child), Progress()
        case Due(now):
            return _due(state, now), Progress()
        case Postponed(until):
            return _postponed(state, until), Progress()
        case Reset(child):
            return _reset(sup, state, child)
        case Retry():
            return _retry(sup, state, event)
        case Exited():
            return _exited(sup, state, event)


# Exits.


def _exited(sup: Supervisor, state: State, event: Exited) -> tuple[State, Decision]:
    life = state.life(event.child)
    if state.ending is not None or life is None or life in FORGOTTEN:
        return state, Absorbed()
    if is_under_way(state.operation, event.child):
        return _exited_under_way(sup, state, event)
    if life is not Life.ALIVE:
        return state, Absorbed()
    if not is_restarted(sup.child(event.child).restart, event.reason):
        return _let_go(sup, state, event.child)
    return _restart(sup, state, event)


def _exited_under_way(sup: Supervisor, state: State, event: Exited) -> tuple[State, Decision]:
    """Take the exit of a child that the operation stops or starts: while it starts, it is a failed start."""
    if not is_starting(sup, state.operation, event.child):
        return state, Absorbed()
    if not is_restarted(sup.child(event.child).restart, event.reason):
        return _let_go(sup, _off_lists(state, event.child), event.child)
    failed = _start_failed(sup, state, event.child)
    if failed.ending is not None:
        return failed, GaveUp(failed.serial, failed.ending)
    return _retry(sup, failed, _attempt(event))


def _attempt(event: Exited) -> Retry:
    return Retry(event.child, event.now, event.counted, event.jitter, event.in_place, event.fatal)


def _let_go(sup: Supervisor, state: State, name: str) -> tuple[State, Decision]:
    child = sup.child(name)
    gone = _ended(sup, state, name)
    if child.significant and _is_auto_shutdown(sup, gone):
        ended = _shut_down(_next(gone), Ending.AUTO_SHUTDOWN)
        return ended, GaveUp(ended.serial, Ending.AUTO_SHUTDOWN)
    return gone, LetGo()


def _ended(sup: Supervisor, state: State, name: str) -> State:
    return state.with_life(name, Life.ENDED if sup.child(name).restart is Restart.TEMPORARY else Life.UNDEFINED)


_RUNNING = frozenset({Life.ALIVE, Life.RESTARTING})


def _is_auto_shutdown(sup: Supervisor, state: State) -> bool:
    """Tell whether the end of one significant child ends the supervisor (OTP rules 28 to 31)."""
    runs = any(
        sup.child(name).significant and (life in _RUNNING or is_under_way(state.operation, name))
        for name, life in state.children
    )
    return sup.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT or (
        sup.auto_shutdown is AutoShutdown.ALL_SIGNIFICANT and not runs
    )


def _retry(sup: Supervisor, state: State, event: Retry) -> tuple[State, Decision]:
    rest = list(state.retries)
    if event.child in rest:
        rest.remove(event.child)
    state = replace(state, retries=tuple(rest))
    if state.ending is not None or state.life(event.child) is not Life.RESTARTING:
        return state, Progress()
    return _restart(sup, state, event)


def _restart(sup: Supervisor, state: State, event: Exited | Retry) -> tuple[State, Decision]:
    """Restart the slice of the child, or give up (OTP's `restart/2`: the budget is looked at before any sibling)."""
    window, uncounted, ending = _record(sup, state, event)
    state = _next(replace(state, window=window, uncounted=uncounted))
    if ending is not None:
        return _give_up(sup, state.with_life(event.child, Life.UNDEFINED), ending), GaveUp(state.serial, ending)
    members = _unfinished(sup, state, slice_of(sup.strategy, state.names, event.child))
    wait = 0.0
    if event.counted and not event.in_place:
        wait = budget.delay(sup.backoff, len(window) - 1, event.jitter)
    state = _widen(sup, state, members, event.now + wait if wait > 0 else None)
    if event.counted:
        state = replace(state, restarts=state.restarts + 1)
    return state, Restarting(state.serial, members, event.counted)


def _record(
    sup: Supervisor, state: State, event: Exited | Retry
) -> tuple[tuple[float, ...], tuple[float, ...], Ending | None]:
    """Return both windows with the restart on record, or without it and why it is refused."""
    if event.fatal:
        return state.window, state.uncounted, Ending.POLICY
    if event.counted:
        window = budget.add(state.window, event.now, sup.period)
        if budget.is_exceeded(window, sup.intensity):
            return window[1:], state.uncounted, Ending.INTENSITY
        return window, state.uncounted, None
    uncounted = budget.add(state.uncounted, event.now, sup.period)
    if budget.is_exceeded(uncounted, budget.uncounted_limit(sup.intensity)):
        return state.window, uncounted[1:], Ending.STORM
    return state.window, uncounted, None


def _reset(sup: Supervisor, state: State, child: str | None) -> tuple[State, Decision]:
    """Begin anew with empty windows; what was stopped is started, and the restart that was refused is carried out."""
    if state.ending is None:
        return replace(state, window=(), uncounted=()), Progress()
    stopping = state.operation.stop if state.operation else ()
    waiting = {name for name, life in state.children if life is Life.STOPPED or name in stopping}
    for name, life in state.children:
        if life in FORGOTTEN:
            state = state.with_life(name, Life.ALIVE)
    if child is not None:
        state = state.with_life(child, Life.ALIVE)  # It is dead, but its work is not done.
        waiting |= {*slice_of(sup.strategy, state.names, child)}
    members = _unfinished(sup, state, tuple(name for name in state.names if name in waiting))
    state = replace(state, window=(), uncounted=(), retries=(), ending=None, operation=None)
    if not members:
        return state, Progress()
    state = _widen(sup, _next(state), members, None)
    return state, Restarting(state.serial, members, counted=False)


# Operations.


def _start_up(state: State) -> State:
    is_new = state.operation is None and state.ending is None
    if is_new and all(life is Life.UNDEFINED for _, life in state.children):
        return _begin(state, Kind.START, start=state.names)
    return state


def _next(state: State) -> State:
    return replace(state, serial=state.serial + 1)


def _begin(state: State, kind: Kind, stop: tuple[str, ...] = (), start: tuple[str, ...] = ()) -> State:
    operation = Operation(state.serial, kind, stop, start)
    return replace(state, operation=operation if stop or start else None)


def _unfinished(sup: Supervisor, state: State, members: tuple[str, ...]) -> tuple[str, ...]:
    """Return the members without those that ended normally and are not to be run again."""
    done = {name for name, life in state.children if life is Life.UNDEFINED and not sup.child(name).reruns}
    return tuple(name for name in members if name not in done)


def _widen(sup: Supervisor, state: State, members: tuple[str, ...], until: float | None) -> State:
    """Begin the restart of `members`, together with what an operation under way still has to do."""
    old = state.operation or Operation(state.serial, Kind.RESTART)
    stop = {*old.stop, *members}
    start = {*old.start, *(n for n in members if sup.child(n).restart is not Restart.TEMPORARY)}
    waits = [time for time in (old.until, until) if time is not None]
    operation = replace(
        old,
        id=state.serial,
        stop=tuple(name for name in reversed(state.names) if name in stop),
        start=tuple(name for name in state.names if name in start),
        until=max(waits, default=None),
    )
    return replace(state, operation=operation)


def _off_lists(state: State, *names: str) -> State:
    """Take the children off the operation's lists; it ends when both are empty."""
    op = state.operation
    if op is None:
        return state
    stop = tuple(name for name in op.stop if name not in names)
    start = tuple(name for name in op.start if name not in names)
    return replace(state, operation=replace(op, stop=stop, start=start) if stop or start else None)


def _stopped(sup: Supervisor, state: State, name: str) -> State:
    op = state.operation
    if op is None or name not in op.stop:
        return state
    stop = tuple(other for other in op.stop if other != name)
    state = replace(state, operation=replace(op, stop=stop) if stop or op.start else None)
    return state.with_life(name, Life.REMOVED if sup.child(name).restart is Restart.TEMPORARY else Life.STOPPED)


def _started(state: State, name: str) -> State:
    op = state.operation
    if state.ending is not None or (op is not None and name in op.stop):
        return state
    if state.life(name) is Life.RESTARTING and not is_under_way(op, name):
        return state  # Its next attempt is to come, and takes its group along.
    return _off_lists(state.with_life(name, Life.ALIVE), name)


def _done(sup: Supervisor, state: State, name: str) -> State:
    op = state.operation
    if op is not None and name in op.stop:
        return state
    return _off_lists(_ended(sup, state, name), name)


def _start_failed(sup: Supervisor, state: State, name: str) -> State:
    """Note that a start failed; the attempt that follows is an event of its own (OTP rules 22 to 24)."""
    op = state.operation
    if op is None or name not in op.start or name in op.stop:
        return state
    if op.kind is Kind.START:
        return _shut_down(_next(state), Ending.START_FAILED)
    # Whoever the next attempt takes along is no longer this operation's to start.
    left = _off_lists(state, *slice_of(sup.strategy, state.names, name)).with_life(name, Life.RESTARTING)
    return replace(left, retries=(*state.retries, name))


def _due(state: State, now: float) -> State:
    op = state.operation
    if op is None or op.until is None or now < op.until:
        return state
    return replace(state, operation=replace(op, until=None))


def _postponed(state: State, until: float) -> State:
    op = state.operation
    if op is None or op.kind is not Kind.RESTART:
        return state
    return replace(state, operation=replace(op, until=until if op.until is None else max(op.until, until)))


def _give_up(sup: Supervisor, state: State, ending: Ending) -> State:
    if sup.on_exhausted is OnExhausted.PARK:
        return replace(state, operation=None, retries=(), ending=ending)
    return _shut_down(state, ending)


def _shut_down(state: State, ending: Ending) -> State:
    """End the supervisor: stop all children in reverse start order (OTP rules 18 and 33)."""
    if state.ending is not None:
        return state
    state = replace(state, retries=(), ending=ending)
    return _begin(state, Kind.SHUTDOWN, stop=tuple(name for name, _ in reversed(state.children)))
