"""The gate policy on a real API server: which new pods are marked and held, and that none is ever refused for it.

The index is written by the operator's own code, so that both halves of docs/design/gate.md are tested against each
other. Most pods are created with dry-run: the API server answers with what it would have stored.
"""

import json
import random
import time
import typing

import pytest

from e2e.lib.gate import (
    CONTAINER,
    Gate,
    by_expression,
    by_labels,
    gates_of,
    is_held,
    tree_of,
    until,
)
from e2e.lib.operator import Operator
from e2e.lib.target import Target
from suptree.api.child import LabelRequirement, LabelSelector
from suptree.api.choices import LabelOperator
from suptree.api.reasons import HOLD_GATE, TREE_LABEL
from suptree.cluster.labels import INDEX_LABEL, INDEX_NAME, index, matches

Json = dict[str, typing.Any]
Entry = tuple[str, bool, LabelSelector]


HOLD_WEB = index([("shop", True, by_labels(app="web"))])
WEB = {"app": "web"}


@pytest.fixture(scope="module")
def gate(target: Target, operator: Operator) -> Gate:
    """Give a cluster with the chart's policy, which the operator's installation has put there."""
    assert operator.process is not None
    return Gate(target)


@pytest.fixture(scope="module")
def namespace(gate: Gate) -> str:
    """Make a namespace that has an index."""
    return gate.namespace("gate")


LONG_PAIR = {"a." * 120 + "example.org/" + "k" * 63: "v" * 63}

CASES = {
    "an equal label": (by_labels(app="web"), [{"app": "web"}, {"app": "web", "x": ""}], [{"app": "db"}, {"x": "web"}]),
    "a label with a prefix": (
        LabelSelector(match_labels={"app.kubernetes.io/name": "web"}),
        [{"app.kubernetes.io/name": "web"}],
        [{"app.kubernetes.io_name": "web"}, {"name": "web"}],
    ),
    "an empty value": (by_labels(app=""), [{"app": ""}], [{"app": "x"}, {"x": ""}]),
    "several labels": (
        by_labels(app="web", tier="front"),
        [{"app": "web", "tier": "front"}],
        [{"app": "web"}, {"tier": "front"}, {"app": "web", "tier": "back"}],
    ),
    "a pair too long for a key": (
        LabelSelector(match_labels=LONG_PAIR),
        [LONG_PAIR],
        [{next(iter(LONG_PAIR)): "v"}],
    ),
    "In": (
        by_expression("app", LabelOperator.IN, "a", "b"),
        [{"app": "a"}, {"app": "b"}],
        [{"app": "c"}, {"app": "a.b"}, {}],
    ),
    "In with an empty value": (
        by_expression("app", LabelOperator.IN, "", "b"),
        [{"app": ""}, {"app": "b"}],
        [{"app": "c"}, {}],
    ),
    "NotIn": (
        by_expression("app", LabelOperator.NOT_IN, "a", "b"),
        [{"app": "c"}, {"x": "y"}, {}],
        [{"app": "a"}, {"app": "b"}],
    ),
    "Exists": (by_expression("app", LabelOperator.EXISTS), [{"app": "a"}, {"app": ""}], [{"x": "app"}, {}]),
    "DoesNotExist": (
        by_expression("app", LabelOperator.DOES_NOT_EXIST),
        [{"x": "app"}, {}],
        [{"app": "a"}, {"app": ""}],
    ),
}


@pytest.mark.parametrize(("selector", "held", "free"), CASES.values(), ids=CASES.keys())
def test_a_pod_is_held_when_its_labels_meet_the_whole_selector(
    gate: Gate, namespace: str, selector: LabelSelector, held: list[dict[str, str]], free: list[dict[str, str]]
) -> None:
    """A pod of a supervised workload waits and names its tree, and its neighbours do neither."""
    gate.index(namespace, index([("shop", True, selector)]))
    for labels in held:
        pod = gate.pod(namespace, labels)
        assert (gates_of(pod), tree_of(pod)) == ([HOLD_GATE], "shop"), labels
    for labels in free:
        pod = gate.pod(namespace, labels)
        assert (gates_of(pod), tree_of(pod)) == ([], None), labels


KEYS = ("a", "a.b", "a/b", "a_b", "a.b/c", "a.b_c", "A", "b")
VALUES = ("", "b", "b.c", "B", "b_c", "0")


