"""The command line says what the status says."""

import pytest

from suptree.cli.main import main
from suptree.cli.show import describe, table
from suptree.cluster.trees import Tree, tree_of

HISTORY = {
    "operation": 1,
    "time": "2026-01-01T10:00:00.000000Z",
    "child": "db",
    "cause": "Crash",
    "pod": "db-0",
    "container": "main",
    "exitCode": 3,
    "slice": ["db", "web"],
    "counted": True,
    "outcome": "Restarted",
}
STATUS = {
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "AllChildrenUp",
            "message": "all are up",
            "lastTransitionTime": "x",
        }
    ],
    "children": [{"name": "db", "state": "Up", "ready": 1, "desired": 1, "restarts": 1}],
    "history": [HISTORY],
    "summary": {"children": "2/2", "budget": "1/3"},
}


def shop(**status: object) -> Tree:
    """Return a tree as it is stored."""
    meta = {"name": "shop", "namespace": "default", "uid": "u"}
    children = [{"name": "db", "selector": {"matchLabels": {"app": "db"}}}]
    return tree_of({"metadata": meta, "spec": {"children": children}, "status": status})


def test_a_tree_is_told_with_its_history() -> None:
    """A user sees conditions, children and the whole why of each restart."""
    told = describe(shop(**STATUS))
    assert "Ready       True     all are up" in told
    assert "db      Up      1/1     1          -" in told
    assert "db crashed (pod db-0, container main, exit code 3): db and web, counted" in told


def test_a_tree_without_a_status_asks_for_the_operator() -> None:
    """A user whose operator does not run is asked whether it does."""
    assert "does the operator run?" in describe(shop())


def test_trees_are_listed_a_line_each() -> None:
    """A user sees all trees of the namespace, or that there are none."""
    assert table([shop(**STATUS)]).splitlines()[1].split() == ["shop", "True", "2/2", "1/3", "AllChildrenUp"]
    assert "no trees" in table([])


@pytest.mark.parametrize("args", [[], ["reset"], ["nonsense"]])
def test_a_wrong_call_is_refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A call that cannot be understood ends with 2, and shows how it is meant."""
    with pytest.raises(SystemExit) as refused:
        main(args)
    assert refused.value.code == 2
    assert "usage: kubectl suptree" in capsys.readouterr().err
