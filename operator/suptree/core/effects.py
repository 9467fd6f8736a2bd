"""What a state wants done. Computed from the state alone, so that a crash between deciding and doing loses nothing."""

from dataclasses import dataclass

from suptree.core.spec import Ordering, Strategy, Supervisor
from suptree.core.state import Ending, Kind, Operation, State


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing before that time (seconds); then send the event `Due`."""

    until: float


@dataclass(frozen=True, slots=True)
class Stop:
    """See to it that nothing is left of the child as it was; then send `Stopped`. Idempotent."""

    child: str


@dataclass(frozen=True, slots=True)
class Start:
    """Let the child start, and wait for it; then send `Started` or `StartFailed`. Idempotent."""

    child: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send the event `Retry` for the child, after whatever else is already waiting."""

    child: str


@dataclass(frozen=True, slots=True)
class End:
    """The supervisor has ended: tell its parent."""

    ending: Ending


Effect = Wait | Stop | Start | Attempt | End


def effects(sup: Supervisor, state: State) -> tuple[Effect, ...]:
    """Return what is to be done now, all of it at once; the most urgent first."""
    if state.operation is None:
        if state.ending is not None:
            return (End(state.ending),)
        return tuple(Attempt(name) for name in state.retries[:1])
    return _of_operation(sup, state.operation) + tuple(
        Attempt(name) for name in state.retries if not is_under_way(state.operation, name)
    )


def is_under_way(operation: Operation | None, name: str) -> bool:
    """Tell whether the operation still has to stop or to start the child."""
    return operation is not None and name in operation.stop + operation.start


def is_starting(sup: Supervisor, operation: Operation | None, name: str) -> bool:
    """Tell whether it is the child's turn to start."""
    return operation is not None and name in operation.start and Start(name) in _of_operation(sup, operation)


def _of_operation(sup: Supervisor, op: Operation) -> tuple[Effect, ...]:
    if op.until is not None:
        return (Wait(op.until),)
    # Children that are restarted one for one do not wait for one another: nobody said that they depend on each other.
    independent = sup.strategy is Strategy.ONE_FOR_ONE and op.kind is Kind.RESTART
    if independent or sup.ordering is Ordering.PARALLEL:
        stopping = frozenset(op.stop)
        ready = tuple(name for name in op.start if name not in stopping)
        return tuple(map(Stop, op.stop)) + tuple(map(Start, ready))
    if sup.ordering is Ordering.ONE_AT_A_TIME and op.kind is Kind.RESTART:
        # The stop list runs backwards: its last child is the first in start order.
        return tuple(map(Stop, op.stop[-1:])) if not op.start or op.start[0] in op.stop else (Start(op.start[0]),)
    return tuple(map(Stop, op.stop[:1])) or tuple(map(Start, op.start[:1]))
