"""The status that a decision leaves behind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from suptree.api import outcomes
from suptree.api.choices import OnExhausted
from suptree.api.model import from_time, to_time
from suptree.api.outcomes import State
from suptree.api.reasons import Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import (
    BudgetStatus,
    ChildStatus,
    Exhausted,
    LastExit,
    OperationStatus,
    Summary,
    SupervisionTreeStatus,
)
from suptree.cluster import narrate, record
from suptree.cluster.advice import advise_at, by_name, in_turn
from suptree.cluster.bare_exits import judge_bare
from suptree.cluster.children import ChildView, observed_state, obstacle, ready_pods, replaced_in
from suptree.cluster.conditions import SETTLED, Facts, conditions
from suptree.cluster.exits import Evidence
from suptree.cluster.jobs import JOB_TRACKING, Job
from suptree.cluster.ledger import Ledger, way_out_of
from suptree.cluster.memory import REMOVED, Replaced, encode
from suptree.cluster.progress import Progress
from suptree.cluster.reach import out_of_reach
from suptree.cluster.situation import Situation
from suptree.cluster.trees import Parent
from suptree.cluster.views import Pod
from suptree.core.state import Life


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision came to."""

    progress: Progress
    ledger: Ledger
    last_exits: Mapping[str, LastExit]
    seen: Mapping[str, str | None]
    incarnation: int | None
    limit: int = 0
    """How many restarts may be under way at once."""


def status(
    it: Situation, spec: SupervisionTreeSpec, before: SupervisionTreeStatus, outcome: Outcome
) -> SupervisionTreeStatus:
    """Return the whole status after a decision."""
    progress, ledger = outcome.progress, outcome.ledger
    state = progress.state
    children = tuple(_child(view, before, outcome) for view in it.children)
    operation = _operation(outcome)
    exhausted = ledger.exhausted if state.ending else None
    facts = Facts(
        generation=it.tree.generation,
        now=it.now,
        spec=spec,
        children=children,
        unresolved=tuple((view.problem, view.message) for view in it.children if view.problem),
        obstacles=tuple(f"{view.name} cannot start ({why})" for view in it.children if (why := obstacle(view))),
        stuck="; ".join(_stuck(it) for it in progress.stuck()),
        unmade="; ".join(_unmade(progress)),
        operation=operation,
        operation_message=operation_message(outcome),
        is_queued=progress.is_queued,
        given_up=_given_up(it, spec, exhausted),
        notes=tuple(_notes(progress)),
        out_of_reach=out_of_reach(progress.sup, ledger.entries),
        is_gate_installed=it.is_gate_installed,
        unheld=it.unheld,
    )
    op = state.operation
    retry = retry_time(spec, exhausted) if it.parent is None else None
    attempt = op.until if op is not None else retry
    return SupervisionTreeStatus(
        observed_generation=it.tree.generation,
        conditions=conditions(facts, before),
        children=children,
        budget=BudgetStatus(
            used=len(state.window),
            limit=spec.intensity,
            times=record.write_times(state.window),
            earlier=record.write_earlier(state.window),
        ),
        restarts=state.restarts,
        operation=operation,
        history=tuple(ledger.entries),
        next_attempt_time=to_time(attempt) if attempt is not None else None,
        exhausted=exhausted,
        summary=_summary(children, len(state.window), spec),
        parent=it.parent.name if it.parent else None,
        ending=str(state.ending) if state.ending else None,
        incarnation=outcome.incarnation,
        parent_reset=it.parent.reset if it.parent else before.parent_reset,
        uid=it.tree.uid,
        generation=it.tree.generation,
        serial=state.serial,
        reset=it.tree.reset,
        uncounted=record.write_times(state.uncounted),
        uncounted_earlier=record.write_earlier(state.uncounted),
        retry=state.retries,
    )


def hands_off(it: Situation, before: SupervisionTreeStatus) -> SupervisionTreeStatus:
    """Return the status of a tree that does not act: what happens meanwhile is history when it acts again."""
    tree = it.tree
    old = {child.name: child for child in before.children}
    children = tuple(
        ChildStatus(
            name=view.name,
            state=observed_state(view, old[view.name].state if view.name in old else None),
            ready=ready_pods(view, Replaced()),
            desired=view.desired,
            restarts=old[view.name].restarts if view.name in old else 0,
            last_exit=old[view.name].last_exit if view.name in old else None,
            selector=view.selector,
            seen=_history(it, view),
        )
        for view in it.children
    )
    facts = Facts(
        generation=tree.generation,
        now=it.now,
        spec=tree.spec,
        refusal=tree.refusal,
        refusal_message=tree.refusal_message,
        children=children,
        unresolved=tuple((view.problem, view.message) for view in it.children if view.problem),
        is_gate_installed=it.is_gate_installed,
        unheld=it.unheld,
    )
    history = before.history
    if history and history[0].outcome is outcomes.Outcome.IN_PROGRESS:
        history = (history[0].model_copy(update={"outcome": outcomes.Outcome.SUPERSEDED}), *history[1:])
    return before.model_copy(
        update={
            "observed_generation": tree.generation,
            "conditions": conditions(facts, before),
            "children": children,
            "history": history,
            "operation": None,
            "next_attempt_time": None,
            "exhausted": None,
            "ending": None,
            "parent": None,
            "retry": (),
            "serial": before.serial or 0,
            "uid": tree.uid,
            "generation": tree.generation,
            "reset": tree.reset,
            "summary": _summary(children, before.budget.used if before.budget else 0, tree.spec),
        }
    )


