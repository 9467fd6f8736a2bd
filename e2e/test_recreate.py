"""Jobs and bare Pods as children, on a real Job controller and, where containers do something, a real kubelet, with the rights that recreate.enabled gives."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.lib import check, crash, rights
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_history, wait_ready, wait_running
from e2e.lib.operator import NAMESPACE, RELEASE, Operator
from e2e.lib.recorder import Recorder
from e2e.lib.target import ROOT
from e2e.lib.workloads import child, load, pod_template, tree, workload
from suptree.cluster.manifest import KEPT_REVISIONS

PAGE = ROOT / "docs" / "security.md"
USER = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
ENDS_WHEN_TOLD = "until [ -e /tmp/end ]; do sleep 0.1; done; exit $(cat /tmp/end)"


pytestmark = pytest.mark.usefixtures("recreating")


def job(name: str, *, real: bool = True, **spec: Any) -> Json:  # noqa: ANN401 - fields of any type
    """Return a Job that does not retry."""
    template = pod_template(name, real=real, script=ENDS_WHEN_TOLD)
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }


def bare_pod(name: str, script: str = ENDS_WHEN_TOLD, *, real: bool = True) -> Json:
    """Return a bare Pod."""
    template = pod_template(name, real=real, script=script)
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"example.org/made-by": "hand"}, **template["metadata"]},
        "spec": template["spec"],
    }


def once(kind: str, name: str, **fields: Any) -> Json:  # noqa: ANN401 - fields of any type
    """Return a child that is a Job or bare Pod."""
    version = "batch/v1" if kind == "Job" else "v1"
    return {"name": name, "targetRef": {"apiVersion": version, "kind": kind, "name": name}, **fields}


def states(kube: Kube) -> dict[str, str]:
    """Return the state of each child."""
    return {it["name"]: it.get("state", "") for it in kube.status("shop").get("children", [])}


def wait_states(kube: Kube, **wanted: str) -> None:
    """Wait until the children are so."""
    eventually(lambda: states(kube) == wanted, f"the children are {wanted}; they are {states(kube)}")


def ends(kube: Kube, app: str, code: int = 0) -> None:
    """Let the pod of a Job, or a bare Pod, end."""
    crash.end(kube, wait_running(kube, app), code)


def revisions(kube: Kube) -> list[str]:
    """Return the manifests that trees keep: the child of each."""
    return [
        it["metadata"]["labels"]["suptree.dev/child"] for it in kube.list("controllerrevisions", "suptree.dev/child")
    ]


def rest_for_one(kube: Kube, *children: Json, real: bool = True) -> None:
    """Apply a tree of a database, these children, and a web server; wait until the last is up."""
    objects = [
        bare_pod(it["name"], real=real) if it["targetRef"]["kind"] == "Pod" else job(it["name"], real=real)
        for it in children
    ]
    kube.apply(
        tree("shop", child("StatefulSet", "db"), *children, child("Deployment", "web"), strategy="RestForOne"),
        workload("StatefulSet", "db", real=real),
        *objects,
        workload("Deployment", "web", real=real),
    )
    eventually(lambda: states(kube).get("web") == "Up", "web is up")
    eventually(lambda: set(revisions(kube)) == {it["name"] for it in children}, "the manifests are kept")


def test_a_failed_job_is_run_again_once(real: Kube, recorder: Recorder, audit_log: Path) -> None:
    """M12: a migration that fails is run again once and counted once, and what follows it waits until it is complete; all with the rights of recreate.enabled, of which each is used."""
    rest_for_one(real, once("Job", "migrate", restart="Transient"), once("Pod", "tool"))
    wait_states(real, db="Up", migrate="Starting", tool="Up", web="Up")
    before, first = check.census(recorder, "db", "migrate", "tool", "web"), real.uid("job", "migrate")
    ends(real, "migrate", 3)
    eventually(lambda: real.uid("job", "migrate") not in {"", first}, "the Job is created again")
    eventually(lambda: real.held() == [real.pod("web")], "web is held")
    assert real.uid("pod", "tool") == ""
    entry = real.status("shop")["history"][0]
    assert (entry["child"], entry["cause"], entry["exitCode"]) == ("migrate", "JobFailed", 3)
    ends(real, "migrate")
    entry = check.counted_once(wait_history(real, "shop", 1))
    assert entry["slice"] == ["migrate", "tool", "web"]
    wait_states(real, db="Up", migrate="Completed", tool="Up", web="Up")
    check.replaced_once(recorder, before, "migrate", "tool", "web")
    check.untouched(recorder, before, "db")
    labels = real.get("job", "migrate")["metadata"]["labels"]
    assert (labels["suptree.dev/tree"], labels["suptree.dev/operation"]) == ("shop", "1")
    wait_ready(real, "shop")

    change_again_and_again(real, "migrate")
    granted = rights.granted(real.within(NAMESPACE), RELEASE)
    more = granted - rights.documented(PAGE)
    assert sorted(map(str, more ^ rights.documented(PAGE, "### Only with `recreate.enabled`"))) == []
    made = [*rights.requests(audit_log, USER)]
    assert sorted(map(str, more - rights.used(made))) == [], "the chart grants what the operator does not use"
    assert rights.refused(rights.within(made, real.namespace)) == set()


def change_again_and_again(kube: Kube, name: str) -> None:
    """Change a Job until the oldest manifest is forgotten, and then back: of the same manifest no second copy is kept."""

    def newest() -> Json:
        kept = kube.list("controllerrevisions", f"suptree.dev/child={name}")
        return dict(max(kept, key=lambda it: int(it["revision"])))

    def is_newest(ttl: int) -> bool:
        return bool(newest()["data"]["manifest"]["spec"].get("ttlSecondsAfterFinished") == ttl)

    names: dict[int, str] = {}
    for ttl in (1001, 1002, 1003, 1002):
        kube.patch("job", name, {"spec": {"ttlSecondsAfterFinished": ttl}})
        eventually(partial(is_newest, ttl), "it is kept")
        assert names.setdefault(ttl, newest()["metadata"]["name"]) == newest()["metadata"]["name"]
    eventually(lambda: len(revisions(kube)) - 1 == KEPT_REVISIONS, "older ones are forgotten")


@pytest.mark.parametrize("after", ["Keep", "Rerun"])
def test_c35_a_finished_job_in_a_group_restart(fake: Kube, recorder: Recorder, killed: Operator, after: str) -> None:
    """C26, C35: removed by its TTL a migration stays Completed, also for a new operator, and is run again only if it says so."""
    rest_for_one(fake, once("Job", "migrate", restart="Transient", afterCompletion=after), real=False)
    fake.patch("job", "migrate", {"spec": {"ttlSecondsAfterFinished": 0}})
    crash.finish(fake, wait_running(fake, "migrate"))
    wait_states(fake, db="Up", migrate="Completed", web="Up")
    eventually(lambda: not fake.uid("job", "migrate"), "the TTL controller removes the Job")
    killed.kill()
    killed.start()
    check.cost_nothing(wait_ready(fake, "shop"))
    assert states(fake) == {"db": "Up", "migrate": "Completed", "web": "Up"}
    before = check.census(recorder, "db", "web")
    crash.pretend(fake, "db-0")
    if after == "Rerun":
        crash.finish(fake, wait_running(fake, "migrate"))
    entry = check.counted_once(wait_history(fake, "shop", 1))
    assert entry["slice"] == (["db", "web"] if after == "Keep" else ["db", "migrate", "web"])
    check.replaced_once(recorder, before)
    assert len(recorder.uids("migrate")) == (1 if after == "Keep" else 2)
    wait_states(fake, db="Up", migrate="Completed", web="Up")


def test_c16_a_suspended_job_is_no_failure(real: Kube, recorder: Recorder) -> None:
    """C16: a Job that a queue suspends has not ended: nothing is counted, and resumed it is Starting again."""
    rest_for_one(real, once("Job", "migrate", restart="Transient"))
    before = check.census(recorder, "db", "web")
    real.patch("job", "migrate", {"spec": {"suspend": True}})
    wait_states(real, db="Up", migrate="Suspended", web="Up")
    eventually(lambda: not real.pods("migrate"), "its pods are gone")
    real.patch("job", "migrate", {"spec": {"suspend": False}})
    wait_states(real, db="Up", migrate="Starting", web="Up")
    ends(real, "migrate")
    wait_states(real, db="Up", migrate="Completed", web="Up")
    check.cost_nothing(wait_ready(real, "shop"))
    check.untouched(recorder, before)


def test_c05_a_bare_pod_that_fails_every_time_parks_the_tree(real: Kube, recorder: Recorder) -> None:
    """C05: a bare Pod that ends with 137 each time is created again three times; the fourth failure parks the tree."""
    real.apply(tree("shop", once("Pod", "tool"), intensity=3, periodSeconds=300), bare_pod("tool", "sleep 2; exit 137"))
    status = wait_condition(real, "shop", "Stalled", "True", "Parked")
    assert (status["restarts"], status["budget"]["used"], status["exhausted"]["exitCode"]) == (3, 3, 137)
    recorder.catch_up()
    assert len(recorder.uids("tool")) == 4, recorder.story()
    eventually(
        lambda: real.get("pod", "tool")["status"]["phase"] == "Failed", "the failed pod is left for a person to see"
    )


def test_a_bare_pod_comes_back_as_it_was(real: Kube) -> None:
    """A bare Pod that somebody deletes is created again from its manifest, which differs in nothing that a user wrote."""
    rest_for_one(real, once("Pod", "tool"))
    before = real.get("pod", "tool")
    real.run("delete", "pod", "tool", "--wait=false", "--grace-period=1")
    status = wait_history(real, "shop", 1)
    entry = status["history"][0]
    assert (entry["cause"], entry["counted"], status["budget"]["used"]) == ("Deleted", False, 0)
    after = real.get("pod", "tool")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    marks = {"suptree.dev/tree", "suptree.dev/operation"}
    mine = {key: value for key, value in after["metadata"]["labels"].items() if key not in marks}
    assert mine == before["metadata"]["labels"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert written(after) == written(before)
    check.none_held(real)


def written(pod: Json) -> Json:
    """Return the spec of a pod without what differs between two pods of one manifest: the token's volume, with its name."""
    spec: Json = {**pod["spec"], "volumes": [], "nodeName": ""}
    spec["containers"] = [{**it, "volumeMounts": []} for it in spec["containers"]]
    return spec


