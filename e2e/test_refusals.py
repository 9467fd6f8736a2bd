"""What the API server refuses when a tree is applied, and what it accepts."""

import pytest

from e2e.lib.kube import Json
from e2e.lib.target import Target
from tests.api.refusals import ACCEPTED, REFUSALS, Refusal

pytestmark = pytest.mark.usefixtures("operator")


def answer(target: Target, manifest: Json) -> tuple[bool, str]:
    """Offer a manifest to the API server, for show; tell whether it was taken, and what was said."""
    path = target.kube.path("supervisiontree")
    try:
        target.kube.api.ask("POST", path, manifest, dryRun="All", fieldValidation="Strict")
    except AssertionError as refused:
        return False, str(refused)
    return True, ""


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_mistake_is_refused_when_it_is_applied(target: Target, refusal: Refusal) -> None:
    """A mistake is refused by the API server itself, with a sentence that says what to change."""
    is_taken, said = answer(target, refusal.manifest)
    assert not is_taken
    assert refusal.says in said


@pytest.mark.parametrize("manifest", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_right_is_taken(target: Target, manifest: Json) -> None:
    """What the documentation allows is taken, up to the largest tree and with every field."""
    is_taken, said = answer(target, manifest)
    assert is_taken, said
