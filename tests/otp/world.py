"""A world of virtual processes: the core's effects are answered at once, as OTP's synchronous calls do.

Each supervisor of a scenario is a machine of its own; the world starts and stops processes, keeps the virtual clock,
and writes down what an observer of Erlang's processes would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suptree.core import effects as do
from suptree.core import events, machine
from suptree.core import spec as flags
from suptree.core.restart import Reason
from suptree.core.state import Ending, Life, created
from tests.otp.calls import call, set_life
from tests.otp.process import REASONS, Call, Exit, Json, Process, state_of, supervisor_of


@dataclass
class Plan:
    """How the next starts of a path fail, or are ignored."""

    times: int
    dt: float
    is_ignore: bool


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
        """Let the next starts fail, or be ignored."""
        self.plans[event["path"]] = Plan(event["times"], event.get("dt", 0), event["op"] == "ignore_start")

    def exit(self, event: Json) -> None:
        """Let a process end by itself, and its supervisor handle that."""
        process = self.end(event)
        if process is not None and process.parent is None:
            self.root = None
        elif process is not None and process.parent is not None:
            self.handle(process.parent)

    def call(self, event: Json) -> None:
        """Call a supervisor."""
        self.burst({"sup": event["sup"], "items": [event]})

    def burst(self, event: Json) -> None:
        """Let several things reach a supervisor's mailbox before it handles the first."""
        sup = self.find(event["sup"])
        if sup is None or sup.sup is None:
            return self.see("noop", event["sup"])
        answers = []
        for item in event["items"]:
            if item["op"] == "exit":
                self.end(item)
            else:
                answers.append(Call(item))
                sup.mailbox.append(answers[-1])
        self.handle(sup)
        for answered in answers:
            self.see("result", answered.item["op"], answered.answer)
        return None

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
            if plan.is_ignore:
                self.see("start_ignored", path)
                return None, "ignore"
            self.see("start_failed", path, "error")
            return None, "error"
        process = Process(path, child, parent)
        if child["type"] == "supervisor":
            process.sup = supervisor_of(child["spec"])
            process.specs = {below["id"]: below for below in child["spec"]["children"]}
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

    def end(self, event: Json) -> Process | None:
        """End a process by itself; its supervisor has yet to handle that. Answer the process."""
        path, reason = event["path"], event["reason"]
        process = self.find(path)
        if process is None:
            self.see("noop", path)
            return None
        if reason == "kill":
            self.kill(process, "exited")
        else:
            self.stop_orderly(process)
            self.see("exited", path, reason)
        self.tell_parent(process, REASONS[reason])
        return process

    def tell_parent(self, process: Process, reason: Reason) -> None:
        """Put an exit into the mailbox of the parent."""
        if process.parent is not None:
            del process.parent.below[process.id]
            process.parent.mailbox.append(Exit(process.id, reason))

    def terminate(self, process: Process) -> None:
        """End a child on behalf of its supervisor."""
        if process.spec["shutdown"] == "brutal_kill" or process.spec.get("stubborn"):
            return self.kill(process, "terminated")
        self.stop_orderly(process)
        return self.see("terminated", process.path, "shutdown")

    def kill(self, process: Process, how: str) -> None:
        """End a process that cannot end its own children any more."""
        self.see(how, process.path, "killed")
        orphans = sorted(below.path for below in process.descendants())
        if orphans:
            self.see("orphaned", orphans)

    def stop_orderly(self, process: Process) -> None:
        """End a supervisor's children first."""
        if process.sup is not None:
            self.drive(process, events.ShutDown())

    # What a supervisor does.

    def start_child(self, process: Process, name: str) -> str:
        """Start a child; answer why it did not start, if it did not."""
        child, why = self.start(process.path_of(name), process.specs[name], process)
        if child:
            process.below[name] = child
        return why

    def stop_child(self, process: Process, name: str) -> None:
        """See to it that a child is gone. An exit of it that was not handled yet never will be (OTP rule 10)."""
        process.mailbox = [mail for mail in process.mailbox if not (isinstance(mail, Exit) and mail.child == name)]
        if child := process.below.pop(name, None):
            self.terminate(child)

    def handle(self, process: Process) -> None:
        """Let a supervisor handle its mailbox; if that ends it, its parent handles that."""
        ending, _ = self.drive(process, None)
        if ending is None:
            return
        self.see("supervisor_down", process.path, "shutdown", str(ending))
        if process.parent is None:
            self.root = None
            return
        self.tell_parent(process, Reason.SHUTDOWN)
        self.handle(process.parent)

    # The machine.

    def drive(self, process: Process, event: events.Event | None) -> tuple[Ending | None, str]:
        """Feed an event and answer every effect at once; answer why the supervisor ended, and what failed to start."""
        failed = ""
        while True:
            assert process.sup is not None
            assert process.state is not None
            if event is not None:
                process.state, _ = machine.step(process.sup, process.state, event)
            todo = do.effects(process.sup, process.state)
            if todo and isinstance(todo[0], do.End):
                return todo[0].ending, failed
            # A retry is a message like any other: it comes after what is in the mailbox already (OTP rule 25).
            if process.mailbox and (not todo or isinstance(todo[0], do.Attempt)):
                event = self.read(process)
            elif todo:
                event = self.answer(process, todo[0])
                failed = event.child if isinstance(event, events.StartFailed) else failed
            else:
                return None, failed

    def read(self, process: Process) -> events.Event | None:
        """Take a message out of the mailbox; a call is handled at once."""
        mail = process.mailbox.pop(0)
        if isinstance(mail, Exit):
            return events.Exited(mail.child, mail.reason, self.now)
        mail.answer = call(self, process, mail.item)
        return None

    def answer(self, process: Process, effect: do.Effect) -> events.Event | None:
        """Do what the machine wants; return how it went."""
        match effect:
            case do.Stop(name):
                self.stop_child(process, name)
                return events.Stopped(name)
            case do.Start(name):
                return self.answer_start(process, name)
            case do.Attempt(name):
                return events.Retry(name, self.now)
            case do.Wait(until):
                return events.Due(until)
        return None

    def answer_start(self, process: Process, name: str) -> events.Event | None:
        """Start a child for the machine."""
        why = self.start_child(process, name)
        if why and why != "ignore":
            return events.StartFailed(name)
        if not why:
            return events.Started(name)
        # The core has no event for an ignored start: to it the child started, and then ran no more (OTP rule 26).
        assert process.sup is not None
        assert process.state is not None
        process.state, _ = machine.step(process.sup, process.state, events.Started(name))
        is_temporary = process.sup.child(name).restart is flags.Restart.TEMPORARY
        set_life(process, name, Life.REMOVED if is_temporary else Life.UNDEFINED)
        return None


EVENTS = {
    "fail_start": "plan",
    "ignore_start": "plan",
    "exit": "exit",
    "stop": "stop",
    "burst": "burst",
    "terminate_child": "call",
    "restart_child": "call",
    "delete_child": "call",
    "start_child": "call",
}
