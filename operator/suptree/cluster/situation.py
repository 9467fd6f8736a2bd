"""What one decision about one tree looks at, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from suptree.api.child import LabelSelector
from suptree.api.outcomes import Cause
from suptree.api.reasons import EventType, Reason
from suptree.api.status import SupervisionTreeStatus
from suptree.cluster.children import ChildView
from suptree.cluster.trees import Parent, Tree
from suptree.cluster.turns import Turns
from suptree.cluster.views import Owner, Pod, Workload


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
    unheld: str | None = None
    """A pod that the policy should have held and has not, so that it is not in force; None: there is none, "": not named."""
    parent: Parent | None = None
    """None: the tree is a root."""
    is_namespace_going: bool = False
    """Whether the namespace is being deleted, as far as anybody has asked: whatever goes in it goes with it."""
    turns: Turns = field(default_factory=Turns)
    """The restarts of all other trees of the cluster."""
    strays: tuple[Pod, ...] = ()
    """Held pods that carry the tree's mark and belong to no child of any tree, as far as anybody can tell now."""

    @property
    def is_gate_in_force(self) -> bool:
        """Whether new pods are held, as far as anybody can tell."""
        return self.is_gate_installed and self.unheld is None


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
    operation: int | None = None
    """The restart that it is about."""
    child: str | None = None
    """The child whose exit led to it."""
    cause: Cause | None = None
    """What ended that child."""


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
class Target:
    """The Job or bare Pod that a child is."""

    child: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Save:
    """Keep the manifest of that object, so that it can be created again."""

    target: Target
    uid: str
    generation: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete that object, and no other of the same name, after its manifest is kept."""

    target: Target
    uid: str
    grace_seconds: int | None


@dataclass(frozen=True, slots=True)
class Create:
    """Create that object from the manifest that is kept, and stamp it with the operation that starts it."""

    target: Target
    operation: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to persist, and then to do."""

    status: SupervisionTreeStatus
    deletes: tuple[Delete, ...] = ()
    releases: tuple[Release, ...] = ()
    saves: tuple[Save, ...] = ()
    removals: tuple[Remove, ...] = ()
    creations: tuple[Create, ...] = ()
    notices: tuple[Notice, ...] = ()
    confirm: tuple[Owner, ...] = ()
    """Controllers to read afresh; then decide again."""
    wake_at: float | None = None
    """When to decide again though nothing has happened (seconds since the epoch)."""
    selectors: tuple[LabelSelector, ...] = ()
    """Which pods belong to the tree: the index of its namespace is made from these."""
    is_gated: bool = False
    """Whether new pods of the tree are to wait for it."""
    is_queued: bool = False
    """Whether the restart waits for its turn."""
    is_followed: bool = False
    """Whether child trees read in the status what they are to do, so that each step of an operation is news."""