def _some_selector(dice: random.Random) -> LabelSelector:
    pairs = {dice.choice(KEYS): dice.choice(VALUES) for _ in range(dice.randint(0, 2))}
    expressions = []
    for _ in range(dice.randint(0 if pairs else 1, 2)):
        operator = dice.choice(list(LabelOperator))
        with_values = operator in {LabelOperator.IN, LabelOperator.NOT_IN}
        values = tuple(dice.sample(VALUES, dice.randint(1, 3))) if with_values else None
        expressions.append(LabelRequirement(key=dice.choice(KEYS), operator=operator, values=values))
    return LabelSelector(match_labels=pairs or None, match_expressions=tuple(expressions) or None)


@pytest.mark.parametrize("seed", range(4))
def test_the_policy_and_the_operator_agree_on_every_selector(gate: Gate, namespace: str, seed: int) -> None:
    """Whatever labels look alike as keys of the index, a pod goes to the tree that selects it and to no other."""
    dice = random.Random(seed)  # noqa: S311  # the same cases in every run
    count = (3, 10, 30, 60)[seed]
    entries: list[Entry] = [(f"t{n}", dice.random() < 0.5, _some_selector(dice)) for n in range(count)]
    data = index(entries)
    lines = {line: selector for it in entries for line in _lines(it) for selector in [it[2]]}
    gate.index(namespace, data)
    for _ in range(60):
        labels = {dice.choice(KEYS): dice.choice(VALUES) for _ in range(dice.randint(0, 4))}
        first = min((line for line, selector in lines.items() if matches(selector, labels)), default="  ").split(" ")
        pod = gate.pod(namespace, labels)
        assert (tree_of(pod), is_held(pod)) == (first[0] or None, first[1] == "hold"), labels


def _lines(entry: Entry) -> set[str]:
    return {line for value in index([entry]).values() for line in value.split("\n")}


def test_a_pod_without_labels_is_created_as_it_is(gate: Gate, namespace: str) -> None:
    """A pod that has no labels at all is none of the policy's business."""
    gate.index(namespace, HOLD_WEB)
    pod = gate.pod(namespace, None)
    assert "labels" not in pod["metadata"]
    assert gates_of(pod) == []


def test_a_pod_without_labels_is_found_by_what_it_lacks(gate: Gate, namespace: str) -> None:
    """A selector that asks only for the absence of a label takes a pod that has none."""
    gate.index(namespace, index([("shop", True, by_expression("app", LabelOperator.DOES_NOT_EXIST))]))
    assert is_held(gate.pod(namespace, None))


def test_a_pod_that_is_only_marked_may_start(gate: Gate, namespace: str) -> None:
    """A pod of a tree that does not order starts at once and still names its tree."""
    gate.index(namespace, index([("shop", False, by_labels(app="web"))]))
    pod = gate.pod(namespace, WEB)
    assert (gates_of(pod), tree_of(pod)) == ([], "shop")


def test_a_pod_of_two_trees_goes_to_the_first(gate: Gate, namespace: str) -> None:
    """A pod that several trees select is marked with one of them, always the same."""
    entries: list[Entry] = [("b", True, by_labels(app="web")), ("a", False, by_labels(tier="front"))]
    gate.index(namespace, index(entries))
    for _ in range(5):
        pod = gate.pod(namespace, {"app": "web", "tier": "front"})
        assert (gates_of(pod), tree_of(pod)) == ([], "a")


@pytest.mark.parametrize("node", ["fake-0", "no-such-node"])
def test_a_pod_that_is_bound_already_is_not_held(gate: Gate, namespace: str, node: str) -> None:
    """A static pod's mirror, which has its node from the start, is created and only marked."""
    gate.index(namespace, HOLD_WEB)
    pod = gate.pod(namespace, WEB, nodeName=node)
    assert (gates_of(pod), tree_of(pod)) == ([], "shop")


def test_what_others_have_put_on_a_pod_stays(gate: Gate, namespace: str) -> None:
    """Foreign gates, repeated variables and ports, tolerations and labels are stored as they were sent."""
    gate.index(namespace, HOLD_WEB)
    spec: Json = {
        "schedulingGates": [{"name": "example.org/quota"}, {"name": "example.org/network"}],
        "tolerations": [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "Exists"}],
        "containers": [
            {
                **CONTAINER,
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}, {"name": "A", "value": "2"}],
                "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}],
            }
        ],
    }
    without, held = (gate.pod(namespace, {**labels, "x": "y"}, **spec) for labels in ({}, WEB))
    assert set(gates_of(held)) == {"example.org/quota", "example.org/network", HOLD_GATE}
    assert held["metadata"]["labels"] == {**WEB, "x": "y", TREE_LABEL: "shop"}
    for pod in (without, held):
        pod["spec"].pop("schedulingGates")
        _without_random_names(pod)
    assert held["spec"] == without["spec"]


