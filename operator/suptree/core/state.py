"""What a supervisor remembers between events. Everything here is persisted before anything is done about it."""

from dataclasses import dataclass, replace
from enum import StrEnum

from suptree.core.spec import Supervisor


class Life(StrEnum):
    """A child as its supervisor sees it, in the words of OTP's `which_children`.

    OTP shows `STOPPED` as `undefined`, and forgets the specifications of `REMOVED` and `ENDED` children.
    """

    ALIVE = "alive"
    UNDEFINED = "undefined"
    """It ended by itself, or was never started."""
    STOPPED = "stopped"
    """Its supervisor stopped it, and has not started it again."""
    RESTARTING = "restarting"
    """Its restart failed; the next attempt is to come."""
    REMOVED = "removed"
    """A temporary child that its supervisor stopped: it is never started again (OTP rule 8)."""
    ENDED = "ended"
    """A temporary child that ended by itself: nobody restarts it."""


FORGOTTEN = frozenset({Life.REMOVED, Life.ENDED})
"""Children that no restart takes along any more."""


class Ending(StrEnum):
    """Why a supervisor ends, or has ended."""

    INTENSITY = "intensity"
    """More counted restarts than the intensity allows."""
    STORM = "storm"
    """More uncounted restarts than their own window allows."""
    POLICY = "policy"
    """An exit after which a restart cannot help."""
    AUTO_SHUTDOWN = "auto_shutdown"
    """Its significant children ended."""
    START_FAILED = "start_failed"
    """A child failed at the supervisor's own start (OTP rule 22)."""
    STOPPED = "stopped"
    """Its parent stopped it."""


class Kind(StrEnum):
    """What an operation is for."""

    START = "start"
    RESTART = "restart"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Operation:
    """Work in progress: what is still to be stopped, in that order, and then to be started, in that order.

    A supervisor has at most one operation. It ends when both lists are empty.
    """

    id: int
    kind: Kind
    stop: tuple[str, ...] = ()
    """In reverse start order. A child leaves the list when nothing of it is left (event `Stopped`)."""
    start: tuple[str, ...] = ()
    """In start order. A child leaves the list when it has started (event `Started`)."""
    until: float | None = None
    """Backing off: nothing is stopped or started before that time (seconds)."""


@dataclass(frozen=True, slots=True)
class State:
    """The whole memory of one supervisor."""

    children: tuple[tuple[str, Life], ...]
    """All children, in start order."""
    window: tuple[float, ...] = ()
    """Times (seconds) of the counted restarts on record, newest first; pruned when the next one is added."""
    uncounted: tuple[float, ...] = ()
    """Likewise for restarts that spend no budget."""
    operation: Operation | None = None
    retries: tuple[str, ...] = ()
    """Children whose restart failed, oldest first: each is a new attempt that counts (OTP rules 23 to 25)."""
    ending: Ending | None = None
    serial: int = 0
    """The id of the latest decision; grows by one with each restart and each refused restart."""
    restarts: int = 0
    """Counted restarts, for ever."""

    @property
    def names(self) -> tuple[str, ...]:
        """The children that OTP would have a specification of, in start order."""
        return tuple(name for name, life in self.children if life not in FORGOTTEN)

    def life(self, name: str) -> Life | None:
        """Return how the supervisor sees the child; None when it has no such child."""
        return dict(self.children).get(name)

    def with_life(self, name: str, life: Life) -> "State":
        """Return the state with that child seen so."""
        return replace(self, children=tuple((n, life if n == name else old) for n, old in self.children))


def created(sup: Supervisor) -> State:
    """Return the state of a supervisor before its own start: no child runs."""
    return State(tuple((child.name, Life.UNDEFINED) for child in sup.children))


def adopted(sup: Supervisor) -> State:
    """Return the state of a supervisor that takes over children which run already, as a new tree does."""
    return State(tuple((child.name, Life.ALIVE) for child in sup.children))
