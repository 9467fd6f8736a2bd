"""Selectors, and the index in which the gate policy finds the tree of a pod.

The index of a namespace is one ConfigMap: label pair -> the trees whose children are found by it, each with the whole
selector, which the policy checks. Its format is docs/design/gate.md; the policy in the chart is its other half.
"""

from collections.abc import Callable, Iterable, Mapping

from suptree.api.child import LabelRequirement, LabelSelector
from suptree.api.choices import LabelOperator
from suptree.cluster.views import Raw

INDEX_NAME = "suptree-index"
INDEX_LABEL = "suptree.dev/index"
"""By which the policy finds the index."""
ANY = "_"
"""The key for selectors that no label pair stands for."""
_MAX_KEY = 253

Labels = Mapping[str, str]
Pair = tuple[str, str]

_MATCHES: dict[LabelOperator, Callable[[Labels, LabelRequirement], bool]] = {
    LabelOperator.IN: lambda labels, it: labels.get(it.key) in (it.values or ()),
    LabelOperator.NOT_IN: lambda labels, it: labels.get(it.key) not in (it.values or ()),
    LabelOperator.EXISTS: lambda labels, it: it.key in labels,
    LabelOperator.DOES_NOT_EXIST: lambda labels, it: it.key not in labels,
}


def selector_of(raw: Raw) -> LabelSelector:
    """Return the selector of a workload.

    Raises:
        pydantic.ValidationError: It is not a label selector.
    """
    return LabelSelector.model_validate({key: raw[key] for key in ("matchLabels", "matchExpressions") if raw.get(key)})


def matches(selector: LabelSelector, labels: Labels) -> bool:
    """Tell whether a pod with these labels is selected. An empty selector selects nothing here."""
    pairs, expressions = selector.match_labels or {}, selector.match_expressions or ()
    if not pairs and not expressions:
        return False
    return all(labels.get(key) == value for key, value in pairs.items()) and all(
        _MATCHES[it.operator](labels, it) for it in expressions
    )


def pairs_of(selector: LabelSelector) -> tuple[Pair, ...]:
    """Return label pairs of which every selected pod has at least one; none if no pair stands for the selector."""
    if selector.match_labels:
        # The last in the alphabet: 'app.kubernetes.io/name' tells more pods apart than 'app.kubernetes.io/instance'.
        return (max(selector.match_labels.items()),)
    for it in selector.match_expressions or ():
        if it.operator is LabelOperator.IN:
            return tuple((it.key, value) for value in it.values or ())
    return ()


def key_of(pair: Pair) -> str:
    """Return the index key of a label pair; a pair too long for a key is found under `ANY`."""
    key = f"{pair[0].replace('/', '_')}.{pair[1]}"
    return key if len(key) <= _MAX_KEY else ANY


def requirements(selector: LabelSelector) -> str:
    """Write the whole selector as the policy reads it: `k=v|w`, `k!v|w`, `k` (exists), `!k` (does not exist)."""
    parts = [f"{key}={value}" for key, value in (selector.match_labels or {}).items()]
    for it in selector.match_expressions or ():
        values = "|".join(it.values or ())
        parts.append(
            {
                LabelOperator.IN: f"{it.key}={values}",
                LabelOperator.NOT_IN: f"{it.key}!{values}",
                LabelOperator.EXISTS: it.key,
                LabelOperator.DOES_NOT_EXIST: f"!{it.key}",
            }[it.operator]
        )
    return ",".join(sorted(parts))


def index(entries: Iterable[tuple[str, bool, LabelSelector]]) -> dict[str, str]:
    """Return the data of a namespace's index.

    Args:
        entries: For each child of each tree: the tree's name, whether its new pods are gated, and its selector.
    """
    data: dict[str, set[str]] = {}
    for tree, is_gated, selector in entries:
        line = f"{tree} {'hold' if is_gated else 'mark'} {requirements(selector)}"
        for key in {key_of(pair) for pair in pairs_of(selector)} or {ANY}:
            data.setdefault(key, set()).add(line)
    return {key: "\n".join(sorted(lines)) for key, lines in sorted(data.items())}
