"""What a person can do about a start that gets nowhere, where Suptree can see why it may."""

from suptree.api.child import Child
from suptree.api.choices import Replacement
from suptree.api.model import from_time
from suptree.cluster.children import ChildView, ready_pods
from suptree.cluster.memory import Replaced

ADVISE_AFTER_SECONDS = 30
"""How long a start may take before there is advice about it."""


def in_turn(view: ChildView, child: Child) -> str:
    """Advise on a StatefulSet that may wait for itself; empty when it does not.

    With podManagementPolicy OrderedReady a pod is only made when the one before it is Ready. When all pods were replaced
    together and the first needs the others to become Ready, it never does (rabbitmq/cluster-operator #609).
    """
    top = view.workload
    is_whole = len(view.pods) >= view.desired or ready_pods(view, Replaced()) > 0
    if top is None or not top.starts_in_turn or is_whole or child.replacement is Replacement.ONE_BY_ONE:
        return ""
    return (
        f"StatefulSet {top.name} has podManagementPolicy OrderedReady, so its other pods are made only when the first is "
        f"Ready; if the first needs them for that, set replacement: OneByOne on child {child.name}, or "
        f"podManagementPolicy: Parallel on the StatefulSet"
    )


def by_name(view: ChildView) -> str:
    """Advise on a Job whose pods are found by labels; empty when there is none, or when it is complete."""
    if view.bare is not None or view.is_done or view.desired:
        return ""
    job = next((pod.owner.name for pod in view.pods if pod.owner is not None and pod.owner.kind == "Job"), "")
    if not job:
        return ""
    return (
        f"child {view.name} finds pods of Job {job} by their labels, so no order waits for the Job; name it in targetRef "
        f"instead, if it has no controller (needs recreate.enabled)"
    )


def advise_at(view: ChildView) -> float:
    """Return when a start has taken so long that advice is due (seconds since the epoch)."""
    return max((from_time(pod.created) for pod in view.pods), default=0) + ADVISE_AFTER_SECONDS
