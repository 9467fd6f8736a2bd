"""Who is whose parent, and what a parent's status orders."""

from typing import Any

import pytest

from suptree.cluster.family import is_in_cycle, parent, parent_of, tree_view, trouble
from suptree.cluster.trees import Tree, Wish, tree_of

Json = dict[str, Any]


def a_tree(
    name: str, *children: str, created: str = "2026-01-01T00:00:00Z", status: Json | None = None, **spec: object
) -> Tree:
    """Return a tree whose children are other trees; one without children has a Deployment."""
    refs = [
        {"name": child, "targetRef": {"apiVersion": "suptree.dev/v1alpha1", "kind": "SupervisionTree", "name": child}}
        for child in children
    ] or [{"name": "web", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}]
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "creationTimestamp": created, "generation": 1}
    return tree_of({"metadata": meta, "spec": {"children": refs, **spec}, "status": status or {}})


def family(*trees: Tree) -> dict[str, Tree]:
    """Return trees by name."""
    return {tree.name: tree for tree in trees}


def test_the_older_of_two_parents_counts() -> None:
    """Of two trees that name the same child the older supervises it, and the younger is told so."""
    trees = family(a_tree("b", "leaf", created="2026-01-02T00:00:00Z"), a_tree("c", "leaf"), a_tree("leaf"))
    found = parent_of("leaf", trees)
    assert found is not None
    assert found.name == "c"
    refused = trouble("b", "leaf", "leaf", trees)
    assert refused is not None
    assert refused[0] == "TwoParents"
    assert "older tree c" in refused[1]
    assert trouble("c", "leaf", "leaf", trees) is None


def test_a_cycle_has_no_parents() -> None:
    """Trees that contain one another supervise nothing, each is told so, and a tree beside them is not drawn in."""
    trees = family(a_tree("a", "b"), a_tree("b", "c"), a_tree("c", "a", "leaf"), a_tree("leaf"), a_tree("top", "a"))
    assert [is_in_cycle(name, trees) for name in ("a", "b", "c", "leaf", "top")] == [True, True, True, False, False]
    assert parent_of("a", trees) is None
    refused = trouble("top", "a", "a", trees)
    assert refused is not None
    assert refused[0] == "ReferenceCycle"


@pytest.mark.parametrize("hands_off", [{"suspend": True}, {"mode": "Observe"}])
def test_a_tree_that_keeps_its_hands_off_is_nobodys_parent(hands_off: Json) -> None:
    """A suspended or observing tree does not change what the trees below it do."""
    assert parent_of("leaf", family(a_tree("top", "leaf", **hands_off), a_tree("leaf"))) is None


def test_a_missing_tree_is_said() -> None:
    """A child tree that does not exist, or not yet, is named."""
    refused = trouble("top", "leaf", "leaf", family(a_tree("top", "leaf")))
    assert refused is not None
    assert refused[0] == "ChildMissing"


def operation(**lists: list[str]) -> Json:
    """Return a status with a restart under way."""
    op = {"id": 7, "kind": "restart", "stage": "Stopping", "slice": ["x", "y"], "startTime": "2026-01-01T00:00:00Z"}
    return {"uid": "uid-top", "serial": 7, "operation": {**op, **lists}}


@pytest.mark.parametrize(
    ("status", "wish"),
    [
        pytest.param({}, Wish.NOTHING, id="a parent that has decided nothing yet"),
        pytest.param(operation(stop=["y", "x"], start=["x", "y"]), Wish.STOP, id="its turn to stop"),
        pytest.param(operation(stop=[], start=["y"]), Wish.START, id="its turn to start"),
        pytest.param(
            {"uid": "uid-top", "serial": 7, "children": [{"name": "y", "supervision": "stopped"}]},
            Wish.STOP,
            id="stopped, and not started again",
        ),
        pytest.param({**operation(stop=["y"], start=["y"]), "uid": "another"}, Wish.NOTHING, id="a restored status"),
    ],
)
def test_the_parents_status_is_the_order(status: Json, wish: Wish) -> None:
    """A child tree stops and starts when its parent's restart comes to it, and at no other time."""
    trees = family(a_tree("top", "x", "y", status=status, strategy="OneForAll"), a_tree("x"), a_tree("y"))
    found = parent("y", trees, is_gate_installed=True)
    assert found is not None
    assert found.wish is wish


def test_a_parked_tree_with_running_pods_is_not_down() -> None:
    """A parent that stops a tree waits until its pods are gone, also when that tree had parked."""
    children = [{"name": "web", "supervision": "alive"}]
    parked = tree_view(a_tree("leaf", status={"uid": "uid-leaf", "ending": "intensity", "children": children}))
    assert (parked.has_ended, parked.is_down) == (True, False)
