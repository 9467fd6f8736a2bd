"""The judgement about Jobs and bare Pods.

A Job retries its own pods, so that only its conditions tell of an end; its pods are looked at for starts that take too long.
A bare Pod is judged like any pod, and its deletion is an exit whoever deleted it: nobody makes another.
"""

from dataclasses import replace

from suptree.api.choices import FailureAction
from suptree.api.outcomes import Cause
from suptree.cluster.bare import Bare, uid_of
from suptree.cluster.causes import Exit, cause_of_deletion
from suptree.cluster.exits import Evidence, Judgement, judge, latest
from suptree.cluster.jobs import Job
from suptree.cluster.memory import DONE, FAILED, GONE, REMOVED, Replaced, Seen
from suptree.cluster.policy import matching
from suptree.cluster.views import Owner, Pod


def judge_bare(it: Evidence, bare: Bare) -> Judgement:
    """Judge a Job or bare Pod: each end, each late start, each zombie and each deletion at most once.

    Args:
        it: What there is to judge it by.
        bare: Its object.
    """
    seen = it.seen if it.seen is not None and it.seen.target == bare.target else None
    it = replace(it, seen=seen)
    if bare.object is None:
        return _absent(it, bare)
    return _job(it, bare, bare.object) if isinstance(bare.object, Job) else _pod(it, bare, bare.object)


def _absent(it: Evidence, bare: Bare) -> Judgement:
    seen = it.seen or Seen()
    if seen.object in it.replaced.uids:
        return Judgement(None, replace(seen, marks=seen.marks | {REMOVED}))
    if seen.marks:
        return Judgement(None, seen)
    if seen.object not in it.fresh:
        # Not seen yet, or not there any more? A watch that lags behind the status cannot tell.
        return Judgement(None, seen, confirm=(Owner(bare.kind, bare.name, seen.object),))
    ghost = next(iter(it.ghosts), None)
    found = Exit(cause_of_deletion(ghost) if ghost else Cause.DELETED, bare.name)
    return _put(it, Judgement(None, replace(seen, marks=frozenset({GONE}))), found, ghost)


def _job(it: Evidence, bare: Bare, job: Job) -> Judgement:
    marks = frozenset({DONE} if job.is_complete else {FAILED} if job.is_failed else ())
    if it.replaced.has(job):
        seen = it.seen or Seen()
        return Judgement(None, replace(seen, object=uid_of(bare), target=bare.target))
    pods = tuple(replace(pod, deaths=(), dead_restarts=-1) for pod in it.pods)
    found = judge(replace(it, pods=pods, workload=None, controllers={}, replaced=Replaced(), ghosts=()))
    was = _marks_before(it, bare)
    found = replace(found, seen=_memory(found.seen, bare, marks, job.generation))
    if it.seen is None or not marks - was:
        return found
    return _put(it, found, *_end_of(job, bare))


def _end_of(job: Job, bare: Bare) -> tuple[Exit, Pod | None]:
    """Return how a Job ended, with the last of its pods that failed."""
    if job.is_complete:
        return Exit(Cause.JOB_COMPLETE), None
    failed = [(pod, death) for pod in bare.pods for death in latest(pod) if death.exit_code]
    if not failed:
        return Exit(Cause.JOB_FAILED, message=job.message or None), None
    pod, death = max(failed, key=lambda one: (one[0].created, one[0].name))
    return Exit(Cause.JOB_FAILED, pod.name, death.container, death.exit_code, job.message or None), pod


def _pod(it: Evidence, bare: Bare, pod: Pod) -> Judgement:
    found = judge(replace(it, workload=None, controllers={}, ghosts=()))
    if it.replaced.has(pod):
        return replace(found, seen=_memory(found.seen, bare, frozenset({GONE} if pod.is_deleting else ())))
    was = _marks_before(it, bare)
    marks = frozenset({GONE} if pod.is_deleting else {DONE} if pod.is_success else {FAILED} if pod.is_over else ())
    # How it ends on its way out says nothing about it.
    found = replace(found, seen=_memory(found.seen, bare, was or marks if pod.is_deleting else marks))
    if it.seen is None or found.exit is not None:
        return found
    lost = Exit(cause_of_deletion(pod), pod.name)
    is_same = it.seen.object == uid_of(bare)
    if is_same and pod.is_deleting and not was:
        return _put(it, found, lost, pod)
    if not is_same and not it.seen.marks and it.seen.object not in it.replaced.uids:
        # Somebody deleted it and has made another one already.
        return _put(it, found, replace(lost, cause=Cause.DELETED), None)
    return found


def _marks_before(it: Evidence, bare: Bare) -> frozenset[str]:
    return it.seen.marks if it.seen is not None and it.seen.object == uid_of(bare) else frozenset()


def _memory(seen: Seen, bare: Bare, marks: frozenset[str], generation: int = 0) -> Seen:
    return replace(seen, object=uid_of(bare), target=bare.target, marks=marks, generation=generation)


def _put(it: Evidence, judgement: Judgement, found: Exit, pod: Pod | None) -> Judgement:
    """Return the judgement with that exit in it, as the child's own rules have it."""
    action, rule = matching(it.child, found, pod)
    found = replace(found, action=action, rule=rule)
    if action is FailureAction.IGNORE:
        return replace(judgement, without_effect=found)
    failed = (pod,) if pod is not None and pod.uid in {one.uid for one in it.pods} else ()
    return replace(judgement, exit=found, failed=failed)
