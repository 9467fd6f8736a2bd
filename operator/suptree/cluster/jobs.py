"""Jobs, cut down to what Suptree looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern

from suptree.api.model import from_time
from suptree.cluster.manifest import JOB_NAME_LABEL
from suptree.cluster.views import Owner, Raw, controller_of

JOB_TRACKING = "batch.kubernetes.io/job-tracking"
"""Kubernetes' own finalizer of each pod of a Job: it stays until the Job controller has counted how the pod ended."""


@dataclass(frozen=True, slots=True)
class Job:
    """A Job."""

    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    created: str
    deletes_at: float | None
    """Being deleted: when its grace period is over, by the API server's clock (seconds since the epoch)."""
    is_suspended: bool
    is_complete: bool
    is_failed: bool
    message: str
    """Why it failed."""
    has_begun: bool
    """Whether a pod of it has ended, well or not."""
    pods_wanted: int
    """Pods that are to run side by side now."""
    owner: Owner | None
    selector: Mapping[str, object] = field(hash=False)
    finalizers: tuple[str, ...] = ()

    @property
    def is_deleting(self) -> bool:
        """Whether it is on its way out."""
        return self.deletes_at is not None


def job_of(raw: Raw) -> Job:
    """Return the view of a Job object."""
    meta, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    ended = {it["type"]: it for it in status.get("conditions") or () if _counts(it, meta)}
    failed = ended.get("Failed") or {}
    why = [text for text in (failed.get("reason"), failed.get("message")) if text]
    succeeded, completions = int(status.get("succeeded") or 0), spec.get("completions")
    parallelism = spec.get("parallelism")
    wanted = 1 if parallelism is None else int(parallelism)
    if completions is not None:
        wanted = min(wanted, int(completions) - succeeded)
    return Job(
        namespace=intern(meta["namespace"]),
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta.get("resourceVersion") or 0),
        generation=int(meta.get("generation") or 0),
        created=meta.get("creationTimestamp") or "",
        deletes_at=from_time(meta["deletionTimestamp"]) if meta.get("deletionTimestamp") else None,
        is_suspended=bool(spec.get("suspend")),
        is_complete="Complete" in ended,
        is_failed="Failed" in ended,
        message=": ".join(why)[:200],
        has_begun=bool(succeeded or status.get("failed")),
        pods_wanted=max(0, wanted),
        owner=controller_of(meta),
        selector=_selector(meta["name"], spec),
        finalizers=tuple(intern(it) for it in meta.get("finalizers") or ()),
    )


def _counts(condition: Raw, meta: Raw) -> bool:
    """Tell whether a condition says something about the Job: one that is deleted counts its deleted pods as failed."""
    deleted = meta.get("deletionTimestamp") or ""
    is_late = bool(deleted) and (condition.get("lastTransitionTime") or "") > deleted
    return condition.get("status") == "True" and not is_late


def _selector(name: str, spec: Raw) -> Mapping[str, object]:
    """Return the labels that tell a Job's pods, whichever Job of that name it is: its own selector holds its UID."""
    if spec.get("manualSelector"):
        return spec.get("selector") or {}
    return selector_by_name(name)


def selector_by_name(name: str) -> Mapping[str, object]:
    """Return the labels that the pods of every Job of that name have."""
    return {"matchLabels": {JOB_NAME_LABEL: name}}
