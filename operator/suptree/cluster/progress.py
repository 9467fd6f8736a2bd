"""How far an operation is: the core's effects, answered from what is already so, and what is left to do about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from suptree.api.child import Child
from suptree.api.choices import Replacement
from suptree.cluster.bare import Bare, BareKind
from suptree.cluster.children import ChildView, is_nothing_to_start, is_up
from suptree.cluster.jobs import Job
from suptree.cluster.memory import Replaced, short_uid
from suptree.cluster.record import Work
from suptree.cluster.situation import Create, Delete, Release, Remove, Target
from suptree.cluster.views import Pod
from suptree.core import effects as do
from suptree.core import events
from suptree.core.spec import Ordering, Supervisor
from suptree.core.state import Kind, Life, State


def target_of(child: str, bare: Bare) -> Target:
    """Return the object that a child is."""
    return Target(child, str(bare.kind), bare.name)


STUCK_AFTER_SECONDS = 30
"""How long after its grace period a pod may take to go before it is called stuck."""


@dataclass(frozen=True)
class Progress:
    """The operation under way, held against the cluster."""

    sup: Supervisor
    state: State
    work: Work
    views: Mapping[str, ChildView]
    children: Mapping[str, Child]
    """As the spec has them."""
    now: float
    jitter: float
    is_acting: bool
    """False: mode Observe. Everything is taken as done, and nothing is done."""
    is_gated: bool
    """Whether new pods wait for the tree."""
    may_go: bool = True
    """Whether the restart has, or would get, a place among those of the cluster."""

    @property
    def is_queued(self) -> bool:
        """Whether the restart waits for its turn, and for nothing else."""
        return any(isinstance(it, do.Wait) and self.now >= it.until for it in self.effects) and not self.may_go

    # Each of hundreds of children asks for these.

    @cached_property
    def effects(self) -> tuple[do.Effect, ...]:
        """What the core wants done now."""
        return do.effects(self.sup, self.state)

    def answers(self) -> list[events.Event]:
        """Return what can be told the core already."""
        return [answer for effect in self.effects if (answer := self._answer(effect)) is not None]

    def _answer(self, effect: do.Effect) -> events.Event | None:
        match effect:
            case do.Wait(until) if self.now >= until and self.may_go:
                return events.Due(self.now)
            case do.Attempt(name):
                return events.Retry(name, self.now, jitter=self.jitter)
            case do.Stop(name) if not self.is_acting or self._has_stopped(name):
                return events.Stopped(name)
            case do.Start(name) if self._is_finished(name):
                return events.Done(name)
            case do.Start(name) if not self.is_acting or self._has_started(name):
                return events.Started(name)
        return None

    def replaced(self, name: str) -> Replaced:
        """Return the pods of a child that the operation replaces."""
        return self.work.replaced.get(name, Replaced())

    def _left(self, name: str) -> list[Pod]:
        mine = self.replaced(name)
        if not mine.uids:
            return []
        bare = self.views[name].bare
        if bare is not None and bare.kind is BareKind.JOB:
            pods = (*bare.pods, *bare.leftovers)
            return [pod for pod in pods if pod.owner is not None and short_uid(pod.owner.uid) in mine.uids]
        return [pod for pod in self.views[name].pods if mine.has(pod)]

    def _is_object_left(self, name: str) -> bool:
        bare = self.views[name].bare
        return bare is not None and bare.object is not None and self.replaced(name).has(bare.object)

    def _is_finished(self, name: str) -> bool:
        bare = self.views[name].bare
        return bare is not None and bare.is_finished_besides(self.replaced(name))

    def _has_stopped(self, name: str) -> bool:
        if self._goes_one_by_one(name):
            return True  # Its pods are replaced where it stands in the start order.
        tree = self.views[name].tree
        if self._is_object_left(name):
            return False
        return not self._left(name) and (tree is None or not tree.is_acting or tree.is_down)

    def _goes_one_by_one(self, name: str) -> bool:
        op = self.state.operation
        is_restart = op is not None and op.kind is Kind.RESTART
        if self.views[name].bare is not None:
            return False  # There is only one.
        return is_restart and self.children[name].replacement is Replacement.ONE_BY_ONE

    def _has_started(self, name: str) -> bool:
        view, op = self.views[name], self.state.operation
        if view.tree is not None and op is not None and view.tree.is_acting and view.tree.incarnation != op.id:
            return False
        if is_nothing_to_start(view):
            return True
        return is_up(view, self.replaced(name)) and not self._left(name) and not self._is_object_left(name)

    @cached_property
    def being_stopped(self) -> tuple[str, ...]:
        """The children that are being stopped now."""
        return tuple(effect.child for effect in self.effects if isinstance(effect, do.Stop))

    @cached_property
    def being_started(self) -> tuple[str, ...]:
        """The children that are being started now."""
        return tuple(effect.child for effect in self.effects if isinstance(effect, do.Start))

    def is_held(self, name: str) -> bool:
        """Tell whether new pods of the child must wait."""
        op = self.state.operation
        if not self.is_gated or name in self.being_started:
            return False
        if do.is_under_way(op, name) and op is not None and op.until is None:
            # A Parallel restart never holds: what comes back is started.
            return self.sup.ordering is not Ordering.PARALLEL or op.kind is not Kind.RESTART
        return self.state.life(name) in {Life.STOPPED, Life.REMOVED}

    def deletes(self) -> Iterable[Delete]:
        """Return the pods to delete, each with its child's grace period."""
        for name in (*self.being_stopped, *self.being_started) if self.is_acting else ():
            bare, grace = self.views[name].bare, self.children[name].shutdown_seconds
            if bare is not None:
                yield from self._deletes_of_job(bare, name, grace)
                continue
            for pod in self._next(name) if self._goes_one_by_one(name) else self._left(name):
                if not pod.is_deleting:
                    yield Delete(pod, grace)

    def _deletes_of_job(self, bare: Bare, name: str, grace: int | None) -> Iterable[Delete]:
        """Return the pods that a Job left behind: the garbage collector deletes them too, but knows no grace of ours."""
        if bare.kind is BareKind.JOB and not self._is_object_left(name):
            yield from (Delete(pod, grace) for pod in self._left(name) if not pod.is_deleting or grace is not None)

    def removals(self) -> Iterable[Remove]:
        """Return the Jobs and bare Pods to delete, each with its child's grace period."""
        for name in (*self.being_stopped, *self.being_started) if self.is_acting else ():
            bare = self.views[name].bare
            if bare is None or bare.object is None or bare.object.is_deleting or not self._is_object_left(name):
                continue
            yield Remove(target_of(name, bare), bare.object.uid, self.children[name].shutdown_seconds)

    def creations(self) -> Iterable[Create]:
        """Return the Jobs and bare Pods to create: it is their turn to start, and they are not there."""
        op = self.state.operation
        for name in self.being_started if self.is_acting and op is not None else ():
            bare = self.views[name].bare
            if bare is not None and bare.object is None and not self._left(name) and not bare.has_leftovers:
                yield Create(target_of(name, bare), op.id if op is not None else 0)

    def _next(self, name: str) -> list[Pod]:
        """Return the one pod of a child that goes one by one: the next when all the others are Ready.

        A pod that is not Ready anyway goes first; then the last in the alphabet, as a StatefulSet's update does.
        """
        view, left = self.views[name], self._left(name)
        failed = [pod for pod in left if not pod.is_ready]
        new_ready = sum(pod.is_ready and not pod.is_deleting for pod in view.pods if not self.replaced(name).has(pod))
        gone = view.desired - len(left)
        if any(pod.is_deleting for pod in view.pods) or new_ready < gone or name not in self.being_started:
            return []
        return sorted(failed or left, key=lambda pod: pod.name)[-1:]

    def held(self) -> Iterable[tuple[str, Pod]]:
        """Return the pods that wait, each with its child."""
        for name, view in self.views.items():
            if self.is_held(name):
                yield from ((name, pod) for pod in view.pods if pod.is_held)

    def releases(self) -> Iterable[Release]:
        """Return the pods to let go: those whose turn it is, and those that nothing keeps."""
        op = self.state.operation
        for name, view in self.views.items():
            if not self.is_held(name):
                stamp = op.id if op is not None else self.state.serial
                yield from (Release(pod, stamp) for pod in view.pods if pod.is_held)

    def _going(self) -> list[Pod | Job]:
        """Return the pods and Jobs that are to be gone, each once."""
        found: list[Pod | Job] = []
        for name in self.being_stopped:
            bare = self.views[name].bare
            found += self._left(name)
            found += [bare.job] if bare is not None and bare.job is not None and self._is_object_left(name) else []
        return [it for it in found if it.deletes_at is not None]

    def stuck(self) -> list[Pod | Job]:
        """Return the pods and Jobs that should be gone by now."""
        return [it for it in self._going() if self.now > (it.deletes_at or 0) + STUCK_AFTER_SECONDS]

    def deadlines(self) -> list[float]:
        """Return when the operation has to be looked at again though nothing has happened."""
        waits = [effect.until for effect in self.effects if isinstance(effect, do.Wait)]
        return waits + [(it.deletes_at or 0) + STUCK_AFTER_SECONDS + 1 for it in self._going()]
