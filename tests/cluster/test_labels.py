"""Selectors, and the index by which the gate policy finds a pod's tree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.api.child import LabelRequirement, LabelSelector
from suptree.api.choices import LabelOperator
from suptree.cluster.labels import ANY, index, key_of, matches, pairs_of, requirements, selector_of

FAST = settings(max_examples=80, deadline=None, derandomize=True)

KEYS, VALUES = ("app", "tier", "app.kubernetes.io/name"), ("a", "b", "")
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))


@st.composite
def selectors(draw: st.DrawFn) -> LabelSelector:
    """Draw a selector; it may be empty."""
    found = []
    for key, operator in draw(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(LabelOperator)), max_size=3)):
        takes = operator in {LabelOperator.IN, LabelOperator.NOT_IN}
        values = tuple(draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=2))) if takes else None
        found.append(LabelRequirement(key=key, operator=operator, values=values))
    return LabelSelector(match_labels=draw(labels) or None, match_expressions=tuple(found) or None)


def is_selected(selector: LabelSelector, given_labels: dict[str, str]) -> bool:
    """Say what Kubernetes' documentation says about selectors, word by word."""
    for key, value in (selector.match_labels or {}).items():
        if key not in given_labels or given_labels[key] != value:
            return False
    for it in selector.match_expressions or ():
        values = it.values or ()
        match it.operator:
            case LabelOperator.IN:
                holds = key_in(given_labels, it.key) and given_labels[it.key] in values
            case LabelOperator.NOT_IN:
                holds = not key_in(given_labels, it.key) or given_labels[it.key] not in values
            case LabelOperator.EXISTS:
                holds = key_in(given_labels, it.key)
            case LabelOperator.DOES_NOT_EXIST:
                holds = not key_in(given_labels, it.key)
        if not holds:
            return False
    return bool(selector.match_labels or selector.match_expressions)


def key_in(given_labels: dict[str, str], key: str) -> bool:
    """Tell whether the label is there."""
    return key in given_labels


@given(selectors(), labels)
@FAST
def test_a_selector_selects_what_kubernetes_selects(selector: LabelSelector, given_labels: dict[str, str]) -> None:
    """A child is exactly the pods that `kubectl get pods -l` would list; an empty selector is nobody's."""
    assert matches(selector, given_labels) is is_selected(selector, given_labels)


@given(selectors(), labels)
@FAST
def test_every_selected_pod_is_found_by_one_of_its_labels(
    selector: LabelSelector, given_labels: dict[str, str]
) -> None:
    """Looking pods up by a label instead of looking at all of them misses none."""
    pairs = pairs_of(selector)
    if pairs and matches(selector, given_labels):
        assert set(pairs) & set(given_labels.items())


@given(selectors(), labels)
@FAST
def test_the_index_has_an_entry_for_every_selected_pod(selector: LabelSelector, given_labels: dict[str, str]) -> None:
    """The policy finds the tree of each pod that a tree selects, under one of the pod's labels or under the last resort."""
    data = index([("shop", True, selector)])
    if matches(selector, given_labels):
        keys = {key_of(pair) for pair in given_labels.items()} | {ANY}
        assert any(f"shop hold {requirements(selector)}" in data[key].splitlines() for key in keys & data.keys())


@pytest.mark.parametrize(
    ("pair", "key"),
    [
        pytest.param(("app", "web"), "app.web", id="a plain label"),
        pytest.param(("app.kubernetes.io/name", "web"), "app.kubernetes.io_name.web", id="a slash is no key character"),
        pytest.param(("x" * 63, "v" * 63), f"{'x' * 63}.{'v' * 63}", id="a long label"),
        pytest.param((f"{'d' * 230}/{'x' * 20}", "v" * 10), ANY, id="too long for a key of a ConfigMap"),
    ],
)
def test_a_label_pair_becomes_a_key_of_a_config_map(pair: tuple[str, str], key: str) -> None:
    """Any label pair has a key that the API server takes."""
    assert key_of(pair) == key
    assert len(key_of(pair)) <= 253


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2", id="labels, sorted"),
        pytest.param(
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, "a=1|2", id="one of several"
        ),
        pytest.param(
            {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1", "2"]}]},
            "a!1|2",
            id="none of several",
        ),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a", id="exists"),
        pytest.param({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a", id="does not exist"),
        pytest.param(
            {"matchLabels": {"z": "9"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            "a,z=9",
            id="both kinds",
        ),
    ],
)
def test_the_index_holds_the_whole_selector(raw: dict[str, object], text: str) -> None:
    """The policy checks the whole selector, not only the label by which it found it."""
    assert requirements(selector_of(raw)) == text


def test_the_index_tells_trees_that_hold_from_trees_that_mark() -> None:
    """Only trees whose order is enforced hold new pods; the others are only marked as theirs."""
    one, two = selector_of({"matchLabels": {"app": "a"}}), selector_of({"matchLabels": {"app": "b"}})
    assert index([("x", True, one), ("y", False, two), ("z", True, one)]) == {
        "app.a": "x hold app=a\nz hold app=a",
        "app.b": "y mark app=b",
    }


def test_an_expression_over_several_values_is_found_under_each() -> None:
    """A pod with any of the values of an In is found."""
    selector = selector_of({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]})
    assert set(index([("t", True, selector)])) == {"app.a", "app.b"}


def test_no_trees_no_index() -> None:
    """A namespace without trees pays nothing."""
    assert index([]) == {}
