"""How the command line writes a tree: in the words of its conditions."""

from collections.abc import Iterable, Sequence

from suptree.api.outcomes import Outcome
from suptree.api.status import ChildStatus, HistoryEntry
from suptree.cluster.narrate import listing, what_happened
from suptree.cluster.trees import Tree


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of words in columns, as kubectl does."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "   ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def table(trees: Iterable[Tree]) -> str:
    """Write trees, a line each."""
    rows = [("NAME", "READY", "CHILDREN", "BUDGET", "REASON")]
    for tree in sorted(trees, key=lambda it: it.name):
        ready = next((it for it in tree.status.conditions if it.type == "Ready"), None)
        summary = tree.status.summary
        rows.append(
            (
                tree.name,
                ready.status if ready else "Unknown",
                (summary.children if summary else None) or "-",
                (summary.budget if summary else None) or "-",
                ready.reason if ready else "NotObserved",
            )
        )
    return columns(rows) if len(rows) > 1 else "there are no trees in this namespace"


def describe(tree: Tree) -> str:
    """Write one tree: its conditions, children and history."""
    status = tree.status
    if not status.conditions:
        return f"{tree.name} has not been looked at yet; does the operator run?"
    parts = [
        columns([("CONDITION", "STATUS", "WHY"), *((it.type, str(it.status), it.message) for it in status.conditions)])
    ]
    parts.append(columns([("CHILD", "STATE", "READY", "RESTARTS", "LAST EXIT"), *map(_child, status.children)]))
    if status.history:
        parts.append(columns([("RESTART", "WHEN", "OUTCOME", "WHY"), *map(_entry, status.history)]))
    return "\n\n".join(parts)


def _child(child: ChildStatus) -> tuple[str, ...]:
    last = child.last_exit
    why = f"{last.cause} at {last.time[:19]}Z" if last else "-"
    return (
        child.name,
        str(child.state or "-"),
        f"{child.ready or 0}/{child.desired or 0}",
        str(child.restarts or 0),
        why,
    )


def _entry(entry: HistoryEntry) -> tuple[str, ...]:
    cost = "counted" if entry.counted else "not counted"
    took = f": {listing(entry.slice)}, {cost}" if entry.outcome is not Outcome.EXHAUSTED else ": refused"
    return str(entry.operation), f"{entry.time[:19]}Z", str(entry.outcome), what_happened(entry.child, entry) + took
