"""A supervisor at work in a test: events in, effects answered, and all that was done written down."""

from dataclasses import dataclass, field

from suptree.core import effects as do
from suptree.core import events, machine
from suptree.core.restart import Reason
from suptree.core.spec import AutoShutdown, Child, OnExhausted, Restart, Strategy, Supervisor
from suptree.core.state import Ending, Life, State, adopted

NORMAL, SHUTDOWN, ABNORMAL = Reason.NORMAL, Reason.SHUTDOWN, Reason.ABNORMAL
REASONS = {"normal": NORMAL, "shutdown": SHUTDOWN, "abnormal": ABNORMAL}


def child_of(word: str) -> Child:
    """Read a child as 'name', 'name:transient' or 'name:temporary!'; the mark means significant."""
    name, _, kind = word.partition(":")
    kinds = {restart.value.lower(): restart for restart in Restart}
    return Child(name, kinds[kind.rstrip("!") or "permanent"], significant=kind.endswith("!"))


def supervisor(children: str, strategy: Strategy = Strategy.ONE_FOR_ONE, **flags: object) -> Supervisor:
    """Build a supervisor from its children as one would write them in a list: 'a b:transient c:temporary!'."""
    significant = "!" in children
    flags = {"auto_shutdown": AutoShutdown.ANY_SIGNIFICANT if significant else AutoShutdown.NEVER, **flags}
    return Supervisor(tuple(map(child_of, children.split())), strategy, **flags)  # type: ignore[arg-type]


@dataclass
class Running:
    """A supervisor whose children are virtual: what it wants done is done when the test says so."""

    sup: Supervisor
    state: State = field(default_factory=lambda: State(()))
    done: list[str] = field(default_factory=list)
    """What was done, as '-name' (stopped), '+name' (started), 'xname' (failed to start)."""
    decisions: list[events.Decision] = field(default_factory=list)

    @property
    def todo(self) -> tuple[do.Effect, ...]:
        """What the supervisor wants done now."""
        return do.effects(self.sup, self.state)

    @property
    def alive(self) -> str:
        """The children that run, in start order."""
        return " ".join(name for name, life in self.state.children if life is Life.ALIVE)

    def feed(self, event: events.Event) -> events.Decision:
        """Give it an event; answer what it decided."""
        self.state, decision = machine.step(self.sup, self.state, event)
        if not isinstance(decision, events.Progress):
            self.decisions.append(decision)
        return decision

    def exit(self, name: str, reason: Reason = ABNORMAL, now: float = 0, *, counted: bool = True) -> events.Decision:
        """Let a child end by itself."""
        return self.feed(events.Exited(name, reason, now, counted))

    def settle(self, now: float = 0, failing: str = "") -> str:
        """Do all that is wanted, at once; starts of the `failing` children fail once each. Answer what was done."""
        self.done.clear()
        fail = failing.split()
        for _ in range(1000):
            if not self.todo or isinstance(self.todo[0], do.End):
                return " ".join(self.done)
            self.feed(self.answer(self.todo[0], now, fail))
        raise AssertionError("the supervisor never settles")

    def answer(self, effect: do.Effect, now: float, fail: list[str]) -> events.Event:
        """Do one thing."""
        match effect:
            case do.Stop(name):
                self.done.append(f"-{name}")
                return events.Stopped(name)
            case do.Start(name) if name in fail:
                fail.remove(name)
                self.done.append(f"x{name}")
                return events.StartFailed(name)
            case do.Start(name):
                self.done.append(f"+{name}")
                return events.Started(name)
            case do.Attempt(name):
                return events.Retry(name, now)
            case do.Wait(until):
                return events.Due(until)
            case do.End():
                raise AssertionError("it has ended")

    @property
    def ending(self) -> Ending | None:
        """Why it ended, if it did and nothing is left to be stopped."""
        match self.todo:
            case (do.End(ending),):
                return ending
        return None


def running(children: str, strategy: Strategy = Strategy.ONE_FOR_ONE, **flags: object) -> Running:
    """Return a supervisor whose children all run."""
    sup = supervisor(children, strategy, **flags)
    return Running(sup, adopted(sup))


__all__ = ["ABNORMAL", "NORMAL", "REASONS", "SHUTDOWN", "OnExhausted", "Running", "running", "supervisor"]
