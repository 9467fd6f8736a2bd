"""Whether the gate policy is in force, told by the pods that were made while it should have been.

The policy can be installed and do nothing all the same: its parameters are not read any more (kubernetes/kubernetes#130887),
its namespace is left out. But it marks each pod that it looks at, and the mark stays when the gate is lifted. So the
youngest pods tell: one without the mark, made a while after the index asked for it, was not held either.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from suptree.api.child import LabelSelector
from suptree.api.model import from_time, to_time
from suptree.api.reasons import TREE_LABEL
from suptree.cluster.children import ChildView
from suptree.cluster.labels import matches
from suptree.cluster.views import Pod, Workload

LAG_SECONDS = 5
"""How long a change of the index or the policy may take to be in force: usually milliseconds, at most about a second."""


def after_lag(time: str) -> str:
    """Return the time from which on a change has been in force, in whole seconds, as pods say when they were created."""
    return f"{to_time(from_time(time) + LAG_SECONDS)[:19]}Z"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the pods of a namespace tell. Times are those of their creation, by the API server's clock."""

    marked: str = ""
    """When the youngest pod was created that the policy has marked; empty: none is known."""
    unmarked: str = ""
    """When the youngest was created that it should have marked and has not."""
    pod: str = ""
    """The name of that one; empty when it is not remembered."""

    @property
    def is_against(self) -> bool:
        """Whether the policy is not in force: until a pod is marked that is clearly younger than the last that was not."""
        return bool(self.unmarked) and self.marked <= after_lag(self.unmarked)

    def __or__(self, other: "Evidence") -> "Evidence":
        """Return what both tell together."""
        last = max(self, other, key=lambda it: it.unmarked)
        return Evidence(max(self.marked, other.marked), last.unmarked, last.pod)


def evidence(
    views: Iterable[ChildView],
    indexed: Collection[LabelSelector],
    controllers: Mapping[str, Workload],
    since: str,
) -> Evidence:
    """Return what the pods of a tree's children tell.

    Args:
        views: The children.
        indexed: The selectors that the index has of them.
        controllers: The workloads, by UID.
        since: The time from which on each new pod should have been marked.
    """
    found = Evidence()
    for view in views:
        young = [pod for pod in view.pods if pod.created > since]
        if not young or view.selector is None or view.selector not in indexed:
            continue
        for pod in young:
            if _had_its_labels(pod, view.selector, controllers):
                is_marked = TREE_LABEL in pod.labels
                found |= Evidence(marked=pod.created) if is_marked else Evidence("", pod.created, pod.name)
    return found


def _had_its_labels(pod: Pod, selector: LabelSelector, controllers: Mapping[str, Workload]) -> bool:
    """Tell whether a pod was created with the labels by which it is found, and without the mark.

    Its controller's template says so. A label that somebody has put on a pod later is none that the policy could have seen.
    """
    controller = controllers.get(pod.owner.uid) if pod.owner is not None else None
    if controller is None or TREE_LABEL in controller.template_labels:
        return False
    return matches(selector, controller.template_labels)
