"""Enums whose members say what they mean.

A word of the API is documented once, beside its definition: the CRD's descriptions, the documentation and the tests
read the meaning from the member instead of repeating it.
"""

from enum import StrEnum
from typing import Self

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

MEANINGS = "x-meanings"


class Word(StrEnum):
    """A string of the API with its meaning; define a member as ``NAME = "Name", "What it means."``."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make the member a string that carries its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Hand the meanings to whoever makes descriptions out of the schema."""
        schema = handler.resolve_ref_schema(handler(core))
        schema[MEANINGS] = explained(cls)
        return schema


def explained(words: type[Word]) -> str:
    """List the words with their meanings, the way ``kubectl explain`` shows built-in kinds."""
    return "Possible values:\n" + "\n".join(f" - {word.value}: {word.meaning}" for word in words)