def test_the_example_with_a_migration(real: Kube, recorder: Recorder) -> None:
    """M04: applied in one sync the example's Job is Completed; when the database crashes all but the Job is restarted, in order."""
    real.apply(*load(ROOT / "examples/zammad.yaml"))
    wait_ready(real, "zammad")
    apps = [f"zammad-{name}" for name in ("postgresql", "railsserver", "websocket")]
    before, init = check.census(recorder, *apps), real.uid("job", "zammad-init")
    real.run("exec", "zammad-postgresql-0", "--", "sh", "-c", "touch /tmp/crash")
    status = wait_history(real, "zammad", 1)
    assert check.counted_once(status)["slice"] == ["postgresql", "railsserver", "websocket"]
    assert [it["state"] for it in status["children"]] == ["Up", "Completed", "Up", "Up"]
    check.replaced_once(recorder, before)
    assert real.uid("job", "zammad-init") == init


@contextmanager
def refusing(kube: Kube, verb: str, resource: str, group: str = "") -> Iterator[None]:
    """Have the API server refuse one kind of the operator's calls in this namespace."""
    name = f"refuse-{kube.namespace}"
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": [verb], "resources": [resource]}
    mine = f"request.userInfo.username == '{USER}' && request.namespace == '{kube.namespace}'"
    kinds = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "ours", "expression": mine}],
        "validations": [{"expression": "false"}],
    }
    kube.apply(
        {**kinds, "kind": "ValidatingAdmissionPolicy", "spec": policy},
        {
            **kinds,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    )
    time.sleep(3)
    try:
        yield
    finally:
        kube.run("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


STEPS = [
    pytest.param(("CREATE", "controllerrevisions", "apps"), id="before the manifest is kept"),
    pytest.param(("DELETE", "jobs", "batch"), id="between manifest and delete"),
    pytest.param(("CREATE", "jobs", "batch"), id="between delete and create"),
]


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_two_steps(fake: Kube, recorder: Recorder, killed: Operator, step: tuple[str, str, str]) -> None:
    """Killed before any of its steps the operator ends the same restart: the Job is deleted once and created once, for one count."""
    rest_for_one(fake, once("Job", "sync"), real=False)
    before, first = check.census(recorder, "db", "sync", "web"), fake.uid("job", "sync")
    kept = {it["metadata"]["name"]: it["data"] for it in fake.list("controllerrevisions", "suptree.dev/child=sync")}
    with refusing(fake, *step):
        if step[1] == "controllerrevisions":
            fake.run("delete", "controllerrevision", *kept)
        crash.pretend(fake, "db-0")
        is_gone = step == ("CREATE", "jobs", "batch")
        eventually(lambda: not fake.uid("job", "sync") if is_gone else len(fake.held()) == 1, "it is stuck there")
        time.sleep(1)
        assert fake.uid("job", "sync") == ("" if is_gone else first)
        killed.kill()
    assert fake.status("shop")["operation"]["id"] == 1
    killed.start()
    entry = check.counted_once(wait_history(fake, "shop", 1))
    assert entry["slice"] == ["db", "sync", "web"]
    check.replaced_once(recorder, before)
    check.none_held(fake)
    assert revisions(fake) == ["sync"]


def test_a_lost_manifest_is_said(fake: Kube) -> None:
    """When somebody deletes the kept manifest in the middle, the conditions say what to apply; applied, the restart goes on."""
    rest_for_one(fake, once("Pod", "tool"), real=False)
    with refusing(fake, "CREATE", "pods"):
        crash.pretend(fake, "db-0")
        eventually(lambda: not fake.uid("pod", "tool"), "it is deleted")
        fake.run("delete", "controllerrevision", "-l", "suptree.dev/child=tool")
    status = wait_condition(fake, "shop", "Ready", "False", "ManifestMissing")
    assert "Pod tool" in next(it["message"] for it in status["conditions"] if it["type"] == "Ready")
    fake.apply(bare_pod("tool", real=False))
    check.counted_once(wait_history(fake, "shop", 1))
    wait_states(fake, db="Up", tool="Up", web="Up")


def test_the_manifests_go_with_the_tree(fake: Kube) -> None:
    """Deleting a tree leaves its Jobs and Pods alone, and takes the kept manifests with it; the revisions of others are not the operator's to delete."""
    rest_for_one(fake, once("Job", "sync"), once("Pod", "tool"), real=False)
    (others,) = [it["metadata"]["name"] for it in fake.list("controllerrevisions", "!suptree.dev/child")]
    said = fake.run("delete", "controllerrevision", others, "--dry-run=server", "--as", USER, check=False).stderr
    assert "no ControllerRevision but those in which it keeps manifests" in said
    before = fake.uid("job", "sync"), fake.uid("pod", "tool")
    fake.delete("suptree", "shop")
    eventually(lambda: not revisions(fake), "the garbage collector deletes the ControllerRevisions")
    assert (fake.uid("job", "sync"), fake.uid("pod", "tool")) == before
