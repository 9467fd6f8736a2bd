"""Trees of trees: a failure that one level cannot mend is handed up, and each level says the same."""

import time

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_condition, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import READY_WHEN_TOLD, child, tree, workload

LEVELS = ("root", "middle", "inner")
APPS = ("api", "cache", "side")
PATHS = {
    "root": "middle gave up because middle/inner/api crashed",
    "middle": "inner gave up because inner/api crashed",
    "inner": "api crashed",
}
"""What each level says when it gives up."""


def subtree(name: str, **fields: object) -> Json:
    """Return a child that is a tree."""
    ref = {"apiVersion": "suptree.dev/v1alpha1", "kind": "SupervisionTree", "name": name}
    return {"name": name, "targetRef": ref, **fields}


def three_levels(kube: Kube, *, real: bool = True, **inner: object) -> None:
    """Apply root [middle [inner [api, cache], side]], each allowed one restart, and wait until all are Ready."""
    kube.apply(
        tree("root", subtree("middle"), intensity=1),
        tree("middle", subtree("inner", **inner), deployment("side"), strategy="RestForOne", intensity=1),
        tree("inner", deployment("api"), deployment("cache"), intensity=1),
        *(workload("Deployment", name, real=real) for name in APPS),
    )
    all_ready(kube)


def deployment(name: str) -> Json:
    """Return a child that is a Deployment."""
    return child("Deployment", name, shutdownSeconds=1)


def all_ready(kube: Kube) -> None:
    """Wait until each level is Ready and at rest."""
    for name in LEVELS:
        wait_ready(kube, name)


def exhaust_inner(kube: Kube, *, real: bool = True) -> None:
    """Let api crash twice: once is mended by inner itself, the second time it gives up."""
    restarts, crashes = kube.status("inner")["restarts"], crash.end if real else crash.pretend
    api = kube.pod("api")
    crashes(kube, api, 3)
    eventually(lambda: kube.status("inner")["restarts"] == restarts + 1, "inner restarts api itself")
    if not real:
        crash.recover(kube, api)
    wait_ready(kube, "inner")
    crashes(kube, api, 3)


def wait_restarts(kube: Kube, name: str, count: int) -> None:
    """Wait until a tree has restarted that often, and all levels are Ready again."""
    eventually(lambda: kube.status(name)["restarts"] == count, f"{name} restarts its child, {count} in all")
    all_ready(kube)


def used(kube: Kube) -> list[int]:
    """Return what each level has spent of its budget."""
    return [kube.status(name)["budget"]["used"] for name in LEVELS]


def message(kube: Kube, name: str, type_: str = "Ready") -> str:
    """Return the message of a condition."""
    return str(kube.condition(name, type_).get("message", ""))


def is_held(kube: Kube, *apps: str) -> bool:
    """Tell whether all pods of these apps are held, and there is one of each."""
    names = kube.held()
    pods = [pod["metadata"]["name"] for app in apps for pod in kube.list("pods", f"app={app}")]
    return len(pods) == len(apps) and set(pods) <= set(names)


def test_a_tree_that_gives_up_is_restarted_by_its_parent(real: Kube, recorder: Recorder) -> None:
    """Its children stop last to first, the parent restarts it and what comes after it for one count, and its budget is new."""
    three_levels(real)
    before = check.census(recorder, *APPS)
    at = len(recorder.changes)
    exhaust_inner(real)
    wait_restarts(real, "middle", 1)
    check.replaced_once(recorder, before)
    assert recorder.last("cache", "gone") < recorder.first("api", "deleting"), recorder.story()
    assert recorder.last("api", "gone") < recorder.first("side", "deleting"), recorder.story()
    for earlier, later in (("api", "cache"), ("cache", "side")):
        ready = recorder.first(earlier, "ready", after=recorder.first(earlier, "held", after=at))
        assert recorder.first(later, "held", after=at) < ready, recorder.story()
        released = recorder.first(later, "released", after=recorder.first(later, "held", after=at))
        assert ready < released, recorder.story()
    assert used(real) == [0, 1, 0]
    entry = check.counted_once(real.status("middle"))
    assert (entry["child"], entry["cause"], entry["slice"]) == ("inner", "Exhausted", ["inner", "side"])
    assert (entry["origin"], entry["originCause"], entry["exitCode"]) == ("api", "Crash", 3)
    assert real.status("root")["history"] == []


def test_a_failure_climbs_to_a_root_that_parks(fake: Kube) -> None:
    """Each level spends its budget in turn; when the root parks, every level's status and Events name the path to the failure."""
    three_levels(fake, real=False)
    for tree_, restarts in (("middle", 1), ("root", 1), ("middle", 2)):
        exhaust_inner(fake, real=False)
        wait_restarts(fake, tree_, restarts)
    assert used(fake) == [1, 1, 0], "middle's window was emptied when root restarted it"
    exhaust_inner(fake, real=False)
    wait_condition(fake, "root", "Stalled", "True", "Parked")
    eventually(lambda: is_held(fake, *APPS), "everything below is held")
    for name, reason, path, origin in (
        ("root", "Parked", "middle", "inner/api"),
        ("middle", "ShutDown", "inner", "api"),
        ("inner", "ShutDown", "api", None),
    ):
        entry = fake.status(name)["history"][0]
        assert (entry["child"], entry.get("origin"), entry["outcome"]) == (path, origin, "Exhausted")
        assert (entry.get("originCause", entry["cause"]), entry["exitCode"]) == ("Crash", 3)
        assert fake.condition(name, "Stalled")["reason"] == fake.condition(name, "Ready")["reason"] == reason
        said = message(fake, name)
        assert said.startswith(PATHS[name])
        assert message(fake, name, "Stalled") == said
        eventually(lambda: said in told(fake, name, reason), f"an Event of {name} says the same")  # noqa: B023
    assert len(told(fake, "root", "Parked")) == 1
    fake.reset("root")
    all_ready(fake)
    assert used(fake) == [0, 0, 0]


