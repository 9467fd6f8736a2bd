"""What the real supervisor of OTP did, scenario by scenario, is what the core does."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.otp.compare import first_difference
from tests.otp.replay import replay

Json = dict[str, Any]

HERE = Path(__file__).parent
CORE, ALL = (
    [json.loads(line) for line in gzip.decompress((HERE / f"vectors-{name}.jsonl.gz").read_bytes()).splitlines()]
    for name in ("core", "all")
)
VECTORS = CORE + ALL
CHUNK = 303


def test_there_is_something_to_compare_with() -> None:
    """A lost vector file would make every comparison below pass; it must not be lost."""
    assert len(CORE) >= 1800
    assert len(ALL) >= 1000
    assert sum(len(vector["scenario"]["events"]) for vector in VECTORS) > 5000


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, id=f"from-scenario-{first}") for first in range(0, len(VECTORS), CHUNK)],
)
def test_every_trace_is_the_one_that_otp_left(first: int) -> None:
    """Whoever knows OTP can predict what a tree does: each exit, each start, each stop, in OTP's order."""
    chunk = VECTORS[first : first + CHUNK]
    differences = [first_difference(vector["trace"], replay(vector["scenario"])) for vector in chunk]
    assert [found for found in differences if found] == []


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


def test_the_documented_example_is_true() -> None:
    """Whoever tries the example of docs/otp-traces.md gets the trace that stands there."""
    text = (HERE.parents[1] / "docs" / "otp-traces.md").read_text()
    scenario, trace = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    assert replay(scenario) == trace