def _history(it: Situation, view: ChildView) -> str | None:
    """Return what is remembered of a Job or bare Pod while nobody acts: that it is done, or to be created again."""
    if view.bare is None or it.tree.spec is None:
        return None
    if view.bare.object is None and view.bare.seen is not None:
        is_ours = view.bare.is_ours(replaced_in(it.tree.status, view.name))
        seen = view.bare.seen
        return encode(replace(seen, marks=seen.marks | {REMOVED}) if is_ours else seen)
    child = next(child for child in it.tree.spec.children if child.name == view.name)
    return encode(judge_bare(Evidence(child, view.pods, None, it.now), view.bare).seen)


def way_out(spec: SupervisionTreeSpec, parent: Parent | None) -> narrate.WayOut:
    """Return what the tree does when its budget is spent."""
    if parent is not None:
        return narrate.WayOut.SHUT_DOWN
    return narrate.WayOut.HOLD if spec.on_exhausted is OnExhausted.HOLD else narrate.WayOut.PARK


def retry_time(spec: SupervisionTreeSpec, exhausted: Exhausted | None) -> float | None:
    """Return when an exhausted root tries once more; None when only a person lets it."""
    if exhausted is None or spec.retry_after_seconds is None:
        return None
    return from_time(exhausted.time) + spec.retry_after_seconds


def _given_up(it: Situation, spec: SupervisionTreeSpec, exhausted: Exhausted | None) -> tuple[Reason, str] | None:
    """Return why the tree has ended, or is ending, and what to do about it."""
    if exhausted is None:
        return None
    end = way_out_of(way_out(spec, it.parent), exhausted.reason)
    return end.reason, narrate.given_up(it.tree.name, exhausted.message or "", end)


def _stuck(it: Pod | Job) -> str:
    kind, node = ("pod", it.node) if isinstance(it, Pod) else ("Job", "")
    return narrate.stuck(kind, it.name, node, [name for name in it.finalizers if name != JOB_TRACKING])


def _unmade(progress: Progress) -> Iterable[str]:
    """Name what is to be created again and cannot be, since its manifest is gone."""
    for it in progress.creations():
        bare = progress.views[it.target.child].bare
        if bare is not None and bare.is_unmade:
            yield narrate.unmade(it.target.child, it.target.kind, it.target.name)


def _notes(progress: Progress) -> Iterable[str]:
    """Name starts that may never end, Jobs that no order waits for, and the child trees that OTP's rule does not restart."""
    for name in progress.being_started:
        view = progress.views[name]
        if progress.now >= advise_at(view) and (advice := in_turn(view, progress.children[name])):
            yield advice
    for name, view in progress.views.items():
        if advice := by_name(view):
            yield advice
        ended = view.tree is not None and view.tree.exhausted is not None
        if ended and progress.state.life(name) in {Life.UNDEFINED, Life.ENDED} and progress.state.ending is None:
            yield narrate.not_restarted(name)


def operation_message(outcome: Outcome) -> str:
    """Say what the operation is doing; empty when there is none."""
    progress = outcome.progress
    op = progress.state.operation
    if op is None:
        return ""
    if progress.is_queued and outcome.ledger.open:
        entry = outcome.ledger.open
        why = narrate.what_happened(entry.child, entry)
        return f"{why}: the restart of {narrate.listing(entry.slice)} {narrate.queued(outcome.limit)}"
    now_at = progress.being_stopped or progress.being_started
    later = [name for name in op.start if name not in now_at]
    until = to_time(op.until) if op.until is not None else ""
    return narrate.operation(outcome.ledger.open, record.stage_of(op), now_at, later, until)


def _operation(outcome: Outcome) -> OperationStatus | None:
    progress = outcome.progress
    now_at = progress.being_stopped or progress.being_started
    return record.write_operation(progress.state.operation, progress.work, now_at[0] if len(now_at) == 1 else None)


def _child(view: ChildView, before: SupervisionTreeStatus, outcome: Outcome) -> ChildStatus:
    progress = outcome.progress
    old = next((child for child in before.children if child.name == view.name), ChildStatus(name=view.name))
    return ChildStatus(
        name=view.name,
        state=_state(view, old.state, progress),
        ready=ready_pods(view, progress.replaced(view.name)),
        desired=view.desired,
        restarts=(old.restarts or 0) + outcome.ledger.included.get(view.name, 0),
        last_exit=outcome.last_exits.get(view.name, old.last_exit),
        selector=view.selector or old.selector,
        seen=outcome.seen[view.name],
        supervision=str(progress.state.life(view.name)),
    )


def _state(view: ChildView, was: State | None, progress: Progress) -> State:
    name = view.name
    if name in progress.being_stopped:
        return State.STOPPING
    bare = view.bare
    if name in progress.being_started and not (bare is not None and bare.is_suspended):
        return State.CANNOT_START if obstacle(view) else State.STARTING
    if bare is not None and bare.is_finished:
        return State.COMPLETED
    is_kept_down = progress.is_held(name) or (bare is not None and bare.object is None)
    if progress.state.life(name) in {Life.STOPPED, Life.REMOVED} and is_kept_down:
        return State.HELD
    return observed_state(view, was)


def _summary(children: tuple[ChildStatus, ...], used: int, spec: SupervisionTreeSpec | None) -> Summary:
    settled = sum(child.state in SETTLED for child in children)
    return Summary(children=f"{settled}/{len(children)}", budget=f"{used}/{spec.intensity}" if spec else None)
