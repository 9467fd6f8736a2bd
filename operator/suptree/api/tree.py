"""The whole resource, and what is wrong with one, in sentences that say what to change."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError

from suptree.api.model import ApiModel, Rule
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import SupervisionTreeStatus

GROUP = "suptree.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "SupervisionTree"
PLURAL = "supervisiontrees"

MAX_NAME = 63


class Metadata(ApiModel):
    """The part of an object's metadata that Suptree reads."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    name: str
    namespace: str | None = None
    uid: str | None = None
    generation: int | None = None
    resource_version: str | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    annotations: dict[str, str] = Field(default_factory=dict)


def _names_itself(tree: "SupervisionTree") -> bool:
    refs = [child.target_ref for child in tree.spec.children if child.target_ref]
    return any(ref.kind == KIND and ref.name == tree.metadata.name for ref in refs)


class SupervisionTree(ApiModel):
    """A supervisor for workloads: it restarts them together, in order, within a budget, as Erlang/OTP does processes."""

    api_version: Literal["suptree.dev/v1alpha1"] = "suptree.dev/v1alpha1"
    kind: Literal["SupervisionTree"] = "SupervisionTree"
    metadata: Metadata
    spec: SupervisionTreeSpec = Field(description="What is supervised, and how.")
    status: SupervisionTreeStatus = Field(
        default_factory=SupervisionTreeStatus, description="What the tree is doing, and why."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.metadata.name.size() <= {MAX_NAME}",
            f"the name becomes a label value of pods: shorten metadata.name to at most {MAX_NAME} characters",
            lambda it: len(it.metadata.name) <= MAX_NAME,
        ),
        Rule(
            f"!self.spec.children.exists(child, has(child.targetRef) && child.targetRef.kind == '{KIND}'"
            " && child.targetRef.name == self.metadata.name)",
            "a tree cannot be its own child: name another tree in targetRef or remove the child",
            lambda it: not _names_itself(it),
            ".spec.children",
        ),
    )


def sentences(error: ValidationError, below: str = "") -> list[str]:
    """Say what is wrong, one sentence a mistake, each beginning with the path of the field.

    Args:
        error: what pydantic found.
        below: the path of the object that was validated, for instance ``spec``.
    """
    entries = error.errors(include_url=False)
    places = [entry["loc"] for entry in entries]
    return [f"{_path(below, entry['loc'])}: {_plain(entry)}" for entry in entries if not _is_echo(entry, places)]


def _is_echo(entry: Any, places: list[tuple[int | str, ...]]) -> bool:  # noqa: ANN401  # see _plain
    """Tell whether a list is called too short only because its items were refused."""
    at = entry["loc"]
    return entry["type"] == "too_short" and any(place != at and place[: len(at)] == at for place in places)


def _path(below: str, parts: Iterable[int | str]) -> str:
    path = below
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".") or "the object"


def _plain(entry: Any) -> str:  # noqa: ANN401  # pydantic types an entry by a name of its private core
    return str(entry["msg"]).removeprefix("Value error, ")
