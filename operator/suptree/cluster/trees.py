"""SupervisionTrees as they are stored, and what a parent wants of one."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from suptree.api.reasons import RESET_ANNOTATION, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import SupervisionTreeStatus
from suptree.api.supported import recreated
from suptree.api.tree import sentences
from suptree.cluster.views import Raw


@dataclass(frozen=True, slots=True)
class Tree:
    """A SupervisionTree as it is stored."""

    namespace: str
    name: str
    uid: str
    generation: int
    version: str
    created: str
    is_deleting: bool
    reset: str | None
    """The value of the reset annotation."""
    spec: SupervisionTreeSpec | None
    """None: it breaks a rule."""
    refusal: Reason | None
    """Why the tree does not act on its spec."""
    refusal_message: str
    status: SupervisionTreeStatus = field(default_factory=SupervisionTreeStatus)

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


class Wish(StrEnum):
    """What a parent wants of a child tree."""

    NOTHING = "Nothing"
    STOP = "Stop"
    START = "Start"


@dataclass(frozen=True, slots=True)
class Parent:
    """The parent of a tree, as the tree sees it."""

    name: str
    child: str
    """The name that the tree has in it."""
    wish: Wish
    operation: int
    """The parent's operation that the wish belongs to."""
    reset: str | None
    """The parent's last reset."""
    is_restarting: bool = False
    """Whether it, or a tree above it, is restarting this tree: what happens in it is a part of that."""


def tree_of(raw: Raw, *, recreates: bool = True) -> Tree:
    """Return the view of a SupervisionTree object. A status that cannot be read is treated as none.

    Args:
        raw: The object.
        recreates: Whether Suptree may create Jobs and Pods; if not, a tree that has such children is refused.
    """
    meta = raw["metadata"]
    spec, refusal, message = _spec(raw.get("spec") or {}, recreates=recreates)
    return Tree(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=int(meta.get("generation") or 0),
        version=meta.get("resourceVersion") or "",
        created=meta.get("creationTimestamp") or "",
        is_deleting=bool(meta.get("deletionTimestamp")),
        reset=(meta.get("annotations") or {}).get(RESET_ANNOTATION),
        spec=spec,
        refusal=refusal,
        refusal_message=message,
        status=_status(raw.get("status") or {}),
    )


def _spec(raw: dict[str, Any], *, recreates: bool) -> tuple[SupervisionTreeSpec | None, Reason | None, str]:
    try:
        spec = SupervisionTreeSpec.model_validate(raw)
    except ValidationError as error:
        return None, Reason.INVALID, "; ".join(sentences(error, "spec"))
    found = [] if recreates else recreated(spec)
    if found:
        return spec, Reason.RECREATE_DISABLED, narrate_recreate_disabled(found)
    return spec, None, ""


def narrate_recreate_disabled(children: list[str]) -> str:
    """Say why a tree with Jobs or bare Pods does not act, and what to do."""
    return (
        f"Jobs and bare Pods do not come back by themselves, and Suptree may not create them: {', '.join(children)}; set "
        f"recreate.enabled in the chart (the operator's --recreate), or take them out of the tree"
    )


def _status(raw: dict[str, Any]) -> SupervisionTreeStatus:
    try:
        return SupervisionTreeStatus.model_validate(raw)
    except ValidationError:
        return SupervisionTreeStatus()
