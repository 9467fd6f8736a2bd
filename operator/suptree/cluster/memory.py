"""What was already judged, small enough for the status.

A pod is remembered by the first group of its UID (a random number of 32 bits), a death by the first eight letters of its
containerID. Of a child with more than 100 pods, a death is remembered by 30 bits of a hash, and of its other pods a few that
have something to remember: a pod that vanished unseen can then not be told from one that was never there, and of deaths
that look new one in 200,000 is taken for an old one when 5,000 pods are dead.
"""

from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Protocol

from suptree.cluster.views import Pod

MAX_PODS_BY_NAME = 100
_MAX_CLOCKS = 200
"""Of a larger child: how many pods are remembered with more than their deaths."""
_HASH = 5
GONE = "-"
"""Stands among a pod's deaths for its deletion."""
LATE = "late"
"""Stands among a pod's deaths for a start that took too long, or for a zombie: judged once an attempt."""
DONE, FAILED, REMOVED = "done", "failed", "removed"
"""What is remembered of a Job or bare Pod: that it ended well, that it failed, that the tree removed it (or `GONE`)."""


def short_uid(uid: str) -> str:
    """Return the part of a UID that is remembered."""
    return uid[:8]


def short_id(container_id: str) -> str:
    """Return the part of a containerID (`containerd://0123...`) that is remembered."""
    return container_id.rpartition("/")[2][:8]


def hashed(uid: str, death: str) -> str:
    """Return what is remembered of a death in a large child.

    Args:
        uid: Short UID of the pod.
        death: Short id of the death.
    """
    return urlsafe_b64encode(blake2b(f"{uid}{death}".encode(), digest_size=4).digest()).decode()[:_HASH]


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of one pod."""

    deaths: frozenset[str] = frozenset()
    """Short ids of the deaths that were judged, `GONE`, `LATE`."""
    was_ready: bool = False
    """Whether it was ever Ready."""
    had_success: bool = False
    """Whether it was Ready in the try `attempt`."""
    is_starting: bool = False
    """Whether its startup probes had not succeeded when it was last seen."""
    has_failed: bool = False
    """Whether it died and was not Ready since, and the child's failure is still to come (`minFailedPods`)."""
    has_died: bool = False
    """Whether it died in the restart in place that is under way."""
    attempt: str = ""
    """The try to start it that its clock belongs to."""
    since: int | None = None
    """Since when it is Not Ready in that try (seconds since the epoch, by the operator's clock)."""

    @property
    def is_worth_it(self) -> bool:
        """Whether there is more to remember than that it was there, and that its containers died."""
        marks = any(death == GONE or death.startswith(LATE) for death in self.deaths)
        return marks or self.has_failed or self.has_died or self.since is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of one child."""

    pods: Mapping[str, Known] = field(default_factory=dict)
    """By short UID."""
    generation: int = 0
    """Generation of the child's workload at that time: unchanged, nobody scaled it or rolled it out."""
    dipped: int | None = None
    """When the workload last wanted no pods, or may have, if that is not long ago (seconds since the epoch)."""
    paused: int | None = None
    """Since when the zombie clocks stand still, because the child's dependency is down (seconds since the epoch)."""

    incident: str = ""
    """While the child restarts in place: when the youngest pod of it that belongs to the same incident was created."""
    digest: frozenset[str] = frozenset()
    """Of a large child: hashes of the deaths that were judged."""

    object: str = ""
    """Of a Job or bare Pod: its short UID."""
    target: str = ""
    """Kind and name of that object, with a slash between them."""
    marks: frozenset[str] = frozenset()
    """What is remembered of that object: `DONE`, `FAILED`, `REMOVED`, `GONE`."""

    def of(self, pod: Pod) -> Known | None:
        """Return what is remembered of the pod; None if it was not there before."""
        return self.pods.get(short_uid(pod.uid))

    def judged(self, pod: Pod, what: str) -> bool:
        """Tell whether that death of the pod (a containerID, `GONE` or `LATE`) was judged."""
        known = self.of(pod)
        if known is not None and short_id(what) in known.deaths:
            return True
        return bool(self.digest) and hashed(short_uid(pod.uid), short_id(what)) in self.digest


def fitting(seen: Seen, replaced: "Replaced") -> Seen:
    """Return the memory so that the status has room for it.

    Of a large child nothing is remembered about the pods that are being replaced: nothing that they do is looked at.
    """
    if len(seen.pods) <= MAX_PODS_BY_NAME:
        return seen
    left = {uid: known for uid, known in seen.pods.items() if uid not in replaced.uids}
    digest = frozenset(hashed(uid, death) for uid, known in left.items() for death in known.deaths)
    clocks = [(uid, known) for uid, known in left.items() if known.is_worth_it]
    return replace(seen, pods=dict(clocks[:_MAX_CLOCKS]), digest=digest)


