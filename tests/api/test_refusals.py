"""What is refused, and whether the sentence says what to change."""

import pytest
from pydantic import ValidationError

from suptree.api import SupervisionTree, sentences
from suptree.api.crd import custom_resource_definition
from tests.api.refusals import ACCEPTED, BOUNDS, REFUSALS, RULES, Json, Refusal, child, tree


def rules_in(schema: object) -> list[Json]:
    """Collect the CEL rules of a schema, however deep."""
    if isinstance(schema, list):
        return [rule for item in schema for rule in rules_in(item)]
    if not isinstance(schema, dict):
        return []
    below = [rule for key, value in schema.items() if key != "x-kubernetes-validations" for rule in rules_in(value)]
    return [*schema.get("x-kubernetes-validations", []), *below]


CEL = rules_in(custom_resource_definition())


@pytest.mark.parametrize("refusal", RULES, ids=lambda refusal: refusal.name)
def test_a_mistake_is_refused_with_a_sentence(refusal: Refusal) -> None:
    """The operator says the same about a mistake as the API server does."""
    with pytest.raises(ValidationError) as refused:
        SupervisionTree.model_validate(refusal.manifest)
    assert any(refusal.says in sentence for sentence in sentences(refused.value))


@pytest.mark.parametrize("refusal", BOUNDS, ids=lambda refusal: refusal.name)
def test_what_the_schema_refuses_the_operator_refuses(refusal: Refusal) -> None:
    """A spec that the schema does not allow is not acted upon, however it got there."""
    with pytest.raises(ValidationError):
        SupervisionTree.model_validate(refusal.manifest)


@pytest.mark.parametrize("manifest", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_right_is_accepted(manifest: Json) -> None:
    """A manifest without a mistake is accepted."""
    SupervisionTree.model_validate(manifest)


@pytest.mark.parametrize("rule", CEL, ids=lambda rule: rule["message"])
def test_every_rule_has_a_refusal(rule: Json) -> None:
    """Every rule of the CRD has a manifest that it refuses, to be tried end to end."""
    assert any(refusal.says in rule["message"] for refusal in RULES)


@pytest.mark.parametrize("refusal", RULES, ids=lambda refusal: refusal.name)
def test_every_refusal_has_one_rule(refusal: Refusal) -> None:
    """A piece of a sentence is that of one rule and no other."""
    assert sum(refusal.says in rule["message"] for rule in CEL) == 1


def test_the_names_of_refusals_differ() -> None:
    """A failing refusal is found by its name."""
    assert len({refusal.name for refusal in REFUSALS}) == len(REFUSALS)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (tree(child(), child("web", shutdownSeconds=-1)), "spec.children[1].shutdownSeconds: "),
        (tree(child(targetRef=None)), "spec.children[0]: "),
        (tree(child(), strategy="Any"), "spec.strategy: "),
        (tree(child(), name="a" * 64), "the object: "),
    ],
)
def test_a_sentence_names_the_field(spec: Json, path: str) -> None:
    """A sentence begins with the path of the field, as kubectl would write it."""
    with pytest.raises(ValidationError) as refused:
        SupervisionTree.model_validate(spec)
    (sentence,) = sentences(refused.value)
    assert sentence.startswith(path)
