"""Pods and workloads, cut down to what Suptree looks at: frozen values, so that two views can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from suptree.api.model import from_time, to_time
from suptree.api.reasons import HOLD_GATE

Raw = Mapping[str, Any]

OPERATION_LABEL = "suptree.dev/operation"
"""On a pod that an operation started: the operation's id."""

_REVISION_LABELS = ("pod-template-hash", "controller-revision-hash")


@dataclass(frozen=True, slots=True)
class Death:
    """One termination of one container, as the kubelet reports it in state or lastState."""

    container: str
    id: str
    """The containerID: it names this death and no other."""
    exit_code: int
    signal: int
    reason: str
    message: str
    is_init: bool
    """Whether it was an init container that is to run to its end (not a sidecar)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller of a pod or of a ReplicaSet."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod."""

    uid: str
    namespace: str
    name: str
    version: int
    labels: Mapping[str, str] = field(hash=False)
    owner: Owner | None
    created: str
    deletes_at: float | None
    """Being deleted: when its grace period is over, by the API server's clock (seconds since the epoch)."""
    is_ready: bool
    is_gated: bool
    """Whether it carries our scheduling gate."""
    is_fresh: bool
    """Whether none of its containers was ever started."""
    revision: str
    deaths: tuple[Death, ...]
    obstacle: str
    """Why it cannot start, where a restart would not help: image pull, unschedulable; empty otherwise."""
    phase: str
    disruption: str
    """Why Kubernetes took it away: the reason of its condition DisruptionTarget, or of its phase; empty otherwise."""
    node: str
    conditions: tuple[tuple[str, str], ...]
    """Type and status of its conditions."""
    attempt: str
    """Which try to start its containers this is: it changes with each start, end and restart of one of them."""
    is_trying: bool
    """Whether a container runs, or fails to be run (as opposed to waiting for its image, its node or its back-off)."""
    has_started: bool
    """Whether all its containers run, and none of them has a startup probe that has not succeeded yet."""
    is_cut_off: bool
    """Whether it is Not Ready only because its node does not answer: its containers were Ready when last heard of."""
    dead_restarts: int
    """The restart count of a container that has died and is to run again; -1 when there is none."""
    restart_policy: str = "Always"
    finalizers: tuple[str, ...] = ()
    deleted: str = ""
    """Being deleted: when somebody asked for that, by the API server's clock, written as `created` is; empty otherwise."""

    @property
    def is_deleting(self) -> bool:
        """Whether it is on its way out."""
        return self.deletes_at is not None

    @property
    def is_held(self) -> bool:
        """Whether our gate keeps it from starting."""
        return self.is_gated and not self.is_deleting

    @property
    def is_disrupted(self) -> bool:
        """Whether Kubernetes took it away: eviction, preemption, node shutdown, a node that is gone."""
        return bool(self.disruption)

    @property
    def is_over(self) -> bool:
        """Whether all its containers have ended for good."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def is_success(self) -> bool:
        """Whether all its containers have ended well, and by themselves."""
        ran_out = any(death.reason == "OOMKilled" for death in self.deaths)
        return self.phase == "Succeeded" and not self.is_disrupted and not ran_out


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet, DaemonSet or ReplicaSet."""

    kind: str
    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    observed_generation: int
    replicas: int
    """Pods that are wanted."""
    update_revision: str
    """The revision that new pods get; of a StatefulSet only."""
    first_ordinal: int
    selector: Raw = field(hash=False)
    template_labels: Mapping[str, str] = field(hash=False)
    """Labels that its pods get."""
    owner: Owner | None = None
    is_deleting: bool = False
    obstacle: str = ""
    """Why its controller cannot create pods, such as a quota; empty otherwise. Only ReplicaSets and Deployments say it."""
    starts_in_turn: bool = False
    """Whether a pod of it is made only when the one before it is Ready (podManagementPolicy OrderedReady)."""


