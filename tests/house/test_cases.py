"""The table of reported situations: each row has its tests, and each test that carries a number has its row."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "cases.md"

# fmt: off
NUMBERS = [f"C{number:02}" for number in (
    2, 3, 5, 8, 9, 10, 11, 12, 14, 15, 16, 18,
    20, 22, 24, 25, 26, 27, 28, 29,
    31, 32, 33, 35, 36, 38, 39,
    40, 41, 42, 43, 44, 45, 47, 49,
    51, 52, 54, 55, 57, 58,
    60, 63, 64, 65, 66, 67, 69, 70, 71,
)]
# fmt: on


def rows() -> dict[str, list[str]]:
    """Return the cells of each row but the first, by the first."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| C")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {case: others for case, *others in cells}


def written() -> set[str]:
    """Return all tests that there are, as pytest names them."""
    return {
        f"{path.relative_to(ROOT)}::{name}"
        for folder in ("tests", "e2e")
        for path in (ROOT / folder).rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }


ROWS = rows()
WRITTEN = written()


def test_every_situation_has_its_row() -> None:
    """No situation is forgotten, none is listed twice, and they are in order."""
    assert list(ROWS) == NUMBERS
    assert TABLE.read_text().count("\n| C") == len(NUMBERS)


@pytest.mark.parametrize("case", NUMBERS)
def test_a_situation_names_tests_that_exist(case: str) -> None:
    """Whoever reads what Suptree does in a situation can run the test that shows it."""
    reported, verdict, shown = ROWS[case]
    assert reported.endswith(".")
    assert verdict.endswith(".")
    assert set(re.findall("`(.+?)`", shown)) <= WRITTEN
    assert "`" in shown


@pytest.mark.parametrize("case", NUMBERS)
def test_a_test_with_a_number_stands_in_its_row(case: str) -> None:
    """A test that carries the number of a situation is found from the table."""
    numbered = {it for it in WRITTEN if f"test_{case.lower()}_" in it}
    assert numbered <= set(re.findall("`(.+?)`", ROWS[case][2]))


def test_no_test_has_a_number_without_a_situation() -> None:
    """A number in the name of a test is one of the table."""
    found = {match[1].upper() for it in WRITTEN if (match := re.search(r"::test_(c\d+)_", it))}
    assert found <= set(NUMBERS)
