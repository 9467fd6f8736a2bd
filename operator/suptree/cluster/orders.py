"""What a tree is told: to stop or to start, by its parent; to go on with an empty budget, by a person, time or a parent."""

from dataclasses import replace

from suptree.api.model import to_time
from suptree.api.outcomes import Cause, Outcome
from suptree.api.reasons import EventType, Reason
from suptree.cluster import narrate, record, report
from suptree.cluster.causes import Exit
from suptree.cluster.children import is_up
from suptree.cluster.draft import Draft
from suptree.cluster.ledger import RESET_RULE
from suptree.cluster.memory import Replaced
from suptree.cluster.trees import Parent, Wish
from suptree.core import events
from suptree.core.state import Ending, Life, created


def obey(draft: Draft) -> None:
    """Stop or start, as the parent wants."""
    parent, state = draft.it.parent, draft.state
    if parent is None:
        return
    runs = any(life is Life.ALIVE for _, life in state.children)
    is_down = state.ending is not None and (state.operation is not None or not runs)
    if parent.wish is Wish.STOP and not is_down:
        _stop(draft, parent)
    elif parent.wish is Wish.START and draft.incarnation != parent.operation:
        draft.incarnation = parent.operation
        if state.ending is not None:
            _start(draft, parent)


def _stop(draft: Draft, parent: Parent) -> None:
    draft.ledger.close(Outcome.SUPERSEDED)
    stopped = narrate.listing(tuple(reversed(draft.state.names)))
    message = f"its parent {parent.name} stops it: {stopped} are stopped"
    draft.ledger.tell(EventType.NORMAL, Reason.SHUT_DOWN, message, f"{parent.operation}-stopped-by-parent")
    # One that had parked has ended already, with its children running.
    draft.state = replace(draft.state, ending=None)
    draft.step(events.ShutDown())


def _start(draft: Draft, parent: Parent) -> None:
    """Start afresh: with an empty window, as OTP's supervisor does (rule 20)."""
    draft.state = replace(created(draft.sup), serial=draft.state.serial, restarts=draft.state.restarts)
    draft.ledger.exhausted = None
    draft.step(events.StartUp())
    draft.work = record.Work(draft.state.names, to_time(draft.it.now))
    message = f"its parent {parent.name} starts it: {narrate.listing(draft.state.names)}, with an empty budget"
    draft.ledger.tell(EventType.NORMAL, Reason.RESET, message, f"{parent.operation}-started-by-parent")


def reset(draft: Draft) -> None:
    """Let the tree go on with an empty budget, if there is a reason to."""
    because = _why_reset(draft)
    if not because:
        return
    exhausted = draft.ledger.exhausted
    child = exhausted.child if exhausted and exhausted.child in draft.views else None
    if child is not None and is_up(draft.views[child], Replaced()):
        child = None  # It has come back by itself.
    message = f"the budget is empty again: {because}"
    draft.ledger.tell(EventType.NORMAL, Reason.RESET, message, f"{draft.state.serial}-reset-{draft.it.now:.0f}")
    draft.ledger.exhausted = None
    decision = draft.step(events.Reset(child))
    if isinstance(decision, events.Restarting):
        cause = exhausted.cause if exhausted and exhausted.cause else Cause.START_FAILED
        evidence = Exit(cause, (exhausted.pod if exhausted else None) or "")
        name = exhausted.child if exhausted and exhausted.child else decision.members[0]
        draft.begin(decision, name, evidence, RESET_RULE)
        draft.take_turn()
        if draft.is_active():
            draft.replace(decision.members)


def _why_reset(draft: Draft) -> str:
    """Say who wants the tree to go on; empty when nobody does."""
    tree, before, parent = draft.it.tree, draft.before, draft.it.parent
    has_ended = draft.state.ending is not None
    if parent is not None and parent.wish is Wish.STOP:
        return ""
    if tree.reset is not None and tree.reset != before.reset:
        return "a person reset it"
    is_started = draft.incarnation != before.incarnation  # Just now, with empty windows.
    if parent is not None and not has_ended and not is_started and parent.reset not in {None, before.parent_reset}:
        # A reset of before it was the parent is not news.
        return f"its parent {parent.name} was reset" if parent.name == before.parent else ""
    if draft.state.ending is Ending.STOPPED and (parent is None or parent.wish is Wish.NOTHING):
        return "the parent that had stopped it is gone"
    return _why_a_root_goes_on(draft) if has_ended and parent is None else ""


def _why_a_root_goes_on(draft: Draft) -> str:
    if draft.before.generation not in {None, draft.it.tree.generation}:
        return "its spec was changed"
    due = report.retry_time(draft.spec, draft.ledger.exhausted)
    return f"{draft.spec.retry_after_seconds} s have passed" if due is not None and draft.it.now >= due else ""
