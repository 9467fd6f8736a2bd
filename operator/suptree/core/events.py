"""What can happen to a supervisor, and what it decides about it."""

from dataclasses import dataclass

from suptree.core.restart import Reason
from suptree.core.state import Ending

# Events.


@dataclass(frozen=True, slots=True)
class StartUp:
    """The supervisor itself is to start: all its children, in order."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The parent stops the supervisor: all its children, in reverse order."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A child that had started ended by itself."""

    child: str
    reason: Reason
    now: float
    """Seconds."""
    counted: bool = True
    """Whether a restart for it spends the budget."""
    jitter: float = 0
    """From 0 to 1."""
    in_place: bool = False
    """Whether somebody else restarts the child already, at a pace of their own: no backoff is added."""
    fatal: bool = False
    """Whether a restart cannot help: the supervisor gives up at once."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing is left of the child that was to be stopped."""

    child: str


@dataclass(frozen=True, slots=True)
class Started:
    """The child has started, by an operation or by itself."""

    child: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The child did not start."""

    child: str


@dataclass(frozen=True, slots=True)
class Done:
    """The child's work was done before, and it is not to be run again: there is nothing to start."""

    child: str


@dataclass(frozen=True, slots=True)
class Retry:
    """It is time for the next attempt at a child that failed to start."""

    child: str
    now: float
    counted: bool = True
    jitter: float = 0
    in_place: bool = False
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """Time has passed; a backoff may be over."""

    now: float


@dataclass(frozen=True, slots=True)
class Postponed:
    """The restart is not to go on before that time, whatever its backoff says; then comes `Due`."""

    until: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Reset:
    """A person, or time, lets the supervisor go on: both windows are empty, and a restart that was refused is due."""

    child: str | None
    """The child whose restart was refused; None when nothing is to be restarted."""


Event = StartUp | ShutDown | Exited | Stopped | Started | StartFailed | Done | Retry | Due | Postponed | Reset

# Decisions.


class Decision:
    """What `step` decided about an event."""


@dataclass(frozen=True, slots=True)
class Progress(Decision):
    """Nothing to tell: the event moved an operation on, or meant nothing."""


@dataclass(frozen=True, slots=True)
class Absorbed(Decision):
    """The exit is part of an operation that is under way (OTP rule 10)."""


@dataclass(frozen=True, slots=True)
class LetGo(Decision):
    """The child's restart type does not restart it (OTP rule 2)."""


@dataclass(frozen=True, slots=True)
class Restarting(Decision):
    """A restart begins."""

    operation: int
    members: tuple[str, ...]
    """The slice, in start order."""
    counted: bool


@dataclass(frozen=True, slots=True)
class GaveUp(Decision):
    """The supervisor ends: its budget is spent, or its significant children have ended."""

    operation: int
    ending: Ending
