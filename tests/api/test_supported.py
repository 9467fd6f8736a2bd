"""What does not come back by itself is named, so that a tree can be refused for it; nothing else is."""

import pytest

from suptree.api import SupervisionTreeSpec
from suptree.api.supported import recreated
from suptree.cluster.trees import tree_of
from tests.api.refusals import Json, child, selecting, tree

JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "db-migrate"}
POD = {"apiVersion": "v1", "kind": "Pod", "name": "tool"}


def named(manifest: Json) -> list[str]:
    """Name the children of a manifest that do not come back by themselves."""
    return recreated(SupervisionTreeSpec.model_validate(manifest["spec"]))


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(selecting(matchLabels={"app": "db"}), id="pods by labels"),
        *(pytest.param(child(kind=kind), id=kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")),
        pytest.param({"name": "db", "targetRef": {**JOB, "apiVersion": "batch.volcano.sh/v1"}}, id="another's Job"),
        pytest.param(child(kind="Gadget"), id="a kind that has a scale"),
    ],
)
def test_what_comes_back_by_itself_is_not_named(one: Json) -> None:
    """A tree of workloads whose controllers make their pods again needs no further right."""
    assert named(tree(one)) == []


def test_jobs_and_bare_pods_are_named() -> None:
    """A user learns of all such children at once, in the order of the spec."""
    children = [{"name": "migrate", "targetRef": JOB}, child("web"), {"name": "tool", "targetRef": POD}]
    assert named(tree(*children)) == ["migrate (Job db-migrate)", "tool (Pod tool)"]


def test_a_tree_with_a_job_is_refused_unless_jobs_may_be_created() -> None:
    """Without the right to create Jobs the tree is refused, and told which setting to change."""
    manifest = tree({"name": "migrate", "targetRef": JOB})
    meta = {"namespace": "shop", "uid": "1", **manifest["metadata"]}
    refused = tree_of({**manifest, "metadata": meta}, recreates=False)
    assert refused.refusal == "RecreateDisabled"
    assert "migrate (Job db-migrate)" in refused.refusal_message
    assert "recreate.enabled" in refused.refusal_message
    assert tree_of({**manifest, "metadata": meta}, recreates=True).refusal is None
