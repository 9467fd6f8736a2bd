"""What every model of the API shares: naming, immutability, and rules that hold on both sides of the API server.

A rule is one line of CEL for the API server and one predicate for the operator, with one sentence for both. The server
refuses a new object; the operator judges objects that were stored before the rule existed, and manifests that have not
been applied yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import modf
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
QUALIFIED_NAME = f"^({_SUBDOMAIN}/)?{_QUALIFIED}$"

DnsLabel = Annotated[str, StringConstraints(pattern=f"^{_LABEL}$", min_length=1, max_length=63)]
DnsName = Annotated[str, StringConstraints(pattern=f"^{_SUBDOMAIN}$", min_length=1, max_length=253)]
ApiVersion = Annotated[str, StringConstraints(pattern=f"^({_SUBDOMAIN}/)?{_LABEL}$", min_length=1, max_length=317)]
Kind = Annotated[str, StringConstraints(pattern="^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$", min_length=1, max_length=63)]
QualifiedName = Annotated[str, StringConstraints(pattern=QUALIFIED_NAME, min_length=1, max_length=317)]
LabelValue = Annotated[str, StringConstraints(pattern=f"^({_QUALIFIED})?$", max_length=63)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(json_schema_extra={"format": "int64"})]


@dataclass(frozen=True)
class Rule:
    """One thing that must hold of a model.

    Attributes:
        cel: the rule for the API server, with the object as ``self``.
        message: the sentence that a user reads when it does not hold; it says what to change.
        holds: the same rule for the operator.
        field: the field to blame, as a path below the object, for instance ``.maxSeconds``.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field: str = ""

    def as_validation(self) -> JsonDict:
        """Return the rule as an entry of ``x-kubernetes-validations``."""
        entry: JsonDict = {"rule": self.cel, "message": self.message}
        return {**entry, "fieldPath": self.field} if self.field else entry


def _add_rules(schema: JsonDict, model: type["ApiModel"]) -> None:
    if model.rules:
        schema["x-kubernetes-validations"] = [rule.as_validation() for rule in model.rules]


class ApiModel(BaseModel):
    """A part of the resource: immutable, camelCase outside and snake_case inside, no field that is not ours."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        json_schema_extra=_add_rules,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_the_rules(self) -> Self:
        broken = [rule.message for rule in self.rules if not rule.holds(self)]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the object as the API server takes it; what is not set is not there."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def clip(text: str, limit: int) -> str:
    """Cut a text to a number of bytes in UTF-8, never inside a character, and show that it was cut."""
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return text
    return raw[: limit - 3].decode(errors="ignore") + "..."


def to_time(seconds: float) -> str:
    """Write seconds since the epoch as an RFC 3339 time in UTC with microseconds (Kubernetes' MicroTime)."""
    fraction, whole = modf(seconds)  # apart, because their sum times a million would not fit a float exactly
    moment = _EPOCH + timedelta(seconds=int(whole), microseconds=round(fraction * 1_000_000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_time(text: str) -> float:
    """Read an RFC 3339 time as seconds since the epoch.

    Raises:
        ValueError: if the text is no time or names no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return (moment - _EPOCH) / timedelta(microseconds=1) / 1_000_000
