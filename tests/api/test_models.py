"""What is written can be read again, and what is read again is the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from suptree.api import SupervisionTree, SupervisionTreeSpec, SupervisionTreeStatus, from_time, to_time
from suptree.api.model import clip
from suptree.api.status import MAX_HISTORY
from tests.api.refusals import Json, child, tree
from tests.api.strategies import moments, statuses, texts, trees


@given(trees)
def test_a_spec_survives_a_round_trip(manifest: Json) -> None:
    """A spec that is read and written again asks for the same, with the defaults filled in."""
    spec = SupervisionTreeSpec.model_validate(manifest["spec"])
    assert SupervisionTreeSpec.model_validate(spec.to_json()) == spec


@given(trees)
def test_writing_keeps_what_the_user_wrote(manifest: Json) -> None:
    """A field that the user set is never changed by reading and writing the spec."""
    written = SupervisionTreeSpec.model_validate(manifest["spec"]).to_json()
    for field in manifest["spec"].keys() - {"children"}:
        assert written[field] == manifest["spec"][field]
    for given_child, written_child in zip(manifest["spec"]["children"], written["children"], strict=True):
        assert given_child.items() <= written_child.items()


@given(statuses)
def test_a_status_survives_a_round_trip(raw: Json) -> None:
    """A new leader reads exactly what the last one wrote."""
    status = SupervisionTreeStatus.model_validate(raw)
    assert SupervisionTreeStatus.model_validate(status.to_json()) == status


@given(moments)
def test_a_time_survives_to_the_microsecond(moment: float) -> None:
    """A restart recorded in the status leaves the window at the very moment it would have left it in memory."""
    assert from_time(to_time(moment)) == moment


@given(moments, moments)
def test_times_sort_as_texts(one: float, other: float) -> None:
    """Times sort in a script as they happened."""
    assert (to_time(one) < to_time(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00.000000Z", 0.0),
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02T04:04:05.5+01:00", 1767323045.5),
    ],
)
def test_times_by_other_hands_are_read(text: str, moment: float) -> None:
    """A time that Kubernetes or a person wrote means the same moment."""
    assert from_time(text) == moment


def test_a_time_without_a_zone_is_refused() -> None:
    """A time that could be any of 24 is not guessed."""
    with pytest.raises(ValueError, match="time zone"):
        from_time("2026-01-02T03:04:05")


@given(texts, st.integers(3, 100))
def test_a_clipped_text_fits_and_stays_the_same(text: str, limit: int) -> None:
    """However long an error text is, the status stays small, and writing it again changes nothing."""
    clipped = clip(text, limit)
    assert len(clipped.encode()) <= limit
    assert clip(clipped, limit) == clipped


def test_a_long_message_is_cut() -> None:
    """An error text of 300 kB shows its beginning in lastExit."""
    raw = {"name": "db", "lastExit": {"cause": "Crash", "time": to_time(0), "message": "é" * 150_000}}
    (status,) = SupervisionTreeStatus.model_validate({"children": [raw]}).children
    assert status.last_exit
    assert status.last_exit.message
    assert len(status.last_exit.message.encode()) <= 200
    assert status.last_exit.message.endswith("é...")


def test_the_history_keeps_the_newest() -> None:
    """The history shows the last 10 restarts, the newest first."""
    entry = {"time": to_time(0), "child": "db", "cause": "Crash"}
    status = SupervisionTreeStatus.model_validate({"history": [{**entry, "operation": 30 - n} for n in range(20)]})
    assert [one.operation for one in status.history] == list(range(30, 30 - MAX_HISTORY, -1))


def test_the_status_of_a_newer_version_is_read() -> None:
    """After a downgrade the operator goes on with what it understands of the status."""
    assert SupervisionTreeStatus.model_validate({"restarts": 3, "karma": {"good": True}}).restarts == 3


def test_a_misspelt_field_is_refused() -> None:
    """A field that does not exist is an error and not silently ignored."""
    with pytest.raises(ValidationError, match="intensty"):
        SupervisionTreeSpec.model_validate(tree(child(), intensty=1)["spec"])


def test_a_spec_cannot_be_changed() -> None:
    """What was decided upon stays what it was."""
    spec = SupervisionTreeSpec.model_validate(tree(child())["spec"])
    with pytest.raises(ValidationError, match="frozen"):
        spec.intensity = 5


def test_a_tree_is_read_as_the_server_sends_it() -> None:
    """An object with all the metadata of the API server is read."""
    body = tree(child())
    body["metadata"] |= {"uid": "u1", "generation": 2, "managedFields": [{"manager": "kubectl"}]}
    read = SupervisionTree.model_validate(body)
    assert (read.metadata.name, read.metadata.uid, read.metadata.generation) == ("shop", "u1", 2)
    assert read.status == SupervisionTreeStatus()
