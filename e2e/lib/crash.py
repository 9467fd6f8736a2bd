"""How a container is made to end, or to be Ready: for real, or by writing what a kubelet would write."""

import secrets
import time

from e2e.lib.kube import Json, Kube, eventually, wait_running


def end(kube: Kube, pod: str, code: int = 3) -> None:
    """Let a real container end with that exit code (its script is `workloads.CRASHES_WHEN_TOLD`)."""
    kube.run("exec", pod, "--", "sh", "-c", f"echo {code} > /tmp/end.new; mv /tmp/end.new /tmp/end")


def be_ready(kube: Kube, app: str) -> None:
    """Let the real pod of an app become Ready, as soon as it runs (its probe is `workloads.READY_WHEN_TOLD`)."""

    def is_told() -> bool:
        # What runs by its status may have ended just now.
        told = kube.run("exec", wait_running(kube, app), "--", "touch", "/tmp/ready", check=False)  # noqa: S108 - in the container
        return told.returncode == 0

    eventually(is_told, f"{app} is told to be Ready")


def pretend(kube: Kube, pod: str, code: int = 3, reason: str = "Error") -> float:
    """Write into a pod on a fake node that its container has ended; return when (seconds since the epoch)."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    container = _container(kube, pod)
    ended = {
        "exitCode": code,
        "reason": reason,
        "containerID": container["containerID"],
        "startedAt": now,
        "finishedAt": now,
    }
    conditions = [
        {"type": type_, "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": now}
        for type_ in ("Ready", "ContainersReady")
    ]
    crashed = {**container, "ready": False, "started": False, "state": {"terminated": ended}}
    patch = {"status": {"containerStatuses": [crashed], "conditions": conditions}}
    at = time.time()
    kube.patch("pod", pod, patch, subresource="status", type_="strategic")
    return at


def finish(kube: Kube, pod: str, code: int = 0) -> None:
    """Write into a pod of a Job on a fake node that it has run to its end, until that lasts: kwok may say once more that it runs."""
    looks = 0

    def has_lasted() -> bool:
        nonlocal looks
        if not kube.uid("pod", pod):
            return True
        is_over = kube.get("pod", pod)["status"]["phase"] in {"Failed", "Succeeded"}
        looks = looks + 1 if is_over else 0
        if not is_over:
            _finish(kube, pod, code)
        return looks > 1

    eventually(has_lasted, f"pod {pod} is over")


def _finish(kube: Kube, pod: str, code: int) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    status = kube.get("pod", pod)["status"]
    ended = {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "containerID": f"fake://{secrets.token_hex(32)}",
        "startedAt": now,
        "finishedAt": now,
    }
    containers = [
        {**it, "ready": False, "started": False, "state": {"running": None, "terminated": ended}}
        for it in status["containerStatuses"]
    ]
    patch = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": containers,
        "conditions": [
            {"type": it, "status": "False", "lastTransitionTime": now} for it in ("Ready", "ContainersReady")
        ],
    }
    kube.patch("pod", pod, {"status": patch}, subresource="status", type_="strategic")


def recover(kube: Kube, pod: str) -> None:
    """Write into a pod on a fake node that its container runs again, as after the kubelet's restart in place."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    container = _container(kube, pod)
    count = container["restartCount"] + 1
    runs = {
        **container,
        "ready": True,
        "started": True,
        "restartCount": count,
        "containerID": f"fake://{secrets.token_hex(32)}",
        "state": {"terminated": None, "running": {"startedAt": now}},
        "lastState": container["state"],
    }
    conditions = [
        {"type": type_, "status": "True", "lastTransitionTime": now} for type_ in ("Ready", "ContainersReady")
    ]
    patch = {"status": {"containerStatuses": [runs], "conditions": conditions}}
    kube.patch("pod", pod, patch, subresource="status", type_="strategic")


def _container(kube: Kube, pod: str) -> Json:
    """Return the status of a pod's first container, once it has one."""
    statuses = eventually(
        lambda: kube.get("pod", pod)["status"].get("containerStatuses"), f"the container of {pod} runs"
    )
    found: Json = statuses[0]
    return found
