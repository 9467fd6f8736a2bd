"""What the world is made of: processes, and the words of a scenario in the core's terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from suptree.core import spec as flags
from suptree.core.restart import Reason
from suptree.core.state import Life, State

Json = dict[str, Any]

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


def child_of(child: Json) -> flags.Child:
    """Translate a scenario's CHILD."""
    return flags.Child(child["id"], RESTART[child["restart"]], child["significant"])


def supervisor_of(spec: Json) -> flags.Supervisor:
    """Translate a scenario's SPEC."""
    return flags.Supervisor(
        children=tuple(child_of(child) for child in spec["children"]),
        strategy=STRATEGIES[spec["strategy"]],
        intensity=spec["intensity"],
        period=spec["period"],
        auto_shutdown=AUTO_SHUTDOWN[spec["auto_shutdown"]],
    )


@dataclass
class Exit:
    """A child ended; its supervisor has not handled it yet."""

    child: str
    reason: Reason


@dataclass
class Call:
    """Somebody calls the supervisor."""

    item: Json
    answer: Any = "no_reply"


@dataclass
class Process:
    """A worker, or with a machine of its own a supervisor."""

    path: str
    spec: Json
    parent: Process | None
    sup: flags.Supervisor | None = None
    state: State | None = None
    specs: dict[str, Json] = field(default_factory=dict)
    """The CHILDs that a supervisor knows, by id."""
    below: dict[str, Process] = field(default_factory=dict)
    """A supervisor's children that run, by id."""
    mailbox: list[Exit | Call] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The child id."""
        return str(self.spec["id"])

    def path_of(self, child: str) -> str:
        """Return the path of a child."""
        return f"{self.path}/{child}".lstrip("/")

    def descendants(self) -> list[Process]:
        """Return all running processes below."""
        return [p for child in self.below.values() for p in (child, *child.descendants())]


def which_children(process: Process) -> list[list[str]]:
    """Return the ids of a supervisor's children and how it sees them, in start order."""
    assert process.state is not None
    names = process.state.names
    return [[name, SHOWN.get(life, str(life))] for name, life in process.state.children if name in names]


def count_children(process: Process) -> list[int]:
    """Return how many specifications, running children, supervisors and workers there are."""
    assert process.state is not None
    names = process.state.names
    supervisors = sum(process.specs[name]["type"] == "supervisor" for name in names)
    return [len(names), sum(name in process.below for name in names), supervisors, len(names) - supervisors]


def state_of(process: Process) -> Json:
    """Return the final STATE of a supervisor."""
    assert process.state is not None
    return {
        "children": which_children(process),
        "counts": count_children(process),
        "restarts": [int(time) for time in process.state.window],
        "below": {name: state_of(child) for name, child in process.below.items() if child.sup},
    }
