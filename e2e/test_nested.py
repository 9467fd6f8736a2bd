"""Trees of trees on real containers: a failure that one level cannot mend is handed up, and each level says the same."""

from e2e.lib import crash
from e2e.lib.kube import Json, Kube, eventually, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.workloads import child, tree, workload

LEVELS = ("root", "middle", "inner")


def subtree(name: str, **fields: object) -> Json:
    """Return a child that is a tree."""
    return {
        "name": name,
        "targetRef": {"apiVersion": "suptree.dev/v1alpha1", "kind": "SupervisionTree", "name": name},
        **fields,
    }


def three_levels(kube: Kube, **inner: object) -> None:
    """Apply root [middle [inner [api, cache], side]], each allowed one restart, and wait until all are Ready."""
    kube.apply(
        tree("root", subtree("middle"), intensity=1),
        tree("middle", subtree("inner", **inner), child("Deployment", "side", shutdownSeconds=1), **REST),
        tree(
            "inner",
            child("Deployment", "api", shutdownSeconds=1),
            child("Deployment", "cache", shutdownSeconds=1),
            intensity=1,
        ),
        *(workload("Deployment", name) for name in ("api", "cache", "side")),
    )
    all_ready(kube)


REST: Json = {"strategy": "RestForOne", "intensity": 1}


def all_ready(kube: Kube) -> None:
    """Wait until each level is Ready and at rest."""
    for name in LEVELS:
        wait_ready(kube, name)


def a_pod(kube: Kube, app: str) -> str:
    """Return the name of the pod of an app that is there to stay."""
    pods = [pod for pod in kube.list("pods", f"app={app}") if "deletionTimestamp" not in pod["metadata"]]
    return str(pods[0]["metadata"]["name"])


def exhaust_inner(kube: Kube) -> None:
    """Let api crash twice: once is mended by inner itself, the second time it gives up."""
    restarts = kube.status("inner")["restarts"]
    crash.end(kube, a_pod(kube, "api"), 3)
    eventually(lambda: kube.status("inner")["restarts"] == restarts + 1, "inner restarts api itself")
    wait_ready(kube, "inner")
    crash.end(kube, a_pod(kube, "api"), 3)


def message(kube: Kube, name: str, type_: str = "Ready") -> str:
    """Return the message of a condition."""
    return str(kube.condition(name, type_).get("message", ""))


def refusal(kube: Kube, name: str) -> str:
    """Return the reason of ResolvedRefs."""
    return str(kube.condition(name, "ResolvedRefs").get("reason", ""))


def held(kube: Kube, app: str) -> bool:
    """Tell whether all pods of an app are held."""
    pods = kube.list("pods", f"app={app}")
    gates = [[gate["name"] for gate in pod["spec"].get("schedulingGates") or []] for pod in pods]
    return bool(pods) and all("suptree.dev/hold" in names for names in gates)


def test_a_failure_climbs_to_a_root_that_parks(real: Kube) -> None:
    """Each level restarts what it holds by its own budget, then gives up in turn; the root parks and names the whole path."""
    three_levels(real)
    before = {pod["metadata"]["uid"] for pod in real.list("pods")}
    exhaust_inner(real)
    eventually(lambda: real.status("middle")["restarts"] == 1, "middle restarts inner")
    all_ready(real)
    assert not before & {pod["metadata"]["uid"] for pod in real.list("pods")}, "all pods of inner and side are new"
    assert real.status("inner")["budget"]["used"] == 0, "a tree that is restarted starts with an empty window"
    entry = real.status("middle")["history"][0]
    assert (entry["child"], entry["cause"], entry["origin"], entry["originCause"]) == (
        "inner",
        "Exhausted",
        "api",
        "Crash",
    )
    assert entry["slice"] == ["inner", "side"]

    exhaust_inner(real)
    eventually(lambda: real.status("root")["restarts"] == 1, "root restarts middle")
    all_ready(real)
    assert real.status("middle")["budget"]["used"] == 0

    exhaust_inner(real)
    eventually(lambda: real.status("middle")["budget"]["used"] == 1, "middle restarts inner once more")
    all_ready(real)
    exhaust_inner(real)
    eventually(lambda: real.condition("root", "Stalled").get("status") == "True", "root has nothing left")
    assert real.condition("root", "Stalled")["reason"] == "Parked"
    assert "middle gave up because middle/inner/api crashed" in message(real, "root")
    assert "inner gave up because inner/api crashed" in message(real, "middle")
    assert "api crashed" in message(real, "inner")
    assert [real.condition(name, "Stalled")["reason"] for name in LEVELS] == ["Parked", "ShutDown", "ShutDown"]
    eventually(lambda: all(held(real, app) for app in ("api", "cache", "side")), "everything below is held")
    notes = [event["note"] for event in real.list("events.events.k8s.io") if event["reason"] == "Parked"]
    assert len(notes) == 1
    assert "middle/inner/api crashed" in notes[0]

    real.reset("root")
    all_ready(real)
    assert [real.status(name)["budget"]["used"] for name in LEVELS] == [0, 0, 0]


