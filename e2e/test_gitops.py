"""kubectl wait, Flux (by its own library, kstatus) and Argo CD (by its health check) over real trees in every state."""

from typing import Any

from e2e.lib import crash
from e2e.lib.kstatus import judge
from e2e.lib.kube import Kube, eventually, wait_condition, wait_ready
from e2e.lib.workloads import child, tree, workload
from tests.gitops.health import health

Json = dict[str, Any]

EXPECTED = {
    "well": ("Current", "Healthy"),
    "parked": ("Failed", "Degraded"),
    "held": ("Failed", "Degraded"),
    "busy": ("InProgress", "Progressing"),
    "suspended": ("InProgress", "Suspended"),
    "early": ("InProgress", "Progressing"),
    "late": ("InProgress", "Degraded"),
}


def trees(kube: Kube) -> dict[str, Json]:
    """Make a tree in each state; give them by name."""
    names = ("well", "parked", "held", "suspended", "second")
    kube.apply(
        tree("well", child("Deployment", "well")),
        tree("parked", child("Deployment", "parked"), intensity=0),
        tree("held", child("Deployment", "held"), intensity=0, onExhausted="Hold"),
        tree("busy", child("ReplicaSet", "first"), child("Deployment", "second"), strategy="OneForAll"),
        tree("suspended", child("Deployment", "suspended"), suspend=True),
        tree("early", child("Deployment", "nobody-yet")),
        workload("ReplicaSet", "first", real=False),
        *(workload("Deployment", name, real=False) for name in names),
    )
    kube.run("wait", "--for=condition=Ready", *(f"suptree/{name}" for name in ("well", "busy")), "--timeout=60s")
    for name in ("parked", "held"):
        wait_ready(kube, name)
        crash.pretend(kube, kube.pod(name))
    # What takes its place fits on no node, so the restart does not end.
    no_node = {"nodeSelector": {"suptree.dev/node": "none"}}
    kube.patch("replicaset", "first", {"spec": {"template": {"spec": no_node}}})
    crash.pretend(kube, kube.pod("second"))
    kube.run("wait", "--for=condition=Stalled", "suptree/parked", "suptree/held", "--timeout=60s")
    eventually(lambda: kube.status("busy").get("operation"), "a restart is under way")
    wait_condition(kube, "suspended", "Ready", "False", "Suspended")
    wait_condition(kube, "early", "ResolvedRefs", "False", "ChildMissing")
    kube.apply(tree("late", child("Deployment", "well")))
    wait_condition(kube, "late", "ResolvedRefs", "False", "ClaimedByOtherTree")
    return {it["metadata"]["name"]: it for it in kube.list("suptree")}


def test_everybody_sees_how_a_tree_is(fake: Kube) -> None:
    """`kubectl wait` ends when a tree is Ready or gives up; Flux and Argo CD see for each tree what docs/gitops.md says."""
    found = trees(fake)
    judged = dict(zip(found, judge(*found.values()), strict=True))
    assert {name: (judged[name][0], health(it)[0]) for name, it in found.items()} == EXPECTED
    # Both say why, in the tree's own words.
    stalled = next(it["message"] for it in found["parked"]["status"]["conditions"] if it["type"] == "Stalled")
    assert judged["parked"][1] == stalled
    assert stalled in health(found["parked"])[1]
    # A newer spec is not judged by what was said of the old one; a tree that goes is on its way out.
    newer, going = dict(found["well"]), dict(found["well"])
    newer["metadata"] = {**newer["metadata"], "generation": newer["metadata"]["generation"] + 1}
    going["metadata"] = {**going["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    new = {key: value for key, value in found["well"].items() if key != "status"}
    assert [status for status, _ in judge(newer, going, new)] == ["InProgress", "Terminating", "Current"]
    assert [health(it)[0] for it in (newer, new)] == ["Progressing", "Progressing"]
    fake.run("delete", "suptree", "well", "--wait=false")
    fake.run("wait", "--for=delete", "suptree/well", "--timeout=60s")