def _without_random_names(pod: Json) -> None:
    for volume in pod["spec"].pop("volumes", []):
        for container in pod["spec"]["containers"]:
            container["volumeMounts"] = [it for it in container["volumeMounts"] if it["name"] != volume["name"]]


def test_a_pod_that_brings_the_gate_keeps_one(gate: Gate, namespace: str) -> None:
    """A manifest saved from a held pod can be created again, and is marked with its own tree."""
    gate.index(namespace, HOLD_WEB)
    pod = gate.pod(namespace, {**WEB, TREE_LABEL: "other"}, schedulingGates=[{"name": HOLD_GATE}])
    assert (gates_of(pod), tree_of(pod)) == ([HOLD_GATE], "shop")


BROKEN = {
    "an empty value": "",
    "empty lines": "\n\n \n",
    "one word": "shop",
    "no requirements": "shop hold",
    "empty requirements": "shop hold ",
    "an empty requirement": "shop hold app=web,",
    "four words": "shop hold app=web app=web",
    "two spaces": "shop  hold app=web",
    "an unknown verb": "shop grab app=web",
    "no label value": "-shop- hold app=web",
    "capitals": "Shop hold app=web",
    "too long a name": "s" * 64 + " hold app=web",
    "another alphabet": "läden hold app=web",
    "windows": "shop hold app=web\r\nother hold app=web\r",
    "JSON": json.dumps({"tree": "shop", "selector": {"matchLabels": WEB}}),
    "a megabyte": "x" * 900_000,
    "twenty thousand lines": "\n".join(f"t{n} hold app=web" for n in range(20_000)),
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_index_stops_no_pod(gate: Gate, namespace: str, value: str) -> None:
    """Whatever somebody has written into the index by hand, the pod is created and not held."""
    gate.index(namespace, {"app.web": value})
    pod = gate.pod(namespace, WEB)
    assert (gates_of(pod), tree_of(pod)) == ([], None)


def test_a_broken_line_does_not_spoil_the_others(gate: Gate, namespace: str) -> None:
    """A good line still counts beside broken ones."""
    short = [value for name, value in BROKEN.items() if name not in {"a megabyte", "twenty thousand lines"}]
    gate.index(namespace, {"app.web": "\n".join([*short, HOLD_WEB["app.web"]]), "_": "?"})
    pod = gate.pod(namespace, WEB)
    assert (gates_of(pod), tree_of(pod)) == ([HOLD_GATE], "shop")


def test_three_hundred_trees_may_share_a_label(gate: Gate, namespace: str) -> None:
    """A namespace in which hundreds of workloads are told apart only by a second label is still held in order."""
    entries: list[Entry] = [(f"t{n}", True, by_labels(app=f"web-{n}", tier="backend")) for n in range(300)]
    gate.index(namespace, index(entries))
    assert tree_of(gate.pod(namespace, {"app": "web-299", "tier": "backend"})) == "t299"


def test_a_large_index_works_to_the_last_entry(gate: Gate, namespace: str) -> None:
    """Thousands of trees in a namespace, near the size limit of a ConfigMap, hold their pods."""
    entries: list[Entry] = [(f"tree-{n:05}", True, by_labels(app=f"{'workload' * 4}-{n}")) for n in range(8_000)]
    data = index(entries)
    assert sum(len(key) + len(value) for key, value in data.items()) > 700_000
    gate.index(namespace, data)
    assert tree_of(gate.pod(namespace, {"app": f"{'workload' * 4}-7999"})) == "tree-07999"


def test_a_namespace_without_trees_is_left_alone(gate: Gate) -> None:
    """In a namespace that has no index a pod is created as it is."""
    pod = gate.pod(gate.namespace("gate-none"), WEB)
    assert (gates_of(pod), tree_of(pod)) == ([], None)


def test_an_index_without_data_holds_nothing(gate: Gate, namespace: str) -> None:
    """An index that was emptied, and one of binary data only, let every pod start."""
    here = gate.within(namespace)
    gate.index(namespace, HOLD_WEB)
    for body in ({"data": None}, {"binaryData": {"app.web": "c2hvcCBob2xkIGFwcD13ZWI="}}):
        here.patch("configmap", INDEX_NAME, body)
        until(lambda: not is_held(gate.pod(namespace, WEB)))
        assert tree_of(gate.pod(namespace, WEB)) is None
    here.delete("configmap", INDEX_NAME)
    assert not is_held(gate.pod(namespace, WEB))


def test_the_system_and_the_operator_are_never_held(gate: Gate) -> None:
    """A pod of kube-system or of the operator starts, even if somebody puts an index there."""
    policy = gate.policy()
    (excluded,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert (excluded["key"], excluded["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
    assert "kube-system" in excluded["values"]
    assert len(excluded["values"]) == 2
    config_map: Json = {"metadata": {"name": INDEX_NAME, "labels": {INDEX_LABEL: "true"}}}
    for name in map(gate.namespace, excluded["values"]):
        gate.create(name, {"apiVersion": "v1", "kind": "ConfigMap", **config_map, "data": HOLD_WEB})
    try:
        time.sleep(0.5)
        assert [tree_of(gate.pod(name, WEB)) for name in excluded["values"]] == [None, None]
    finally:
        for name in excluded["values"]:
            gate.within(name).delete("configmap", INDEX_NAME)


def _workload(kind: str, **spec: object) -> Json:
    pod: Json = {"containers": [CONTAINER], "tolerations": [{"operator": "Exists"}]}
    template: Json = {"metadata": {"labels": {"kind": kind.lower()}}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": kind.lower()},
        "spec": {"selector": {"matchLabels": {"kind": kind.lower()}}, "template": template, **spec},
    }


def test_pods_of_workloads_are_held_from_their_first_moment(gate: Gate) -> None:
    """Pods of a Deployment, a StatefulSet and a DaemonSet are created held, and get a node once the gate is lifted."""
    namespace = gate.namespace("gate-workloads")
    kinds = ("deployment", "statefulset", "daemonset")
    gate.index(namespace, index((f"tree-of-{kind}", True, by_labels(kind=kind)) for kind in kinds))
    with gate.record(namespace) as recorder:
        # An operator that runs lets them go at once, as there are no such trees: the watch has to be there before.
        alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"}, "spec": {"containers": [CONTAINER]}}
        gate.create(namespace, alone)
        until(lambda: recorder.changes)
        recorder.changes.clear()
        for manifest in (_workload("Deployment", replicas=2), _workload("StatefulSet", replicas=2, serviceName="none")):
            gate.create(namespace, manifest)
        gate.create(namespace, _workload("DaemonSet"))
        until(lambda: {_kind(change.pod) for change in recorder.changes} >= set(kinds))
        first = {change.uid: change.pod for change in reversed(recorder.changes) if _kind(change.pod)}
    for pod in first.values():
        assert (gates_of(pod), tree_of(pod)) == ([HOLD_GATE], f"tree-of-{_kind(pod)}")
        assert "nodeName" not in pod["spec"]
    # An operator that runs may lift it as well: there are no such trees.
    lift: Json = {"spec": {"schedulingGates": [{"$patch": "delete", "name": HOLD_GATE}]}}
    for pod in first.values():
        gate.within(namespace).patch("pod", pod["metadata"]["name"], lift, type_="strategic")
    until(lambda: first.keys() <= gate.bound(namespace))
    gate.within(namespace).delete_namespace()


def test_a_pod_is_not_released_in_place_of_the_one_before_it(gate: Gate) -> None:
    """A held pod that was replaced by another of its name counts as gone, and the other one is left as it is."""
    here = gate.within(gate.namespace("gate-names"))
    uids = []
    for _ in range(2):
        until(lambda: not here.list("pods"))
        made = here.create("pod", _bare("db-0"))
        uids.append(made["metadata"]["uid"])
        if len(uids) == 1:
            here.api.ask("DELETE", here.path("pod", "db-0"), {"gracePeriodSeconds": 0})
    old, new = ({"metadata": {"namespace": here.namespace, "uid": uid, **_bare("db-0")["metadata"]}} for uid in uids)
    assert not gate.release(old, "shop", 1)
    assert "labels" not in here.get("pod", "db-0")["metadata"]
    assert gate.release(new, "shop", 2)
    assert here.get("pod", "db-0")["metadata"]["labels"][TREE_LABEL] == "shop"
    here.delete_namespace()


def _bare(name: str) -> Json:
    return {"metadata": {"name": name}, "spec": {"containers": [CONTAINER]}}


def _kind(pod: Json) -> str:
    return str(pod["metadata"].get("labels", {}).get("kind", ""))


def test_the_policy_fails_open(gate: Gate) -> None:
    """The installed policy says Ignore, and the API server finds nothing wrong with it."""
    policy = gate.policy()
    assert policy["spec"]["failurePolicy"] == "Ignore"
    assert not policy.get("status", {}).get("typeChecking", {}).get("expressionWarnings")
