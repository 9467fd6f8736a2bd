"""Erlang's own supervisor and the core, on scenarios that nobody has seen before."""

import copy
import gzip
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import __main__ as command
from tests.conformance import erlang
from tests.conformance.erlang import NoErlangError, Otp
from tests.conformance.generate import scenarios
from tests.conformance.report import table
from tests.conformance.run import check_vectors, compare
from tests.otp.replay import replay

Json = dict[str, Any]

VECTORS = Path(__file__).parents[1] / "otp"


@pytest.fixture(scope="module")
def otp() -> Iterator[Otp]:
    """A running Erlang; without one the test is skipped."""
    try:
        with erlang.running() as running:
            yield running
    except NoErlangError as reason:
        pytest.skip(str(reason))


def test_fresh_scenarios_leave_equal_traces(otp: Otp) -> None:
    """Two thousand trees that nobody has seen before do what they would do in Erlang."""
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    found = compare(otp, list(scenarios(seed, 2000)))
    assert found is None, f"seed {seed}\n\n{table(found.scenario, found.otp, found.ours)}\n\n{found.first}"


@pytest.mark.parametrize("name", ["core", "all"])
def test_the_harness_reproduces_given_traces(otp: Otp, name: str) -> None:
    """What the harness says about Erlang can be trusted: it says the same as traces that others took."""
    lines = gzip.decompress((VECTORS / f"vectors-{name}.jsonl.gz").read_bytes()).splitlines()
    sample = random.Random(name).sample(lines, 100)  # noqa: S311 - no secret
    assert check_vectors(otp, [json.loads(line) for line in sample]) == []


def test_one_call_is_replaced_and_nothing_else(otp: Otp) -> None:
    """The supervisor that Suptree is compared with is the one that Debian ships, but for its clock."""
    difference = otp.difference()
    assert difference["changes"] == [["add_restart/1", "erlang:monotonic_time(1)", "otp_harness:now()"]]
    assert difference["same_without"], "the installed module was not made of this code"


def test_a_stubborn_worker_is_waited_for(otp: Otp) -> None:
    """A scenario that takes real time, because a worker has to be killed, leaves the trace of one that takes none."""
    worker = {"id": "a", "type": "worker", "restart": "permanent", "significant": False, "shutdown": 20}
    flags = {"strategy": "one_for_one", "intensity": 1, "period": 5, "auto_shutdown": "never"}
    tree = {**flags, "children": [{**worker, "stubborn": True}]}
    (trace,) = otp.traces([{"id": "x", "tree": tree, "events": [{"t": 0, "op": "stop"}]}])
    assert trace["steps"][1] == [["terminated", "a", "killed"], ["terminated", "", "shutdown"]]


def with_a_longer_period(scenario: Json) -> Json:
    """Replay a scenario as if its root had been given one more second."""
    other = copy.deepcopy(scenario)
    other["tree"]["period"] += 1
    return replay(other)


def with_another_strategy(scenario: Json) -> Json:
    """Replay a scenario as if rest_for_one meant one_for_all."""
    return replay(json.loads(json.dumps(scenario).replace("rest_for_one", "one_for_all")))


def test_a_window_that_is_a_second_too_long_is_caught(otp: Otp) -> None:
    """Whoever gets the window's edge wrong is shown it: one worker, and two crashes two seconds apart."""
    found = compare(otp, list(scenarios(1, 100)), with_a_longer_period)
    assert found is not None
    assert len(found.scenario["events"]) == 2
    assert len(found.scenario["tree"]["children"]) == 1
    assert (found.scenario["tree"]["intensity"], found.scenario["tree"]["period"]) == (1, 1)
    assert [event["t"] for event in found.scenario["events"]] == [0, 2]
    assert "<--" in table(found.scenario, found.otp, found.ours)


def test_a_strategy_that_takes_too_many_along_is_caught(otp: Otp) -> None:
    """Whoever takes the wrong siblings along is shown it: two workers and one crash."""
    found = compare(otp, list(scenarios(1, 100)), with_another_strategy)
    assert found is not None
    assert len(found.scenario["events"]) == 1
    assert len(found.scenario["tree"]["children"]) == 2
    assert "step 1" in found.first


@pytest.mark.usefixtures("otp")
def test_the_command_says_what_it_did(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends with 0 and names its seed, so that it can be repeated."""
    monkeypatch.setattr("sys.argv", ["conformance", "--count", "20", "--seed", "7"])
    assert command.main() == 0
    said = capsys.readouterr().out
    assert "20 scenarios, seed 7, on the supervisor of OTP" in said
    assert "All traces are equal" in said


def test_without_erlang_the_command_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Erlang is missing and cannot be installed, a person is told what to install."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["conformance"])
    assert command.main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "erlang-base" in said.err


@pytest.mark.usefixtures("otp")
def test_a_harness_that_dies_is_named() -> None:
    """A scenario that Erlang cannot run is named, instead of hanging."""
    with erlang.running() as other, pytest.raises(erlang.HarnessError, match="no-tree"):
        other.traces([{"id": "no-tree", "events": []}])
