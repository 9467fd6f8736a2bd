"""Make a failing scenario as small and as plain as it can be while it still fails.

All simplifications of one step are candidates at once, boldest first, so that one batch of Erlang judges them all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Fails = Callable[[Sequence[Json]], Sequence[bool]]

BATCH = 64

PLAINER: dict[str, tuple[Any, ...]] = {
    "strategy": ("one_for_one", "rest_for_one"),
    "auto_shutdown": ("never", "any_significant"),
    "restart": ("permanent", "transient"),
    "significant": (False,),
    "stubborn": (False,),
    "shutdown": ("infinity", "brutal_kill"),
    "reason": ("crash", "normal", "kill"),
    "intensity": (0, 1, 2),
    "period": (1, 2, 3, 4),
    "times": (1, 2),
    "dt": (0, 1, 2, 3, 4),
}
"""The values of each field that are plainer than all others, plainest first."""


def shrink(scenario: Json, fails: Fails) -> Json:
    """Return a minimal scenario that fails.

    Args:
        scenario: One that fails.
        fails: Tells which of several scenarios fail.
    """
    found: Json | None = scenario
    while found is not None:
        scenario, found = found, None
        candidates = list(simpler(scenario))
        for first in range(0, len(candidates), BATCH):
            batch = candidates[first : first + BATCH]
            verdicts = zip(batch, fails(batch), strict=True)
            found = next((candidate for candidate, failed in verdicts if failed), None)
            if found is not None:
                break
    return scenario


def simpler(scenario: Json) -> Iterator[Json]:
    """Yield all scenarios that are one step simpler."""
    yield from _shorter(scenario)
    yield from _smaller(scenario)
    yield from _tighter(scenario)
    yield from _sooner(scenario)
    yield from _plainer(scenario)
    yield from _elsewhere(scenario)


def _shorter(scenario: Json) -> Iterator[Json]:
    """Leave out events: long stretches first, then single ones, then items of bursts."""
    for field in ("events", "prelude"):
        size = len(scenario.get(field, []))
        length = size
        while length:
            for first in range(0, size, length):
                smaller = copy.deepcopy(scenario)
                del smaller[field][first : first + length]
                yield smaller
            length //= 2
    for number, event in enumerate(scenario["events"]):
        for item in range(len(event.get("items", []))):
            smaller = copy.deepcopy(scenario)
            del smaller["events"][number]["items"][item]
            yield smaller
        if [item["op"] for item in event.get("items", [])] == ["exit"]:
            smaller = copy.deepcopy(scenario)
            smaller["events"][number] = {"t": event["t"], **event["items"][0]}
            yield smaller


def _tighter(scenario: Json) -> Iterator[Json]:
    """Leave out an event and allow a restart less: it takes fewer to spend a smaller budget."""
    for path, spec in _specs(scenario["tree"]):
        for number in range(len(scenario["events"]) if spec["intensity"] > 0 else 0):
            smaller = copy.deepcopy(scenario)
            del smaller["events"][number]
            dict(_specs(smaller["tree"]))[path]["intensity"] -= 1
            yield smaller


def _smaller(scenario: Json) -> Iterator[Json]:
    """Make a child supervisor the root, leave out a child, or make a worker of a supervisor."""
    for path, spec in _specs(scenario["tree"]):
        if path:
            yield _rooted(scenario, path, spec)
    for path, spec in _specs(scenario["tree"]):
        for number, child in enumerate(spec["children"]):
            smaller = copy.deepcopy(scenario)
            children = dict(_specs(smaller["tree"]))[path]["children"]
            del children[number]
            yield smaller
            if child["type"] == "supervisor":
                smaller = copy.deepcopy(scenario)
                children = dict(_specs(smaller["tree"]))[path]["children"]
                children[number]["type"] = "worker"
                del children[number]["spec"]
                yield smaller


def _rooted(scenario: Json, path: str, spec: Json) -> Json:
    """Return the scenario of the subtree alone."""
    inside = {
        field: [moved for event in scenario.get(field, []) if (moved := _moved(copy.deepcopy(event), path)) is not None]
        for field in ("prelude", "events")
    }
    return {**scenario, "tree": copy.deepcopy(spec), **inside}


def _moved(event: Json, path: str) -> Json | None:
    """Return the event with its paths seen from that path; None if it is about something outside."""
    for field in ("path", "sup"):
        if field in event:
            if event[field] != path and not event[field].startswith(f"{path}/"):
                return None
            event[field] = event[field][len(path) + 1 :]
    if "items" in event:
        event["items"] = [moved for item in event["items"] if (moved := _moved(item, path)) is not None]
    return event


def _sooner(scenario: Json) -> Iterator[Json]:
    """Let an event follow the one before it at once, or sooner; all later ones move along."""
    times = [0, *(event["t"] for event in scenario["events"])]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for number, gap in enumerate(gaps):
        for less in sorted({gap, gap // 2, 1, 0.5}, reverse=True):
            if 0 < less <= gap:
                yield _moved_up(scenario, number, less)
        whole = int(times[number + 1])
        if times[number] <= whole < times[number + 1]:
            smaller = copy.deepcopy(scenario)
            smaller["events"][number]["t"] = whole
            yield smaller
    # What depends on the edge of a window needs a shorter period as well.
    for path, spec in _specs(scenario["tree"]):
        for number, gap in enumerate(gaps):
            for less in sorted({spec["period"] - 1, 1}, reverse=True):
                if 0 < less < spec["period"] and less <= gap:
                    smaller = _moved_up(scenario, number, less)
                    dict(_specs(smaller["tree"]))[path]["period"] -= less
                    yield smaller


def _moved_up(scenario: Json, number: int, less: float) -> Json:
    """Return the scenario with that event, and all later ones, that much sooner."""
    smaller = copy.deepcopy(scenario)
    for event in smaller["events"][number:]:
        sooner = event["t"] - less
        event["t"] = int(sooner) if sooner == int(sooner) else sooner
    return smaller


def _plainer(scenario: Json) -> Iterator[Json]:
    """Give a field a plainer value."""
    for number, (part, field) in enumerate(_fields(scenario)):
        plainer = PLAINER[field]
        current = part[field]
        for value in plainer[: plainer.index(current)] if current in plainer else plainer:
            if field in {"intensity", "period", "times", "dt"} and value >= current:
                continue
            smaller = copy.deepcopy(scenario)
            same, _ = list(_fields(smaller))[number]
            same[field] = value
            if field == "stubborn":
                same["shutdown"] = "infinity"
            # A worker that is deaf to shutdown would be waited for infinitely.
            if not (same.get("stubborn") and same["shutdown"] == "infinity"):
                yield smaller


def _elsewhere(scenario: Json) -> Iterator[Json]:
    """Let something happen to an earlier sibling, so that the later one may not be needed."""
    siblings = {
        f"{path}/{child['id']}".lstrip("/"): [
            f"{path}/{other['id']}".lstrip("/") for other in spec["children"][:number]
        ]
        for path, spec in _specs(scenario["tree"])
        for number, child in enumerate(spec["children"])
    }
    for number, event in enumerate(_events(scenario)):
        for path in siblings.get(event.get("path", ""), []):
            smaller = copy.deepcopy(scenario)
            list(_events(smaller))[number]["path"] = path
            yield smaller


def _events(scenario: Json) -> Iterator[Json]:
    """Find all plans, events and items of bursts."""
    for event in [*scenario.get("prelude", []), *scenario["events"]]:
        yield event
        yield from event.get("items", [])


def _fields(value: Any) -> Iterator[tuple[Json, str]]:  # noqa: ANN401 - JSON
    """Find all fields that have plainer values."""
    if isinstance(value, list):
        for item in value:
            yield from _fields(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in PLAINER:
                yield value, key
            yield from _fields(item)


def _specs(spec: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Find all supervisors of a tree."""
    yield path, spec
    for child in spec["children"]:
        if "spec" in child:
            yield from _specs(child["spec"], f"{path}/{child['id']}".lstrip("/"))
