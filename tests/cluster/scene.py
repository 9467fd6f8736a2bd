"""A namespace in a test: its objects, what kubelets and controllers do to them, and one tree that decides.

Each decision starts from what the API server would have stored: the status goes through JSON and back every time, so a
test that passes has also shown that nothing is remembered anywhere else.
"""

import json
import marshal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import pytest

from suptree.api.reasons import TREE_LABEL
from suptree.api.status import SupervisionTreeStatus
from suptree.cluster.children import ChildView, resolve_all, strays
from suptree.cluster.gating import Evidence, after_lag, evidence
from suptree.cluster.labels import matches
from suptree.cluster.memory import decode, short_uid
from suptree.cluster.reconcile import decide
from suptree.cluster.scales import Scale, ScaleRef, Trouble
from suptree.cluster.situation import Plan, Situation
from suptree.cluster.store import Namespace
from suptree.cluster.trees import Tree, tree_of
from suptree.cluster.views import Pod, pod_of, workload_of
from tests.cluster.builders import (
    T0,
    Raw,
    child,
    container,
    pod,
    running,
    stamp,
    template_labels,
    terminated,
    tree,
    workload,
)

KINDS = {"sts": "StatefulSet", "deploy": "Deployment", "ds": "DaemonSet"}
MAX_ROUNDS = 200

SPECS = [
    pytest.param({"strategy": "OneForOne"}, id="one_for_one"),
    pytest.param({"strategy": "RestForOne"}, id="rest_for_one"),
    pytest.param({"strategy": "OneForAll"}, id="one_for_all"),
    pytest.param({"strategy": "OneForAll", "ordering": "Parallel"}, id="parallel"),
    pytest.param({"strategy": "OneForAll", "backoff": {"initialSeconds": 5}}, id="with a backoff"),
    pytest.param({"strategy": "OneForAll", "mode": "Observe"}, id="observing"),
]
"""The kinds of trees that every promise is kept by."""


def seen_tree(raw: Raw) -> Tree:
    """Return a tree as Suptree sees it; read once, because most trees stay as they were from one look to the next."""
    return _tree(marshal.dumps(raw, _AS_VALUES))


@lru_cache(1024)
def _tree(copy: bytes) -> Tree:
    return tree_of(json.loads(json.dumps(marshal.loads(copy))))  # noqa: S302 - our own


def seen_pod(raw: Raw) -> Pod:
    """Return a pod as Suptree sees it; read once, as the operator reads only what has changed."""
    return _pod(marshal.dumps(raw, _AS_VALUES))


@lru_cache(16384)
def _pod(copy: bytes) -> Pod:
    return pod_of(marshal.loads(copy))  # noqa: S302 - our own


_AS_VALUES = 2
"""The newest of marshal's formats in which equal objects are equal bytes; five times as quick as JSON."""


