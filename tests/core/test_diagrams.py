"""The documentation's diagrams are the core's."""

from pathlib import Path

from suptree.core.diagrams import document, strategies

COMMITTED = Path(__file__).resolve().parents[2] / "docs/diagrams/README.md"


def test_the_diagrams_are_current() -> None:
    """Who reads the documentation sees what the core does now; `make diagrams` writes it again."""
    assert COMMITTED.read_text() == document()


def test_the_strategies_are_drawn_in_the_order_in_which_they_act() -> None:
    """A reader sees a group stopped in reverse and started in order."""
    assert "stop c" in strategies().partition("RestForOne0")[2].splitlines()[0]
