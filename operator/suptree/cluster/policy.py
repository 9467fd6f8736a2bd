"""A child's own rules about its exits: `failurePolicy`, first match wins, and how many pods must have failed."""

from collections.abc import Mapping
from math import ceil

from suptree.api.child import Child, FailureRule, OnExitCodes
from suptree.api.choices import ExitCodeOperator, FailureAction
from suptree.cluster.causes import Exit
from suptree.cluster.views import Pod


def matching(child: Child, found: Exit, pod: Pod | None) -> tuple[FailureAction | None, str]:
    """Return what the child's rules say about an exit, and which rule it was; None when no rule matches."""
    for at, rule in enumerate(child.failure_policy or ()):
        if _matches(rule, found, pod):
            return rule.action, f"failurePolicy[{at}]"
    return None, "Default"


def _matches(rule: FailureRule, found: Exit, pod: Pod | None) -> bool:
    if rule.on_exit_codes is not None:
        return _matches_codes(rule.on_exit_codes, found)
    conditions: Mapping[str, str] = dict(pod.conditions) if pod is not None else {}
    return any(conditions.get(it.type) == it.status for it in rule.on_pod_conditions or ())


def _matches_codes(rule: OnExitCodes, found: Exit) -> bool:
    if found.exit_code is None or (rule.container_name is not None and rule.container_name != found.container):
        return False
    if rule.operator is ExitCodeOperator.IN:
        return found.exit_code in rule.values
    # As in a Job: a container that ended well is never matched by what it is not.
    return found.exit_code != 0 and found.exit_code not in rule.values


def failed_pods_needed(child: Child, desired: int) -> int:
    """Return how many pods must have failed for the child to have failed: a percentage is of the desired pods."""
    value = child.min_failed_pods
    if isinstance(value, int):
        return value
    return max(1, ceil(desired * int(value.removesuffix("%")) / 100))