def without(seen: Seen, pods: Iterable[Pod]) -> Seen:
    """Return the memory of a large child without pods that have come to be replaced since it was made to fit."""
    if not seen.digest:
        return seen
    marks = {short_uid(pod.uid): {GONE, *(short_id(death.id) for death in pod.deaths)} for pod in pods}
    known = {uid: seen.pods[uid].deaths for uid in marks if uid in seen.pods}
    hashes = {hashed(uid, death) for uid, deaths in marks.items() for death in deaths | known.get(uid, frozenset())}
    left = {uid: it for uid, it in seen.pods.items() if uid not in marks}
    return replace(seen, pods=left, digest=seen.digest - hashes)


_FLAGS = {"r": "was_ready", "t": "had_success", "s": "is_starting", "f": "has_failed", "x": "has_died"}


def encode(seen: Seen) -> str:
    """Write the memory as `generation@dipped/paused^incident~hashes=object/kind/name/mark+mark;pod,pod`.

    A pod is written as `uid.death.death+flags:attempt@since`.
    """
    head = f"{seen.generation}" + (f"@{seen.dipped}" if seen.dipped is not None else "")
    head += f"/{seen.paused}" if seen.paused is not None else ""
    head += f"^{seen.incident}" if seen.incident else ""
    head += f"~{''.join(sorted(seen.digest))}" if seen.digest else ""
    head += f"={seen.object}/{seen.target}/{'+'.join(sorted(seen.marks))}" if seen.object else ""
    return f"{head};{','.join(_encode(uid, known) for uid, known in sorted(seen.pods.items()))}"


def _encode(uid: str, known: Known) -> str:
    text = ".".join([uid, *sorted(known.deaths)])
    flags = "".join(flag for flag, name in _FLAGS.items() if getattr(known, name))
    text += f"+{flags}" if flags else ""
    if known.since is None:
        return text + (f":{known.attempt}" if known.attempt else "")
    return f"{text}:{known.attempt}@{known.since}"


def decode(text: str | None) -> Seen | None:
    """Read what `encode` wrote; None for a child that was never looked at."""
    if text is None:
        return None
    head, _, pods = text.partition(";")
    head, _, object_ = head.partition("=")
    object_, _, rest = object_.partition("/")
    target, _, marks = rest.rpartition("/")
    head, _, hashes = head.partition("~")
    head, _, incident = head.partition("^")
    head, _, paused = head.partition("/")
    generation, _, dipped = head.partition("@")
    return Seen(
        pods=dict(map(_decode, filter(None, pods.split(",")))),
        generation=int(generation or 0),
        dipped=int(dipped) if dipped else None,
        paused=int(paused) if paused else None,
        incident=incident,
        digest=frozenset(hashes[at : at + _HASH] for at in range(0, len(hashes), _HASH)),
        object=object_,
        target=target,
        marks=frozenset(filter(None, marks.split("+"))),
    )


def _decode(text: str) -> tuple[str, Known]:
    text, _, clock = text.partition(":")
    attempt, _, since = clock.partition("@")
    text, _, flags = text.partition("+")
    uid, *deaths = text.split(".")
    return uid, Known(
        deaths=frozenset(deaths),
        was_ready="r" in flags,
        had_success="t" in flags,
        is_starting="s" in flags,
        has_failed="f" in flags,
        has_died="x" in flags,
        attempt=attempt,
        since=int(since) if since else None,
    )


class Dated(Protocol):
    """A pod or a Job."""

    @property
    def uid(self) -> str:
        """Its UID."""

    @property
    def created(self) -> str:
        """When it was created, by the API server's clock."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The pods (or the Job) of one child that an operation decided to replace. Nothing else is ever deleted."""

    uids: frozenset[str] = frozenset()
    """Short UIDs."""
    newest: str = ""
    """When the youngest of them was created, by the API server's clock: a younger pod is not one of them."""

    def has(self, it: "Dated") -> bool:
        """Tell whether the pod, or Job, is to be replaced."""
        return it.created <= self.newest and short_uid(it.uid) in self.uids

    def __or__(self, other: "Replaced") -> "Replaced":
        """Return both decisions as one."""
        return Replaced(self.uids | other.uids, max(self.newest, other.newest))


def replaced(pods: "Collection[Dated]") -> Replaced:
    """Return the decision to replace these pods, or Jobs."""
    return Replaced(frozenset(short_uid(pod.uid) for pod in pods), max((pod.created for pod in pods), default=""))


def encode_replaced(it: Replaced) -> str:
    """Write it as `newest;` and eight letters a pod."""
    return f"{it.newest};{''.join(sorted(it.uids))}"


def decode_replaced(text: str) -> Replaced:
    """Read what `encode_replaced` wrote."""
    newest, _, uids = text.partition(";")
    return Replaced(frozenset(uids[at : at + 8] for at in range(0, len(uids), 8)), newest)


def remembered(pods: Iterable[tuple[Pod, Known]]) -> dict[str, Known]:
    """Return the memory of these pods, by short UID."""
    return {short_uid(pod.uid): known for pod, known in pods}
