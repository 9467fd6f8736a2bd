"""The words: each means one thing and is explained once."""

import re
from types import ModuleType

import pytest

from suptree.api import choices, outcomes, reasons
from suptree.api.reasons import CONDITION_REASONS, EVENT_REASONS, ConditionType, Reason
from suptree.api.words import Word


def enums_in(module: ModuleType) -> list[type[Word]]:
    """Collect the enums that a module defines."""
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Word)]
    return [one for one in found if one.__module__ == module.__name__]


WORDS = [word for module in (choices, outcomes, reasons) for enum in enums_in(module) for word in enum]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{type(word).__name__}.{word.value}")
def test_every_word_is_explained(word: Word) -> None:
    """A word that shows in a status is CamelCase and has a sentence."""
    assert re.fullmatch(r"[A-Z][A-Za-z]*", word)
    assert word.name.replace("_", "").lower() == word.value.lower()
    assert word.meaning.endswith(".")


@pytest.mark.parametrize("condition", ConditionType)
def test_every_condition_has_its_reasons(condition: ConditionType) -> None:
    """The documentation can list what each condition may say, each reason once."""
    may_say = CONDITION_REASONS[condition]
    assert len(may_say) > 1
    assert len(set(may_say)) == len(may_say)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_used(reason: Reason) -> None:
    """No reason is documented that never shows."""
    assert reason in EVENT_REASONS or any(reason in may_say for may_say in CONDITION_REASONS.values())
