"""The history of a tree: each restart and each refused restart, written when it begins and completed when it ends."""

from collections.abc import Sequence

from suptree.api.model import from_time, to_time
from suptree.api.outcomes import ExhaustedReason, Outcome
from suptree.api.reasons import EventType, Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import Exhausted, HistoryEntry
from suptree.cluster import narrate
from suptree.cluster.causes import Exit
from suptree.cluster.record import EXHAUSTED_REASONS
from suptree.cluster.situation import Notice
from suptree.core.events import GaveUp, Restarting

RESET_RULE = "Reset"


def way_out_of(usual: narrate.WayOut, reason: ExhaustedReason) -> narrate.WayOut:
    """Return what a tree does when it gives up for that reason: an automatic shutdown never leaves pods as they are."""
    parks_anyway = reason is ExhaustedReason.AUTO_SHUTDOWN and usual is narrate.WayOut.PARK
    return narrate.WayOut.HOLD if parks_anyway else usual


class Ledger:
    """Collects what one decision adds to the history, and what it has to tell."""

    def __init__(
        self,
        tree: str,
        spec: SupervisionTreeSpec,
        history: Sequence[HistoryEntry],
        now: float,
        *,
        is_acting: bool,
        way_out: narrate.WayOut,
    ) -> None:
        self.tree = tree
        self.way_out = way_out
        self.spec = spec
        self.now = now
        self.is_acting = is_acting
        self.entries = list(history)
        self.notices: list[Notice] = []
        self.exhausted: Exhausted | None = None
        self.included: dict[str, int] = {}
        """Child -> in how many of this decision's restarts it is."""

    @property
    def open(self) -> HistoryEntry | None:
        """The entry of the restart that is under way."""
        newest = self.entries[0] if self.entries else None
        return newest if newest and newest.outcome is Outcome.IN_PROGRESS else None

    def began(self, decision: Restarting, child: str, found: Exit, rule: str, used: int) -> None:
        """A restart begins; one that was under way gives way to it."""
        self.close(Outcome.SUPERSEDED)
        entry = self._entry(decision.operation, child, found, rule).model_copy(
            update={"slice": decision.members, "counted": decision.counted, "budget_used": used}
        )
        self.entries.insert(0, entry)
        for member in decision.members:
            self.included[member] = self.included.get(member, 0) + 1
        reason = Reason.RESTARTING if self.is_acting else Reason.WOULD_RESTART
        self.tell(EventType.WARNING, reason, narrate.restart(self.spec, entry), f"{entry.operation}-begin", entry)

    def gave_up(self, decision: GaveUp, child: str, found: Exit, used: int, advice: str = "") -> None:
        """The tree gives up: a restart is refused, or its significant children have ended."""
        self.close(Outcome.EXHAUSTED)
        entry = self._entry(decision.operation, child, found, found.rule).model_copy(
            update={"counted": False, "budget_used": used, "outcome": Outcome.EXHAUSTED}
        )
        reason = EXHAUSTED_REASONS[decision.ending]
        if reason is not ExhaustedReason.AUTO_SHUTDOWN:
            self.entries.insert(0, entry)
        why = narrate.exhausted(self.spec, entry, reason) + (f" ({advice})" if advice else "")
        self.exhausted = Exhausted(
            reason=reason,
            time=to_time(self.now),
            message=why,
            child=child,
            cause=found.cause,
            pod=found.pod or None,
            container=found.container,
            exit_code=found.exit_code,
            origin=found.origin,
            origin_cause=found.origin_cause,
        )
        end = way_out_of(self.way_out, reason)
        self.tell(
            EventType.WARNING, end.reason, narrate.given_up(self.tree, why, end), f"{entry.operation}-ended", entry
        )

    def stopped(self) -> None:
        """Nothing is left to be stopped."""
        if self.open and self.open.stopped_time is None:
            self.entries[0] = self.open.model_copy(update={"stopped_time": to_time(self.now)})

    def finished(self) -> None:
        """All children of the restart are up again."""
        entry = self.open
        if entry is None:
            return
        self.close(Outcome.RESTARTED if self.is_acting else Outcome.OBSERVED)
        if self.is_acting:
            are = "are" if len(entry.slice) > 1 else "is"
            message = f"{narrate.listing(entry.slice)} {are} up again after {self.now - from_time(entry.time):.1f} s"
            self.tell(EventType.NORMAL, Reason.RESTARTED, message, f"{entry.operation}-end", entry)

    def close(self, outcome: Outcome) -> None:
        """Complete the entry of the restart that is under way, if there is one."""
        entry = self.open
        if entry is None:
            return
        changes: dict[str, object] = {"outcome": outcome}
        if outcome in {Outcome.RESTARTED, Outcome.OBSERVED}:
            changes |= {"ready_time": to_time(self.now), "stopped_time": entry.stopped_time or to_time(self.now)}
        self.entries[0] = entry.model_copy(update=changes)

    def tell(self, type_: EventType, reason: Reason, message: str, key: str, entry: HistoryEntry | None = None) -> None:
        """Have an Event sent once what it tells is persisted."""
        self.notices.append(
            Notice(
                type_,
                reason,
                message,
                key,
                operation=entry.operation if entry else None,
                child=entry.child if entry else None,
                cause=entry.cause if entry else None,
            )
        )

    def _entry(self, operation: int, child: str, found: Exit, rule: str) -> HistoryEntry:
        return HistoryEntry(
            operation=operation,
            time=to_time(self.now),
            child=child,
            cause=found.cause,
            pod=found.pod or None,
            container=found.container,
            exit_code=found.exit_code,
            origin=found.origin,
            origin_cause=found.origin_cause,
            rule=rule,
        )
