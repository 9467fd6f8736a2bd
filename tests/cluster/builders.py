"""Objects as the API server gives them, and no more of each than a test wants to say."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from suptree.api.model import from_time

Raw = dict[str, Any]

NAMESPACE = "shop"
T0 = from_time("2026-03-01T00:00:00Z")
"""When every story begins."""
BEFORE = "2026-02-28T23:00:00Z"
"""When what is there at T0 was created."""

_numbers = count(1)


def new_uid() -> str:
    """Return a UID that no other object has; its first group differs as random ones do."""
    number = next(_numbers)
    return f"{number * 2654435761 % 2**32:08x}-0000-4000-8000-{number:012x}"


def new_id() -> str:
    """Return a containerID that no other container has."""
    number = next(_numbers)
    return f"containerd://{number * 2246822519 % 2**32:08x}{number:056x}"


def stamp(time: float) -> str:
    """Write a time as the API server does: in whole seconds."""
    return datetime.fromtimestamp(int(time), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# Containers.


def terminated(code: int = 1, reason: str = "", container_id: str = "", **more: Any) -> Raw:  # noqa: ANN401
    """Return the state of a container that ended."""
    reason = reason or ("Completed" if code == 0 else "Error")
    return {"terminated": {"exitCode": code, "reason": reason, "containerID": container_id or new_id(), **more}}


def waiting(reason: str = "ContainerCreating") -> Raw:
    """Return the state of a container that does not run."""
    return {"waiting": {"reason": reason}}


def running() -> Raw:
    """Return the state of a container that runs."""
    return {"running": {"startedAt": BEFORE}}


def container(state: Raw | None = None, *, last: Raw | None = None, restarts: int = 0, name: str = "main") -> Raw:
    """Return the status of a container."""
    state = running() if state is None else state
    runs = "running" in state
    return {
        "name": name,
        "state": state,
        "lastState": last or {},
        "restartCount": restarts,
        "ready": runs,
        "started": runs,
    }


# Pods.


def owner(kind: str, name: str, uid: str) -> Raw:
    """Return the reference to a controller."""
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}


def pod(
    name: str = "db-0",
    *containers: Raw,
    of: Raw | None = None,
    uid: str = "",
    ready: bool | None = None,
    deletes_at: float | None = None,
    gated: bool = False,
    created: str = BEFORE,
    labels: dict[str, str] | None = None,
    revision: str = "r1",
    conditions: Sequence[Raw] = (),
    init: Sequence[Raw] = (),
    sidecars: Sequence[str] = (),
    node: str = "node-1",
    phase: str = "Running",
) -> Raw:
    """Return a pod; without more it runs, is Ready and belongs to the workload `of`."""
    statuses = list(containers) or ([] if gated else [container()])
    if ready is None:
        ready = not gated and all("running" in status["state"] for status in statuses)
    meta: Raw = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid or new_uid(),
        "resourceVersion": str(next(_numbers)),
        "creationTimestamp": created,
        "labels": {**(template_labels(of) if of else {"app": name}), **(labels or {})},
    }
    if of is not None:
        meta["labels"]["pod-template-hash" if of["kind"] == "ReplicaSet" else "controller-revision-hash"] = revision
        meta["ownerReferences"] = [owner(of["kind"], of["metadata"]["name"], of["metadata"]["uid"])]
    if deletes_at is not None:
        meta["deletionTimestamp"] = stamp(deletes_at)
    spec: Raw = {"nodeName": "" if gated else node, "containers": [{"name": "main"}]}
    spec["initContainers"] = [{"name": it["name"]} for it in init if it["name"] not in sidecars]
    spec["initContainers"] += [{"name": name, "restartPolicy": "Always"} for name in sidecars]
    if gated:
        spec["schedulingGates"] = [{"name": "suptree.dev/hold"}]
    status = {
        "phase": "Pending" if gated else phase,
        "conditions": [{"type": "Ready", "status": str(ready)}, *conditions],
        "containerStatuses": statuses,
        "initContainerStatuses": list(init),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def disrupted(reason: str = "EvictionByEvictionAPI") -> Raw:
    """Return the condition that Kubernetes sets on a pod that it is about to disrupt."""
    return {"type": "DisruptionTarget", "status": "True", "reason": reason}


def unschedulable() -> Raw:
    """Return the condition of a pod that no node has room for."""
    return {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


# Workloads.


def template_labels(workload: Raw) -> dict[str, str]:
    """Return the labels that a workload gives its pods."""
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def workload(
    kind: str,
    name: str,
    replicas: int = 1,
    *,
    generation: int = 1,
    observed: int | None = None,
    revision: str = "r1",
    of: Raw | None = None,
    app: str = "",
    first: int = 0,
) -> Raw:
    """Return a Deployment, StatefulSet, DaemonSet or ReplicaSet."""
    labels = {"app": app or name}
    meta: Raw = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": new_uid(),
        "resourceVersion": str(next(_numbers)),
        "generation": generation,
    }
    if of is not None:
        meta["ownerReferences"] = [owner(of["kind"], of["metadata"]["name"], of["metadata"]["uid"])]
    spec: Raw = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": dict(labels)}}}
    status: Raw = {"observedGeneration": generation if observed is None else observed}
    if kind == "DaemonSet":
        status["desiredNumberScheduled"] = replicas
    else:
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        status["updateRevision"] = revision
    if first:
        spec["ordinals"] = {"start": first}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec, "status": status}


# Trees.


def child(name: str, kind: str = "StatefulSet", **more: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return a child of a tree; its fields are given as in the manifest."""
    return {"name": name, "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}, **more}


def tree(*children: Raw, name: str = "shop", **spec: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return a tree; restarts wait only if the test says so."""
    meta: Raw = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": new_uid(),
        "generation": 1,
        "resourceVersion": str(next(_numbers)),
        "creationTimestamp": BEFORE,
    }
    none = {"initialSeconds": 0, "factor": 1, "maxSeconds": 0, "jitterPercent": 0}
    return {"metadata": meta, "spec": {"backoff": none, "children": list(children), **spec}, "status": {}}
