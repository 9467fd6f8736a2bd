"""The core's state in the status, and back: `read(write(state)) == state`.

What the status tells a user and what the core remembers are the same fields wherever that reads well; the few that only
the core needs are marked internal in the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from operator import sub

from suptree.api.choices import AfterCompletion
from suptree.api.choices import OnExhausted as OnExhaustedChoice
from suptree.api.choices import Ordering as OrderingChoice
from suptree.api.model import from_time, to_time
from suptree.api.outcomes import ExhaustedReason, Stage
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import OperationStatus, SupervisionTreeStatus
from suptree.cluster.memory import Replaced, decode_replaced, encode_replaced
from suptree.core.spec import AutoShutdown, Backoff, Child, OnExhausted, Ordering, Restart, Strategy, Supervisor
from suptree.core.state import Ending, Kind, Life, Operation, State

EXHAUSTED_REASONS: dict[Ending, ExhaustedReason] = {
    Ending.INTENSITY: ExhaustedReason.BUDGET_EXHAUSTED,
    Ending.STORM: ExhaustedReason.DISRUPTION_STORM,
    Ending.POLICY: ExhaustedReason.FAILURE_POLICY,
    Ending.AUTO_SHUTDOWN: ExhaustedReason.AUTO_SHUTDOWN,
    Ending.START_FAILED: ExhaustedReason.STARTUP_FAILED,
}


def supervisor_of(spec: SupervisionTreeSpec, *, is_gate_in_force: bool, has_parent: bool = False) -> Supervisor:
    """Translate a spec.

    Without the gate policy in force an ordered restart goes one child at a time. A tree with a parent ends as OTP's supervisor
    does; a root does what `onExhausted` says.
    """
    parks = spec.on_exhausted is OnExhaustedChoice.PARK and not has_parent
    ordering = Ordering(spec.ordering)
    if spec.ordering is OrderingChoice.ORDERED and not is_gate_in_force:
        ordering = Ordering.ONE_AT_A_TIME
    return Supervisor(
        children=tuple(
            Child(
                child.name, Restart(child.restart), child.significant, child.after_completion is AfterCompletion.RERUN
            )
            for child in spec.children
        ),
        strategy=Strategy(spec.strategy),
        intensity=spec.intensity,
        period=spec.period_seconds,
        auto_shutdown=AutoShutdown(spec.auto_shutdown),
        ordering=ordering,
        on_exhausted=OnExhausted.PARK if parks else OnExhausted.SHUTDOWN,
        backoff=Backoff(
            spec.backoff.initial_seconds,
            spec.backoff.factor,
            spec.backoff.max_seconds,
            spec.backoff.jitter_percent,
        ),
    )


_READABLE = 100
"""How many times of a window are written as such: 1,500 of them would take 46 kB of the status."""


@dataclass(frozen=True, slots=True)
class Work:
    """What belongs to the operation under way besides what the core knows of it."""

    slice: tuple[str, ...] = ()
    start_time: str = ""
    """When it was decided; it keeps its place in the queue when it grows."""
    replaced: Mapping[str, Replaced] = field(default_factory=dict)
    """Child -> the pods that are to be replaced."""
    turn_time: str | None = None
    """When its turn came; None: it has no place among the restarts of the cluster."""


def read(status: SupervisionTreeStatus, sup: Supervisor) -> State:
    """Return the core's state. Children that the spec has gained are adopted; those that it has lost are forgotten."""
    lives = {child.name: child.supervision or Life.ALIVE for child in status.children}
    names = {child.name for child in sup.children}
    return State(
        children=tuple((child.name, Life(lives.get(child.name, Life.ALIVE))) for child in sup.children),
        window=read_times(status.budget.times, status.budget.earlier) if status.budget else (),
        uncounted=read_times(status.uncounted, status.uncounted_earlier),
        operation=_operation(status, names),
        retries=tuple(name for name in status.retry if name in names),
        ending=Ending(status.ending) if status.ending else None,
        serial=status.serial or 0,
        restarts=status.restarts or 0,
    )


def _operation(status: SupervisionTreeStatus, names: set[str]) -> Operation | None:
    op = status.operation
    if op is None:
        return None
    stop = tuple(name for name in op.stop or () if name in names)
    start = tuple(name for name in op.start or () if name in names)
    if not stop and not start:
        return None
    until = from_time(status.next_attempt_time) if status.next_attempt_time and op.stage is Stage.WAITING else None
    return Operation(op.id, Kind(op.kind or Kind.RESTART), stop, start, until)


def read_work(status: SupervisionTreeStatus) -> Work:
    """Return what else belongs to the operation under way."""
    op = status.operation
    if op is None:
        return Work()
    replaced = {name: decode_replaced(text) for name, text in (op.replacing or {}).items()}
    return Work(op.slice, op.start_time, replaced, op.turn_time)


def stage_of(op: Operation) -> Stage:
    """Say how far the operation is."""
    if op.until is not None:
        return Stage.WAITING
    return Stage.STOPPING if op.stop else Stage.STARTING


def write_operation(op: Operation | None, work: Work, child: str | None) -> OperationStatus | None:
    """Return the operation as the status shows it; `child` is the one that is being stopped or started."""
    if op is None:
        return None
    return OperationStatus(
        id=op.id,
        stage=stage_of(op),
        slice=work.slice,
        child=child,
        start_time=work.start_time,
        turn_time=work.turn_time,
        kind=str(op.kind),
        stop=op.stop,
        start=op.start,
        replacing={name: encode_replaced(it) for name, it in sorted(work.replaced.items()) if it.uids},
    )


def write_times(times: tuple[float, ...]) -> tuple[str, ...]:
    """Write the newest of a window, as anybody can read them."""
    return tuple(map(to_time, times[:_READABLE]))


def write_earlier(times: tuple[float, ...]) -> str | None:
    """Write the rest of a window: whole seconds, as the budget compares them, each as what lies between it and the one before."""
    seconds = [int(time) for time in times[_READABLE:]]
    if not seconds:
        return None
    return ",".join(map(str, [seconds[0], *(newer - older for newer, older in pairwise(seconds))]))


def read_times(newest: tuple[str, ...], earlier: str | None) -> tuple[float, ...]:
    """Read a window, of which `write_times` wrote one part and `write_earlier` the other."""
    rest = accumulate(map(int, earlier.split(",")) if earlier else (), sub)
    return (*map(from_time, newest), *map(float, rest))
