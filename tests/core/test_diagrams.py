"""The documentation's diagrams are the core's."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from suptree.core import diagrams
from suptree.core.spec import Strategy
from suptree.core.state import Kind, Life

DOCS = Path(__file__).resolve().parents[2] / "docs"
DRAWN = [diagrams.strategies, diagrams.restart_types, diagrams.budget, diagrams.escalation]
"""What docs/concepts.md shows of the core."""


def test_the_diagrams_are_current() -> None:
    """Who reads the documentation sees what the core does now; `make diagrams` writes it again."""
    assert (DOCS / "diagrams/README.md").read_text() == diagrams.document()


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda it: it.__name__)
def test_the_pictures_for_beginners_are_current(drawn: Callable[[], str]) -> None:
    """Who reads docs/concepts.md sees the same pictures as in docs/diagrams; copy one from there when it has changed."""
    assert drawn() in (DOCS / "concepts.md").read_text()


def test_the_command_prints_the_document() -> None:
    """`python -m suptree.core.diagrams` is what `make diagrams` writes down."""
    command = [sys.executable, "-m", "suptree.core.diagrams"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == diagrams.document()


@pytest.mark.parametrize("strategy", Strategy)
def test_a_group_is_drawn_stopped_in_reverse_and_started_in_order(strategy: Strategy) -> None:
    """A reader sees each child gone before the one before it, and Ready before the next."""
    _, rounds = diagrams.after(diagrams.shop(strategy), diagrams.crash("web"))
    stops = [what.removeprefix("stop ") for (what,) in rounds if what.startswith("stop")]
    starts = [what.removeprefix("start ") for (what,) in rounds if what.startswith("start")]
    assert [what.split()[0] for (what,) in rounds] == ["stop"] * len(stops) + ["start"] * len(starts)
    assert stops == starts[::-1]
    assert stops


def test_a_start_that_fails_is_drawn_as_a_new_attempt() -> None:
    """A reader sees that the restart goes on from the child that failed to start under RestForOne, and from all under OneForAll."""
    rows = diagrams.failed_starts().splitlines()
    again = {row.split("0[")[0].strip(): row.partition("try web again")[2] for row in rows if "try web again" in row}
    assert [name for name, rest in again.items() if "stop db" in rest] == ["OneForAll"]
    assert all("start web" in rest for rest in again.values())


def test_every_life_and_every_kind_is_drawn() -> None:
    """A reader finds every word that the status uses for a child's supervision, and every kind of operation."""
    assert all(f" --> {life}: " in diagrams.lives() for life in Life)
    assert all(f"| {kind} |" in diagrams.kinds() for kind in Kind)
