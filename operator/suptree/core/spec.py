"""What a supervisor is told: its flags and its children, in OTP's words."""

from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    """Who is restarted when one child ends; see `strategy.slice_of`."""

    ONE_FOR_ONE = "OneForOne"
    ONE_FOR_ALL = "OneForAll"
    REST_FOR_ONE = "RestForOne"


class Restart(StrEnum):
    """A child's restart type; see `restart.is_restarted`."""

    PERMANENT = "Permanent"
    TRANSIENT = "Transient"
    TEMPORARY = "Temporary"


class AutoShutdown(StrEnum):
    """Whether the end of significant children ends the supervisor (OTP rules 27 to 34)."""

    NEVER = "Never"
    ANY_SIGNIFICANT = "AnySignificant"
    ALL_SIGNIFICANT = "AllSignificant"


class Ordering(StrEnum):
    """Whether a group is stopped and started one child after the other, or all at once.

    `ONE_AT_A_TIME` is for a world in which what was stopped cannot be kept from starting: each child is stopped and
    started before the next one is stopped.
    """

    ORDERED = "Ordered"
    PARALLEL = "Parallel"
    ONE_AT_A_TIME = "OneAtATime"


class OnExhausted(StrEnum):
    """What a supervisor does with its children when it gives up.

    `SHUTDOWN` is OTP's rule: stop all children and end. `PARK` leaves every child as it is and stops acting.
    """

    SHUTDOWN = "Shutdown"
    PARK = "Park"


@dataclass(frozen=True, slots=True)
class Child:
    """One child specification. Names are unique within a supervisor."""

    name: str
    restart: Restart = Restart.PERMANENT
    significant: bool = False
    reruns: bool = True
    """Whether a restart of its group starts it again when it had ended normally (OTP rule 9)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long counted group restarts wait for one another; all zero means not at all."""

    initial_seconds: float = 0
    factor: float = 1
    max_seconds: float = 0
    jitter_percent: float = 0


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The flags and the children of one supervisor; the order of the children is their start order."""

    children: tuple[Child, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: int = 300
    """Seconds."""
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    ordering: Ordering = Ordering.ORDERED
    on_exhausted: OnExhausted = OnExhausted.SHUTDOWN
    backoff: Backoff = Backoff()

    def child(self, name: str) -> Child:
        """Return the child of that name.

        Raises:
            KeyError: The supervisor has no such child.
        """
        for child in self.children:
            if child.name == name:
                return child
        raise KeyError(name)


def problems(sup: Supervisor) -> tuple[str, ...]:
    """Say what OTP's supervisor would refuse in these flags and children (OTP rule 27); empty when nothing."""
    names = [child.name for child in sup.children]
    found = [f"child {name!r} is named twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if sup.intensity < 0:
        found.append(f"intensity is {sup.intensity}; it must be 0 or more")
    if sup.period < 1:
        found.append(f"period is {sup.period}; it must be 1 second or more")
    for child in sup.children:
        if child.significant and sup.auto_shutdown is AutoShutdown.NEVER:
            found.append(f"child {child.name!r} is significant, but autoShutdown is Never")
        if child.significant and child.restart is Restart.PERMANENT:
            found.append(f"child {child.name!r} is significant and Permanent; a permanent child never ends")
    return tuple(found)
