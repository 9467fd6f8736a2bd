"""Manifests that the API server refuses, each with a piece of the sentence that the user reads.

The table is used twice: here against the models, and end to end against a real API server, whose rules are CEL.
"""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """One manifest that is refused.

    Attributes:
        name: what is wrong, as a test id.
        manifest: the smallest manifest that has only this mistake.
        says: a piece of the API server's answer.
        by_rule: the sentence is ours, so the models give it as well; else it is the server's own.
    """

    name: str
    manifest: Json
    says: str
    by_rule: bool = True


def tree(*children: Json, name: str = "shop", **spec: Any) -> Json:  # noqa: ANN401  # any field of a spec
    """Make the manifest of a tree."""
    return {
        "apiVersion": "suptree.dev/v1alpha1",
        "kind": "SupervisionTree",
        "metadata": {"name": name},
        "spec": {**spec, "children": list(children)},
    }


def child(name: str = "db", kind: str = "Deployment", **fields: Any) -> Json:  # noqa: ANN401  # any field of a child
    """Make a child whose target has its own name; a field of the value None is left out."""
    api = {"SupervisionTree": "suptree.dev/v1alpha1", "Job": "batch/v1", "Pod": "v1"}.get(kind, "apps/v1")
    whole = {"name": name, "targetRef": {"apiVersion": api, "kind": kind, "name": name}, **fields}
    return {key: value for key, value in whole.items() if value is not None}


def selecting(**selector: Any) -> Json:  # noqa: ANN401  # any field of a selector
    """Make a child that is chosen by labels."""
    return child(targetRef=None, selector=selector)


_EXIT_1 = {"operator": "In", "values": [1]}
_DISRUPTED = [{"type": "DisruptionTarget"}]
_LONG = "a" * 64

RULES = (
    Refusal("a name too long for a label", tree(child(), name=_LONG), "shorten metadata.name"),
    Refusal("a tree that is its own child", tree(child("shop", "SupervisionTree")), "cannot be its own child"),
    Refusal("a negative intensity", tree(child(), intensity=-1), "set it to 0 or more"),
    Refusal("an empty window", tree(child(), periodSeconds=0), "set it to 1 or more"),
    Refusal("a negative window", tree(child(), periodSeconds=-300), "set it to 1 or more"),
    Refusal(
        "a last wait shorter than the first",
        tree(child(), backoff={"initialSeconds": 10, "maxSeconds": 5}),
        "raise maxSeconds or lower initialSeconds",
    ),
    Refusal(
        "a first wait longer than the default of the last",
        tree(child(), backoff={"initialSeconds": 301}),
        "raise maxSeconds or lower initialSeconds",
    ),
    Refusal("autoShutdown without a significant child", tree(child(), autoShutdown="AnySignificant"), "there is none"),
    Refusal(
        "a significant child without autoShutdown",
        tree(child(restart="Transient", significant=True)),
        "set autoShutdown to AnySignificant or AllSignificant",
    ),
    Refusal(
        "a significant child that is Permanent",
        tree(child(restart="Permanent", significant=True), autoShutdown="AnySignificant"),
        "set restart to Transient or Temporary",
    ),
    Refusal(
        "a significant child that is Permanent by default",
        tree(child(significant=True), autoShutdown="AllSignificant"),
        "set restart to Transient or Temporary",
    ),
    Refusal(
        "two children of the same name",
        tree(child("db"), selecting(matchLabels={"app": "db"})),
        "rename one of them",
    ),
    Refusal("neither targetRef nor selector", tree(child(targetRef=None)), "add either targetRef or selector"),
    Refusal(
        "both targetRef and selector",
        tree(child(selector={"matchLabels": {"app": "db"}})),
        "only one of targetRef and selector",
    ),
    Refusal("an empty selector", tree(selecting()), "add matchLabels or matchExpressions"),
    Refusal("a selector of no labels", tree(selecting(matchLabels={})), "add matchLabels or matchExpressions"),
    Refusal("a label key with a space", tree(selecting(matchLabels={"the app": "db"})), "no valid label key"),
    Refusal(
        "In without values",
        tree(selecting(matchExpressions=[{"key": "app", "operator": "In"}])),
        "add or remove values",
    ),
    Refusal(
        "Exists with values",
        tree(selecting(matchExpressions=[{"key": "app", "operator": "Exists", "values": ["db"]}])),
        "add or remove values",
    ),
    *(
        Refusal(f"minFailedPods {value!r}", tree(child(minFailedPods=value)), "a percentage from 1% to 100%")
        for value in (0, -1, "0%", "101%", "1", "half", "1.5%")
    ),
    Refusal(
        "a failure rule that matches nothing",
        tree(child(failurePolicy=[{"action": "Ignore"}])),
        "give exactly one of them",
    ),
    Refusal(
        "a failure rule that matches in two ways",
        tree(child(failurePolicy=[{"action": "Ignore", "onExitCodes": _EXIT_1, "onPodConditions": _DISRUPTED}])),
        "give exactly one of them",
    ),
)
"""Refused by a rule of ours, in our words."""

