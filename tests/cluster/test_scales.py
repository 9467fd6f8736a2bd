"""Children of any kind with a scale: what its answers say, and how such a child is supervised."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.api.child import LabelRequirement, LabelSelector
from suptree.api.choices import LabelOperator
from suptree.cluster.client import selector_text
from suptree.cluster.labels import matches
from suptree.cluster.scales import Scale, ScaleRef, Trouble, forbidden, missing, parse_selector, resource_of, scale_of
from tests.cluster.builders import Raw, child, disrupted, owner, pod, tree, workload
from tests.cluster.scene import Scene

FAST = settings(max_examples=80, deadline=None, derandomize=True)
REF = ScaleRef("example.org/v1", "Gadget", "db")
GADGETS = {"name": "gadgets", "kind": "Gadget", "namespaced": True}
SCALE = {"name": "gadgets/scale", "kind": "Scale", "namespaced": True}

# What the API server answers.


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        pytest.param(None, "has no kind Gadget in example.org/v1", id="no such version"),
        pytest.param([], "has no kind Gadget in example.org/v1", id="no such kind"),
        pytest.param([{**SCALE, "kind": "Gadget"}], "has no kind Gadget", id="only a subresource of that kind"),
        pytest.param([{**GADGETS, "namespaced": False}, SCALE], "is not in namespaces", id="a kind of the cluster"),
        pytest.param([GADGETS], "has no scale subresource", id="no scale"),
        pytest.param([GADGETS, {**SCALE, "name": "widgets/scale"}], "has no scale", id="only others have a scale"),
    ],
)
def test_a_kind_that_cannot_be_supervised_is_explained(resources: list[Raw] | None, says: str) -> None:
    """A wrong kind, or one without a scale, is an InvalidTarget with a sentence that says what to change."""
    found = resource_of(REF, None if resources is None else {"resources": resources})
    assert isinstance(found, Trouble)
    assert found.reason == "InvalidTarget"
    assert says in found.message


def test_a_kind_with_a_scale_is_found() -> None:
    """A kind with a scale is read under its plural name."""
    assert resource_of(REF, {"resources": [SCALE, GADGETS]}) == "gadgets"


@pytest.mark.parametrize("text", ["", "  ", "app>3", "app in db", "=db", "app=a b", "a=%"])
def test_a_scale_that_does_not_tell_its_pods_is_no_target(text: str) -> None:
    """No selector, or one that Suptree cannot read, selects nothing: never every pod of the namespace."""
    found = scale_of(REF, {"spec": {"replicas": 2}, "status": {"selector": text}})
    assert isinstance(found, Trouble)
    assert found.reason == "InvalidTarget"
    assert "by selector instead" in found.message


def test_the_right_that_is_missing_is_named() -> None:
    """Who did not grant the right reads which value of the chart does."""
    assert 'add {apiGroup: "example.org", resource: gadgets} to scaleKinds' in forbidden(REF, "gadgets").message
    core = ScaleRef("v1", "ReplicationController", "db")
    assert 'add {apiGroup: "", resource: replicationcontrollers}' in forbidden(core, "replicationcontrollers").message


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        pytest.param("app=db", {"app": "db"}, {"app": "web"}, id="equal"),
        pytest.param(" app == db , tier= ", {"app": "db", "tier": ""}, {"app": "db"}, id="spaces, two signs, no value"),
        pytest.param("app!=db", {}, {"app": "db"}, id="not equal"),
        pytest.param("app in (a, b),!old", {"app": "b"}, {"app": "b", "old": ""}, id="in, and absent"),
        pytest.param("app notin (a,b),x.io/y", {"x.io/y": ""}, {"x.io/y": "", "app": "a"}, id="notin, and present"),
        pytest.param("in=notin,notin", {"in": "notin", "notin": ""}, {"in": "notin"}, id="keys that look like words"),
        pytest.param("app=a,app=b", None, {"app": "b"}, id="a contradiction selects nothing"),
    ],
)
def test_a_selector_is_read_as_kubectl_reads_it(text: str, yes: dict[str, str] | None, no: dict[str, str]) -> None:
    """The pods that a scale's selector tells are those that `kubectl get pods -l` shows."""
    selector = parse_selector(text)
    assert yes is None or matches(selector, yes)
    assert not matches(selector, no)


_WORDS = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
_KEYS = st.one_of(_WORDS, st.builds("{}.io/{}".format, _WORDS, _WORDS))
_VALUES = st.lists(_WORDS, min_size=1, max_size=3).map(tuple)
_REQUIREMENTS = st.one_of(
    st.builds(
        LabelRequirement,
        key=_KEYS,
        operator=st.sampled_from([LabelOperator.IN, LabelOperator.NOT_IN]),
        values=_VALUES,
    ),
    st.builds(
        LabelRequirement, key=_KEYS, operator=st.sampled_from([LabelOperator.EXISTS, LabelOperator.DOES_NOT_EXIST])
    ),
)


@FAST
@given(
    st.dictionaries(_KEYS, _WORDS, max_size=3),
    st.lists(_REQUIREMENTS, max_size=3).map(tuple),
    st.dictionaries(_KEYS, _WORDS, max_size=4),
)
def test_every_selector_survives_being_text(
    labels: dict[str, str], others: tuple[LabelRequirement, ...], pod_labels: dict[str, str]
) -> None:
    """What is written as text selects the same pods when it is read again."""
    selector = LabelSelector(match_labels=labels or None, match_expressions=others or None)
    again = parse_selector(selector_text(selector))
    for have in (pod_labels, labels, {**pod_labels, **labels}):
        assert matches(again, have) == matches(selector, have)


