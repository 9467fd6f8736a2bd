"""Jobs and bare Pods: objects that nobody makes again when they are gone, unless the tree does.

What such a child is doing is told by the object and, when that is not there, by what was remembered of it: a Job that its
TTL removed is complete all the same, and one that the tree has stopped is to be created again.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from suptree.api.child import Child, LabelSelector, TargetRef
from suptree.api.choices import AfterCompletion, RestartType
from suptree.api.outcomes import Cause, State
from suptree.cluster.causes import IN_PLACE, Exit
from suptree.cluster.jobs import Job, selector_by_name
from suptree.cluster.labels import selector_of
from suptree.cluster.manifest import pod_labels
from suptree.cluster.memory import DONE, FAILED, REMOVED, Replaced, Seen, short_uid
from suptree.cluster.views import Pod


class BareKind(StrEnum):
    """The kinds of objects that the tree creates again."""

    JOB = "Job"
    POD = "Pod"


@dataclass(frozen=True, slots=True)
class Bare:
    """The Job or bare Pod that a child is."""

    kind: BareKind
    name: str
    object: Job | Pod | None
    """None: it is not there."""
    restart: RestartType
    keeps: bool
    """Whether it is not run again when it has ended well."""
    pods: tuple[Pod, ...] = ()
    leftovers: tuple[Pod, ...] = ()
    """Pods of earlier Jobs of that name, which are on their way out."""
    seen: Seen | None = None
    """What was remembered of it, while it is not there."""
    last: Job | None = None
    """What a Job that is gone looked like at last."""
    refusal: str = ""
    """Why the API server would not create it."""
    is_unmade: bool = False
    """Whether it is to be created, and the manifest that was kept of it is gone."""

    @property
    def target(self) -> str:
        """Kind and name."""
        return f"{self.kind}/{self.name}"

    @property
    def job(self) -> Job | None:
        """The Job, if it is one and is there."""
        return self.object if isinstance(self.object, Job) else None

    @property
    def is_done(self) -> bool:
        """Whether it has ended well; one that is not there, when it is remembered so."""
        if isinstance(self.object, Job):
            return self.object.is_complete
        if self.object is not None:
            return self.object.is_success
        return self.seen is not None and DONE in self.seen.marks

    @property
    def has_failed(self) -> bool:
        """Whether it is there and has failed for good."""
        if isinstance(self.object, Job):
            return self.object.is_failed
        return self.object is not None and self.object.is_over and not self.object.is_success

    @property
    def has_leftovers(self) -> bool:
        """Whether pods of earlier Jobs of that name still run; whoever deleted these, they are on their way out."""
        return any(not pod.is_over for pod in self.leftovers)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self.is_done or self.has_failed

    @property
    def is_suspended(self) -> bool:
        """Whether it is a Job that somebody has suspended, and that has not ended."""
        return self.job is not None and self.job.is_suspended and not self.has_ended

    @property
    def is_finished(self) -> bool:
        """Whether its work is done for good: it ended well and is not to be run again."""
        return self.is_done and self.keeps

    def is_ours(self, replaced: Replaced) -> bool:
        """Tell whether it is not there because the tree has removed it."""
        if self.object is not None or self.seen is None:
            return False
        return self.seen.object in replaced.uids or REMOVED in self.seen.marks

    def is_finished_besides(self, replaced: Replaced) -> bool:
        """Tell whether its work is done for good, by an object that is not being replaced."""
        if self.object is None:
            return self.is_finished and self.seen is not None and self.seen.object not in replaced.uids
        return self.is_finished and not replaced.has(self.object)

    def ready_pods(self, replaced: Replaced) -> int:
        """Count the Ready pods of a Job that is to stay."""
        if self.object is None or replaced.has(self.object):
            return 0
        return sum(pod.is_ready and not pod.is_deleting for pod in self.pods)

    def is_up(self, replaced: Replaced) -> bool:
        """Tell whether it has started: a Job that may end when it is complete, any other when its pods are Ready."""
        job = self.job
        if job is None or replaced.has(job):
            return self.ready_pods(replaced) > 0
        if self.restart is not RestartType.PERMANENT:
            return job.is_complete
        wanted = max(1, job.pods_wanted)
        return not job.is_complete and not job.is_failed and self.ready_pods(replaced) >= wanted

    @property
    def runs(self) -> bool:
        """Tell whether it runs, so that its next end is news."""
        return not self.has_ended and self.ready_pods(Replaced()) > 0

    def to_replace(self, *, spares_fresh: bool) -> tuple[Job | Pod, ...]:
        """Return the object if a restart has to replace it, as opposed to one that is finished, held, or fresh already."""
        found = self.object
        if found is None or self.is_finished or self.is_suspended:
            return ()
        if not self.has_ended and self.pods and all(pod.is_gated for pod in self.pods):
            return ()
        has_begun = self.has_ended or (self.job is not None and self.job.has_begun)
        is_fresh = not has_begun and all(pod.is_fresh for pod in self.pods)
        return () if is_fresh and spares_fresh else (found,)

    def comes_back(self, found: Exit) -> bool:
        """Tell whether the kubelet, or whoever deleted it, brings a bare Pod back by itself after that exit."""
        pod = self.object
        if not isinstance(pod, Pod) or found.cause not in IN_PLACE or pod.is_deleting or pod.is_over:
            return False
        if found.cause is Cause.DELETED:
            return True  # Another one of its name is there already.
        ended_well = found.cause is Cause.COMPLETED
        restarts = pod.restart_policy == "Always" or (pod.restart_policy == "OnFailure" and not ended_well)
        return restarts and found.cause is not Cause.DISRUPTED

    def state(self, was: State | None) -> State | None:
        """Say what it is doing; None when its pods tell."""
        if self.is_done:
            return State.DOWN if self.restart is RestartType.PERMANENT else State.COMPLETED
        if self.object is None:
            return State.DOWN if self.seen is not None and FAILED in self.seen.marks else State.MISSING
        if self.is_suspended or self.has_failed:
            return State.SUSPENDED if self.is_suspended else State.DOWN
        if self.job is None or any(pod.obstacle for pod in self.pods):
            return None
        stays_up = was is State.UP and self.ready_pods(Replaced()) > 0
        return State.UP if stays_up or self.is_up(Replaced()) else State.STARTING


class Objects(Protocol):
    """What is known of one namespace."""

    def job(self, name: str) -> Job | None:
        """Return the Job of that name, if it exists."""

    def pod(self, name: str) -> Pod | None:
        """Return the pod of that name, if it exists."""

    def pods_of_job(self, name: str, selector: LabelSelector) -> tuple[Pod, ...]:
        """Return the pods that a Job of that name has made."""


def find(child: Child, ref: TargetRef, was: LabelSelector | None, world: Objects) -> tuple[Bare, LabelSelector | None]:
    """Find a child's object, and the labels by which its new pods are found.

    Args:
        child: The child.
        ref: Its target.
        was: The labels by which they were found before.
        world: The namespace.
    """
    keeps = child.restart is not RestartType.PERMANENT and child.after_completion is AfterCompletion.KEEP
    if ref.kind == BareKind.POD:
        pod = world.pod(ref.name)
        labels = pod_labels(pod.labels) if pod is not None else {}
        selector = LabelSelector(match_labels=labels) if labels else (was if pod is None else None)
        pods = (pod,) if pod is not None else ()
        return Bare(BareKind.POD, ref.name, pod, child.restart, keeps, pods), selector
    job = world.job(ref.name)
    selector = selector_of(job.selector) if job is not None else was or selector_of(selector_by_name(ref.name))
    found = world.pods_of_job(ref.name, selector)
    mine = tuple(pod for pod in found if job is not None and pod.owner is not None and pod.owner.uid == job.uid)
    others = tuple(pod for pod in found if pod not in mine)
    return Bare(BareKind.JOB, ref.name, job, child.restart, keeps, mine, others), selector


def remembering(bare: Bare, seen: Seen | None, replaced: Replaced, fresh: frozenset[str]) -> Bare | None:
    """Return the child with what is remembered of it; None when it does not exist, as far as the tree is concerned.

    A Job that is gone before its end was removed by its owner, as a Deployment may be; one that has ended, or that the tree
    is replacing, is only not there. One that its TTL removed as soon as it had ended is looked at once more, as it was at
    last. Of a bare Pod nothing but its first sight is needed.

    Args:
        bare: The object as it is.
        seen: What was remembered.
        replaced: What the operation under way replaces.
        fresh: Objects that were read after the others were, by short UID.
    """
    if seen is not None and seen.target != bare.target:
        seen = None
    if bare.object is not None:
        return replace(bare, seen=seen)
    if seen is None:
        return None
    if _ended_unseen(bare, seen, replaced):
        return replace(bare, object=bare.last, seen=seen)
    is_ours = seen.object in replaced.uids or bool(seen.marks & {DONE, FAILED, REMOVED})
    if bare.kind is BareKind.JOB and not is_ours and seen.object in fresh:
        return None
    return replace(bare, seen=seen)


def _ended_unseen(bare: Bare, seen: Seen, replaced: Replaced) -> bool:
    """Tell whether it was removed after an end that nobody has judged yet."""
    last = bare.last
    if last is None or not (last.is_complete or last.is_failed):
        return False
    return short_uid(last.uid) == seen.object and not seen.marks and seen.object not in replaced.uids


def uid_of(bare: Bare) -> str:
    """Return the short UID of the object that is there; empty when none is."""
    return short_uid(bare.object.uid) if bare.object is not None else ""
