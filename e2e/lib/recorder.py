"""Every change of every pod (or other object) of a namespace, in the order in which a watch shows it."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import urllib3

from e2e.lib.api import Stream
from e2e.lib.kube import Kube, eventually, is_ready


@dataclass(frozen=True)
class Change:
    """One event of the watch."""

    time: float
    """When it was seen (seconds since the epoch)."""
    type: str
    pod: dict[str, Any]

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def uid(self) -> str:
        """The pod's UID."""
        return str(self.pod["metadata"]["uid"])

    @property
    def app(self) -> str:
        """The pod's label `app`."""
        return str(self.pod["metadata"].get("labels", {}).get("app", ""))


class Recorder:
    """Records while its context lasts."""

    def __init__(self, kube: Kube, kind: str = "pods") -> None:
        self._kube = kube
        self._kind = kind
        self.changes: list[Change] = []
        self._stream: Stream | None = None
        self._ended = threading.Event()
        self._refused: AssertionError | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        """Begin to record, with what is there already."""
        self._path = self._kube.path(self._kind)
        there, self._version = self._kube.api.objects(self._path)
        self.changes += [Change(time.time(), "ADDED", it) for it in there]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop recording."""
        self._ended.set()
        self.interrupt()
        self._thread.join()

    def interrupt(self) -> None:
        """Cut the connection, as the API server does with a reader that it finds slow: nothing is lost by that."""
        if self._stream is not None:
            self._stream.end()

    def _read(self) -> None:
        while not self._ended.is_set():
            try:
                with self._kube.api.watch(self._path, self._version) as stream:
                    self._stream = stream
                    for event in () if self._ended.is_set() else stream:
                        self._take(event)
            except AssertionError as error:
                self._refused = error
                return
            except (urllib3.exceptions.HTTPError, OSError, ValueError):
                pass  # cut in the middle of an event: it comes again
            finally:
                self._stream = None

    def _take(self, event: dict[str, Any]) -> None:
        assert event["type"] != "ERROR", f"the record has a gap: {event['object'].get('message')}"
        self._version = event["object"]["metadata"]["resourceVersion"]
        self.changes.append(Change(time.time(), event["type"], event["object"]))

    def catch_up(self) -> None:
        """Wait until all that has happened so far is recorded: only then does it mean something that a thing is not."""
        eventually(self._is_up_to_date, "the record is up to date")

    def _is_up_to_date(self) -> bool:
        if self._refused is not None:
            raise self._refused
        there = {pod["metadata"]["uid"]: _version(pod) for pod in self._kube.list(self._kind)}
        known = {change.uid: change for change in list(self.changes)}
        left = {uid for uid, change in known.items() if change.type != "DELETED"}
        return left <= there.keys() <= known.keys() and all(_version(known[uid].pod) >= at for uid, at in there.items())

    # What was seen.

    def uids(self, app: str) -> list[str]:
        """Return the UIDs of an app's pods, in the order of their first sight."""
        return list(dict.fromkeys(change.uid for change in self.changes if change.app == app))

    def first(self, app: str, what: str, *, after: int = -1, but: Collection[str] = ()) -> int:
        """Return the position of the first change of an app's pods, but for those with these UIDs, that is one of `WHAT`.

        Raises:
            AssertionError: There was none.
        """
        return self._positions(app, what, after, but)[0]

    def last(self, app: str, what: str) -> int:
        """Return the position of the last such change."""
        return self._positions(app, what)[-1]

    def _positions(self, app: str, what: str, after: int = -1, but: Collection[str] = ()) -> list[int]:
        mine = [(at, it) for at, it in enumerate(self.changes) if at > after and it.app == app and it.uid not in but]
        found = [at for at, it in mine if WHAT[what](it)]
        assert found, f"no pod of {app} was {what}: {self.story()}"
        return found

    def deleted(self) -> list[str]:
        """Return the UIDs that were being deleted."""
        return list(dict.fromkeys(change.uid for change in self.changes if WHAT["deleting"](change)))

    def held(self) -> list[str]:
        """Return the UIDs that were held at any time."""
        return list(dict.fromkeys(change.uid for change in self.changes if WHAT["held"](change)))

    def story(self) -> list[str]:
        """Return what happened, for a message."""
        return [f"{c.name} {c.type} {[w for w, is_so in WHAT.items() if is_so(c)]}" for c in self.changes]


def _version(pod: dict[str, Any]) -> int:
    return int(pod["metadata"]["resourceVersion"])


def _ready(change: Change) -> bool:
    # A pod that is being deleted stays Ready until its program ends: that is the old one.
    return is_ready(change.pod) and not change.pod["metadata"].get("deletionTimestamp")


def _gates(change: Change) -> list[str]:
    return [gate["name"] for gate in change.pod["spec"].get("schedulingGates") or []]


WHAT: dict[str, Callable[[Change], bool]] = {
    "deleting": lambda change: bool(change.pod["metadata"].get("deletionTimestamp")),
    "gone": lambda change: change.type == "DELETED",
    "held": lambda change: "suptree.dev/hold" in _gates(change),
    "released": lambda change: (
        not _gates(change) and "suptree.dev/operation" in change.pod["metadata"].get("labels", {})
    ),
    "ready": _ready,
}