# A child that is found by its scale.


def gadget_scene(replicas: int = 1, **spec: Any) -> Scene:  # noqa: ANN401 - any fields
    """Build a scene with a StatefulSet web and a Gadget db whose pods are made by its own controller."""
    gadget = {"name": "db", "targetRef": {"apiVersion": REF.api_version, "kind": REF.kind, "name": REF.name}}
    it = Scene(tree(gadget, child("web"), **spec))
    it.workloads.append(workload("StatefulSet", "web"))
    it.scales[REF] = Scale(replicas, parse_selector("app=db"))
    for number in range(replicas):
        make(it, f"db-{number}")
    it.fill(it.workloads[0])
    it.settle()
    return it


def make(it: Scene, name: str, **more: Any) -> None:  # noqa: ANN401 - any fields
    """Let the Gadget's controller make a pod."""
    raw = pod(name, labels={"app": "db"}, **more)
    raw["metadata"]["ownerReferences"] = [{**owner("Gadget", "db", "gadget-uid"), "apiVersion": "example.org/v1"}]
    it.add(raw)


def test_a_crash_in_such_a_child_restarts_its_group() -> None:
    """A Gadget whose container crashes is restarted with its group, as any child is."""
    it = gadget_scene(2, strategy="OneForAll")
    assert [(c.name, c.state, c.ready, c.desired) for c in it.status.children] == [
        ("db", "Up", 2, 2),
        ("web", "Up", 1, 1),
    ]
    it.dies("db-1")
    it.step()
    it.run_cluster()
    assert it.log[-1] == "-web-0"
    it.step()
    assert sorted(it.log[-2:]) == ["-db-0", "-db-1"]
    it.run_cluster()
    for name in ("db-2", "db-3"):
        make(it, name, created="2026-03-01T00:00:10Z")
    it.settle()
    assert it.outcomes == ["db Crash Restarted"]
    assert it.status.budget is not None
    assert it.status.budget.used == 1


def test_what_its_own_controller_deletes_is_never_a_failure() -> None:
    """Of a controller that Suptree does not know nobody can tell whether it wanted the pod gone: a rollout costs nothing."""
    it = gadget_scene(strategy="OneForAll")
    it.delete("db-0")
    assert it.settle() == ""
    make(it, "db-1", created="2026-03-01T00:00:10Z", conditions=[disrupted()])
    it.settle()
    it.delete("db-1")
    assert it.settle() == ""
    assert it.outcomes == []
    assert it.child("db").state == "Down"


def test_a_pod_that_a_known_controller_is_short_of_is_an_exit() -> None:
    """A Gadget that has a StatefulSet make its pods is judged by that: a pod that somebody deleted restarts the group."""
    it = gadget_scene(0, strategy="OneForAll")
    made = workload("StatefulSet", "db-inner", app="db")
    it.workloads.append(made)
    it.scales[REF] = Scale(1, parse_selector("app=db"))
    it.fill(made)
    it.settle()
    assert it.child("db").state == "Up"
    it.now += 10
    it.delete("db-inner-0")
    it.settle()
    assert it.outcomes == ["db Deleted Restarted"]
    assert it.status.history[0].counted is False


def test_scaled_to_zero_the_order_does_not_wait() -> None:
    """A Gadget that wants no pods is Suspended, and a restart of its group passes it by."""
    it = gadget_scene(0, strategy="OneForAll")
    assert it.child("db").state == "Suspended"
    it.dies("web-0")
    it.settle()
    assert it.outcomes == ["web Crash Restarted"]


@pytest.mark.parametrize(
    "trouble", [missing(REF), forbidden(REF, "gadgets"), scale_of(REF, {})], ids=lambda it: it.reason
)
def test_trouble_shows_and_nothing_is_done(trouble: Trouble) -> None:
    """Without its scale a child is not supervised: ResolvedRefs says why, and the others go on being restarted."""
    it = gadget_scene(strategy="OneForAll")
    it.scales[REF] = trouble
    it.dies("db-0")
    assert it.settle() == ""
    assert it.condition("ResolvedRefs") == f"False {trouble.reason}"
    assert it.message("ResolvedRefs") == f"child db: {trouble.message}"
    assert it.child("db").state == "Missing"
    it.dies("web-0")
    it.settle()
    assert it.outcomes == ["web Crash Restarted"]
    assert it.message("Ready").startswith("child db: ")


def test_an_older_tree_keeps_the_pods_of_a_scale() -> None:
    """Two trees that mean the same pods, one by a scale and one by labels, do not both restart them: the older one does."""
    it = gadget_scene(strategy="OneForAll")
    older = tree({"name": "all", "selector": {"matchLabels": {"app": "db"}}}, name="older")
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    it.others.append(older)
    it.settle()
    assert it.condition("ResolvedRefs") == "False ClaimedByOtherTree"
    older["spec"]["children"] = [
        {"name": "g", "targetRef": {"apiVersion": REF.api_version, "kind": REF.kind, "name": REF.name}}
    ]
    it.settle()
    assert it.condition("ResolvedRefs") == "False ClaimedByOtherTree"
    older["spec"]["children"] = [child("db")]
    it.settle()
    assert it.condition("ResolvedRefs") == "True Resolved", "an apps/v1 StatefulSet db is another thing"
