"""What a kubelet (or a controller) writes into a pod's status, written by a test: for pods on kwok's fake nodes."""

import time
from typing import Any

from e2e.lib.kube import Json, Kube


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def container(kube: Kube, pod: str) -> Json:
    """Return the status of a pod's only container."""
    found: Json = kube.get("pod", pod)["status"]["containerStatuses"][0]
    return found


def terminated(status: Json, code: int, reason: str = "") -> Json:
    """Return the state of that container after it has ended."""
    reason = reason or ("Completed" if code == 0 else "Error")
    ended = {"exitCode": code, "reason": reason, "containerID": status["containerID"]}
    return {"terminated": {**ended, "startedAt": now(), "finishedAt": now()}}


def conditions(**status: bool) -> list[Json]:
    """Return these conditions, as a kubelet writes them."""
    why = {True: "", False: "ContainersNotReady"}
    return [
        {"type": type_, "status": str(is_so), "reason": why[is_so], "lastTransitionTime": now()}
        for type_, is_so in status.items()
    ]


def disrupted(reason: str) -> Json:
    """Return the condition by which Kubernetes marks a pod that it takes away."""
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": now()}


def write(kube: Kube, pod: str, *, main: Json | None = None, **status: Any) -> None:  # noqa: ANN401 - any field
    """Write fields of a pod's status, and of its only container's."""
    if main is not None:
        status["containerStatuses"] = [{**container(kube, pod), **main}]
    kube.patch("pod", pod, {"status": status}, subresource="status", type_="strategic")


def not_ready(kube: Kube, pod: str) -> None:
    """Let a pod's readiness probe fail."""
    write(kube, pod, main={"ready": False}, conditions=conditions(Ready=False, ContainersReady=False))


def ready(kube: Kube, pod: str) -> None:
    """Let a pod's readiness probe succeed."""
    write(kube, pod, main={"ready": True}, conditions=conditions(Ready=True, ContainersReady=True))


def cut_off(kube: Kube, pod: str) -> None:
    """Let a pod's node stop to answer: the node controller changes the condition Ready, and nothing else."""
    changed = {"type": "Ready", "status": "False", "reason": "", "lastTransitionTime": now()}
    write(kube, pod, conditions=[changed])


def rebooted(kube: Kube, pod: str) -> None:
    """Let a pod's container run again after its node has rebooted; it is not Ready yet."""
    was = container(kube, pod)
    again = {
        "containerID": f"{was['containerID']}-again",
        "restartCount": was["restartCount"] + 1,
        "lastState": terminated(was, 255, "Unknown"),
        "ready": False,
    }
    write(kube, pod, main=again, conditions=conditions(Ready=False, ContainersReady=False))


def is_over(kube: Kube, pod: str, phase: str, reason: str, *, code: int, is_marked: bool) -> None:
    """Let a kubelet end a pod for good: by eviction, or because its node shuts down."""
    more = [disrupted("TerminationByKubelet")] if is_marked else []
    write(
        kube,
        pod,
        main={"ready": False, "started": False, "state": terminated(container(kube, pod), code)},
        conditions=[*conditions(Ready=False, ContainersReady=False), *more],
        phase=phase,
        reason=reason,
    )


def evict(kube: Kube, pod: str) -> None:
    """Evict a pod as a drain, an autoscaler or a descheduler does."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": kube.namespace}}
    url = f"/api/v1/namespaces/{kube.namespace}/pods/{pod}/eviction"
    kube.api.ask("POST", url, eviction)