def pod_of(raw: Raw) -> Pod:
    """Return the view of a Pod object."""
    meta, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    labels = {intern(key): intern(value) for key, value in (meta.get("labels") or {}).items()}
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return Pod(
        uid=meta["uid"],
        namespace=intern(meta["namespace"]),
        name=meta["name"],
        version=int(meta.get("resourceVersion") or 0),
        labels=labels,
        owner=controller_of(meta),
        created=meta.get("creationTimestamp") or "",
        deletes_at=from_time(meta["deletionTimestamp"]) if meta.get("deletionTimestamp") else None,
        is_ready=_condition(status, "Ready") == "True" and status.get("phase") not in _OVER,
        is_gated=any(gate.get("name") == HOLD_GATE for gate in spec.get("schedulingGates") or ()),
        is_fresh=all(_never_started(container) for container in statuses),
        revision=next((labels[name] for name in _REVISION_LABELS if name in labels), ""),
        deaths=_deaths(meta, spec, status),
        obstacle=_obstacle(status, statuses),
        phase=intern(_phase(spec, status)),
        disruption=_disruption(status),
        node=intern(spec.get("nodeName") or ""),
        conditions=tuple((intern(it["type"]), intern(it["status"])) for it in status.get("conditions") or ()),
        attempt=_attempt(statuses),
        is_trying=any(_is_trying(container) for container in statuses),
        has_started=_have_started(status.get("containerStatuses") or ()),
        is_cut_off=_is_cut_off(status),
        dead_restarts=max((_dead_restarts(spec, it) for it in status.get("containerStatuses") or ()), default=-1),
        restart_policy=intern(spec.get("restartPolicy") or "Always"),
        finalizers=tuple(intern(it) for it in meta.get("finalizers") or ()),
        deleted=_deleted(meta),
    )


def _deleted(meta: Raw) -> str:
    if not meta.get("deletionTimestamp"):
        return ""
    asked = from_time(meta["deletionTimestamp"]) - (meta.get("deletionGracePeriodSeconds") or 0)
    return to_time(asked).partition(".")[0] + "Z"


def workload_of(kind: str, raw: Raw) -> Workload:
    """Return the view of a workload object."""
    meta, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    replicas = spec.get("replicas", 1)
    if kind == "DaemonSet" and status.get("observedGeneration"):
        # Before its controller has looked at it nobody knows on how many nodes it is to run.
        replicas = status.get("desiredNumberScheduled")
    return Workload(
        kind=kind,
        namespace=intern(meta["namespace"]),
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta.get("resourceVersion") or 0),
        generation=int(meta.get("generation") or 0),
        observed_generation=int(status.get("observedGeneration") or 0),
        replicas=int(replicas or 0),
        update_revision=status.get("updateRevision") or "",
        first_ordinal=int((spec.get("ordinals") or {}).get("start") or 0),
        selector=spec.get("selector") or {},
        template_labels=((spec.get("template") or {}).get("metadata") or {}).get("labels") or {},
        owner=controller_of(meta),
        is_deleting=bool(meta.get("deletionTimestamp")),
        obstacle=_failed_create(status),
        starts_in_turn=kind == "StatefulSet" and spec.get("podManagementPolicy") != "Parallel",
    )


def _failed_create(status: Raw) -> str:
    for condition in status.get("conditions") or ():
        if (condition.get("type"), condition.get("reason")) == ("ReplicaFailure", "FailedCreate"):
            return f"FailedCreate: {condition.get('message')}"[:200]
    return ""


def controller_of(meta: Raw) -> Owner | None:
    """Return the controller that an object belongs to."""
    for ref in meta.get("ownerReferences") or ():
        if ref.get("controller"):
            return Owner(intern(ref["kind"]), intern(ref["name"]), intern(ref["uid"]))
    return None


def _phase(spec: Raw, status: Raw) -> str:
    """Return the phase; of a pod whose containers have all ended for good the one that its kubelet sets a moment later."""
    phase, policy = status.get("phase") or "", spec.get("restartPolicy") or "Always"
    codes = [
        it["state"]["terminated"].get("exitCode")
        for it in status.get("containerStatuses") or ()
        if _kind(it) == "terminated"
    ]
    has_ended = bool(codes) and len(codes) == len(status["containerStatuses"])
    if phase != "Running" or not has_ended or policy == "Always" or (policy == "OnFailure" and any(codes)):
        return str(phase)
    return "Failed" if any(codes) else "Succeeded"


_OVER = frozenset({"Failed", "Succeeded"})
"""Phases in which no container of a pod runs, or will run again."""
_DISRUPTED_PHASES = frozenset({"Evicted", "Preempting", "Terminated", "NodeShutdown", "Shutdown"})
"""Reasons that a kubelet gives for a phase which it set itself (eviction and preemption by it, graceful node shutdown)."""


def _disruption(status: Raw) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason") or "DisruptionTarget")
    # The condition is younger than the phase, and a kubelet that is in a hurry may leave it out.
    is_over = status.get("phase") in _OVER
    return str(status["reason"]) if is_over and status.get("reason") in _DISRUPTED_PHASES else ""


def _condition(status: Raw, wanted: str) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == wanted:
            return str(condition.get("status"))
    return ""


