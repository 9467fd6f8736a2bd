"""The comparison: the same scenarios on Erlang's supervisor and on the core, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.conformance.erlang import Otp
from tests.conformance.shrink import shrink
from tests.otp.compare import first_difference
from tests.otp.replay import replay

Json = dict[str, Any]
Replay = Callable[[Json], Json]

BATCH = 2000


@dataclass(frozen=True)
class Difference:
    """A minimal scenario in which the two differ."""

    scenario: Json
    otp: Json
    ours: Json

    @property
    def first(self) -> str:
        """Say where."""
        return first_difference(self.otp, self.ours)


def compare(otp: Otp, scenarios: Sequence[Json], ours: Replay = replay) -> Difference | None:
    """Return the first difference, made minimal; None when all traces are equal."""

    def fails(some: Sequence[Json]) -> list[bool]:
        return [bool(first_difference(trace, ours(one))) for one, trace in zip(some, otp.traces(some), strict=True)]

    for first in range(0, len(scenarios), BATCH):
        batch = scenarios[first : first + BATCH]
        failing = next((one for one, failed in zip(batch, fails(batch), strict=True) if failed), None)
        if failing is not None:
            minimal = shrink(failing, fails)
            return Difference(minimal, otp.traces([minimal])[0], ours(minimal))
    return None


def check_vectors(otp: Otp, vectors: Sequence[Json]) -> list[str]:
    """Return the ids of the vectors whose traces the harness does not reproduce to the letter."""
    traces = otp.traces([vector["scenario"] for vector in vectors])
    return [trace["id"] for trace, vector in zip(traces, vectors, strict=True) if trace != vector["trace"]]
