"""What one decision about one tree looks at, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from suptree.api.child import LabelSelector
from suptree.api.model import from_time
from suptree.api.reasons import RESET_ANNOTATION, EventType, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import SupervisionTreeStatus
from suptree.api.supported import not_yet_supported
from suptree.api.tree import sentences
from suptree.cluster.children import ChildView
from suptree.cluster.views import Owner, Pod, Raw, Workload


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


@dataclass(frozen=True, slots=True)
class Situation:
    """The whole current state, as far as one tree is concerned."""

    tree: Tree
    children: tuple[ChildView, ...]
    controllers: Mapping[str, Workload]
    now: float
    """Seconds since the epoch, by the operator's clock."""
    jitter: float = 0.0
    """From 0 to 1."""
    fresh: frozenset[str] = frozenset()
    """UIDs of the controllers that were read after the pods were."""
    is_gate_installed: bool = True
    """Whether the admission policy that holds new pods is there."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell the user in an Event."""

    type: EventType
    reason: Reason
    message: str
    key: str
    """Names the event: the same thing is told once."""
    pod: Pod | None = None
    """The pod that it is about; None: the tree."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete that pod, and no other of the same name."""

    pod: Pod
    grace_seconds: int | None


@dataclass(frozen=True, slots=True)
class Release:
    """Lift our gate from that pod, and stamp it with the operation that starts it."""

    pod: Pod
    operation: int | None
    """None: no tree starts it; it is only let go."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to persist, and then to do."""

    status: SupervisionTreeStatus
    deletes: tuple[Delete, ...] = ()
    releases: tuple[Release, ...] = ()
    notices: tuple[Notice, ...] = ()
    confirm: tuple[Owner, ...] = ()
    """Controllers to read afresh; then decide again."""
    wake_at: float | None = None
    """When to decide again though nothing has happened (seconds since the epoch)."""
    selectors: tuple[LabelSelector, ...] = ()
    """Which pods belong to the tree: the index of its namespace is made from these."""
    is_gated: bool = False
    """Whether new pods of the tree are to wait for it."""


def tree_of(raw: Raw) -> Tree:
    """Return the view of a SupervisionTree object. A status that cannot be read is treated as none."""
    meta = raw["metadata"]
    spec, refusal, message = _spec(raw.get("spec") or {})
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


def _spec(raw: dict[str, Any]) -> tuple[SupervisionTreeSpec | None, Reason | None, str]:
    try:
        spec = SupervisionTreeSpec.model_validate(raw)
    except ValidationError as error:
        return None, Reason.INVALID, "; ".join(sentences(error, "spec"))
    unsupported = not_yet_supported(spec)
    if unsupported:
        fields = ", ".join(unsupported)
        return (
            spec,
            Reason.NOT_YET_SUPPORTED,
            f"this version does not support {fields} yet; remove it to have the tree act",
        )
    return spec, None, ""


def _status(raw: dict[str, Any]) -> SupervisionTreeStatus:
    try:
        return SupervisionTreeStatus.model_validate(raw)
    except ValidationError:
        return SupervisionTreeStatus()


def seconds(time: str | None) -> float | None:
    """Read a time of the status."""
    return from_time(time) if time else None