def _never_started(container: Raw) -> bool:
    state = container.get("state") or {}
    return (
        not container.get("restartCount")
        and not container.get("lastState")
        and "running" not in state
        and "terminated" not in state
    )


def _deaths(meta: Raw, spec: Raw, status: Raw) -> tuple[Death, ...]:
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    mains = status.get("containerStatuses") or ()
    # Of a pod that has done its work the kubelet ends the sidecars: that is no death of theirs.
    has_done_its_work = spec.get("restartPolicy", "Always") != "Always" and _have_ended(mains)
    found = [
        death
        for container in status.get("initContainerStatuses") or ()
        if not (has_done_its_work and container["name"] in sidecars)
        for death in _deaths_of(container, is_init=container["name"] not in sidecars)
    ]
    ended = [death for container in mains for death in _deaths_of(container, is_init=False)]
    if _is_half_done(spec, status):
        ended = [death for death in ended if death.exit_code or death.reason == "OOMKilled"]
    found += ended
    if not found and status.get("phase") == "Failed" and controller_of(meta) is None:
        found.append(_death_of_pod(status))
    return tuple(found)


def _is_half_done(spec: Raw, status: Raw) -> bool:
    """Tell whether a pod that runs to its end has containers that still run: one that ended well is no end of the pod."""
    if (spec.get("restartPolicy") or "Always") == "Always" or status.get("phase") in {"Succeeded", "Failed"}:
        return False
    return any("terminated" not in (it.get("state") or {}) for it in status.get("containerStatuses") or ())


def _death_of_pod(status: Raw) -> Death:
    """Return the end of a pod that nobody replaces and that no container accounts for: evicted, or refused by its node."""
    reason, message = intern(status.get("reason") or "Failed"), (status.get("message") or "")[:200]
    return Death("", reason, 1, 0, reason, message, is_init=False)


def _deaths_of(container: Raw, *, is_init: bool) -> list[Death]:
    """Look at state and lastState: a liveness kill shows in lastState alone; a death under back-off shows in both."""
    found: dict[str, Death] = {}
    for place in ("lastState", "state"):
        ended = (container.get(place) or {}).get("terminated")
        if ended and ended.get("containerID"):
            found[ended["containerID"]] = Death(
                container=intern(container["name"]),
                id=ended["containerID"],
                exit_code=int(ended.get("exitCode") or 0),
                signal=int(ended.get("signal") or 0),
                reason=intern(ended.get("reason") or ""),
                message=(ended.get("message") or "")[:200],
                is_init=is_init,
            )
    return list(found.values())


def _kind(container: Raw) -> str:
    return str(next(iter(container.get("state") or {"waiting": {}})))


def _attempt(statuses: list[Raw]) -> str:
    return "".join(f"{_kind(container)[0]}{container.get('restartCount') or 0}" for container in statuses)


_FAILING = frozenset({"RunContainerError", "StartError", "CreateContainerError", "CreateContainerConfigError"})


def _is_trying(container: Raw) -> bool:
    state = container.get("state") or {}
    return "running" in state or (state.get("waiting") or {}).get("reason") in _FAILING


def _have_started(containers: Sequence[Raw]) -> bool:
    return bool(containers) and all(_kind(it) == "running" and it.get("started") is not False for it in containers)


def _have_ended(containers: Sequence[Raw]) -> bool:
    return bool(containers) and all(_kind(it) == "terminated" for it in containers)


def _is_cut_off(status: Raw) -> bool:
    """Tell what the node controller has written from what a kubelet writes: that one gives a reason, and says it twice."""
    if _condition(status, "Ready") != "False" or _condition(status, "ContainersReady") != "True":
        return False
    return not any(it.get("type") == "Ready" and it.get("reason") for it in status.get("conditions") or ())


def _dead_restarts(spec: Raw, container: Raw) -> int:
    """Return the restart count of a container that is dead and to be restarted; -1 of any other."""
    state = container.get("state") or {}
    ended = state.get("terminated")
    policy = spec.get("restartPolicy") or "Always"
    if ended is not None and (policy == "Never" or (policy == "OnFailure" and not ended.get("exitCode"))):
        return -1
    backs_off = (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    return int(container.get("restartCount") or 0) if backs_off or ended is not None else -1


_OBSTACLES = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


def _obstacle(status: Raw, statuses: list[Raw]) -> str:
    for container in statuses:
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason") or ""
        if reason in _OBSTACLES:
            return str(reason)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return "Unschedulable"
    return ""
