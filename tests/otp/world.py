"""A world of virtual processes: the core's effects are answered at once, as OTP's synchronous calls do.

Each supervisor of a scenario is a machine of its own; the world starts and stops processes, keeps the virtual clock,
and writes down what an observer of Erlang's processes would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from suptree.core import effects as do
from suptree.core import events, machine
from suptree.core import spec as flags
from suptree.core.restart import Reason
from suptree.core.state import Ending, Life, State, created

REASONS = {
    "normal": Reason.NORMAL,
    "shutdown": Reason.SHUTDOWN,
    "shutdown_x": Reason.SHUTDOWN,
    "crash": Reason.ABNORMAL,
    "kill": Reason.ABNORMAL,
}
STRATEGIES = {
    "one_for_one": flags.Strategy.ONE_FOR_ONE,
    "one_for_all": flags.Strategy.ONE_FOR_ALL,
    "rest_for_one": flags.Strategy.REST_FOR_ONE,
}
AUTO_SHUTDOWN = {
    "never": flags.AutoShutdown.NEVER,
    "any_significant": flags.AutoShutdown.ANY_SIGNIFICANT,
    "all_significant": flags.AutoShutdown.ALL_SIGNIFICANT,
}
RESTART = {restart.value.lower(): restart for restart in flags.Restart}

SHOWN = {Life.STOPPED: "undefined"}

Json = dict[str, Any]


def supervisor_of(scenario: Json) -> flags.Supervisor:
    """Translate a scenario's SPEC."""
    return flags.Supervisor(
        children=tuple(
            flags.Child(child["id"], RESTART[child["restart"]], child["significant"]) for child in scenario["children"]
        ),
        strategy=STRATEGIES[scenario["strategy"]],
        intensity=scenario["intensity"],
        period=scenario["period"],
        auto_shutdown=AUTO_SHUTDOWN[scenario["auto_shutdown"]],
    )