BOUNDS = tuple(
    Refusal(name, manifest, says, by_rule=False)
    for name, manifest, says in (
        ("no children", tree(), "should have at least 1 items"),
        ("too many children", tree(*(child(f"c{n}") for n in range(257))), "must have at most 256 items"),
        ("an unknown strategy", tree(child(), strategy="AllForOne"), "supported values"),
        ("an unknown restart type", tree(child(restart="Always")), "supported values"),
        ("a child's name with a capital", tree({**child(), "name": "DB"}), "should match"),
        ("a child's name too long", tree({**child(), "name": _LONG}), "spec.children[0].name"),
        ("a target without a name", tree(child(targetRef={"apiVersion": "apps/v1", "kind": "Deployment"})), "Required"),
        ("a text for a number", tree(child(), intensity="three"), "must be of type integer"),
        ("a budget beyond measure", tree(child(), intensity=1001), "less than or equal to 1000"),
        ("a negative grace", tree(child(shutdownSeconds=-1)), "greater than or equal to 0"),
        ("no time to start", tree(child(startTimeoutSeconds=0)), "greater than or equal to 1"),
        ("a zombie at once", tree(child(notReadySeconds=0)), "greater than or equal to 1"),
        ("a retry at once", tree(child(), retryAfterSeconds=0), "greater than or equal to 1"),
        ("a shrinking backoff", tree(child(), backoff={"factor": 0}), "greater than or equal to 1"),
        ("more jitter than wait", tree(child(), backoff={"jitterPercent": 101}), "less than or equal to 100"),
        (
            "a failure rule of no exit code",
            tree(child(failurePolicy=[{"action": "Ignore", "onExitCodes": {"operator": "In", "values": []}}])),
            "should have at least 1 items",
        ),
        ("a label value with a space", tree(selecting(matchLabels={"app": "the db"})), "should match"),
    )
)
"""Refused by the schema, in the API server's words."""

REFUSALS = RULES + BOUNDS

ACCEPTED = {
    "the smallest tree": tree(child()),
    "intensity 0": tree(child(), intensity=0),
    "the longest name": tree(child(), name="a" * 63),
    "as many children as a tree may have": tree(*(child(f"c{n}") for n in range(256))),
    "a child tree of another name": tree(child("payments", "SupervisionTree")),
    "pods by every kind of label condition": tree(
        selecting(
            matchLabels={"app.kubernetes.io/name": "db", "tier": ""},
            matchExpressions=[
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "canary", "operator": "DoesNotExist"},
            ],
        )
    ),
    "every field": tree(
        child(
            "db",
            "StatefulSet",
            restart="Transient",
            shutdownSeconds=0,
            startTimeoutSeconds=300,
            notReadySeconds=120,
            minFailedPods="50%",
            replacement="OneByOne",
            afterCompletion="Rerun",
            significant=True,
            failurePolicy=[
                {"action": "Ignore", "onExitCodes": {**_EXIT_1, "containerName": "main"}},
                {"action": "Exhaust", "onPodConditions": _DISRUPTED},
            ],
        ),
        strategy="RestForOne",
        intensity=5,
        periodSeconds=600,
        ordering="Parallel",
        backoff={"initialSeconds": 0, "factor": 3, "maxSeconds": 60, "jitterPercent": 0},
        autoShutdown="AnySignificant",
        onExhausted="Hold",
        retryAfterSeconds=900,
        mode="Observe",
        suspend=True,
    ),
}
"""Manifests that are accepted, by what is special about them."""
