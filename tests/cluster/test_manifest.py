"""The kept manifest: what the API server added is off, what somebody wrote is there, and it makes the same object again."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.cluster.manifest import by_age, clean, kept, revision, revision_name, stamped
from tests.cluster.bare_scene import NAMES, UIDS, bare_pod, job, served
from tests.cluster.builders import Raw

FAST = settings(max_examples=60, deadline=None, derandomize=True)
words = st.text("abcdefgh", min_size=1, max_size=6)
labels = st.dictionaries(words, words, max_size=3)


def admitted(raw: Raw, number: int) -> Raw:
    """Return what admission, the scheduler and Suptree make of a served Pod."""
    raw = deepcopy(raw)
    token = f"kube-api-access-{number:05}"
    spec = raw["spec"]
    spec["volumes"] = [*(spec.get("volumes") or []), {"name": token, "projected": {}}]
    for container in spec["containers"]:
        container["volumeMounts"] = [*(container.get("volumeMounts") or []), {"name": token, "mountPath": "/var"}]
    spec |= {"nodeName": f"node-{number}", "priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
    spec["schedulingGates"] = [{"name": "suptree.dev/hold"}]
    marks = {"suptree.dev/tree": "shop", "topology.kubernetes.io/zone": f"z{number}"}
    raw["metadata"]["labels"] = {**raw["metadata"].get("labels", {}), **marks}
    raw["metadata"]["annotations"] = {
        **raw["metadata"].get("annotations", {}),
        "cni.projectcalico.org/podIP": "10.0.0.1",
    }
    return raw


@given(labels, labels, st.booleans(), st.integers(1, 5))
@FAST
def test_a_job_made_from_its_manifest_has_the_same_manifest(
    own: dict[str, str], template: dict[str, str], suspend: bool, parallelism: int
) -> None:
    """However often a Job is created again, nothing that somebody wrote is lost, and nothing is added to it."""
    manifest = job("migrate", suspend=suspend, parallelism=parallelism)
    manifest["metadata"] |= {"labels": own} if own else {}
    manifest["spec"]["template"]["metadata"]["labels"] = template
    first = clean(served(manifest))
    assert clean(served(stamped(first, "shop", 7))) == first
    assert first["metadata"].get("labels", {}) == (own or template)
    assert first["spec"]["template"].get("metadata", {}).get("labels", {}) == template
    assert (first["spec"]["suspend"], first["spec"]["parallelism"]) == (suspend, parallelism)
    assert not {"selector", "status"} & {*first, *first["spec"]}


@given(labels, st.lists(words, max_size=3, unique=True), st.integers(1, 99), st.integers(1, 99))
@FAST
def test_a_pod_made_from_its_manifest_has_the_same_manifest(
    own: dict[str, str], volumes: list[str], one: int, other: int
) -> None:
    """A bare Pod keeps its own labels and volumes; node, token, zone, priority and gate are those of one pod only."""
    manifest = bare_pod("tool")
    manifest["metadata"]["labels"] = own
    manifest["spec"]["volumes"] = [{"name": name, "emptyDir": {}} for name in volumes]
    manifest["spec"]["containers"][0]["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in volumes]
    first = clean(admitted(served(manifest), one))
    assert clean(admitted(served(stamped(first, "shop", 7)), other)) == first
    assert first["metadata"].get("labels", {}) == own
    assert [it["name"] for it in first["spec"].get("volumes", [])] == volumes
    assert not {"nodeName", "priority", "preemptionPolicy", "schedulingGates"} & {*first["spec"]}


@pytest.mark.parametrize(
    ("added", "where"),
    [
        *(pytest.param({"labels": {it: "x"}}, "labels", id=it) for it in sorted(NAMES | UIDS)),
        pytest.param({"annotations": {"batch.kubernetes.io/job-tracking": ""}}, "annotations", id="tracking"),
        pytest.param({"finalizers": ["foregroundDeletion"]}, "finalizers", id="a deletion's finalizer"),
        pytest.param({"generateName": "migrate-"}, "generateName", id="generateName"),
        pytest.param({"deletionTimestamp": "2026-03-01T00:00:00Z"}, "deletionTimestamp", id="deletionTimestamp"),
    ],
)
def test_what_belongs_to_one_object_is_off(added: dict[str, Any], where: str) -> None:
    """What names one object, or says how it fares, is not in the manifest."""
    raw = served(job("migrate"))
    raw["metadata"] = {**raw["metadata"], "labels": {}, **added}
    assert where not in clean(raw)["metadata"]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param({"labels": {"app": "web"}}, id="a label"),
        pytest.param(
            {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}, id="what apply needs"
        ),
        pytest.param({"finalizers": ["example.com/mine"]}, id="somebody's finalizer"),
        pytest.param({"ownerReferences": [{"kind": "ConfigMap", "name": "a", "uid": "1"}]}, id="an owner"),
    ],
)
def test_what_somebody_wrote_stays(written: dict[str, Any]) -> None:
    """Labels, annotations, finalizers and owners of others are part of the manifest."""
    raw = served(job("migrate"))
    raw["metadata"] = {**raw["metadata"], "labels": {}, **written}
    assert written.items() <= clean(raw)["metadata"].items()


def test_a_node_that_somebody_chose_stays() -> None:
    """A node that somebody wrote into the manifest is kept: only the scheduler's choice is made anew."""
    raw = admitted(served(bare_pod("tool")), 1)
    assert "nodeName" not in clean(raw)["spec"]
    raw["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:nodeName": {}}}}]
    assert clean(raw)["spec"]["nodeName"] == "node-1"


def test_a_manual_selector_stays() -> None:
    """A Job that finds its pods by labels of its own keeps them."""
    raw = served(job("migrate", manualSelector=True))
    raw["spec"]["selector"] = {"matchLabels": {"app": "migrate"}}
    assert clean(raw)["spec"]["selector"] == {"matchLabels": {"app": "migrate"}}


def test_the_newest_manifest_of_the_tree_is_used() -> None:
    """Of what is kept only the tree's own counts: one of the same name that is gone has left its manifests for a moment."""
    manifests = [clean(served(job("migrate", parallelism=number))) for number in (1, 2, 3)]
    mine = [revision("shop", "new", "migrate", it, number) for number, it in enumerate(manifests[:2], start=1)]
    found = by_age([revision("shop", "old", "migrate", manifests[2], 9), *mine], "new")
    assert [it["revision"] for it in found] == [2, 1]
    assert kept(found[0], "Job", "migrate") == manifests[1]
    assert kept(found[0], "Job", "other") is None
    assert len({revision_name("shop", uid, "migrate", it) for uid in ("old", "new") for it in manifests}) == 6
