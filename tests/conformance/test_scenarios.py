"""The scenarios themselves: what is drawn, and how a failing one is made small."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest

from tests.conformance.generate import DEEPEST, RESTARTS, STRATEGIES, scenarios
from tests.conformance.report import event_shown, table
from tests.conformance.shrink import shrink, simpler
from tests.otp.replay import replay

Json = dict[str, Any]


@cache  # not when the module is imported: every worker that runs tests imports it
def drawn() -> list[Json]:
    """Return the scenarios of one run."""
    return list(scenarios(1, 1000))


def specs(spec: Json, depth: int = 1) -> Iterator[tuple[Json, int]]:
    """Walk all supervisors of a tree."""
    yield spec, depth
    for child in spec["children"]:
        if "spec" in child:
            yield from specs(child["spec"], depth + 1)


@cache
def observed() -> list[Any]:
    """Return all that is observed in that run."""
    return [seen for scenario in drawn() for step in replay(scenario)["steps"] for seen in step]


def test_a_seed_repeats_a_run() -> None:
    """A run that found something can be repeated by its seed, and another seed is another run."""
    assert list(scenarios(1, 20)) == drawn()[:20]
    assert [one["tree"] for one in scenarios(2, 20)] != [one["tree"] for one in drawn()[:20]]


def test_everything_is_drawn() -> None:
    """No strategy, restart type, flag or depth is left out of a run."""
    found = [it for scenario in drawn() for it in specs(scenario["tree"])]
    children = [child for spec, _ in found for child in spec["children"]]
    assert {spec["strategy"] for spec, _ in found} == set(STRATEGIES)
    assert {spec["intensity"] for spec, _ in found} == {0, 1, 2, 3}
    assert {spec["auto_shutdown"] for spec, _ in found} == {"never", "any_significant", "all_significant"}
    assert {depth for _, depth in found} == set(range(1, DEEPEST + 1))
    assert {child["restart"] for child in children} == set(RESTARTS)
    assert {child["significant"] for child in children} == {False, True}
    assert any(child.get("stubborn") for child in children)
    assert any(scenario["prelude"] for scenario in drawn())
    assert {event["op"] for scenario in drawn() for event in scenario["events"]} == {
        *("exit", "fail_start", "ignore_start", "stop", "burst"),
        *("terminate_child", "restart_child", "delete_child", "start_child"),
    }


@pytest.mark.parametrize(
    "observation",
    ["started", "start_failed", "start_ignored", "exited", "terminated", "supervisor_down", "orphaned", "noop"],
)
def test_everything_happens(observation: str) -> None:
    """A run sees every kind of observation, and not once by chance."""
    assert sum(seen[0] == observation for seen in observed()) > 20


@pytest.mark.parametrize("why", ["intensity", "auto_shutdown", "bad_spec"])
def test_supervisors_end_for_every_reason(why: str) -> None:
    """A run sees spent budgets, automatic shutdowns and specifications that are refused."""
    assert any(seen[-1] == why for seen in observed())


def test_times_never_run_backwards() -> None:
    """A scenario can be read from top to bottom."""
    for scenario in drawn():
        times = [event["t"] for event in scenario["events"]]
        assert times == sorted(times)


def down_by(cause: str, scenario: Json) -> bool:
    """Tell whether a supervisor goes down so."""
    return any(
        seen[0] == "supervisor_down" and seen[-1] == cause for step in replay(scenario)["steps"] for seen in step
    )


@pytest.mark.parametrize(
    ("cause", "events"),
    [pytest.param("intensity", 1, id="a budget"), pytest.param("auto_shutdown", 1, id="a shutdown")],
)
def test_a_failing_scenario_becomes_minimal(cause: str, events: int) -> None:
    """What is left of a failing scenario is one supervisor with one child and one exit."""

    def fails(some: Sequence[Json]) -> list[bool]:
        return [down_by(cause, scenario) for scenario in some]

    failing = next(
        scenario for scenario in drawn() if len(list(specs(scenario["tree"]))) > 2 and down_by(cause, scenario)
    )
    minimal = shrink(failing, fails)
    assert fails([minimal]) == [True]
    assert len(minimal["events"]) == events
    assert minimal["prelude"] == []
    assert len(minimal["tree"]["children"]) == 1
    assert minimal["tree"]["children"][0]["type"] == "worker"
    assert minimal["events"][0]["t"] == 0


def test_simpler_scenarios_can_be_run() -> None:
    """However a scenario is made simpler, it stays a scenario, and the one it was made of stays as it was."""
    for scenario in drawn()[:8]:
        before = json.dumps(scenario)
        for candidate in simpler(scenario):
            assert candidate != scenario
            assert "error" not in replay(candidate)
        assert json.dumps(scenario) == before


def test_a_difference_is_a_table() -> None:
    """A person sees the tree, the events and both traces side by side, and a mark where they part."""
    scenario = next(
        scenario for scenario in drawn() if scenario["prelude"] and any(map(bool, replay(scenario)["steps"]))
    )
    otp = replay(scenario)
    ours = {**otp, "steps": [[*step, ["noop", "elsewhere"]] for step in otp["steps"]]}
    lines = table(scenario, otp, ours).splitlines()
    assert lines[0] == f"Scenario {scenario['id']}"
    assert "the root: " in lines[2]
    assert any(line.startswith("before the start: ") for line in lines)
    assert sum(line.endswith("noop elsewhere  <--") for line in lines) == len(otp["steps"])


def test_a_replay_that_refuses_is_told() -> None:
    """When the core has no word for an operation, the table says which."""
    scenario = {**drawn()[0], "events": [{"t": 1, "op": "which_children", "sup": ""}]}
    otp = {**replay(drawn()[0]), "steps": [[], []]}
    assert "without a meaning here: which_children" in table(scenario, otp, replay(scenario))


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        pytest.param({"op": "exit", "path": "a/b", "reason": "kill"}, "exit 'a/b' kill", id="exit"),
        pytest.param(
            {"op": "fail_start", "path": "a", "times": 2, "dt": 1}, "fail_start 'a' times 2 dt 1", id="fail_start"
        ),
        pytest.param(
            {"op": "burst", "sup": "", "items": [{"op": "which_children"}, {"op": "delete_child", "id": "a"}]},
            "burst '': which_children, delete_child 'a'",
            id="burst",
        ),
    ],
)
def test_an_event_is_one_line(event: Json, shown: str) -> None:
    """Every event of a table can be read in one line."""
    assert event_shown(event) == shown
