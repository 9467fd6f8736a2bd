"""OTP's calls, on top of the core's state. In a cluster they have no meaning: there the spec is the list of children."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from suptree.core import spec as flags
from suptree.core.state import FORGOTTEN, Life
from tests.otp.process import Json, Process, child_of, count_children, which_children

if TYPE_CHECKING:
    from tests.otp.world import World

IN_THE_WAY = {Life.ALIVE: "running", Life.RESTARTING: "restarting"}
"""What keeps a child from being restarted or deleted by a call."""


def call(world: World, process: Process, item: Json) -> Any:  # noqa: ANN401 - an answer is a string or a list
    """Let a supervisor handle a call, and return its answer."""
    if item["op"] in QUESTIONS:
        return QUESTIONS[item["op"]](process)
    if item["op"] == "start_child":
        return start_child(world, process, item["child"])
    assert process.state is not None
    life = process.state.life(item["id"])
    if life is None or life in FORGOTTEN:
        return "not_found"
    return COMMANDS[item["op"]](world, process, item["id"], life)


def terminate_child(world: World, process: Process, name: str, _life: Life) -> str:
    """End a child; an exit of it that was not handled yet is forgotten, and so is a retry (OTP rules 25 and 37)."""
    world.stop_child(process, name)
    is_temporary = process.specs[name]["restart"] == "temporary"
    set_life(process, name, Life.REMOVED if is_temporary else Life.UNDEFINED)
    return "ok"


def restart_child(world: World, process: Process, name: str, life: Life) -> str:
    """Start a child that is undefined; a failure is not retried (OTP rule 36)."""
    if life in IN_THE_WAY:
        return IN_THE_WAY[life]
    why = world.start_child(process, name)
    if not why:
        set_life(process, name, Life.ALIVE)
    return {"": "ok", "ignore": "ok_undefined"}.get(why, why)


def delete_child(_world: World, process: Process, name: str, life: Life) -> str:
    """Forget a child that is undefined."""
    if life in IN_THE_WAY:
        return IN_THE_WAY[life]
    forget(process, name)
    return "ok"


def start_child(world: World, process: Process, child: Json) -> str:
    """Append a child and start it; nothing is left of one that fails (OTP rule 36)."""
    assert process.sup is not None
    assert process.state is not None
    name, new = child["id"], child_of(child)
    if flags.problems(replace(process.sup, children=(new,))):
        return "bad_spec"
    life = process.state.life(name)
    if life is not None and life not in FORGOTTEN:
        return "already_started" if life is Life.ALIVE else "already_present"
    forget(process, name)
    process.sup = replace(process.sup, children=(*process.sup.children, new))
    process.state = replace(process.state, children=(*process.state.children, (name, Life.UNDEFINED)))
    process.specs[name] = child
    why = world.start_child(process, name)
    if not why:
        set_life(process, name, Life.ALIVE)
    elif why != "ignore" or new.restart is flags.Restart.TEMPORARY:
        forget(process, name)
    return {"": "ok", "ignore": "ok_undefined"}.get(why, why)


def set_life(process: Process, name: str, life: Life) -> None:
    """Let the supervisor see the child so."""
    assert process.state is not None
    process.state = process.state.with_life(name, life)


def forget(process: Process, name: str) -> None:
    """Remove the specification of a child."""
    assert process.sup is not None
    assert process.state is not None
    process.sup = replace(process.sup, children=tuple(child for child in process.sup.children if child.name != name))
    process.state = replace(process.state, children=tuple(pair for pair in process.state.children if pair[0] != name))


QUESTIONS: dict[str, Callable[[Process], Any]] = {"which_children": which_children, "count_children": count_children}
COMMANDS: dict[str, Callable[[World, Process, str, Life], str]] = {
    "terminate_child": terminate_child,
    "restart_child": restart_child,
    "delete_child": delete_child,
}
