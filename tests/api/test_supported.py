"""What is offered and not done yet is refused by name, and nothing else is."""

import pytest

from suptree.api import SupervisionTreeSpec
from suptree.api.supported import NOT_YET_SUPPORTED, ChildField, TreeField, not_yet_supported
from tests.api.refusals import Json, child, selecting, tree

_POLICY = [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [143]}}]
_SIGNIFICANT: Json = {"restart": "Transient", "significant": True}

# For each field a child and a spec that use it.
EXAMPLES: dict[str, tuple[Json, Json]] = {"targetRef.kind": ({"kind": "Job"}, {})}

SUPPORTED: dict[str, Json] = {
    "the smallest tree": tree(child()),
    "a kind that has a scale": tree(child(kind="Gadget")),
    "pods by labels": tree(selecting(matchLabels={"app": "db"})),
    "a backoff": tree(child(), backoff={"initialSeconds": 1, "factor": 3, "maxSeconds": 10, "jitterPercent": 50}),
    "a grace": tree(child(shutdownSeconds=0)),
    "an empty failurePolicy": tree(child(failurePolicy=[])),
    **{f"a {kind}": tree(child(kind=kind)) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")},
    **{f"a {restart} child": tree(child(restart=restart)) for restart in ("Permanent", "Transient", "Temporary")},
    "every other field of a tree": tree(
        child(),
        strategy="OneForAll",
        intensity=0,
        periodSeconds=60,
        ordering="Parallel",
        mode="Observe",
        suspend=True,
    ),
    "an automatic shutdown": tree(child("a"), child("b", **_SIGNIFICANT), autoShutdown="AnySignificant"),
    "a way out": tree(child(), onExhausted="Hold", retryAfterSeconds=900),
    "clocks": tree(child(startTimeoutSeconds=300, notReadySeconds=120)),
    "a quorum": tree(child(minFailedPods="50%", replacement="OneByOne", afterCompletion="Rerun")),
    "rules about exits": tree(child(failurePolicy=_POLICY)),
}


def refused(manifest: Json) -> list[str]:
    """Name the fields of a manifest that are not supported."""
    return not_yet_supported(SupervisionTreeSpec.model_validate(manifest["spec"]))


@pytest.mark.parametrize("field", NOT_YET_SUPPORTED, ids=lambda field: field.path)
def test_a_field_without_its_behaviour_is_named(field: TreeField | ChildField) -> None:
    """A user who sets a field that does nothing yet is told which one, and on which child."""
    of_child, of_spec = EXAMPLES[field.path]
    path = f"spec.{field.path}" if isinstance(field, TreeField) else f"spec.children[1].{field.path}"
    assert path in refused(tree(child("first"), child(**of_child), **of_spec))


@pytest.mark.parametrize("manifest", SUPPORTED.values(), ids=SUPPORTED.keys())
def test_what_works_is_not_refused(manifest: Json) -> None:
    """A spec that uses only what works is accepted."""
    assert refused(manifest) == []


def test_every_child_is_named_at_once() -> None:
    """A user learns of all such fields at once, in the order of the spec."""
    assert refused(tree(child("a", kind="Job"), child("b"), child("c", kind="Pod"))) == [
        "spec.children[0].targetRef.kind",
        "spec.children[2].targetRef.kind",
    ]
