"""What the real supervisor of OTP did, scenario by scenario, is what the core does."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.otp.replay import replay

Json = dict[str, Any]

HERE = Path(__file__).parent
VECTORS = [json.loads(line) for line in gzip.decompress((HERE / "vectors-core.jsonl.gz").read_bytes()).splitlines()]
CHUNK = 303


def without_restarts(state: Json | None) -> Json | None:
    """Leave out the restarts on record, nested too: they are internal to OTP."""
    if state is None:
        return None
    below = {name: without_restarts(child) for name, child in state["below"].items()}
    return {key: value for key, value in state.items() if key != "restarts"} | {"below": below}


def first_difference(vector: Json) -> str:
    """Say where the replay leaves the trace; empty when it does not."""
    expected, got = vector["trace"], replay(vector["scenario"])
    if "error" in got:
        return f"{expected['id']}: {got['error']}"
    for number, (theirs, ours) in enumerate(zip(expected["steps"], got["steps"], strict=True)):
        if theirs != ours:
            return f"{expected['id']}, step {number}: OTP {theirs}, we {ours}"
    if without_restarts(expected["final"]) != without_restarts(got["final"]):
        return f"{expected['id']}, at the end: OTP {expected['final']}, we {got['final']}"
    return ""


def test_there_is_something_to_compare_with() -> None:
    """A lost vector file would make every comparison below pass; it must not be lost."""
    assert len(VECTORS) >= 1800
    assert sum(len(vector["scenario"]["events"]) for vector in VECTORS) > 5000


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, id=f"from-scenario-{first}") for first in range(0, len(VECTORS), CHUNK)],
)
def test_every_trace_is_the_one_that_otp_left(first: int) -> None:
    """Whoever knows OTP can predict what a tree does: each exit, each start, each stop, in OTP's order."""
    differences = [found for vector in VECTORS[first : first + CHUNK] if (found := first_difference(vector))]
    assert differences == []


def run_replay(*lines: str, arguments: tuple[str, ...] = (str(HERE / "replay.py"),)) -> list[Json]:
    """Run the replay as a process of its own; answer what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE.parents[1],
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((str(HERE / "replay.py"),), id="as a script"),
        pytest.param(("-m", "tests.otp.replay"), id="as a module"),
    ],
)
def test_the_replay_answers_a_line_a_line(arguments: tuple[str, ...]) -> None:
    """Another implementation's authors pipe scenarios in and read traces, one JSON object a line, blank lines aside."""
    vectors = VECTORS[:3]
    lines = [json.dumps(vector["scenario"]) for vector in vectors]
    answers = run_replay(lines[0], "", *lines[1:], arguments=arguments)
    assert [answer["steps"] for answer in answers] == [vector["trace"]["steps"] for vector in vectors]
    assert [answer["id"] for answer in answers] == [vector["trace"]["id"] for vector in vectors]


def test_the_replay_takes_whole_vectors() -> None:
    """The vector file itself can be piped in, without cutting the scenarios out first."""
    (answer,) = run_replay(json.dumps(VECTORS[0]))
    assert answer["steps"] == VECTORS[0]["trace"]["steps"]


def test_an_unknown_operation_is_named() -> None:
    """A scenario that asks for what Suptree does not have is answered with an error that names it, and the next goes on."""
    scenario = VECTORS[0]["scenario"]
    strange = {**scenario, "events": [{"t": 0, "op": "which_children", "sup": ""}]}
    answers = run_replay(json.dumps(strange), json.dumps(scenario))
    assert answers[0]["id"] == scenario["id"]
    assert "which_children" in answers[0]["error"]
    assert "steps" not in answers[0]
    assert answers[1]["steps"] == VECTORS[0]["trace"]["steps"]
