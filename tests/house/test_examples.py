"""The examples: each is what a user could write, whole in one file, and says at its top whose shape it is and why."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from suptree.api import SupervisionTree
from suptree.api.child import Child
from suptree.api.tree import KIND
from suptree.cluster.labels import matches
from tests import yamls

Json = dict[str, Any]

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def _objects(path: Path) -> Iterator[Json]:
    for document in yamls.load_all(path.read_text()):
        yield from document["items"] if document["kind"] == "List" else [document]


@cache
def objects(path: Path) -> tuple[Json, ...]:
    """Return the objects of a file, those of its Lists one by one."""
    return tuple(_objects(path))


def trees(path: Path) -> list[SupervisionTree]:
    """Return the trees of a file, as the operator reads them."""
    return [SupervisionTree.model_validate(it) for it in objects(path) if it["kind"] == KIND]


def is_in(path: Path, child: Child) -> bool:
    """Tell whether the file has what the child names."""
    if child.target_ref is not None:
        ref = child.target_ref
        return any(
            (it["apiVersion"], it["kind"], it["metadata"]["name"]) == (ref.api_version, ref.kind, ref.name)
            for it in objects(path)
        )
    assert child.selector is not None
    labels = [it["spec"]["template"]["metadata"].get("labels", {}) for it in objects(path) if "template" in it["spec"]]
    return any(matches(child.selector, it) for it in labels)


def test_there_are_examples() -> None:
    """These tests see the examples."""
    assert len(EXAMPLES) >= 5


@each_example
def test_a_comment_says_what_it_is(path: Path) -> None:
    """Whoever opens an example reads first what it is about."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert lines[0].endswith((".", ",")) or lines[1].startswith("# ")


@each_example
def test_every_child_is_in_the_file(path: Path) -> None:
    """An example can be applied as it is: each child is there."""
    missing = [
        (tree.metadata, child.name) for tree in trees(path) for child in tree.spec.children if not is_in(path, child)
    ]
    assert missing == []


@each_example
def test_one_root_and_no_second_parent(path: Path) -> None:
    """The trees of an example are one tree of trees."""
    names = [str(it["metadata"]["name"]) for it in objects(path) if it["kind"] == KIND]
    targets = [
        child.target_ref.name
        for tree in trees(path)
        for child in tree.spec.children
        if child.target_ref is not None and child.target_ref.kind == KIND
    ]
    assert len(names) == len(set(names))
    assert sorted(targets) == sorted(set(targets))
    assert set(names) - set(targets) == {names[0]}, "the root comes first"


@each_example
def test_every_workload_is_supervised_once(path: Path) -> None:
    """No workload of an example is forgotten, and none has two supervisors."""
    children = [child for tree in trees(path) for child in tree.spec.children]
    # The pods of a custom kind are those that its status names.
    custom = {
        child.target_ref.name
        for child in children
        if child.target_ref is not None and child.target_ref.api_version not in {"apps/v1", "batch/v1", "v1"}
    }
    for it in objects(path):
        if "template" in it["spec"]:
            labels = it["spec"]["template"].get("metadata", {}).get("labels", {})
            mine = [
                child.name
                for child in children
                if (child.target_ref is not None and child.target_ref.name == it["metadata"]["name"])
                or (child.selector is not None and matches(child.selector, labels))
            ]
            assert len(mine) == 1 or labels.get("app") in custom, it["metadata"]["name"]