def test_a_transient_tree_that_gave_up_is_not_restarted(real: Kube) -> None:
    """OTP's rule: a tree that gives up ends with reason shutdown, so a Transient one stays down, and its parent says so."""
    three_levels(real, restart="Transient")
    exhaust_inner(real)
    eventually(lambda: "not restarted" in message(real, "middle"), "the parent says so in words")
    assert "OTP's rule" in message(real, "middle")
    assert real.status("middle")["restarts"] == 0
    assert real.status("middle")["history"] == []
    eventually(lambda: held(real, "api") and held(real, "cache"), "its children are held")
    assert not held(real, "side")


def test_an_escalation_survives_the_operator(real: Kube, operator: Operator) -> None:
    """Killed in the middle of an escalation, the operator finishes the same one: one count, and nothing stays held."""
    three_levels(real)
    exhaust_inner(real)
    eventually(lambda: real.status("inner").get("ending"), "inner gives up")
    operator.kill()
    operator.start()
    eventually(lambda: real.status("middle")["restarts"] == 1, "middle restarts inner")
    all_ready(real)
    assert real.status("middle")["restarts"] == 1
    assert real.status("root")["restarts"] == 0
    assert not any(held(real, app) for app in ("api", "cache", "side"))


def test_cycles_and_second_parents_are_refused(kube: Kube) -> None:
    """A tree in a cycle, and a second parent, are told so in ResolvedRefs; the younger parent takes over when the older goes."""
    kube.apply(tree("a", subtree("b")), tree("b", subtree("a")))
    eventually(lambda: refusal(kube, "a") == refusal(kube, "b") == "ReferenceCycle", "both are refused")
    kube.apply(tree("leaf", child("Deployment", "none")), tree("older", subtree("leaf")))
    eventually(lambda: kube.status("leaf").get("parent") == "older", "the leaf knows its parent")
    eventually(lambda: kube.tree("older")["metadata"]["creationTimestamp"] < _now(kube), "a second passes")
    kube.apply(tree("younger", subtree("leaf")))
    eventually(lambda: refusal(kube, "younger") == "TwoParents", "it is refused")
    assert "older" in message(kube, "younger", "ResolvedRefs")
    kube.run("delete", "suptree", "older")
    eventually(lambda: kube.status("leaf").get("parent") == "younger", "the younger takes over")


def _now(kube: Kube) -> str:
    kube.run("delete", "configmap", "now", "--ignore-not-found")
    kube.run("create", "configmap", "now")
    return str(kube.get("configmap", "now")["metadata"]["creationTimestamp"])


def test_hold_stops_all_and_a_retry_starts_them_again(real: Kube) -> None:
    """With onExhausted Hold the children are stopped and held; after retryAfterSeconds the tree tries once more by itself."""
    real.apply(
        tree(
            "shop",
            child("Deployment", "db", shutdownSeconds=1),
            child("Deployment", "web", shutdownSeconds=1),
            intensity=0,
            onExhausted="Hold",
            retryAfterSeconds=20,
        ),
        workload("Deployment", "db"),
        workload("Deployment", "web"),
    )
    wait_ready(real, "shop")
    crash.end(real, a_pod(real, "db"), 3)
    eventually(lambda: real.condition("shop", "Stalled").get("reason") == "Held", "the tree holds")
    eventually(lambda: held(real, "db") and held(real, "web"), "both are held")
    assert real.status("shop")["nextAttemptTime"]
    status = wait_ready(real, "shop")
    assert status["budget"]["used"] == 0
    assert "exhausted" not in status


def test_the_end_of_a_significant_child_ends_the_tree(real: Kube) -> None:
    """With autoShutdown the normal end of a significant child stops and holds the others, and the tree says why."""
    real.apply(
        tree(
            "batch",
            child("Deployment", "helper", shutdownSeconds=1),
            child("Deployment", "main", restart="Transient", significant=True, shutdownSeconds=1),
            autoShutdown="AnySignificant",
        ),
        workload("Deployment", "helper"),
        workload("Deployment", "main"),
    )
    wait_ready(real, "batch")
    crash.end(real, a_pod(real, "main"), 0)
    eventually(lambda: real.condition("batch", "Stalled").get("reason") == "Held", "the tree has ended")
    eventually(lambda: held(real, "helper") and held(real, "main"), "all are held")
    assert "autoShutdown" in message(real, "batch")
    assert real.status("batch")["restarts"] == 0
