"""A child of a kind that Suptree does not know: its scale tells the pods. On fake nodes, with examples/any-kind.yaml."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import FAKE_LABEL, FAKE_TAINT
from e2e.lib import check, crash, rights
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.operator import NAMESPACE, RELEASE, install
from e2e.lib.recorder import Recorder
from e2e.lib.target import ROOT, Target
from e2e.lib.workloads import pod_template
from tests import yamls

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
OK = 200
SCALE_KINDS = "scaleKinds[0].apiGroup=example.org,scaleKinds[0].resource=caches"


def example() -> dict[str, Json]:
    """Return the objects of the example by kind and name, its pods on fake nodes."""
    objects = list(yamls.load_all((ROOT / "examples/any-kind.yaml").read_text()))
    for it in objects:
        if it["kind"] == "Deployment":
            on_kwok: Json = {"nodeSelector": FAKE_LABEL, "tolerations": [{**FAKE_TAINT, "operator": "Exists"}]}
            it["spec"]["template"]["spec"] |= on_kwok
    return {f"{it['kind']} {it['metadata']['name']}": it for it in objects}


def bare(name: str, of: Json) -> Json:
    """Return a pod as the Cache's own controller would make it."""
    template = pod_template("cache", real=False)
    owner = {key: of[key] for key in ("apiVersion", "kind")}
    owner |= {"name": of["metadata"]["name"], "uid": of["metadata"]["uid"], "controller": True}
    meta: dict[str, Any] = {**template["metadata"], "name": name, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


@pytest.fixture
def granted(target: Target) -> Iterator[Target]:
    """What lets the operator read the scale of Caches: nothing at first, and in the end nothing again."""
    yield target
    install(target)
    target.kube.run("delete", "crd", "caches.example.org", "--ignore-not-found", "--wait=false")


def test_a_child_of_any_kind(fake: Kube, recorder: Recorder, granted: Target, audit_log: Path) -> None:
    """Each step to a supervised custom resource is named by ResolvedRefs; then it crashes, scales and is rolled as any child, with one right more."""
    objects = example()
    fake.apply(objects["SupervisionTree pages"], objects["Deployment web"], objects["Deployment cache-pods"])
    wait_condition(fake, "pages", "ResolvedRefs", "False", "InvalidTarget")
    assert "no kind Cache in example.org/v1" in fake.condition("pages", "ResolvedRefs")["message"]

    fake.apply(objects["CustomResourceDefinition caches.example.org"])
    fake.wait_established("caches.example.org")
    wait_condition(fake, "pages", "ResolvedRefs", "False", "Forbidden")
    said = fake.condition("pages", "ResolvedRefs")["message"]
    assert 'add {apiGroup: "example.org", resource: caches} to scaleKinds' in said

    install(granted, SCALE_KINDS)
    wait_condition(fake, "pages", "ResolvedRefs", "False", "ChildMissing")
    fake.apply(objects["Cache cache"])
    wait_condition(fake, "pages", "ResolvedRefs", "False", "InvalidTarget")
    assert "no status.selector yet" in fake.condition("pages", "ResolvedRefs")["message"]
    fake.patch("cache", "cache", {"status": {"replicas": 2, "selector": "app=cache"}}, subresource="status")
    check.cost_nothing(wait_ready(fake, "pages"))
    assert [(it["ready"], it["desired"]) for it in fake.status("pages")["children"]] == [(2, 2), (1, 1)]

    before = check.census(recorder, "cache", "web")
    crash.pretend(fake, fake.pod("cache"))
    entry = check.counted_once(wait_history(fake, "pages", 1))
    assert (entry["child"], entry["cause"], entry["slice"]) == ("cache", "Crash", ["cache", "web"])
    check.replaced_once(recorder, before)

    fake.run("scale", "deployment/cache-pods", "--replicas=0")
    fake.run("scale", "cache/cache", "--replicas=0")
    before = check.census(recorder, "web")
    eventually(lambda: fake.status("pages")["children"][0]["state"] == "Suspended", "nobody wants a cache")
    check.untouched(recorder, before)

    # From here its own controller makes the pods.
    fake.run("scale", "cache/cache", "--replicas=1")
    fake.apply(bare("one", fake.get("cache", "cache")))
    # Its pod alone makes it Up; how many are wanted is read a little later.
    eventually(
        lambda: [fake.status("pages")["children"][0][it] for it in ("state", "desired")] == ["Up", 1],
        "the new scale is read",
    )
    fake.delete("pod", "one")
    fake.apply(bare("two", fake.get("cache", "cache")))
    check.counted_once(wait_ready(fake, "pages"))
    crash.pretend(fake, "two")
    eventually(lambda: "two" not in [it["metadata"]["name"] for it in fake.pods("cache")], "the pod is replaced")
    fake.apply(bare("three", fake.get("cache", "cache")))
    status = wait_history(fake, "pages", 2)
    assert (status["restarts"], status["history"][0]["pod"]) == (2, "two")
    check.none_held(fake)

    more = rights.granted(fake.within(NAMESPACE), RELEASE) - rights.documented(ROOT / "docs" / "security.md")
    assert sorted(map(str, more)) == ["get caches.example.org/scale"]
    made = rights.within(rights.requests(audit_log, ACCOUNT), fake.namespace)
    assert rights.refused(made) == more, "before it was granted; nothing else is missing"
    assert more <= rights.used(it for it in made if it["responseStatus"]["code"] == OK)
