"""Random scenarios, of the kind that find differences: small trees, spent budgets, times at the edge of a window."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

Json = dict[str, Any]

STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
RESTARTS = ("permanent", "permanent", "permanent", "transient", "transient", "temporary")
REASONS = ("crash", "crash", "crash", "kill", "kill", "normal", "normal", "shutdown", "shutdown", "shutdown_x")
NAMES = "abcde"
DEEPEST = 3
"""How many supervisors there are on the longest path."""
SHARE_OF_CALLS = 0.25
"""How many scenarios use what a cluster has no word for: calls, and starts that are ignored."""


def scenarios(seed: int, count: int) -> Iterator[Json]:
    """Generate scenarios; the same seed gives the same ones."""
    for number in range(count):
        yield Generator(Random(f"{seed}-{number}")).scenario(f"{seed}-{number}")  # noqa: S311 - no secret


class Generator:
    """Draws one scenario."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.paths: list[str] = []
        """Every process of the tree."""
        self.sups: dict[str, list[str]] = {}
        """The ids of each supervisor's children."""
        self.periods: set[int] = set()

    def scenario(self, name: str) -> Json:
        """Draw a scenario."""
        tree = self.spec("", 1)
        calls = self.chance(SHARE_OF_CALLS)
        # Most exits hit a few processes, since a budget is spent only by those who insist; few hit the root.
        below = self.paths[1:] or self.paths
        targets = [self.random.choice(below) for _ in range(self.random.randint(1, 3))] * 5 + below * 3 + [""]
        prelude = [self.plan(calls) for _ in range(self.random.randint(0, 2)) if self.chance(0.1)]
        now, events = 0.0, []
        for _ in range(self.random.randint(3, 14)):
            now += self.pause()
            events.append({"t": whole(now), **self.event(targets, calls)})
        return {"id": name, "tree": tree, "prelude": prelude, "events": events}

    def chance(self, probability: float) -> bool:
        """Tell whether something happens that happens so often."""
        return self.random.random() < probability

    # The tree.

    def spec(self, path: str, depth: int) -> Json:
        """Draw a supervisor's flags and children."""
        self.paths.append(path)
        period = self.random.choice((1, 2, 3, 5, 10)) if self.chance(0.995) else 0
        self.periods.add(period)
        auto_shutdown = self.random.choice(("never", "never", "any_significant", "all_significant"))
        few = (1, 2, 2, 3, 3, 4, 5) if depth == 1 else (0, 1, 1, 2, 2, 3)
        names = list(NAMES[: self.random.choice(few)])
        if names and self.chance(0.003):
            names.append(names[0])
        self.sups[path] = names
        return {
            "strategy": self.random.choice(STRATEGIES),
            "intensity": self.random.choice((2, 3, 3) if depth == 1 and self.chance(0.8) else (0, 1, 1, 2, 2, 3)),
            "period": period,
            "auto_shutdown": auto_shutdown,
            "children": [self.child(f"{path}/{name}".lstrip("/"), auto_shutdown, depth) for name in names],
        }

    def child(self, path: str, auto_shutdown: str, depth: int) -> Json:
        """Draw a child of a supervisor that shuts down so."""
        restart = self.random.choice(RESTARTS)
        may_be = (auto_shutdown != "never" and restart != "permanent") or self.chance(0.005)
        child = {
            "id": path.rpartition("/")[2],
            "type": "worker",
            "restart": restart,
            "significant": may_be and self.chance(0.4),
            "shutdown": self.random.choice((5000, "infinity", "brutal_kill")),
        }
        if depth < DEEPEST and self.chance(0.3):
            shutdown = "brutal_kill" if self.chance(0.1) else "infinity"
            return {**child, "type": "supervisor", "shutdown": shutdown, "spec": self.spec(path, depth + 1)}
        self.paths.append(path)
        if self.chance(0.03):
            return {**child, "stubborn": True, "shutdown": self.random.choice((1, 2, "brutal_kill"))}
        return child

    # What happens.

    def pause(self) -> float:
        """Draw the seconds to the next event: often none, often the edge of a window, sometimes half a second."""
        edge = self.random.choice(sorted(self.periods)) + self.random.choice((-1, 0, 0, 1, 1))
        pause = self.random.choice((0, 0, 1, 2, edge, edge, edge))
        return max(0, pause) + (0.5 if self.chance(0.1) else 0)

    def event(self, targets: list[str], calls: bool) -> Json:
        """Draw an event without its time."""
        dice = self.random.random()
        if dice < 0.01:
            return {"op": "stop"}
        if dice < 0.18:
            return self.plan(calls)
        if dice < 0.30:
            return self.burst(calls)
        if calls and dice < 0.60:
            sup = self.random.choice(sorted(self.sups))
            return {**self.call(sup), "sup": sup}
        return self.exit(self.random.choice(targets))

    def exit(self, path: str) -> Json:
        """Draw the exit of that process."""
        return {"op": "exit", "path": path, "reason": self.random.choice(REASONS)}

    def plan(self, calls: bool) -> Json:
        """Draw a plan for the next starts of a process."""
        path, times = self.random.choice(self.paths), self.random.choice((1, 1, 1, 2, 2, 3))
        if calls and self.chance(0.4):
            return {"op": "ignore_start", "path": path, "times": times}
        edge = self.random.choice(sorted(self.periods)) + self.random.choice((0, 1))
        return {"op": "fail_start", "path": path, "times": times, "dt": self.random.choice((0, 0, 0, 0.5, 1, edge))}

    def burst(self, calls: bool) -> Json:
        """Draw what reaches a supervisor's mailbox at once."""
        sup = self.random.choice([sup for sup, names in self.sups.items() if names] or [""])
        items = [self.item(sup, calls) for _ in range(self.random.randint(2, 4))]
        return {"op": "burst", "sup": sup, "items": [item for item in items if item]}

    def item(self, sup: str, calls: bool) -> Json:
        """Draw one item of a burst; empty when the supervisor has no children."""
        if calls and self.chance(0.5):
            return self.random.choice(({"op": "which_children"}, {"op": "count_children"}, self.call(sup)))
        names = self.sups[sup]
        return self.exit(f"{sup}/{self.random.choice(names)}".lstrip("/")) if names else {}

    def call(self, sup: str) -> Json:
        """Draw a call that changes a supervisor's children."""
        name = self.random.choice([*self.sups[sup], self.random.choice(NAMES)])
        op = self.random.choice(("terminate_child", "restart_child", "restart_child", "delete_child", "start_child"))
        if op != "start_child":
            return {"op": op, "id": name}
        auto_shutdown = self.random.choice(("never", "any_significant"))
        return {"op": op, "child": self.child(f"{sup}/{name}".lstrip("/"), auto_shutdown, DEEPEST)}


def whole(seconds: float) -> float:
    """Write whole seconds as a whole number."""
    return int(seconds) if seconds == int(seconds) else seconds
