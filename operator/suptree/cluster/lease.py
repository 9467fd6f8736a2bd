"""Who leads: what one look at the Lease means, decided as client-go decides it.

A candidate never compares the times in a Lease with its own clock, as clocks differ between machines. It takes the Lease
when it has itself seen no renewal for as long as the holder promised to renew it within. The rules are those of
client-go's `leaderelection` (tools/leaderelection/leaderelection.go), the timings those of Suptree: docs/design/running.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Raw = Mapping[str, Any]


class Move(Enum):
    """What a candidate does after a look at the Lease."""

    CREATE = "there is no Lease: make it"
    TAKE = "nobody holds the Lease, or who held it has not renewed it in time: take it"
    RENEW = "the Lease is ours: renew it"
    WAIT = "somebody else holds the Lease and may still renew it"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of the Lease, and since when it has been so."""

    spec: Mapping[str, Any]
    since: float
    """By a monotonic clock, in seconds."""

    @property
    def holder(self) -> str:
        """The identity of the holder; empty: it was released."""
        return str(self.spec.get("holderIdentity") or "")

    def expires(self, default_seconds: float) -> float:
        """Return when it may be taken, by the same clock, if it is not renewed before."""
        return self.since + float(self.spec.get("leaseDurationSeconds") or default_seconds)


def see(before: Sight | None, raw: Raw, now: float) -> Sight:
    """Look at the Lease again: a Lease that is as it was has not been renewed."""
    spec = raw.get("spec") or {}
    return before if before is not None and before.spec == spec else Sight(spec, now)


def move(sight: Sight | None, identity: str, now: float, default_seconds: float) -> Move:
    """Decide what to do.

    Args:
        sight: What was seen; None: there is no Lease.
        identity: Who asks.
        now: By the same monotonic clock as in the sight.
        default_seconds: How long a holder has that does not say it.
    """
    if sight is None:
        return Move.CREATE
    if sight.holder == identity:
        return Move.RENEW
    if not sight.holder or now >= sight.expires(default_seconds):
        return Move.TAKE
    return Move.WAIT


def held(before: Raw | None, identity: str, seconds: int, time: str) -> dict[str, Any]:
    """Return the Lease's spec as its holder writes it.

    Args:
        before: The spec that was there; None: there was no Lease.
        identity: Who holds it.
        seconds: Within how many seconds it will renew it again, or lose it.
        time: Now, as RFC 3339 with microseconds; only people read it.
    """
    old = before or {}
    is_mine = old.get("holderIdentity") == identity
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": seconds,
        "acquireTime": old.get("acquireTime") if is_mine else time,
        "renewTime": time,
        "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if is_mine or before is None else 1),
    }


def released(before: Raw, time: str) -> dict[str, Any]:
    """Return the Lease's spec as its holder leaves it, so that the next candidate need not wait."""
    return {**before, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": time}
