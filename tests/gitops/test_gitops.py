"""Argo CD's health check over trees as an operator has left them on a real API server (tests/upgrade)."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests import yamls
from tests.gitops.health import SCRIPT, health

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
SAMPLES: dict[str, Json] = {
    file.stem: yamls.load(file.read_text())["tree"] for file in (ROOT / "tests" / "upgrade" / "0.1.0").iterdir()
}
GUIDE = (ROOT / "docs" / "gitops.md").read_text()


def changed(sample: str, *, spec: Json | None = None, generation: int | None = None, **reasons: str) -> Json:
    """Return a sample with another spec, generation, or other conditions, each as 'False Reason'."""
    it = deepcopy(SAMPLES[sample])
    it["metadata"]["generation"] = generation or it["status"]["observedGeneration"]
    it["spec"] |= spec or {}
    for condition in it["status"]["conditions"]:
        if condition["type"] in reasons:
            condition["status"], condition["reason"] = reasons[condition["type"]].split()
    return it


TREES: dict[str, tuple[Json, str, str]] = {
    "well": (changed("fresh"), "Healthy", "AllChildrenUp: all 2 children are up"),
    "restarted": (changed("restarted"), "Healthy", "AllChildrenUp: "),
    "large": (changed("large"), "Healthy", "AllChildrenUp: "),
    "being stopped": (changed("stopping"), "Progressing", "Restarting: "),
    "being started": (changed("starting"), "Progressing", "Restarting: "),
    "parked": (changed("parked"), "Degraded", "Parked: db crashed (pod db-0, container main, exit code 3)"),
    "held": (changed("held"), "Degraded", "Held: "),
    "refused": (changed("fresh", Accepted="False Invalid", Ready="False NotAccepted"), "Degraded", "Invalid: "),
    "suspended": (changed("fresh", spec={"suspend": True}, Ready="False Suspended"), "Suspended", "The tree keeps its"),
    "before its child": (
        changed("fresh", ResolvedRefs="False ChildMissing", Ready="False Unresolved"),
        "Progressing",
        "ChildMissing: ",
    ),
    "with a child of another": (
        changed("fresh", ResolvedRefs="False ClaimedByOtherTree", Ready="False Unresolved"),
        "Degraded",
        "ClaimedByOtherTree: ",
    ),
    "with a child that cannot start": (
        changed("fresh", Ready="False ChildCannotStart"),
        "Degraded",
        "ChildCannotStart: ",
    ),
    "with a child that is not up": (changed("fresh", Ready="False ChildrenNotUp"), "Progressing", "ChildrenNotUp: "),
    "with a newer spec": (changed("fresh", generation=7), "Progressing", "The operator has not looked at the newest"),
    "new": ({"metadata": {"generation": 1}, "spec": {}}, "Progressing", "The operator has not looked at the tree"),
}


@pytest.mark.parametrize(("tree", "status", "message"), TREES.values(), ids=TREES.keys())
def test_argo_cd_sees_how_a_tree_is(tree: Json, status: str, message: str) -> None:
    """Argo CD shows a tree as healthy, at work, suspended or degraded, and says why in the tree's own words."""
    found = health(tree)
    assert found[0] == status
    assert found[1].startswith(message)


def test_the_guide_has_the_health_check() -> None:
    """What the guide says to paste is the file that is tested."""
    (block,) = [
        part.split("```")[0]
        for part in GUIDE.split("resource.customizations.health.suptree.dev_SupervisionTree: |\n")[1:]
    ]
    assert "\n".join(line.removeprefix("    ") for line in block.splitlines()).strip() == SCRIPT.read_text().strip()
