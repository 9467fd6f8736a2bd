"""Lines for people and lines for machines say the same."""

import json
import logging

import pytest

from suptree.app import logs


@pytest.fixture(autouse=True)
def _logging_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    root, kopf = logging.getLogger(), logging.getLogger("kopf")
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(kopf, "level", kopf.level)


FIELDS = logs.about(("shop", "it"), reason="Restarting", operation=3, cause="Crash", child=None)


def test_a_line_of_text_ends_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """`kubectl logs` shows a sentence, and after it what it is about; a trace is below it."""
    logs.set_up("text", verbose=False)
    logging.getLogger("suptree.x").warning("db crashed", extra=FIELDS)
    try:
        int("broken")
    except ValueError:
        logging.getLogger("suptree.x").exception("a defect", extra=logs.about(("shop", "it")))
    first, second, *trace = capsys.readouterr().err.splitlines()
    assert first.endswith("WARNING db crashed namespace=shop tree=it reason=Restarting operation=3 cause=Crash")
    assert second.endswith("ERROR a defect namespace=shop tree=it")
    assert trace[-1].startswith("ValueError: ")


def test_a_line_of_json_has_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """What collects logs finds tree, operation and cause without reading sentences."""
    logs.set_up("json", verbose=False)
    logging.getLogger("suptree.x").warning("db %s", "crashed", extra=FIELDS)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time")[10] == "T"
    assert line == {
        "level": "WARNING",
        "logger": "suptree.x",
        "message": "db crashed",
        "namespace": "shop",
        "tree": "it",
        "reason": "Restarting",
        "operation": 3,
        "cause": "Crash",
    }


def test_the_framework_is_quiet_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Kopf's line for each event is not in the log, its warnings are."""
    logs.set_up("text", verbose=False)
    logging.getLogger("kopf.objects").info("handler succeeded")
    logging.getLogger("kopf.objects").warning("cannot watch")
    assert capsys.readouterr().err.count("\n") == 1
