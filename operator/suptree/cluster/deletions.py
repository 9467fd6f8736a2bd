"""Pods that are gone or going: a deletion says nothing by itself. It is an exit when the pod's controller did not want it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from suptree.api.outcomes import Cause
from suptree.cluster.causes import Exit, cause_of_deletion
from suptree.cluster.memory import GONE, MAX_PODS_BY_NAME, Replaced, Seen, short_uid
from suptree.cluster.views import Owner, Pod, Workload


def was_down(pods: Sequence[Pod], seen: Seen, replaced: Replaced, gone: Pod) -> bool:
    """Tell whether the child is down, or was when that pod ended: pods that have come to be Ready since did so afterwards.

    What was Ready when last looked at, and is, stood all the time. Of a large child not all pods are remembered: there
    only their age tells which of them came since.
    """
    is_large = len(pods) > MAX_PODS_BY_NAME

    def stood(it: Pod) -> bool:
        known = seen.of(it)
        return (is_large or (known is not None and known.was_ready)) and not _came_after(it, gone, seen)

    # What is cheap to ask comes first, and one that stood is enough: this is asked for each of thousands of pods.
    return not any(it.is_ready and not it.is_deleting and not replaced.has(it) and stood(it) for it in pods)


def _came_after(it: Pod, gone: Pod, seen: Seen) -> bool:
    """Tell whether a pod was created after the deletion of another one: it is the heir, and stood by nobody.

    Watched pods are not seen in the order of what happened to them, so the heir may be remembered before the deletion is
    seen. Both times are whole seconds: within the same one, a pod that is remembered as Ready was there before.
    """
    if not gone.deleted or it.created < gone.deleted:
        return False
    known = seen.of(it)
    return it.created > gone.deleted or known is None or not known.was_ready


@dataclass
class Deletions:
    """Judges the deletions of one child's pods; `exits` fills in what is still open and whom to ask."""

    pods: Sequence[Pod]
    ghosts: Sequence[Pod]
    seen: Seen
    replaced: Replaced
    workload: Workload | None
    controllers: Mapping[str, Workload]
    fresh: frozenset[str]
    is_same: bool = True
    """Whether the child's workload has the generation that is remembered."""
    has_dipped: bool = False
    """Whether it may have wanted no pods of late: scaled to 0 and back, it looks as if it had always wanted them."""
    open: set[str] = field(default_factory=set)
    """Short UIDs of pods that are gone or going and about which nothing can be said yet."""
    confirm: dict[str, Owner] = field(default_factory=dict)
    """Controllers to be read afresh."""

    def exits(self) -> list[tuple[Pod | None, Exit]]:
        """Return the exits, each with its pod where it is known."""
        found = [(pod, exit_) for pod in self._candidates() if (exit_ := self._judge(pod))]
        return [*found] or self._vanished_unseen()

    def _candidates(self) -> list[Pod]:
        """Return the pods that were there, are to go or gone, and were not judged."""
        going = [pod for pod in self.pods if pod.is_deleting]
        return [
            pod
            for pod in (*going, *self.ghosts)
            if self.seen.of(pod) is not None and not self.seen.judged(pod, GONE) and not self.replaced.has(pod)
        ]

    def _judge(self, pod: Pod) -> Exit | None:
        if not was_down(self.pods, self.seen, self.replaced, pod):
            return None
        wanted = self._was_wanted(pod)
        if wanted is None:
            self.open.add(short_uid(pod.uid))
        cause = cause_of_deletion(pod)
        if wanted is not False or (cause is Cause.DELETED and self.has_dipped):
            return None
        return Exit(cause, pod.name)

    def _was_wanted(self, pod: Pod) -> bool | None:
        """Tell whether the pod's controller has no use for it; None while that cannot be told."""
        controller = self.controllers.get(pod.owner.uid) if pod.owner else None
        if pod.owner is None or controller is None or controller.is_deleting:
            return True
        top = self.workload
        if top is not None and top.uid not in self.fresh:
            self.confirm[top.uid] = Owner(top.kind, top.name, top.uid)
        if controller.uid not in self.fresh:
            self.confirm[controller.uid] = pod.owner
        if self.confirm:
            return None
        return _WANTED[controller.kind](pod, controller, self.pods, self.seen)

    def _vanished_unseen(self) -> list[tuple[Pod | None, Exit]]:
        """Judge the pods that went while nobody watched: all that is left of them is a short UID.

        Only when all remembered pods are gone was the child down for certain, and only when the workload's generation
        is the same did nobody scale it or roll it out. Of large children not all pods are remembered.
        """
        workload = self.workload
        known = {uid for uid, it in self.seen.pods.items() if GONE not in it.deaths}
        present = {short_uid(pod.uid) for pod in (*self.pods, *self.ghosts)}
        if not known or known & present or known <= self.replaced.uids or len(self.pods) > MAX_PODS_BY_NAME:
            return []
        if workload is None or workload.replicas == 0 or workload.is_deleting:
            return []
        if not self.is_same:
            return []
        if workload.uid not in self.fresh:
            # Not seen yet, or not there any more? A watch that lags behind the status cannot tell.
            self.confirm[workload.uid] = Owner(workload.kind, workload.name, workload.uid)
            self.open |= known
            return []
        return [(None, Exit(Cause.DELETED, message="its pods were replaced while nobody watched"))]


def _survivors(pod: Pod, pods: Sequence[Pod], seen: Seen) -> int:
    """Count the controller's pods that it had beside the one that goes; what it made since does not count."""
    mates = [it for it in pods if it.owner == pod.owner and it.uid != pod.uid]
    return sum(not it.is_deleting and seen.of(it) is not None and not _came_after(it, pod, seen) for it in mates)


def _wanted_by_replica_set(pod: Pod, controller: Workload, pods: Sequence[Pod], seen: Seen) -> bool | None:
    return _survivors(pod, pods, seen) >= controller.replicas


def _wanted_by_stateful_set(pod: Pod, controller: Workload, _pods: Sequence[Pod], _seen: Seen) -> bool | None:
    ordinal = pod.name.rpartition("-")[2]
    if ordinal.isdigit() and int(ordinal) >= controller.first_ordinal + controller.replicas:
        return True
    if controller.observed_generation < controller.generation:
        return None
    return bool(controller.update_revision) and pod.revision != controller.update_revision


def _wanted_by_daemon_set(pod: Pod, controller: Workload, pods: Sequence[Pod], seen: Seen) -> bool | None:
    """A DaemonSet does not say its current revision: what it puts in the pod's place does."""
    if controller.replicas == 0:
        return True
    mates = [it for it in pods if it.owner == pod.owner and not it.is_deleting]
    heirs = [it for it in mates if seen.of(it) is None or _came_after(it, pod, seen)]
    return all(it.revision != pod.revision for it in heirs) if heirs else None


_WANTED: dict[str, Callable[[Pod, Workload, Sequence[Pod], Seen], bool | None]] = {
    "ReplicaSet": _wanted_by_replica_set,
    "StatefulSet": _wanted_by_stateful_set,
    "DaemonSet": _wanted_by_daemon_set,
}
