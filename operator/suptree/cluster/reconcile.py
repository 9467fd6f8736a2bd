"""One decision about one tree, from the whole current state. Pure: the same situation always gives the same plan.

The order is the contract: exits are judged, the core decides, the operation moves on as far as the cluster already is,
and only then is it said what to persist and, after that, what to do.
"""

from collections.abc import Iterable
from dataclasses import replace

from suptree.api.choices import AutoShutdown, FailureAction, Mode, OnExhausted, Ordering
from suptree.api.model import from_time, to_time
from suptree.api.outcomes import Cause
from suptree.api.outcomes import Outcome as HistoryOutcome
from suptree.api.reasons import EventType, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import LastExit, SupervisionTreeStatus
from suptree.cluster import narrate, record, report
from suptree.cluster.causes import IN_PLACE, Exit
from suptree.cluster.children import ChildView, is_up, ready_pods
from suptree.cluster.exits import Evidence, Judgement, judge, judge_tree
from suptree.cluster.ledger import RESET_RULE, Ledger
from suptree.cluster.memory import Replaced, decode, encode, replaced
from suptree.cluster.progress import Progress
from suptree.cluster.situation import Notice, Plan, Release, Situation
from suptree.cluster.trees import Parent, Wish
from suptree.cluster.views import Owner, Pod
from suptree.core import budget, events
from suptree.core.effects import is_starting, is_under_way
from suptree.core.machine import step
from suptree.core.spec import Strategy
from suptree.core.state import Ending, Kind, Life, State, adopted, created
from suptree.core.strategy import slice_of

_TELL_HELD_AFTER_SECONDS = 30
"""How long a pod may be held before it gets an Event."""


def decide(it: Situation) -> Plan:
    """Decide what to persist about a tree, and what then to do."""
    tree = it.tree
    gated = tuple(
        Release(pod, None) for view in it.children for pod in view.pods if pod.is_gated and not pod.is_deleting
    )
    if tree.is_deleting:
        return Plan(tree.status, releases=gated)
    # A restored tree (status of another UID) starts afresh: nothing that the old one left undone is done now.
    is_mine = tree.status.uid == tree.uid
    before = tree.status if is_mine else SupervisionTreeStatus(uid=tree.uid, reset=tree.reset)
    if tree.spec is None or tree.refusal is not None or tree.spec.suspend:
        return Plan(report.hands_off(it, before), releases=gated)
    return _Decision(it, tree.spec, before).plan()


