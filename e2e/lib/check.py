"""What is asserted again and again: who was replaced, who was not, and what it has cost."""

from collections.abc import Mapping

from e2e.lib.kube import Json, Kube, eventually
from e2e.lib.recorder import Recorder

Census = Mapping[str, list[str]]
"""App -> the UIDs of its pods, in the order in which they came."""


def census(recorder: Recorder, *apps: str) -> Census:
    """Return the pods that are there and are to stay."""
    recorder.catch_up()
    gone = set(recorder.deleted()) | {change.uid for change in recorder.changes if change.type == "DELETED"}
    return {app: [uid for uid in recorder.uids(app) if uid not in gone] for app in apps}


def old(before: Census) -> set[str]:
    """Return the UIDs of a census. Such a pod may have been held and released, too: when the tree was there before it was made."""
    return {uid for uids in before.values() for uid in uids}


def new(recorder: Recorder, before: Census, app: str) -> list[str]:
    """Return the UIDs of the app's pods that came after the census."""
    seen = recorder.uids(app)
    return seen[seen.index(before[app][-1]) + 1 :]


def all_gone(recorder: Recorder, before: Census, *apps: str) -> None:
    """Wait until none of these apps' pods of the census is left."""
    old = {uid for app in apps for uid in before[app]}
    eventually(lambda: not any(old & set(uids) for uids in census(recorder, *apps).values()), f"{apps} are all new")


def replaced_once(recorder: Recorder, before: Census, *apps: str) -> None:
    """Assert that every pod of these apps (all, when none is named) was replaced once, and no pod was replaced twice."""
    recorder.catch_up()
    for app in apps or before:
        now = census(recorder, app)[app]
        assert not set(before[app]) & set(now), f"{app}: not all were replaced: {recorder.story()}"
        assert new(recorder, before, app) == now, f"{app}: some were replaced twice: {recorder.story()}"
        assert len(now) == len(before[app]), f"{app}: {len(before[app])} pods became {len(now)}: {recorder.story()}"


def untouched(recorder: Recorder, before: Census, *apps: str) -> None:
    """Assert that no pod of these apps (all, when none is named) was deleted, and none came."""
    recorder.catch_up()
    for app in apps or before:
        assert not set(recorder.deleted()) & set(before[app]), f"{app} was touched: {recorder.story()}"
        assert new(recorder, before, app) == [], f"{app} got new pods: {recorder.story()}"


def cost_nothing(status: Json) -> None:
    """Assert that a tree has restarted nothing and counted nothing."""
    assert status.get("history", []) == []
    assert status["restarts"] == 0
    assert status["budget"]["used"] == 0
    assert [child["restarts"] for child in status["children"]] == [0] * len(status["children"])


def counted_once(status: Json, *, operation: int = 1) -> Json:
    """Assert that a tree has restarted once, for one count; return the entry of its history."""
    assert (status["restarts"], status["budget"]["used"], len(status["history"])) == (1, 1, 1), status
    entry: Json = status["history"][0]
    assert (entry["operation"], entry["counted"], entry["outcome"]) == (operation, True, "Restarted")
    return entry


def none_held(kube: Kube) -> None:
    """Assert that no pod is held."""
    held = kube.held()
    assert not held, f"held: {held}"
