"""Children of any kind with a `scale` subresource: `spec.replicas` says how many pods are wanted, `status.selector` which.

Such kinds are not watched. The scale of each object that a tree names is read when the tree is looked at, and what came
of it is one of two things: a `Scale`, or `Trouble`, which says why there is none and what to do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from suptree.api.child import LabelRequirement, LabelSelector
from suptree.api.choices import LabelOperator
from suptree.api.reasons import Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.supported import TARGETS


@dataclass(frozen=True, slots=True, order=True)
class ScaleRef:
    """The object that a child is."""

    api_version: str
    kind: str
    name: str

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.api_version})"


@dataclass(frozen=True, slots=True)
class Scale:
    """What the object's scale says."""

    replicas: int
    """Pods that are wanted."""
    selector: LabelSelector


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no scale."""

    reason: Reason
    message: str
    """A sentence that says what to do."""


def scale_refs(spec: SupervisionTreeSpec) -> tuple[ScaleRef, ...]:
    """Return the children of a tree that are of a kind which is not watched."""
    refs = [child.target_ref for child in spec.children if child.target_ref]
    return tuple(
        ScaleRef(ref.api_version, ref.kind, ref.name) for ref in refs if (ref.api_version, ref.kind) not in TARGETS
    )


# What the API server says about a kind.


def resource_of(ref: ScaleRef, listing: Mapping[str, Any] | None) -> str | Trouble:
    """Find the plural name of the kind in its version's APIResourceList, and whether it has a scale.

    Args:
        ref: The object.
        listing: The list; None when the API server does not know the version.
    """
    resources: Sequence[Mapping[str, Any]] = (listing or {}).get("resources") or ()
    found = next((it for it in resources if it["kind"] == ref.kind and "/" not in it["name"]), None)
    if found is None:
        return Trouble(
            Reason.INVALID_TARGET,
            f"the API server has no kind {ref.kind} in {ref.api_version}; install it, or correct targetRef",
        )
    if not found.get("namespaced"):
        return Trouble(
            Reason.INVALID_TARGET, f"{ref.kind} is not in namespaces, so it has no pods here; correct targetRef"
        )
    plural = str(found["name"])
    if not any(it["name"] == f"{plural}/scale" for it in resources):
        return Trouble(
            Reason.INVALID_TARGET,
            f"kind {ref.kind} ({ref.api_version}) has no scale subresource that tells its pods; "
            f"name the pods by selector instead",
        )
    return plural


def missing(ref: ScaleRef) -> Trouble:
    """Say that the object does not exist."""
    return Trouble(
        Reason.CHILD_MISSING,
        f"{ref} does not exist; create it or take the child out of the tree",
    )


def forbidden(ref: ScaleRef, plural: str) -> Trouble:
    """Say that its scale may not be read."""
    return Trouble(
        Reason.FORBIDDEN,
        f'Suptree may not get {plural}/scale of {ref}; add {{apiGroup: "{ref.group}", resource: {plural}}} '
        f"to scaleKinds in the chart's values",
    )


def scale_of(ref: ScaleRef, raw: Mapping[str, Any]) -> Scale | Trouble:
    """Return the view of a Scale (autoscaling/v1)."""
    text = (raw.get("status") or {}).get("selector") or ""
    if not text.strip():
        # An empty selector would be every pod of the namespace.
        return Trouble(
            Reason.INVALID_TARGET,
            f"the scale of {ref} has no status.selector yet, so its pods are not known; its kind must set "
            f"labelSelectorPath and its controller fill it in, or name the pods by selector instead",
        )
    try:
        selector = parse_selector(text)
    except ValueError as error:
        return Trouble(
            Reason.INVALID_TARGET,
            f"the status.selector of the scale of {ref} is {text[:200]!r}: {error}; name the pods by selector instead",
        )
    return Scale(int((raw.get("spec") or {}).get("replicas") or 0), selector)


# Selectors as text, as in a scale's status and in kubectl's -l.

_REQUIREMENT = re.compile(
    r"""\s*(?:
        !\s*(?P<absent>[^\s!=<>(),]+)
      | (?P<key>[^\s!=<>(),]+)\s*
        (?: (?P<sign>==|=|!=)\s*(?P<value>[^\s!=<>(),]*)
          | (?P<word>in|notin)\s*\(\s*(?P<values>[^()]*?)\s*\)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE,
)


def parse_selector(text: str) -> LabelSelector:
    """Read a selector such as `app=db,tier in (a, b),!canary`.

    Raises:
        ValueError: It is none, or has more requirements than a child's selector may have.
    """
    labels: dict[str, str] = {}
    others: list[LabelRequirement] = []
    at = 0
    while at < len(text):
        found = _REQUIREMENT.match(text, at)
        if found is None:
            raise ValueError(f"Suptree cannot read it from {text[at : at + 40]!r} on")
        at = found.end()
        key, sign, value = found["key"], found["sign"], found["value"]
        try:
            if sign in {"=", "=="} and labels.get(key, value) == value:
                labels[key] = value
            else:
                others.append(_requirement(found))
        except ValidationError as error:
            raise ValueError(_first(error)) from error
    try:
        return LabelSelector(match_labels=labels or None, match_expressions=tuple(others) or None)
    except ValidationError as error:
        raise ValueError(_first(error)) from error


def _requirement(found: re.Match[str]) -> LabelRequirement:
    if found["absent"]:
        return LabelRequirement(key=found["absent"], operator=LabelOperator.DOES_NOT_EXIST)
    if found["word"]:
        operator = LabelOperator.IN if found["word"] == "in" else LabelOperator.NOT_IN
        values = tuple(value.strip() for value in found["values"].split(","))
        return LabelRequirement(key=found["key"], operator=operator, values=values)
    if found["sign"]:
        operator = LabelOperator.NOT_IN if found["sign"] == "!=" else LabelOperator.IN
        return LabelRequirement(key=found["key"], operator=operator, values=(found["value"],))
    return LabelRequirement(key=found["key"], operator=LabelOperator.EXISTS)


def _first(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"])