class _Decision:
    """The making of one plan; nothing of it outlives `plan`."""

    def __init__(self, it: Situation, spec: SupervisionTreeSpec, before: SupervisionTreeStatus) -> None:
        self.it = it
        self.spec = spec
        self.before = before
        self.is_acting = spec.mode is Mode.ENFORCE
        has_parent = it.parent is not None
        self.sup = record.supervisor_of(spec, is_gate_installed=it.is_gate_installed, has_parent=has_parent)
        # Also a Parallel tree must be able to keep down what it has stopped for good.
        keeps_down = has_parent or spec.on_exhausted is OnExhausted.HOLD or spec.auto_shutdown is not AutoShutdown.NEVER
        self.is_gated = self.is_acting and (spec.ordering is Ordering.ORDERED or keeps_down)
        self.views = {view.name: view for view in it.children}
        self.children = {child.name: child for child in spec.children}
        self.old = {child.name: child for child in before.children}
        self.state: State = adopted(self.sup) if before.serial is None else record.read(before, self.sup)
        # Operations are numbered on from where an earlier parent of a child tree ended: each start has its own number.
        started = (view.tree.incarnation for view in it.children if view.tree is not None)
        self.state = replace(self.state, serial=max(self.state.serial, *started, 0))
        self.work = record.read_work(before) if self.state.operation else record.Work()
        way_out = report.way_out(spec, it.parent)
        self.ledger = Ledger(it.tree.name, spec, before.history, it.now, is_acting=self.is_acting, way_out=way_out)
        self.ledger.exhausted = before.exhausted
        self.last_exits: dict[str, LastExit] = {}
        self.seen: dict[str, str | None] = {}
        self.confirm: list[Owner] = []
        self.deadlines: list[float] = []
        self.incarnation = before.incarnation

    def plan(self) -> Plan:
        """Make the plan."""
        self._forget_the_old()
        self._obey()
        self._reset()
        for child in self.spec.children:
            self._judge(self.views[child.name])
        self._move_on()
        progress = self._progress()
        return Plan(
            status=report.status(self.it, self.spec, self.before, self._outcome()),
            deletes=tuple(progress.deletes()),
            releases=tuple(progress.releases()),
            notices=(*self.ledger.notices, *self._held_notices(progress)),
            confirm=tuple(self.confirm),
            wake_at=self._wake_at(progress),
            selectors=tuple(view.selector for view in self.it.children if view.selector and view.problem is None),
            is_gated=self.is_gated,
            is_followed=any(view.tree is not None for view in self.it.children),
        )

    def _outcome(self) -> report.Outcome:
        return report.Outcome(self._progress(), self.ledger, self.last_exits, self.seen, self.incarnation)

    # What has passed.

    def _forget_the_old(self) -> None:
        now, period = self.it.now, self.spec.period_seconds
        window, uncounted = (budget.prune(times, now, period) for times in (self.state.window, self.state.uncounted))
        self.state = replace(self.state, window=window, uncounted=uncounted)

    def _obey(self) -> None:
        """Stop or start, as the parent wants."""
        parent = self.it.parent
        if parent is None:
            return
        runs = any(life is Life.ALIVE for _, life in self.state.children)
        is_down = self.state.ending is not None and (self.state.operation is not None or not runs)
        if parent.wish is Wish.STOP and not is_down:
            self._stop(parent)
        elif parent.wish is Wish.START and self.incarnation != parent.operation:
            self.incarnation = parent.operation
            if self.state.ending is not None:
                self._start(parent)

    def _stop(self, parent: Parent) -> None:
        self.ledger.close(HistoryOutcome.SUPERSEDED)
        message = f"its parent {parent.name} stops it: {narrate.listing(tuple(reversed(self.state.names)))} are stopped"
        self.ledger.tell(EventType.NORMAL, Reason.SHUT_DOWN, message, f"{parent.operation}-stopped-by-parent")
        # One that had parked has ended already, with its children running.
        self.state = replace(self.state, ending=None)
        self._step(events.ShutDown())

    def _start(self, parent: Parent) -> None:
        """Start afresh: with an empty window, as OTP's supervisor does (rule 20)."""
        self.state = replace(created(self.sup), serial=self.state.serial, restarts=self.state.restarts)
        self.ledger.exhausted = None
        self._step(events.StartUp())
        self.work = record.Work(self.state.names, to_time(self.it.now))
        message = f"its parent {parent.name} starts it: {narrate.listing(self.state.names)}, with an empty budget"
        self.ledger.tell(EventType.NORMAL, Reason.RESET, message, f"{parent.operation}-started-by-parent")

    def _step(self, event: events.Event) -> events.Decision:
        """Give the core an event; when it begins to stop everything, decide which pods that replaces."""
        before = self.state.operation
        self.state, decision = step(self.sup, self.state, event)
        op = self.state.operation
        if op is None and before is not None and self.state.ending is not None and before.kind is Kind.RESTART:
            # Parked in the middle of a restart in place: the pods of that child were never stopped.
            for name in set(before.stop + before.start) - set(self.work.replaced):
                if self.state.life(name) is Life.STOPPED:
                    self.state = self.state.with_life(name, Life.ALIVE)
        if op is not None and op.kind is Kind.SHUTDOWN and (before is None or before.kind is not Kind.SHUTDOWN):
            self.work = record.Work(tuple(reversed(op.stop)), to_time(self.it.now))
            self._replace(op.stop, spares_fresh=False)  # They would run on, and nobody is to start them.
        return decision

    def _reset(self) -> None:
        """Let the tree go on with an empty budget, if there is a reason to."""
        because = self._why_reset()
        if not because:
            return
        exhausted = self.ledger.exhausted
        child = exhausted.child if exhausted and exhausted.child in self.views else None
        if child is not None and is_up(self.views[child], Replaced()):
            child = None  # It has come back by itself.
        message = f"the budget is empty again: {because}"
        self.ledger.tell(EventType.NORMAL, Reason.RESET, message, f"{self.state.serial}-reset-{self.it.now:.0f}")
        self.ledger.exhausted = None
        decision = self._step(events.Reset(child))
        if isinstance(decision, events.Restarting):
            cause = exhausted.cause if exhausted and exhausted.cause else Cause.START_FAILED
            evidence = Exit(cause, (exhausted.pod if exhausted else None) or "")
            name = exhausted.child if exhausted and exhausted.child else decision.members[0]
            self._begin(decision, name, evidence, RESET_RULE)
            self._replace(decision.members)

    def _why_reset(self) -> str:
        """Say who wants the tree to go on; empty when nobody does."""
        tree, before, parent = self.it.tree, self.before, self.it.parent
        has_ended = self.state.ending is not None
        if parent is not None and parent.wish is Wish.STOP:
            return ""
        if tree.reset is not None and tree.reset != before.reset:
            return "a person reset it"
        is_started = self.incarnation != before.incarnation  # Just now, with empty windows.
        if parent is not None and not has_ended and not is_started and parent.reset not in {None, before.parent_reset}:
            # A reset of before it was the parent is not news.
            return f"its parent {parent.name} was reset" if parent.name == before.parent else ""
        if self.state.ending is Ending.STOPPED and (parent is None or parent.wish is Wish.NOTHING):
            return "the parent that had stopped it is gone"
        return self._why_a_root_goes_on() if has_ended and parent is None else ""

    def _why_a_root_goes_on(self) -> str:
        if self.before.generation not in {None, self.it.tree.generation}:
            return "its spec was changed"
        due = report.retry_time(self.spec, self.ledger.exhausted)
        return f"{self.spec.retry_after_seconds} s have passed" if due is not None and self.it.now >= due else ""

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
            judgement = judge(
                Evidence(
                    child=self.children[view.name],
                    pods=view.pods,
                    seen=seen,
                    now=self.it.now,
                    desired=view.desired,
                    replaced=self._progress().replaced(view.name),
                    dependency_is_down=self._dependency_is_down(view.name),
                    workload=view.workload,
                    controllers=self.it.controllers,
                    fresh=self.it.fresh,
                    ghosts=view.ghosts,
                )
            )
        self.seen[view.name] = encode(judgement.seen)
        self.confirm += judgement.confirm
        self.deadlines += [judgement.wake_at] if judgement.wake_at is not None else []
        if judgement.without_effect:
            self._remember_exit(view.name, judgement.without_effect)
        if judgement.exit:
            self._exited(view.name, judgement)
        elif self._runs_again(view):
            self._step(events.Started(view.name))
        if judgement.abandoned and is_starting(self.sup, self.state.operation, view.name):
            # Nobody else restarts it: replaced as a part of the same restart.
            self._replace_pods(view.name, judgement.abandoned)

    def _dependency_is_down(self, name: str) -> bool:
        """Tell whether an earlier child, on which this one depends under RestForOne, has no Ready pod."""
        if self.sup.strategy is not Strategy.REST_FOR_ONE:
            return False
        earlier = [child.name for child in self.spec.children]
        earlier = earlier[: earlier.index(name)]
        return any(self.views[it].desired > 0 and ready_pods(self.views[it], Replaced()) == 0 for it in earlier)

    def _runs_again(self, view: ChildView) -> bool:
        """Tell whether a child is back that nobody started: its own controller, or the kubelet, brings it back."""
        is_idle = not is_under_way(self.state.operation, view.name)
        return is_idle and self.state.life(view.name) is not Life.ALIVE and is_up(view, Replaced())

    def _remember_exit(self, name: str, found: Exit) -> None:
        self.last_exits[name] = LastExit(
            cause=found.cause,
            pod=found.pod or None,
            container=found.container,
            exit_code=found.exit_code,
            time=to_time(self.it.now),
            message=found.message,
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
        return self._is_alone(name) and found.cause in IN_PLACE and self.views[name].tree is None

    def _feed(self, event: events.Event, found: Exit | None = None, failed: Iterable[Pod] = ()) -> None:
        """Give the core an event, and write down what it decides."""
        decision = self._step(event)
        if isinstance(event, events.Exited | events.Retry):
            evidence = found or self._last_known(event.child)
            if isinstance(decision, events.Restarting):
                self._begin(decision, event.child, evidence, evidence.rule)
                if self._is_alone(event.child) and not event.in_place:
                    self._replace_pods(event.child, failed)
                elif not event.in_place and self._is_active():
                    self._replace(decision.members)
            elif isinstance(decision, events.GaveUp):
                self.ledger.gave_up(decision, event.child, evidence, len(self.state.window))
        if isinstance(event, events.Due) and self._is_active():
            waiting = self.state.operation.stop if self.state.operation else ()
            self._replace(name for name in waiting if name not in self.work.replaced)

    def _is_active(self) -> bool:
        """Tell whether there is an operation that does not back off."""
        return self.state.operation is not None and self.state.operation.until is None

    def _last_known(self, name: str) -> Exit:
        last = self.last_exits.get(name) or (self.old[name].last_exit if name in self.old else None)
        if last is None:
            return Exit(Cause.START_FAILED)
        return Exit(
            last.cause, last.pod or "", last.container, last.exit_code, last.message, last.origin, last.origin_cause
        )

    # The operation.

    def _begin(self, decision: events.Restarting, name: str, found: Exit, rule: str) -> None:
        """Take up a restart: write its history."""
        self.ledger.began(decision, name, found, rule, len(self.state.window))
        members = {*self.work.slice, *decision.members}
        order = tuple(child.name for child in self.sup.children if child.name in members)
        self.work = record.Work(order, to_time(self.it.now), self.work.replaced)

    def _replace_pods(self, name: str, pods: Iterable[Pod]) -> None:
        """Decide that these pods of one child are replaced, besides those that are already."""
        mine = self.work.replaced.get(name, Replaced()) | replaced(list(pods))
        self.work = replace(self.work, replaced={**self.work.replaced, name: mine})

    def _replace(self, members: Iterable[str], *, spares_fresh: bool = True) -> None:
        """Decide which pods are replaced: those that ever started a container; the others are fresh already."""
        found = {
            name: replaced(
                [it for it in self.views[name].pods if not it.is_gated and not (it.is_fresh and spares_fresh)]
            )
            for name in members
        }
        self.work = replace(self.work, replaced={**self.work.replaced, **found})

    def _move_on(self) -> None:
        """Tell the core what is already so, until something has to be done or waited for."""
        had_operation = self.state.operation is not None
        while answers := self._progress().answers():
            for answer in answers:
                self._feed(answer)
            if self.state.operation is None or not self.state.operation.stop:
                self.ledger.stopped()
        if had_operation and self.state.operation is None:
            self.work = record.Work()
            if self.state.ending is None:
                self.ledger.finished()

    def _progress(self) -> Progress:
        return Progress(
            self.sup,
            self.state,
            self.work,
            self.views,
            self.children,
            self.it.now,
            self.it.jitter,
            is_acting=self.is_acting,
            is_gated=self.is_gated and self.it.is_gate_installed,
        )

    # What to tell, and when to look again.

    def _held_notices(self, progress: Progress) -> Iterable[Notice]:
        why = self.ledger.exhausted.message if self.ledger.exhausted else report.operation_message(self._outcome())
        for name, pod in progress.held():
            if self.it.now - from_time(pod.created) >= _TELL_HELD_AFTER_SECONDS:
                message = narrate.held(self.it.tree.name, name, why or "")
                yield Notice(EventType.WARNING, Reason.HELD, message, f"held-{pod.uid}", pod)

    def _wake_at(self, progress: Progress) -> float | None:
        times = [*progress.deadlines(), *self.deadlines]
        # The budget in the status falls when an entry leaves the window.
        times += [
            min(window) + self.spec.period_seconds + 1 for window in (self.state.window, self.state.uncounted) if window
        ]
        due = report.retry_time(self.spec, self.ledger.exhausted)
        times += [due] if due is not None and self.it.parent is None else []
        times += [from_time(pod.created) + _TELL_HELD_AFTER_SECONDS for _, pod in progress.held()]
        return min((time for time in times if time > self.it.now), default=None)
