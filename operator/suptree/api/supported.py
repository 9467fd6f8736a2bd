"""What the API offers and this version does not do yet.

The API is whole from the first release, so that manifests need not change as behaviour lands. Until then a spec that uses
such a field is answered with Accepted=False, reason NotYetSupported, rather than half obeyed. When a behaviour lands, its
row goes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from suptree.api.child import Child
from suptree.api.spec import SupervisionTreeSpec

RECREATED = frozenset({("batch/v1", "Job"), ("v1", "Pod")})
"""API version and kind of what does not come back by itself."""
TARGETS = frozenset(
    {("suptree.dev/v1alpha1", "SupervisionTree")}
    | {("apps/v1", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")}
    | RECREATED
)
"""API version and kind of the targets that are known by what they are. Of any other kind, the scale tells the pods."""


@dataclass(frozen=True)
class TreeField:
    """A field of the spec that is not supported when ``uses`` says so."""

    path: str
    uses: Callable[[SupervisionTreeSpec], bool]

    def used_in(self, spec: SupervisionTreeSpec) -> list[str]:
        """Return the paths under which the spec uses the field."""
        return [f"spec.{self.path}"] if self.uses(spec) else []


@dataclass(frozen=True)
class ChildField:
    """A field of a child that is not supported when ``uses`` says so."""

    path: str
    uses: Callable[[Child], bool]

    def used_in(self, spec: SupervisionTreeSpec) -> list[str]:
        """Return the paths under which children of the spec use the field."""
        return [f"spec.children[{at}].{self.path}" for at, child in enumerate(spec.children) if self.uses(child)]


def _is_to_be_recreated(child: Child) -> bool:
    target = child.target_ref
    return target is not None and (target.api_version, target.kind) in RECREATED


NOT_YET_SUPPORTED: tuple[TreeField | ChildField, ...] = (ChildField("targetRef.kind", _is_to_be_recreated),)


def not_yet_supported(spec: SupervisionTreeSpec) -> list[str]:
    """Name the fields of the spec whose behaviour is not implemented, such as ``spec.children[2].notReadySeconds``."""
    return [path for field in NOT_YET_SUPPORTED for path in field.used_in(spec)]
