"""A decision in the making: what the tree's supervisor has come to so far, and which pods that replaces."""

from collections.abc import Iterable
from dataclasses import replace

from suptree.api.choices import AutoShutdown, Mode, OnExhausted, Ordering
from suptree.api.model import from_time, to_time
from suptree.api.reasons import EventType, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import SupervisionTreeStatus
from suptree.cluster import narrate, record, report
from suptree.cluster.causes import Exit
from suptree.cluster.children import ChildView
from suptree.cluster.ledger import Ledger
from suptree.cluster.memory import MAX_PODS_BY_NAME, Replaced, replaced, short_uid
from suptree.cluster.progress import Progress
from suptree.cluster.situation import Situation
from suptree.cluster.turns import Place
from suptree.cluster.views import Pod
from suptree.core import events
from suptree.core.machine import step
from suptree.core.state import Kind, Life, State, adopted


class Draft:
    """What one decision works with; nothing of it outlives the decision."""

    def __init__(self, it: Situation, spec: SupervisionTreeSpec, before: SupervisionTreeStatus) -> None:
        self.it = it
        self.spec = spec
        self.before = before
        self.is_acting = spec.mode is Mode.ENFORCE
        has_parent = it.parent is not None
        self.sup = record.supervisor_of(spec, is_gate_in_force=it.is_gate_in_force, has_parent=has_parent)
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
        self.incarnation = before.incarnation

    def step(self, event: events.Event) -> events.Decision:
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
            bare = {name: it for name, it in self.work.replaced.items() if self.views[name].bare is not None}
            self.work = record.Work(tuple(reversed(op.stop)), to_time(self.it.now), bare)
            self.replace(op.stop, spares_fresh=False)  # They would run on, and nobody is to start them.
        return decision

    def begin(self, decision: events.Restarting, name: str, found: Exit, rule: str) -> None:
        """Take up a restart: write its history."""
        self.ledger.began(decision, name, found, rule, len(self.state.window))
        members = {*self.work.slice, *decision.members}
        order = tuple(child.name for child in self.sup.children if child.name in members)
        since = self.work.start_time or to_time(self.it.now)
        self.work = record.Work(order, since, self.work.replaced, self.work.turn_time)

    @property
    def may_go(self) -> bool:
        """Whether nothing but its own backoff keeps the restart waiting."""
        is_part = self.it.parent is not None and self.it.parent.is_restarting
        if not self.is_acting or is_part or self.work.turn_time is not None:
            return True
        since = from_time(self.work.start_time) if self.work.start_time else self.it.now
        return self.it.turns.comes_to(Place(since, *self.it.tree.key))

    def take_turn(self) -> None:
        """Give the restart its place among those of the cluster; if there is none, have it wait."""
        op = self.state.operation
        is_part = self.it.parent is not None and self.it.parent.is_restarting
        if op is None or not self.is_acting or is_part:
            return
        if op.until is not None:
            self.work = replace(self.work, turn_time=None)  # Who backs off makes place for others.
        elif self.may_go:
            self.work = replace(self.work, turn_time=self.work.turn_time or to_time(self.it.now))
        else:
            self.step(events.Postponed(self.it.now))
            key = f"{self.state.serial}-queued"
            self.ledger.tell(EventType.NORMAL, Reason.QUEUED, narrate.queued(self.it.turns.limit), key)

    def is_active(self) -> bool:
        """Tell whether there is an operation that does not back off."""
        return self.state.operation is not None and self.state.operation.until is None

    def replace_pods(self, name: str, pods: Iterable[Pod]) -> None:
        """Decide that these pods of one child are replaced, besides those that are already."""
        mine = self.work.replaced.get(name, Replaced()) | replaced(list(pods))
        self.work = replace(self.work, replaced={**self.work.replaced, name: mine})

    def replace(self, members: Iterable[str], *, spares_fresh: bool = True) -> None:
        """Decide which pods are replaced: those that ever started a container; the others are fresh already."""
        found = {name: self._to_replace(self.views[name], spares_fresh=spares_fresh) for name in members}
        self.work = replace(self.work, replaced={**self.work.replaced, **found})

    def _to_replace(self, view: ChildView, *, spares_fresh: bool) -> Replaced:
        before = self.work.replaced.get(view.name, Replaced())
        if view.bare is not None:
            # One that was replaced before may have gone just now: it is ours to make again.
            return before | replaced(view.bare.to_replace(spares_fresh=spares_fresh))
        found = replaced([it for it in view.pods if not it.is_gated and not (it.is_fresh and spares_fresh)])
        # What has gone because of this restart is no deletion by somebody else, also when the restart begins anew.
        gone = before.uids - {short_uid(it.uid) for it in view.pods}
        return replace(found, uids=found.uids | gone) if len(gone) <= MAX_PODS_BY_NAME else found

    def progress(self) -> Progress:
        """Return how far the cluster is with the operation."""
        return Progress(
            self.sup,
            self.state,
            self.work,
            self.views,
            self.children,
            self.it.now,
            self.it.jitter,
            is_acting=self.is_acting,
            is_gated=self.is_gated and self.it.is_gate_in_force,
            may_go=self.may_go,
        )