@dataclass
class Process:
    """A worker, or with a machine of its own a supervisor."""

    path: str
    spec: Json
    parent: Process | None
    sup: flags.Supervisor | None = None
    state: State | None = None
    below: dict[str, Process] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The child id."""
        return str(self.spec["id"])


@dataclass
class Plan:
    """How the next starts of a path fail."""

    times: int
    dt: float


class World:
    """Runs one scenario; `steps` and `final` make its trace."""

    def __init__(self, scenario: Json) -> None:
        self.now = 0.0
        self.plans: dict[str, Plan] = {}
        self.seen: list[list[Any]] = []
        self.steps: list[list[list[Any]]] = []
        self.root: Process | None = None
        self.scenario = scenario

    def run(self) -> Json:
        """Play the scenario and return its trace."""
        for plan in self.scenario.get("prelude", []):
            self.plan(plan)
        root = {"id": "", "type": "supervisor", "shutdown": "infinity", "spec": self.scenario["tree"]}
        self.root, _ = self.start("", root, None)
        self._end_step()
        for event in self.scenario["events"]:
            self.now = max(self.now, event["t"])
            getattr(self, EVENTS[event["op"]])(event)
            self._end_step()
        final = state_of(self.root) if self.root else None
        return {"id": self.scenario["id"], "steps": self.steps, "final": final}

    def _end_step(self) -> None:
        self.steps.append(self.seen)
        self.seen = []

    def see(self, *what: Any) -> None:  # noqa: ANN401 - an observation is a list of strings and lists
        """Write an observation down."""
        self.seen.append(list(what))

    # What a scenario can do.

    def plan(self, event: Json) -> None:
        """Let the next starts fail."""
        self.plans[event["path"]] = Plan(event["times"], event.get("dt", 0))

    def exit(self, event: Json) -> None:
        """Let a process end by itself."""
        path, reason = event["path"], event["reason"]
        process = self.find(path)
        if process is None:
            return self.see("noop", path)
        if reason == "kill":
            self.kill(process, "exited")
        else:
            self.stop_orderly(process)
            self.see("exited", path, reason)
        return self.exited(process, REASONS[reason])

    def stop(self, _event: Json) -> None:
        """Let the root's parent shut it down."""
        if self.root is None:
            return self.see("noop", "")
        self.stop_orderly(self.root)
        self.see("terminated", "", "shutdown")
        self.root = None
        return None

    # Processes.

    def find(self, path: str) -> Process | None:
        """Return the running process at that path."""
        process = self.root
        for part in path.split("/") if path else []:
            process = process.below.get(part) if process else None
        return process

    def start(self, path: str, child: Json, parent: Process | None) -> tuple[Process | None, str]:
        """Start a process; answer it, or why it did not start."""
        plan = self.plans.get(path)
        if plan and plan.times > 0:
            plan.times -= 1
            self.now += plan.dt
            self.see("start_failed", path, "error")
            return None, "error"
        process = Process(path, child, parent)
        if child["type"] == "supervisor":
            process.sup = supervisor_of(child["spec"])
            why = "bad_spec" if flags.problems(process.sup) else self.start_up(process)
            if why:
                self.see("start_failed", path, why)
                return None, why
        self.see("started", path)
        return process, ""

    def start_up(self, process: Process) -> str:
        """Run a supervisor's own start; answer why it failed, if it did."""
        assert process.sup is not None
        process.state = created(process.sup)
        ending, failed = self.drive(process, events.StartUp())
        return f"child:{failed}" if ending is Ending.START_FAILED else ""

    def terminate(self, process: Process) -> None:
        """End a child on behalf of its supervisor."""
        if process.spec["shutdown"] == "brutal_kill" or process.spec.get("stubborn"):
            return self.kill(process, "terminated")
        self.stop_orderly(process)
        return self.see("terminated", process.path, "shutdown")

    def kill(self, process: Process, how: str) -> None:
        """End a process that cannot end its own children any more."""
        self.see(how, process.path, "killed")
        orphans = sorted(below.path for below in descendants(process))
        if orphans:
            self.see("orphaned", orphans)

    def stop_orderly(self, process: Process) -> None:
        """End a supervisor's children first."""
        if process.sup is not None:
            self.drive(process, events.ShutDown())

    def exited(self, process: Process, reason: Reason) -> None:
        """Tell the parent, and handle all that follows."""
        parent = process.parent
        if parent is None:
            self.root = None
            return
        del parent.below[process.id]
        ending, _ = self.drive(parent, events.Exited(process.id, reason, self.now))
        if ending is not None:
            self.see("supervisor_down", parent.path, "shutdown", str(ending))
            self.exited(parent, Reason.SHUTDOWN)

    # The machine.

    def drive(self, process: Process, event: events.Event) -> tuple[Ending | None, str]:
        """Feed an event and answer every effect at once; answer why the supervisor ended, and what failed to start."""
        sup, failed = process.sup, ""
        assert sup is not None
        assert process.state is not None
        process.state, _ = machine.step(sup, process.state, event)
        while todo := do.effects(sup, process.state):
            match todo[0]:
                case do.End(ending):
                    return ending, failed
                case do.Stop(name):
                    if child := process.below.pop(name, None):
                        self.terminate(child)
                    event = events.Stopped(name)
                case do.Start(name):
                    child_spec = next(c for c in process.spec["spec"]["children"] if c["id"] == name)
                    child, _ = self.start(f"{process.path}/{name}".lstrip("/"), child_spec, process)
                    event = events.Started(name) if child else events.StartFailed(name)
                    if child:
                        process.below[name] = child
                    else:
                        failed = name
                case do.Attempt(name):
                    event = events.Retry(name, self.now)
                case do.Wait(until):
                    event = events.Due(until)
            process.state, _ = machine.step(sup, process.state, event)
        return None, failed


EVENTS = {"fail_start": "plan", "exit": "exit", "stop": "stop"}


def descendants(process: Process) -> list[Process]:
    """Return all running processes below."""
    return [p for child in process.below.values() for p in (child, *descendants(child))]


def state_of(process: Process) -> Json:
    """Return the final STATE of a supervisor."""
    assert process.state is not None
    specs = {child["id"]: child for child in process.spec["spec"]["children"]}
    names = process.state.names
    supervisors = sum(specs[name]["type"] == "supervisor" for name in names)
    alive = sum(name in process.below for name in names)
    return {
        "children": [[name, SHOWN.get(life, str(life))] for name, life in process.state.children if name in names],
        "counts": [len(names), alive, supervisors, len(names) - supervisors],
        "restarts": [int(time) for time in process.state.window],
        "below": {name: state_of(child) for name, child in process.below.items() if child.sup},
    }
