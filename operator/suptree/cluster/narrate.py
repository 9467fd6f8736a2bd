"""The sentences: conditions, events and the command line say the same thing in the same words."""

from collections.abc import Sequence

from suptree.api.outcomes import Cause, ExhaustedReason, Stage
from suptree.api.reasons import Reason
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.status import Exhausted, HistoryEntry
from suptree.api.words import Word
from suptree.cluster.causes import Exit

_VERBS: dict[Cause, str] = {
    Cause.CRASH: "crashed",
    Cause.OOM_KILLED: "ran out of memory",
    Cause.COMPLETED: "ended with exit code 0",
    Cause.START_FAILED: "did not become Ready in time",
    Cause.ZOMBIE: "is a zombie: it runs but is not Ready",
    Cause.JOB_FAILED: "failed",
    Cause.JOB_COMPLETE: "is complete",
    Cause.DISRUPTED: "was disrupted",
    Cause.LOST: "was lost with its node",
    Cause.DELETED: "was deleted",
    Cause.EXHAUSTED: "gave up",
}


def listing(names: Sequence[str]) -> str:
    """Write names as a person would: 'a', 'a and b', 'a, b and c'."""
    if len(names) < 2:  # noqa: PLR2004 - one name needs no 'and'
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def what_happened(child: str, it: Exit | HistoryEntry | Exhausted) -> str:
    """Say what ended a child: 'db crashed (pod db-0, container main, exit code 3)'.

    Of a tree that gave up it says why, with the whole path: 'a gave up because a/b/c crashed (...)'.
    """
    evidence = [f"pod {it.pod}"] if it.pod else []
    if it.container:
        evidence.append(f"container {it.container}")
    cause = it.origin_cause or it.cause or Cause.CRASH
    if it.exit_code is not None and cause is not Cause.COMPLETED:
        evidence.append(f"exit code {it.exit_code}")
    shown = f" ({', '.join(evidence)})" if evidence else ""
    if it.origin:
        return f"{child} gave up because {child}/{it.origin} {_VERBS[cause]}{shown}"
    return f"{child} {_VERBS[cause]}{shown}"


def restart(spec: SupervisionTreeSpec, entry: HistoryEntry) -> str:
    """Say what a restart does and what it costs."""
    if entry.rule == "Reset":
        return (
            f"reset: restarting {listing(entry.slice)} ({spec.strategy}), which was refused before; the budget is empty"
        )
    cost = (
        f"restart {entry.budget_used} of {spec.intensity} in {spec.period_seconds} s"
        if entry.counted
        else "not counted against the budget"
    )
    return f"{what_happened(entry.child, entry)}: restarting {listing(entry.slice)} ({spec.strategy}); {cost}"


def exhausted(spec: SupervisionTreeSpec, entry: HistoryEntry, reason: ExhaustedReason) -> str:
    """Say why the tree gives up."""
    limit = {
        ExhaustedReason.BUDGET_EXHAUSTED: f"the budget of {spec.intensity} restarts in {spec.period_seconds} s is spent",
        ExhaustedReason.DISRUPTION_STORM: f"there were too many disruptions in {spec.period_seconds} s",
        ExhaustedReason.FAILURE_POLICY: f"{entry.rule} says that a restart cannot help",
        ExhaustedReason.AUTO_SHUTDOWN: f"autoShutdown is {spec.auto_shutdown}",
        ExhaustedReason.STARTUP_FAILED: "the tree was being started",
    }.get(reason, str(reason))
    return f"{what_happened(entry.child, entry)}, and {limit}"


class WayOut(Word):
    """What a tree does when it gives up, and what a person can do then."""

    PARK = "Parked", "the tree is parked and leaves every pod as it is"
    HOLD = "Held", "the tree has stopped its children and holds them"
    SHUT_DOWN = "ShutDown", "the tree stops its children and leaves the rest to its parent"

    @property
    def reason(self) -> Reason:
        """The reason of the conditions and the Event."""
        return {WayOut.PARK: Reason.PARKED, WayOut.HOLD: Reason.HELD, WayOut.SHUT_DOWN: Reason.SHUT_DOWN}[self]


def given_up(tree: str, why: str, way_out: WayOut) -> str:
    """Say that a tree has given up, and what to do about it."""
    said = f"{why}; {way_out.meaning}"
    if way_out is WayOut.SHUT_DOWN:
        return said
    return f"{said}. Mend the cause, then: kubectl annotate suptree {tree} suptree.dev/reset=now --overwrite"


def not_restarted(child: str) -> str:
    """Say that a Transient or Temporary tree that gave up stays down."""
    return (
        f"{child} gave up, and is not restarted: its restart type is not Permanent, and a tree that gives up ends with "
        f"reason shutdown (OTP's rule); reset it, or make it Permanent"
    )


def operation(entry: HistoryEntry | None, stage: Stage, now_at: Sequence[str], later: Sequence[str], until: str) -> str:
    """Say what a restart is doing.

    Args:
        entry: Its entry in the history.
        stage: How far it is.
        now_at: The children that are being stopped or started.
        later: The children that are started after them.
        until: When it goes on, while it backs off.
    """
    why = f"{what_happened(entry.child, entry)}: " if entry else ""
    if stage is Stage.WAITING:
        return f"{why}backing off until {until} before {listing(entry.slice) if entry else 'the children'} restart"
    if stage is Stage.STOPPING:
        return f"{why}stopping {listing(now_at)}"
    held = f"; after that {listing(later)}" if later else ""
    return f"{why}starting {listing(now_at)}{held}"


def queued(limit: int) -> str:
    """Say why a restart waits though nothing else keeps it."""
    return f"waits: {limit} restarts are under way in the cluster, and no more are allowed at once (--max-simultaneous-restarts)"


def held(tree: str, child: str, why: str) -> str:
    """Say why a pod waits."""
    return f"held by SupervisionTree {tree} until it is {child}'s turn to start: {why}"


def unmade(child: str, kind: str, name: str) -> str:
    """Say which object cannot be created again, and what a person can do."""
    return (
        f"child {child}: {kind} {name} is to be created again, and the ControllerRevision that kept its manifest is gone; "
        f"apply its manifest (kubectl apply), and the restart goes on"
    )


def stuck(kind: str, name: str, node: str, finalizers: Sequence[str]) -> str:
    """Say which pod or Job does not go, and what a person can do."""
    where = f" on node {node}" if node else ""
    what = f"{kind} {name}{where} should be gone and is not"
    if finalizers:
        one = len(finalizers) == 1
        return (
            f"{what}: the finalizer{'' if one else 's'} {listing(finalizers)} keep{'s' if one else ''} it; see to it "
            f"that whoever set {'it' if one else 'them'} runs, or take {'it' if one else 'them'} off with kubectl edit"
        )
    return f"{what}; if its node is lost, delete the node or taint it out-of-service"
