"""A failing scenario for a person to read: the tree, what was done to it, and what each of the two did."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from tests.otp.compare import without_restarts

Json = dict[str, Any]

Row = tuple[str, str, str, str]


def table(scenario: Json, otp: Json, ours: Json) -> str:
    """Write a scenario and both traces side by side; `<--` marks the lines in which they differ."""
    lines = [f"Scenario {scenario['id']}", "", *_tree(scenario["tree"]), ""]
    lines += [f"before the start: {event_shown(plan)}" for plan in scenario.get("prelude", [])]
    rows: list[Row] = [("t", "event", "Erlang/OTP", "the core")]
    events = [{"t": "", "op": "start of the tree"}, *scenario["events"]]
    for event, theirs, mine in zip_longest(events, otp["steps"], ours.get("steps", [])):
        rows += _step(event, theirs or [], mine or [])
    rows += _step({"t": "", "op": "at the end"}, _final(otp["final"]), _final(ours.get("final")))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines += ["   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    if "error" in ours:
        lines.append(f"the replay answered: {ours['error']}")
    return "\n".join(line.rstrip() for line in lines)


def _step(event: Json, theirs: list[Any], mine: list[Any]) -> Iterator[Row]:
    time, what = str(event["t"]), event_shown(event)
    for left, right in zip_longest(theirs, mine) if theirs or mine else [(None, None)]:
        mark = "" if left == right else "  <--"
        yield time, what, _shown(left), f"{_shown(right)}{mark}"
        time = what = ""


def _shown(observation: list[Any] | None) -> str:
    return "" if observation is None else " ".join(repr(part) if part == "" else str(part) for part in observation)


def _final(state: Json | None) -> list[Any]:
    """Write a STATE as observations, one a child."""

    def lines(path: str, part: Json) -> Iterator[list[Any]]:
        yield [path, "counts", *part["counts"]]
        yield from ([f"{path}/{name}".lstrip("/"), seen] for name, seen in part["children"])
        for name, child in part["below"].items():
            yield from lines(f"{path}/{name}".lstrip("/"), child)

    bare = without_restarts(state)
    return [["", "is down"]] if bare is None else list(lines("", bare))


def event_shown(event: Json) -> str:
    """Write an event in one line."""
    items = ", ".join(event_shown(item) for item in event.get("items", []))
    words = [event["op"]] + [repr(event[key]) for key in ("sup", "path", "id") if key in event]
    words += [str(event["reason"])] if "reason" in event else []
    words += [f"{key} {event[key]}" for key in ("times", "dt") if key in event]
    words += [f"({_child(event['child'])})"] if "child" in event else []
    return " ".join(words) + (f": {items}" if items else "")


def _tree(spec: Json, name: str = "the root", depth: int = 1) -> Iterator[str]:
    flags = f"{spec['strategy']}, intensity {spec['intensity']} in {spec['period']} s, {spec['auto_shutdown']}"
    yield f"{'  ' * depth}{name}: {flags}"
    for child in spec["children"]:
        if "spec" in child:
            yield from _tree(child["spec"], _child(child), depth + 1)
        else:
            yield f"{'  ' * (depth + 1)}{_child(child)}"


def _child(child: Json) -> str:
    kind = ["supervisor"] if child["type"] == "supervisor" else []
    extras = [word for word in ("significant", "stubborn") if child.get(word)]
    return " ".join([child["id"], *kind, child["restart"], *extras, f"(shutdown {child['shutdown']})"])
