"""docs/causes.md: each cause has its section, and what it shows can be applied."""

import re
from pathlib import Path

import pytest

from suptree.api.child import Child
from suptree.api.outcomes import Cause, State
from suptree.cluster.causes import REASONS, UNCOUNTED
from suptree.cluster.views import _DISRUPTED_PHASES, _FAILING, _OBSTACLES
from suptree.core.restart import Reason
from tests import yamls

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "causes.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BESIDE = {"What is no exit", str(State.CANNOT_START)}
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_cause_has_its_section() -> None:
    """Whoever meets a cause in a status finds it on the page, and the page has no other."""
    assert set(SECTIONS) == {str(cause) for cause in Cause} | BESIDE


@pytest.mark.parametrize("name", [name for name in SECTIONS if name != "What is no exit"])
def test_a_section_says_what_is_seen_what_is_done_and_how_to_change_it(name: str) -> None:
    """Each section answers the same three questions, in that order."""
    parts = [SECTIONS[name].find(part) for part in ("**Kubernetes shows**", "**Suptree** ", "**To change it**")]
    assert -1 not in parts
    assert parts == sorted(parts)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda it: it.splitlines()[0])
def test_an_example_is_a_child_that_can_be_written(example: str) -> None:
    """What the page shows can be copied into a tree."""
    assert Child.model_validate(yamls.load(example)).name


@pytest.mark.parametrize("cause", Cause)
def test_the_table_says_what_the_code_does(cause: Cause) -> None:
    """The overview of restart types and budget is the one that the operator obeys."""
    (row,) = (line for line in PAGE.splitlines() if re.match(rf"\| (\w+, )*{cause}(,| \|)", line))
    _, _, permanent, transient, temporary, counted, _ = (cell.strip() for cell in row.split("|"))
    assert (permanent, temporary) == ("restarted", "not restarted")
    assert transient == ("restarted" if REASONS[cause] is Reason.ABNORMAL else "not restarted")
    assert counted.startswith("no") is (cause in UNCOUNTED)


def test_every_reason_that_is_looked_for_is_on_the_page() -> None:
    """Whoever sees one of Kubernetes' reasons finds what it means here."""
    named = {*_DISRUPTED_PHASES, *_FAILING, *_OBSTACLES} - {"Shutdown"}  # What kubelets before 1.22 said.
    assert {reason for reason in named if reason not in PAGE} == set()


def test_the_readme_leads_there() -> None:
    """A user finds the page from the README."""
    assert "(docs/causes.md)" in (ROOT / "README.md").read_text()
