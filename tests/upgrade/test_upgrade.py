"""The operator of today takes over from those before it: what they had decided holds, and nothing is counted anew.

The samples are what each release wrote on a real API server, whole situations (`make samples`). The cluster that carries
on from there is the one that all tests of decisions use. When a change of the status breaks one: that is what it is for. Of a
version that is not released yet, capture the samples anew; for a released one, have the operator read what it wrote.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import suptree
from suptree.api.status import SupervisionTreeStatus
from suptree.cluster.trees import tree_of
from tests.cluster.scene import Scene

Json = dict[str, Any]

HERE = Path(__file__).parent
SAMPLES = sorted(HERE.glob("*/*.yaml"))
STATES = {"fresh", "restarted", "large", "parked", "held", "stopping", "starting"}
AT_REST = {"fresh", "restarted", "large", "parked", "held"}

sample = pytest.mark.parametrize("file", SAMPLES, ids=lambda file: f"{file.parent.name} {file.stem}")


def load(file: Path) -> Scene:
    """Return the situation of a sample, two seconds after it was taken: the time that an upgrade takes at least."""
    raw: Json = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    pods = {it["metadata"]["name"]: it for it in raw["pods"]}
    for it in pods.values():
        it["status"].setdefault("containerStatuses", [])  # the scene's kubelet looks there
    return Scene(raw["tree"], raw["workloads"], pods, now=raw["now"] + 2)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Walk all that a status says, each with where it says it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


def counted(status: SupervisionTreeStatus) -> list[object]:
    """Return all that a status has counted."""
    budget = status.budget
    return [
        status.restarts,
        status.serial,
        budget and (budget.used, budget.times),
        len(status.history),
        [(it.name, it.restarts, it.last_exit) for it in status.children],
    ]


def test_each_release_has_samples() -> None:
    """This version's status is on record in every state, so that the next version can be tested with it."""
    assert {it.stem for it in SAMPLES if it.parent.name == suptree.__version__} == STATES


@sample
def test_nothing_that_was_written_is_lost(file: Path) -> None:
    """Every field of an older status is understood: read and written again, it says the same."""
    before = load(file).tree["status"]
    after = SupervisionTreeStatus.model_validate(before).to_json()
    assert [it for it in leaves(before) if it not in list(leaves(json.loads(json.dumps(after))))] == []


@sample
def test_nothing_is_counted_anew(file: Path) -> None:
    """The first decision after an upgrade finds no failure in what the older operator had judged already."""
    it = load(file)
    before = counted(it.status)
    it.decide()
    assert counted(it.status) == before


@sample
def test_what_was_begun_is_finished_once(file: Path) -> None:
    """A restart that an older operator had begun is carried to its end, and no pod is replaced twice; a tree at rest stays at rest."""
    it = load(file)
    before, pods = counted(it.status), {name: raw["metadata"]["uid"] for name, raw in it.pods.items()}
    operation = it.status.operation
    assert (operation is None) == (file.stem in AT_REST)
    did = it.settle().split()
    assert it.status.operation is None
    assert counted(it.status) == before
    assert [word for word in did if word.startswith("-") and word[1:] not in pods] == [], "a new pod was deleted"
    if operation is None:
        assert did == []
    else:
        assert it.outcomes == ["db Crash Restarted"]
        assert it.condition("Ready") == "True AllChildrenUp"
    if file.stem in {"parked", "held"}:
        assert it.condition("Stalled") == f"True {file.stem.capitalize()}"


@sample
def test_after_a_rollback_what_is_new_is_ignored(file: Path) -> None:
    """An operator that finds fields of a later version in a status acts on what it knows."""
    it = load(file)
    before = it.status
    status = it.tree["status"]
    for one in (status, status["budget"], *status["children"], *status.get("history", ()), *status["conditions"]):
        one["news"] = {"of": "tomorrow"}
    assert tree_of(it.tree).status == before
