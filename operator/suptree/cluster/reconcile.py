"""One decision about one tree, from the whole current state. Pure: the same situation always gives the same plan.

The order is the contract: exits are judged, the core decides, the operation moves on as far as the cluster already is,
and only then is it said what to persist and, after that, what to do.
"""

from collections.abc import Iterable
from dataclasses import replace

from suptree.api.choices import FailureAction, RestartType
from suptree.api.model import from_time, to_time
from suptree.api.outcomes import Cause
from suptree.api.reasons import EventType, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import LastExit, SupervisionTreeStatus
from suptree.cluster import narrate, record, report
from suptree.cluster.advice import advise_at, in_turn
from suptree.cluster.bare_exits import judge_bare
from suptree.cluster.causes import IN_PLACE, Exit
from suptree.cluster.children import ChildView, is_nothing_ready, is_up, replaced_in, settled
from suptree.cluster.draft import Draft
from suptree.cluster.exits import Evidence, Judgement, judge, judge_tree
from suptree.cluster.jobs import Job
from suptree.cluster.labels import matches
from suptree.cluster.memory import MAX_PODS_BY_NAME, Replaced, decode, encode, without
from suptree.cluster.orders import obey, reset
from suptree.cluster.progress import Progress, target_of
from suptree.cluster.situation import Create, Notice, Plan, Release, Save, Situation
from suptree.cluster.views import Owner, Pod
from suptree.core import budget, events
from suptree.core.effects import is_starting, is_under_way
from suptree.core.spec import Strategy
from suptree.core.state import Life
from suptree.core.strategy import slice_of

_TEXT_CHARACTERS = 8_000
"""How much the children of one tree may keep of what their containers said, all together; 200 characters is the most for one."""
_TELL_HELD_AFTER_SECONDS = 30
"""How long a pod may be held before it gets an Event."""


def decide(it: Situation) -> Plan:
    """Decide what to persist about a tree, and what then to do."""
    tree = it.tree
    is_mine = tree.status.uid == tree.uid
    it = replace(it, children=settled(it.children, tree.status if is_mine else SupervisionTreeStatus(), it.fresh))
    strays = tuple(Release(pod, None) for pod in it.strays)
    gated = strays + tuple(Release(pod, None) for view in it.children for pod in view.pods if pod.is_held)
    if tree.is_deleting or it.is_namespace_going:
        return Plan(tree.status, releases=gated)
    # A restored tree (status of another UID) starts afresh: nothing that the old one left undone is done now.
    before = tree.status if is_mine else SupervisionTreeStatus(uid=tree.uid, reset=tree.reset)
    if tree.spec is None or tree.refusal is not None or tree.spec.suspend:
        return Plan(report.hands_off(it, before), releases=gated, creations=tuple(_left_undone(it, before)))
    return _Decision(it, tree.spec, before).plan()


def _left_undone(it: Situation, before: SupervisionTreeStatus) -> Iterable[Create]:
    """Return the Jobs and bare Pods that the tree has removed: nobody else makes them again, so they are not kept waiting."""
    for view in it.children if it.tree.refusal is None else ():
        if view.bare is not None and view.bare.is_ours(replaced_in(before, view.name)):
            yield Create(target_of(view.name, view.bare), before.serial or 0)