def told(kube: Kube, name: str, reason: str) -> list[str]:
    """Return what the Events of a tree with that reason say."""
    return [it["message"] for it in kube.events(reason) if it["involvedObject"]["name"] == name]


def test_a_transient_tree_that_gave_up_is_not_restarted(real: Kube) -> None:
    """OTP's rule: a tree that gives up ends with reason shutdown, so a Transient one stays down, and its parent says so."""
    three_levels(real, restart="Transient")
    exhaust_inner(real)
    eventually(lambda: "inner gave up, and is not restarted" in message(real, "middle"), "the parent says so in words")
    assert "OTP's rule" in message(real, "middle")
    status = real.status("middle")
    assert (status["restarts"], status["history"]) == (0, [])
    last = status["children"][0]["lastExit"]
    assert (last["cause"], last["origin"], last["originCause"]) == ("Exhausted", "api", "Crash")
    eventually(lambda: is_held(real, "api", "cache"), "its children are held")
    assert not is_held(real, "side")
    real.reset("inner")
    all_ready(real)


def test_an_escalation_survives_the_operator(fake: Kube, recorder: Recorder, operator: Operator) -> None:
    """Killed at each step of an escalation, the operator finishes the same one: no pod is replaced twice, and none stays held."""
    three_levels(fake, real=False)
    before = check.census(recorder, *APPS)
    exhaust_inner(fake, real=False)
    for step, hope in (
        (lambda: fake.status("inner").get("ending"), "inner gives up"),
        (lambda: fake.status("middle")["restarts"] == 1, "middle restarts inner"),
        (lambda: fake.status("inner").get("incarnation") == 1, "inner starts again"),
    ):
        eventually(step, hope)
        operator.kill()
        operator.start()
    all_ready(fake)
    check.replaced_once(recorder, before)
    check.none_held(fake)
    check.counted_once(fake.status("middle"))
    assert [fake.status(name)["restarts"] for name in LEVELS] == [0, 1, 1]
    assert used(fake) == [0, 1, 0]


def test_a_tree_that_was_stopped_starts_again_without_its_parent(real: Kube) -> None:
    """Deleted in the middle of a restart, a parent leaves no child tree stopped; created anew it restarts it as ever."""
    top = tree("top", deployment("side"), subtree("leaf"), strategy="OneForAll")
    leaf = tree("leaf", deployment("api"), intensity=0)
    real.apply(top, leaf, workload("Deployment", "side", readinessProbe=READY_WHEN_TOLD), workload("Deployment", "api"))
    crash.be_ready(real, "side")
    wait_ready(real, "top")
    crash.end(real, real.pod("side"), 3)
    eventually(lambda: is_held(real, "api"), "the tree is stopped, and waits for side")
    real.delete("suptree", "top")
    status = wait_ready(real, "leaf")
    assert "parent" not in status
    assert not is_held(real, "api")

    crash.be_ready(real, "side")
    real.apply(top)
    wait_ready(real, "top")
    crash.end(real, real.pod("api"), 3)
    eventually(lambda: real.status("top")["restarts"] == 1, "the new parent restarts the tree")
    eventually(lambda: real.status("top")["operation"]["child"] == "side", "side is to be Ready first")
    crash.be_ready(real, "side")
    wait_ready(real, "top")
    wait_ready(real, "leaf")


def test_cycles_are_refused(kube: Kube) -> None:
    """Trees that contain one another are told so in ResolvedRefs, each with what to do, until one of them lets go."""
    kube.apply(tree("a", subtree("b")), tree("b", subtree("a")))
    for name in ("a", "b"):
        wait_condition(kube, name, "ResolvedRefs", "False", "ReferenceCycle")
        assert "is its own descendant; take it out" in message(kube, name, "ResolvedRefs")
        assert kube.condition(name, "Ready")["reason"] == "Unresolved"
    kube.apply(tree("b", child("Deployment", "none")))
    wait_condition(kube, "a", "ResolvedRefs", "True", "Resolved")
    assert kube.status("b")["parent"] == "a"


def test_a_second_parent_is_refused(kube: Kube) -> None:
    """Of two parents the younger is told so in ResolvedRefs, and takes over when the older goes."""
    kube.apply(tree("leaf", child("Deployment", "none")), tree("older", subtree("leaf")))
    eventually(lambda: kube.status("leaf").get("parent") == "older", "the leaf knows its parent")
    time.sleep(1.1)  # Creation times are in whole seconds.
    kube.apply(tree("younger", subtree("leaf")))
    wait_condition(kube, "younger", "ResolvedRefs", "False", "TwoParents")
    assert "a child of the older tree older; take it out" in message(kube, "younger", "ResolvedRefs")
    assert kube.condition("older", "ResolvedRefs")["status"] == "True"
    kube.delete("suptree", "older")
    wait_condition(kube, "younger", "ResolvedRefs", "True", "Resolved")
    assert kube.status("leaf")["parent"] == "younger"
