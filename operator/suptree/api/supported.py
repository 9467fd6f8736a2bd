"""The kinds of targets that are known by what they are; of any other kind, its `scale` subresource tells the pods."""

from suptree.api.spec import SupervisionTreeSpec

RECREATED = frozenset({("batch/v1", "Job"), ("v1", "Pod")})
"""API version and kind of what does not come back by itself."""
TARGETS = frozenset(
    {("suptree.dev/v1alpha1", "SupervisionTree")}
    | {("apps/v1", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")}
    | RECREATED
)
"""API version and kind of the targets that are known by what they are."""


def recreated(spec: SupervisionTreeSpec) -> list[str]:
    """Name the children that do not come back by themselves, such as ``migrate (Job db-migrate)``."""
    refs = [(child.name, child.target_ref) for child in spec.children]
    return [f"{name} ({ref.kind} {ref.name})" for name, ref in refs if ref and (ref.api_version, ref.kind) in RECREATED]