class _Decision(Draft):
    """The making of one plan; nothing of it outlives `plan`."""

    def __init__(self, it: Situation, spec: SupervisionTreeSpec, before: SupervisionTreeStatus) -> None:
        super().__init__(it, spec, before)
        self.last_exits: dict[str, LastExit] = {}
        self.seen: dict[str, str | None] = {}
        self.confirm: list[Owner] = []
        self.deadlines: list[float] = []

    def plan(self) -> Plan:
        """Make the plan."""
        self._forget_the_old()
        obey(self)
        reset(self)
        for child in self.spec.children:
            self._judge(self.views[child.name])
        self._move_on()
        self._shrink()
        progress = self.progress()
        return Plan(
            status=report.status(self.it, self.spec, self.before, self._outcome()),
            deletes=tuple(progress.deletes()),
            releases=(*progress.releases(), *self._stray_releases(progress)),
            saves=tuple(self._saves()),
            removals=tuple(progress.removals()),
            creations=tuple(progress.creations()),
            notices=(*self.ledger.notices, *self._held_notices(progress), *self._unmade_notices(progress)),
            confirm=tuple(self.confirm),
            wake_at=self._wake_at(progress),
            selectors=tuple(view.selector for view in self.it.children if view.selector and view.problem is None),
            is_gated=self.is_gated,
            is_queued=progress.is_queued,
            is_followed=any(view.tree is not None for view in self.it.children),
        )

    def _outcome(self) -> report.Outcome:
        limit = self.it.turns.limit
        return report.Outcome(self.progress(), self.ledger, self.last_exits, self.seen, self.incarnation, limit)

    # What has passed.

    def _forget_the_old(self) -> None:
        now, period = self.it.now, self.spec.period_seconds
        window, uncounted = (budget.prune(times, now, period) for times in (self.state.window, self.state.uncounted))
        self.state = replace(self.state, window=window, uncounted=uncounted)

    # Exits.

    def _judge(self, view: ChildView) -> None:
        if view.problem is not None:
            self.seen[view.name] = None
            return
        old = self.old.get(view.name)
        seen = decode(old.seen) if old else None
        if view.tree is not None:
            judgement = judge_tree(view.tree, seen)
        else:
            evidence = Evidence(
                child=self.children[view.name],
                pods=view.pods,
                seen=seen,
                now=self.it.now,
                desired=view.desired,
                replaced=self.progress().replaced(view.name),
                is_restarting_in_place=self._is_restarting_in_place(view.name),
                dependency_is_down=self._dependency_is_down(view.name),
                workload=view.workload,
                generation=view.generation,
                controllers=self.it.controllers,
                fresh=self.it.fresh,
                ghosts=view.ghosts,
            )
            judgement = judge(evidence) if view.bare is None else judge_bare(evidence, view.bare)
        self.seen[view.name] = encode(judgement.seen)
        self.confirm += judgement.confirm
        self.deadlines += [judgement.wake_at] if judgement.wake_at is not None else []
        if judgement.without_effect:
            self._remember_exit(view.name, judgement.without_effect)
        if judgement.exit:
            self._exited(view.name, judgement)
        elif self._runs_again(view):
            self.step(events.Started(view.name))
        elif self._is_over(view):
            self.step(events.Done(view.name))
        if judgement.exit and self._has_ended_early(view):
            # Nobody else makes it again: replaced as a part of the same restart.
            self.replace((view.name,), spares_fresh=False)
        if judgement.abandoned and is_starting(self.sup, self.state.operation, view.name):
            # Nobody else restarts it: replaced as a part of the same restart.
            self.replace_pods(view.name, judgement.abandoned)

    def _is_restarting_in_place(self, name: str) -> bool:
        is_left = not self.progress().replaced(name).uids
        return is_left and is_starting(self.sup, self.state.operation, name)

    def _dependency_is_down(self, name: str) -> bool:
        """Tell whether an earlier child, on which this one depends under RestForOne, has no Ready pod."""
        if self.sup.strategy is not Strategy.REST_FOR_ONE:
            return False
        earlier = [child.name for child in self.spec.children]
        earlier = earlier[: earlier.index(name)]
        return any(is_nothing_ready(self.views[it]) for it in earlier)

    def _runs_again(self, view: ChildView) -> bool:
        """Tell whether a child is back that nobody started: its own controller, or the kubelet, brings it back."""
        is_idle = not is_under_way(self.state.operation, view.name)
        is_back = is_up(view, Replaced()) if view.bare is None else view.bare.runs
        return is_idle and self.state.life(view.name) is not Life.ALIVE and is_back

    def _is_over(self, view: ChildView) -> bool:
        """Tell whether a Job or bare Pod had ended well before the tree took notice: that is history, and no exit."""
        is_idle = not is_under_way(self.state.operation, view.name)
        ends = self.children[view.name].restart is not RestartType.PERMANENT
        is_done = view.bare is not None and view.bare.is_done
        return is_idle and is_done and ends and self.state.life(view.name) is Life.ALIVE

    def _has_ended_early(self, view: ChildView) -> bool:
        """Tell whether a Job or bare Pod that a restart had spared has ended before its turn to start came."""
        has_ended = view.bare is not None and view.bare.has_ended
        return has_ended and self.is_active() and is_under_way(self.state.operation, view.name)

    def _saves(self) -> Iterable[Save]:
        """Return the Jobs and bare Pods whose manifests are to be kept: before anybody deletes them."""
        for name, view in self.views.items() if self.is_acting else ():
            found = view.bare.object if view.bare is not None else None
            if view.bare is not None and found is not None and not found.is_deleting:
                generation = found.generation if isinstance(found, Job) else 0
                yield Save(target_of(name, view.bare), found.uid, generation)

    def _remember_exit(self, name: str, found: Exit) -> None:
        self.last_exits[name] = LastExit(
            cause=found.cause,
            pod=found.pod or None,
            container=found.container,
            exit_code=found.exit_code,
            time=to_time(self.it.now),
            message=found.message and found.message[: _TEXT_CHARACTERS // len(self.children)],
            origin=found.origin,
            origin_cause=found.origin_cause,
        )

    def _exited(self, name: str, judgement: Judgement) -> None:
        found = judgement.exit
        assert found is not None  # noqa: S101 - for the type checker; the caller looked
        self._remember_exit(name, found)
        event = events.Exited(
            name,
            found.reason,
            self.it.now,
            counted=found.is_counted,
            jitter=self.it.jitter,
            in_place=self._is_in_place(name, found),
            fatal=found.action is FailureAction.EXHAUST,
        )
        self._feed(event, found, judgement.failed)

    def _is_alone(self, name: str) -> bool:
        """Tell whether a restart concerns only the pods of the child that failed.

        OneForAll takes all pods along, also those of its only child.
        """
        if name not in self.state.names:
            return True
        takes_others = self.sup.strategy is Strategy.ONE_FOR_ALL and len(self.views[name].pods) > 1
        return slice_of(self.sup.strategy, self.state.names, name) == (name,) and not takes_others

    def _is_in_place(self, name: str, found: Exit) -> bool:
        """Tell whether the child is restarted already: by the kubelet, or by its own controller."""
        view = self.views[name]
        if view.bare is not None:
            return self._is_alone(name) and view.bare.comes_back(found)
        return self._is_alone(name) and found.cause in IN_PLACE and view.tree is None

    def _feed(self, event: events.Event, found: Exit | None = None, failed: Iterable[Pod] = ()) -> None:
        """Give the core an event, and write down what it decides."""
        decision = self.step(event)
        if isinstance(event, events.Exited | events.Retry):
            evidence = found or self._last_known(event.child)
            if isinstance(decision, events.Restarting):
                self.begin(decision, event.child, evidence, evidence.rule)
                if not event.in_place:
                    self.take_turn()
                if self._is_alone(event.child) and not event.in_place:
                    self._replace_alone(event.child, failed)
                elif not event.in_place and self.is_active():
                    self.replace(decision.members)
            elif isinstance(decision, events.GaveUp):
                advice = in_turn(self.views[event.child], self.children[event.child])
                self.ledger.gave_up(decision, event.child, evidence, len(self.state.window), advice)
        if isinstance(event, events.Due) and self.is_active():
            self.take_turn()
            waiting = self.state.operation.stop if self.state.operation else ()
            self.replace(name for name in waiting if name not in self.work.replaced)

    def _replace_alone(self, name: str, failed: Iterable[Pod]) -> None:
        if self.views[name].bare is not None:
            self.replace((name,), spares_fresh=False)
        else:
            self.replace_pods(name, failed)

    def _last_known(self, name: str) -> Exit:
        last = self.last_exits.get(name) or (self.old[name].last_exit if name in self.old else None)
        if last is None:
            return Exit(Cause.START_FAILED)
        return Exit(
            last.cause, last.pod or "", last.container, last.exit_code, last.message, last.origin, last.origin_cause
        )

    # The operation.

    def _move_on(self) -> None:
        """Tell the core what is already so, until something has to be done or waited for."""
        while answers := self.progress().answers():
            for answer in answers:
                self._feed(answer)
            if self.state.operation is None or not self.state.operation.stop:
                self.ledger.stopped()
        # It may have ended before, with an exit: a child that was to be started has done its work.
        if self.state.operation is None:
            self.work = record.Work()
            if self.state.ending is None:
                self.ledger.finished()

    def _stray_releases(self, progress: Progress) -> Iterable[Release]:
        """Let the strays go, but for those that are held for a child that cannot be looked at now."""
        away = [view.name for view in self.it.children if view.problem and progress.is_held(view.name)]
        kept = [old.selector for name in away if (old := self.old.get(name)) is not None and old.selector is not None]
        for pod in self.it.strays:
            if not any(matches(selector, pod.labels) for selector in kept):
                yield Release(pod, None)

    def _shrink(self) -> None:
        """Forget of large children what they are to be rid of: a status has no room for that and for who is replaced."""
        for name, it in self.work.replaced.items():
            seen = decode(self.seen.get(name)) if len(it.uids) > MAX_PODS_BY_NAME else None
            if seen is not None:
                self.seen[name] = encode(without(seen, filter(it.has, self.views[name].pods)))

    # What to tell, and when to look again.

    def _held_notices(self, progress: Progress) -> Iterable[Notice]:
        why = self.ledger.exhausted.message if self.ledger.exhausted else report.operation_message(self._outcome())
        for name, pod in progress.held():
            if self.it.now - from_time(pod.created) >= _TELL_HELD_AFTER_SECONDS:
                message = narrate.held(self.it.tree.name, name, why or "")
                yield Notice(EventType.WARNING, Reason.HELD, message, f"held-{pod.uid}", pod)

    def _unmade_notices(self, progress: Progress) -> Iterable[Notice]:
        for it in progress.creations():
            bare = self.views[it.target.child].bare
            if bare is not None and bare.is_unmade:
                message = narrate.unmade(it.target.child, it.target.kind, it.target.name)
                key = f"{it.operation}-unmade-{it.target.child}"
                yield Notice(EventType.WARNING, Reason.MANIFEST_MISSING, message, key)

    def _wake_at(self, progress: Progress) -> float | None:
        times = [*progress.deadlines(), *self.deadlines]
        # The budget in the status falls when an entry leaves the window.
        times += [
            min(window) + self.spec.period_seconds + 1 for window in (self.state.window, self.state.uncounted) if window
        ]
        due = report.retry_time(self.spec, self.ledger.exhausted)
        times += [due] if due is not None and self.it.parent is None else []
        times += [self.it.turns.frees_at] if progress.is_queued and self.it.turns.frees_at is not None else []
        times += [from_time(pod.created) + _TELL_HELD_AFTER_SECONDS for _, pod in progress.held()]
        times += [advise_at(self.views[name]) for name in progress.being_started]
        return min((time for time in times if time > self.it.now), default=None)