@dataclass
class Scene:
    """One tree, its workloads and their pods."""

    tree: Raw
    workloads: list[Raw] = field(default_factory=list)
    pods: dict[str, Raw] = field(default_factory=dict)
    """By name."""
    scales: dict[ScaleRef, Scale | Trouble] = field(default_factory=dict)
    others: list[Raw] = field(default_factory=list)
    """Other trees of the namespace."""
    now: float = T0
    jitter: float = 0.0
    is_gate_installed: bool = True
    is_gate_in_force: bool = True
    """False: the policy is there and does nothing."""
    told: Evidence = field(default_factory=Evidence)
    """What the pods have told about the policy; the index is as old as the story."""
    is_namespace_going: bool = False
    log: list[str] = field(default_factory=list)
    """What was done, in order: '-pod' deleted, '+pod' started."""
    known: dict[str, dict[str, Pod]] = field(default_factory=dict)
    plan: Plan | None = None

    # What there is.

    @property
    def status(self) -> SupervisionTreeStatus:
        """The tree's status, as stored."""
        return SupervisionTreeStatus.model_validate(self.tree["status"])

    @property
    def outcomes(self) -> list[str]:
        """The history, oldest first: child, cause and outcome of each entry."""
        return [f"{it.child} {it.cause} {it.outcome}" for it in reversed(self.status.history)]

    @property
    def used(self) -> int:
        """How much of the budget is spent."""
        budget = self.status.budget
        assert budget is not None
        return budget.used

    def condition(self, type_: str) -> str:
        """Return a condition as 'True Reason'."""
        (found,) = (it for it in self.status.conditions if it.type == type_)
        return f"{found.status} {found.reason}"

    def message(self, type_: str) -> str:
        """Return a condition's message."""
        (found,) = (it for it in self.status.conditions if it.type == type_)
        return found.message

    def child(self, name: str) -> Any:  # noqa: ANN401 - ChildStatus, without the None of `next`
        """Return the status of a child."""
        return next(it for it in self.status.children if it.name == name)

    def workload(self, kind: str, name: str) -> Raw:
        """Return a workload."""
        return next(it for it in self.workloads if (it["kind"], it["metadata"]["name"]) == (kind, name))

    def of(self, name: str) -> list[Raw]:
        """Return the pods with that app label."""
        return [it for it in self.pods.values() if it["metadata"]["labels"].get("app") == name]

    def namespace(self) -> Namespace:
        """Return the namespace as a store that saw all of it."""
        store = Namespace(scales=self.scales)
        for raw in self.workloads:
            store.put_workload(workload_of(raw["kind"], raw))
        for raw in self.pods.values():
            store.put_pod(seen_pod(raw))
        for raw in (self.tree, *self.others):
            store.put_tree(seen_tree(raw))
        return store

    # Deciding, as the loop does it.

    def look(self) -> Situation:
        """Return the whole current state."""
        store = self.namespace()
        it = seen_tree(self.tree)
        children = resolve_all(it.name, it.spec.children, store) if it.spec else ()
        views = tuple(replace(view, ghosts=tuple(self._ghosts(view))) for view in children)
        left = strays(it.name, views, store)
        gate = self.is_gate_installed
        if gate and self.plan is not None:
            self.told |= evidence(views, self.plan.selectors, store.controllers, after_lag(stamp(T0)))
        return Situation(
            it,
            views,
            store.controllers,
            self.now,
            self.jitter,
            is_gate_installed=gate,
            unheld=self.told.pod if gate and self.told.is_against else None,
            strays=left,
            is_namespace_going=self.is_namespace_going,
        )

    def _ghosts(self, view: ChildView) -> Iterator[Pod]:
        present = {it.uid for it in view.pods}
        return (it for uid, it in self.known.get(view.name, {}).items() if uid not in present)

    def peek(self) -> Plan:
        """Decide without writing anything."""
        return self._decided()[1]

    def _decided(self) -> tuple[Situation, Plan]:
        situation = self.look()
        while True:
            plan = decide(situation)
            asked = {it.uid for it in plan.confirm} - situation.fresh
            if not asked:
                return situation, plan
            situation = replace(situation, fresh=situation.fresh | asked)

    def decide(self) -> Plan:
        """Decide and write the status; do nothing about it yet."""
        situation, plan = self._decided()
        self.tree["status"] = json.loads(json.dumps(plan.status.to_json()))
        assert self.status == plan.status, "the status lost something on its way through JSON"
        open_ = {it.name: decode(it.seen) for it in plan.status.children}
        self.known = {}
        for view in situation.children:
            seen = open_.get(view.name)
            ghosts = [it for it in view.ghosts if seen is not None and short_uid(it.uid) in seen.pods]
            self.known[view.name] = {it.uid: it for it in (*view.pods, *ghosts)}
        self.plan = plan
        return plan

    def act(self, plan: Plan) -> None:
        """Do what was decided: deletes and releases, each by UID."""
        for delete in plan.deletes:
            if (raw := self._by_uid(delete.pod.uid)) and "deletionTimestamp" not in raw["metadata"]:
                self.log.append(f"-{delete.pod.name}")
                grace = 30 if delete.grace_seconds is None else max(1, delete.grace_seconds)
                raw["metadata"] |= {"deletionTimestamp": stamp(self.now + grace), "deletionGracePeriodSeconds": grace}
        for release in plan.releases:
            if raw := self._by_uid(release.pod.uid):
                self.log.append(f"+{release.pod.name}")
                raw["spec"]["schedulingGates"] = []

    def _by_uid(self, uid: str) -> Raw | None:
        return next((raw for raw in self.pods.values() if raw["metadata"]["uid"] == uid), None)

    def step(self) -> Plan:
        """Decide, write and act; a second passes."""
        plan = self.decide()
        self.act(plan)
        self.now += 1
        return plan

    def settle(self) -> str:
        """Let everybody do their work until nothing changes any more; answer what the tree did."""
        self.log.clear()
        for _ in range(MAX_ROUNDS):
            before = json.dumps([self.tree["status"].get("operation"), self.pods], sort_keys=True)
            self.step()
            self.run_cluster()
            if json.dumps([self.tree["status"].get("operation"), self.pods], sort_keys=True) == before:
                return " ".join(self.log)
        raise AssertionError("the tree never settles")

    # What others do.

    def run_cluster(self) -> None:
        """Let kubelets end and start what is to end and to start, and controllers fill what is missing."""
        for name, raw in list(self.pods.items()):
            if "deletionTimestamp" in raw["metadata"]:
                self.gone(name)
            elif not raw["spec"].get("schedulingGates"):
                self.runs(name)
        for it in self.workloads:
            self.fill(it)

    def fill(self, it: Raw) -> None:
        """Let a controller make the pods that are missing."""
        name, kind = it["metadata"]["name"], it["kind"]
        if kind == "Deployment" or "deletionTimestamp" in it["metadata"]:
            return
        wanted = it["status"].get("desiredNumberScheduled", it["spec"].get("replicas", 0))
        mine = [
            raw
            for raw in self.pods.values()
            if raw["metadata"].get("ownerReferences", [{}])[0].get("uid") == it["metadata"]["uid"]
            and (kind == "StatefulSet" or "deletionTimestamp" not in raw["metadata"])
        ]
        names = {raw["metadata"]["name"] for raw in mine}
        first = it["spec"].get("ordinals", {}).get("start", 0)
        number = first
        while len(names) < wanted:
            new = f"{name}-{number}"
            number += 1
            if new not in self.pods:
                gated, labels = self._as_the_policy_has_it(it)
                made = pod(new, of=it, created=stamp(self.now), gated=gated, revision=self._revision(it), labels=labels)
                self.add(made)
                names.add(new)
            elif kind == "StatefulSet" and number > first + wanted:
                return

    def _revision(self, it: Raw) -> str:
        return str(it["status"].get("updateRevision") or it["metadata"]["name"])

    def _as_the_policy_has_it(self, it: Raw) -> tuple[bool, dict[str, str]]:
        """Return whether the gate policy holds a new pod, and the labels that it gives it."""
        plan = self.plan
        if plan is None or not (self.is_gate_installed and self.is_gate_in_force):
            return False, {}
        if not any(matches(selector, template_labels(it)) for selector in plan.selectors):
            return False, {}
        return plan.is_gated, {TREE_LABEL: self.tree["metadata"]["name"]}

    def add(self, raw: Raw) -> Raw:
        """Put a pod there."""
        self.pods[raw["metadata"]["name"]] = raw
        return raw

    def gone(self, name: str) -> Raw:
        """Let a pod's object go."""
        return self.pods.pop(name)

    def delete(self, name: str) -> None:
        """Let somebody else delete a pod: it is on its way out."""
        self.pods[name]["metadata"] |= {"deletionTimestamp": stamp(self.now + 30), "deletionGracePeriodSeconds": 30}

    def dies(self, name: str, code: int = 1, reason: str = "", **more: Any) -> str:  # noqa: ANN401
        """Let the container of a pod end; answer its containerID."""
        ended = terminated(code, reason, **more)
        self._become(name, container(ended, restarts=self.restarts(name), last=self.last(name)))
        return str(ended["terminated"]["containerID"])

    def runs(self, name: str) -> None:
        """Let the kubelet start the container of a pod, again if it has died, and the pod be Ready."""
        statuses = self.pods[name]["status"]["containerStatuses"]
        if not statuses:
            self._become(name, container(running()))
        elif "terminated" in statuses[0]["state"]:
            self._become(name, container(running(), last=statuses[0]["state"], restarts=self.restarts(name) + 1))
        else:
            self._become(name, container(running(), last=self.last(name), restarts=self.restarts(name)))

    def restarts(self, name: str) -> int:
        """Return the restart count of a pod's container."""
        statuses = self.pods[name]["status"]["containerStatuses"]
        return int(statuses[0]["restartCount"]) if statuses else 0

    def last(self, name: str) -> Raw | None:
        """Return the last state of a pod's container."""
        statuses = self.pods[name]["status"]["containerStatuses"]
        return statuses[0]["lastState"] if statuses else None

    def _become(self, name: str, status: Raw) -> None:
        raw = self.pods[name]
        ready = "running" in status["state"]
        others = [it for it in raw["status"]["conditions"] if it["type"] != "Ready"]
        raw["status"]["containerStatuses"] = [status]
        raw["status"]["conditions"] = [{"type": "Ready", "status": str(ready)}, *others]
        raw["status"]["phase"] = "Running"


def scene(children: str, *, more: dict[str, Raw] | None = None, **spec: Any) -> Scene:  # noqa: ANN401 - any fields
    """Build a scene in which all children are up: 'db web=deploy*3 log=ds:temporary'.

    Args:
        children: Their names, kinds (a StatefulSet unless said otherwise), replicas and restart types.
        more: Further fields of children, by name.
        spec: Fields of the tree's spec.
    """
    it = Scene({})
    raws = []
    for word in children.split():
        text, _, restart = word.partition(":")
        text, _, replicas = text.partition("*")
        name, _, kind = text.partition("=")
        full = KINDS[kind or "sts"]
        raws.append(
            child(name, full, **{"restart": (restart or "permanent").capitalize(), **(more or {}).get(name, {})})
        )
        top = workload(full, name, int(replicas or 1))
        it.workloads.append(top)
        if full == "Deployment":
            it.workloads.append(workload("ReplicaSet", f"{name}-r1", int(replicas or 1), of=top, app=name))
    it.tree = tree(*raws, **spec)
    for top in it.workloads:
        it.fill(top)
    for raw in it.pods.values():
        raw["metadata"]["creationTimestamp"] = stamp(T0 - 3600)
    it.settle()
    assert it.log == []
    return it
