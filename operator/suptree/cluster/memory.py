"""What was already judged, small enough for the status.

A pod is remembered by the first group of its UID (a random number of 32 bits), a death by the first eight letters of
its containerID. Of a child with more than 100 pods only those are remembered that have something to remember: a pod
that vanished unseen can then not be told from one that was never there.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from suptree.cluster.views import Pod

MAX_PODS_BY_NAME = 100
GONE = "-"
"""Stands among a pod's deaths for its deletion."""
_MAX_DEATHS = 1500
"""With 5,000 pods that all died, the status must still fit: the rest is judged by what a later death shows."""


def short_uid(uid: str) -> str:
    """Return the part of a UID that is remembered."""
    return uid[:8]


def short_id(container_id: str) -> str:
    """Return the part of a containerID (`containerd://0123...`) that is remembered."""
    return container_id.rpartition("/")[2][:8]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of one child's pods."""

    pods: Mapping[str, frozenset[str]]
    """Short UID -> short ids of the deaths that were judged."""
    generation: int = 0
    """Generation of the child's workload at that time: unchanged, nobody scaled it or rolled it out."""

    def knows(self, pod: Pod) -> bool:
        """Tell whether the pod was there before."""
        return short_uid(pod.uid) in self.pods

    def judged(self, pod: Pod, what: str) -> bool:
        """Tell whether that death of the pod (a containerID, or `GONE`) was judged."""
        return short_id(what) in self.pods.get(short_uid(pod.uid), frozenset())


def seen_now(pods: Iterable[Pod], generation: int, gone: Collection[str] = (), open_: Collection[str] = ()) -> Seen:
    """Return the memory after these pods were judged.

    Args:
        pods: All pods that are there.
        generation: The generation of the child's workload.
        gone: UIDs of pods among them whose deletion was judged.
        open_: Short UIDs of pods that are no longer there and about which nothing could be said yet.
    """
    found = {
        short_uid(pod.uid): frozenset(
            [short_id(death.id) for death in pod.deaths] + ([GONE] if pod.uid in gone else [])
        )
        for pod in pods
    }
    if len(found) > MAX_PODS_BY_NAME:
        found = dict([(uid, deaths) for uid, deaths in found.items() if deaths][:_MAX_DEATHS])
    return Seen({**dict.fromkeys(open_, frozenset()), **found}, generation)


def encode(seen: Seen) -> str:
    """Write the memory as `generation;uid.death.death,uid`."""
    pods = ",".join(".".join([uid, *sorted(deaths)]) for uid, deaths in sorted(seen.pods.items()))
    return f"{seen.generation};{pods}"


def decode(text: str | None) -> Seen | None:
    """Read what `encode` wrote; None for a child that was never looked at."""
    if text is None:
        return None
    generation, _, pods = text.partition(";")
    parts = [pod.split(".") for pod in pods.split(",") if pod]
    return Seen({uid: frozenset(deaths) for uid, *deaths in parts}, int(generation or 0))


@dataclass(frozen=True, slots=True)
class Replaced:
    """The pods of one child that an operation decided to replace. Nothing else is ever deleted."""

    uids: frozenset[str] = frozenset()
    """Short UIDs."""
    newest: str = ""
    """When the youngest of them was created, by the API server's clock: a younger pod is not one of them."""

    def has(self, pod: Pod) -> bool:
        """Tell whether the pod is to be replaced."""
        return pod.created <= self.newest and short_uid(pod.uid) in self.uids


def replaced(pods: Collection[Pod]) -> Replaced:
    """Return the decision to replace these pods."""
    return Replaced(frozenset(short_uid(pod.uid) for pod in pods), max((pod.created for pod in pods), default=""))


def encode_replaced(it: Replaced) -> str:
    """Write it as `newest;` and eight letters a pod."""
    return f"{it.newest};{''.join(sorted(it.uids))}"


def decode_replaced(text: str) -> Replaced:
    """Read what `encode_replaced` wrote."""
    newest, _, uids = text.partition(";")
    return Replaced(frozenset(uids[at : at + 8] for at in range(0, len(uids), 8)), newest)
