"""A namespace with Jobs and bare Pods: what the API server, the Job controller and the garbage collector do to them."""

import json
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from suptree.cluster.bare import Bare
from suptree.cluster.jobs import Job, job_of
from suptree.cluster.manifest import clean, kept, revision, stamped
from suptree.cluster.situation import Plan, Situation
from suptree.cluster.store import Namespace
from tests.cluster.builders import NAMESPACE, T0, Raw, child, container, new_uid, pod, running, stamp, tree, workload
from tests.cluster.scene import MAX_ROUNDS, Scene

NAMES = {"batch.kubernetes.io/job-name", "job-name"}
UIDS = {"batch.kubernetes.io/controller-uid", "controller-uid"}


def job(name: str, **spec: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return a Job's manifest, as somebody applies it."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": "Never", "containers": []}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": template, **spec},
    }


def served(manifest: Raw, now: float = T0) -> Raw:
    """Return what the API server makes of a manifest."""
    raw = deepcopy(manifest)
    uid = new_uid()
    raw["metadata"] |= {
        "namespace": NAMESPACE,
        "uid": uid,
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": stamp(now),
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:suspend": {}}}}],
    }
    raw["status"] = {}
    if raw["kind"] == "Job":
        generated = {**dict.fromkeys(NAMES, raw["metadata"]["name"]), **dict.fromkeys(UIDS, uid)}
        meta = raw["spec"]["template"].setdefault("metadata", {})
        meta["labels"] = {**(meta.get("labels") or {}), **generated}
        raw["metadata"].setdefault("labels", dict(meta["labels"]))
        raw["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        raw["spec"] = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "suspend": False, **raw["spec"]}
    return raw


@dataclass
class BareScene(Scene):
    """One tree, with Jobs and bare Pods among its children."""

    jobs: dict[str, Raw] = field(default_factory=dict)
    """By name."""
    revisions: dict[str, list[Raw]] = field(default_factory=dict)
    """Child -> the ControllerRevisions that keep its manifests, the newest first."""
    created: list[str] = field(default_factory=list)
    """UIDs of what the tree created."""
    ended: dict[str, Raw] = field(default_factory=dict)
    """Jobs that are gone, as they were at last, by name."""
    jobs_are_known: bool = True
    """False: without recreate.enabled nobody may look at them."""
    is_refusing: bool = False
    """Whether the API server creates nothing."""

    def namespace(self) -> Namespace:
        """Return the namespace as a store that saw all of it."""
        store = super().namespace()
        for raw in self.jobs.values() if self.jobs_are_known else ():
            store.put_job(job_of(raw))
        return store

    is_unmade: bool = False
    """Whether the manifests that were kept are gone."""

    def look(self) -> Situation:
        """Return the whole current state."""
        it = super().look()
        return replace(
            it,
            children=tuple(
                replace(view, bare=replace(view.bare, is_unmade=self.is_unmade, last=self._last(view.bare)))
                if view.bare
                else view
                for view in it.children
            ),
        )

    def _last(self, bare: Bare) -> Job | None:
        return job_of(self.ended[bare.name]) if bare.kind == "Job" and bare.name in self.ended else None

    # What the tree does.

    def object_of(self, kind: str, name: str) -> Raw | None:
        """Return a Job or Pod."""
        return self.jobs.get(name) if kind == "Job" else self.pods.get(name)

    def act(self, plan: Plan) -> None:
        """Do what was decided."""
        super().act(plan)
        for save in plan.saves:
            self.keep(save.target.child, self.object_of(save.target.kind, save.target.name))
        for it in plan.removals:
            raw = self.object_of(it.target.kind, it.target.name)
            if raw is not None and raw["metadata"]["uid"] == it.uid:
                self.keep(it.target.child, raw)
                self.log.append(f"-{it.target.name}")
                if it.target.kind == "Job" and raw["metadata"].get("finalizers"):
                    raw["metadata"].setdefault("deletionTimestamp", stamp(self.now))
                elif it.target.kind == "Job":
                    self.job_gone(it.target.name)
                else:
                    raw["metadata"]["deletionTimestamp"] = stamp(self.now + 30)
        for one in plan.creations if not self.is_refusing else ():
            found = [kept(it, one.target.kind, one.target.name) for it in self.revisions.get(one.target.child, [])]
            if found and found[0] and self.object_of(one.target.kind, one.target.name) is None:
                self.log.append(f"*{one.target.name}")
                old = [
                    (it["metadata"].get("ownerReferences") or [{}])[0].get("name")
                    for it in self.pods.values()
                    if it["status"]["phase"] not in {"Succeeded", "Failed"}
                ]
                assert one.target.name not in old, "pods of the old Job are still there"
                self.apply(stamped(found[0], "shop", one.operation))
                made = self.object_of(one.target.kind, one.target.name)
                assert made is not None
                self.created.append(made["metadata"]["uid"])

    def keep(self, child_name: str, raw: Raw | None) -> None:
        """Keep a manifest as the child's newest."""
        if raw is not None:
            it = revision("shop", "uid", child_name, clean(raw), len(self.revisions.get(child_name, [])) + 1)
            if it["data"] not in [old["data"] for old in self.revisions.get(child_name, [])][:1]:
                self.revisions[child_name] = [it, *self.revisions.get(child_name, [])]

    # What others do.

    def apply(self, manifest: Raw) -> None:
        """Let somebody apply a manifest."""
        raw = served(manifest, self.now)
        name = raw["metadata"]["name"]
        if raw["kind"] == "Job":
            self.jobs[name] = raw
            return
        new = pod(name, container(), uid=raw["metadata"]["uid"], created=stamp(self.now))
        new["metadata"] |= raw["metadata"]
        new["spec"] = {**new["spec"], **raw["spec"]}
        self.pods[name] = new

    def job_gone(self, name: str) -> None:
        """Let a Job's object go; its pods are deleted in the background."""
        raw = self.ended[name] = self.jobs.pop(name)
        for it in self.pods_of(raw):
            it["metadata"].setdefault("deletionTimestamp", stamp(self.now + 30))

    def pods_of(self, raw: Raw) -> list[Raw]:
        """Return a Job's pods."""
        uid = raw["metadata"]["uid"]
        return [it for it in self.pods.values() if (it["metadata"].get("ownerReferences") or [{}])[0].get("uid") == uid]

    def ends(self, name: str, how: str = "Complete", code: int = 1) -> None:
        """Let a Job come to its end: 'Complete' or 'Failed'."""
        raw = self.jobs[name]
        for it in self.pods_of(raw):
            self.dies(it["metadata"]["name"], 0 if how == "Complete" else code)
            it["status"]["phase"] = "Succeeded" if how == "Complete" else "Failed"
        condition = {"type": how, "status": "True", "reason": "BackoffLimitExceeded" if how == "Failed" else ""}
        raw["status"] = {"conditions": [condition], "succeeded" if how == "Complete" else "failed": 1}

    def suspend(self, name: str, *, on: bool = True) -> None:
        """Let somebody suspend a Job, or resume it."""
        self.jobs[name]["spec"]["suspend"] = on
        for it in self.pods_of(self.jobs[name]) if on else ():
            it["metadata"].setdefault("deletionTimestamp", stamp(self.now + 30))

    def run_cluster(self) -> None:
        """Let the Job controller make the pods that are missing; then let everybody else work."""
        over = {name: raw for name, raw in self.pods.items() if raw["status"]["phase"] in {"Succeeded", "Failed"}}
        for name, raw in over.items():
            del self.pods[name]
            if "deletionTimestamp" in raw["metadata"]:
                over[name] = {}
        super().run_cluster()
        self.pods |= {name: raw for name, raw in over.items() if raw}
        for raw in self.jobs.values():
            is_over = bool(raw["status"].get("conditions"))
            mine = [it for it in self.pods_of(raw) if "deletionTimestamp" not in it["metadata"]]
            if not is_over and not raw["spec"].get("suspend") and not mine:
                new = pod(f"{raw['metadata']['name']}-{raw['metadata']['uid'][:5]}", container(running()))
                new["metadata"]["labels"] = dict(raw["spec"]["template"]["metadata"]["labels"])
                owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
                owner |= {"name": raw["metadata"]["name"], "uid": raw["metadata"]["uid"]}
                new["metadata"]["ownerReferences"] = [owner]
                new["metadata"]["creationTimestamp"] = stamp(self.now)
                new["spec"]["restartPolicy"] = "Never"
                self.pods[new["metadata"]["name"]] = new

    def settle(self) -> str:
        """Let everybody do their work until nothing changes any more; answer what the tree did."""
        self.log.clear()
        for _ in range(MAX_ROUNDS):
            before = json.dumps([self.tree["status"].get("operation"), self.pods, self.jobs], sort_keys=True)
            self.step()
            self.run_cluster()
            if json.dumps([self.tree["status"].get("operation"), self.pods, self.jobs], sort_keys=True) == before:
                return " ".join(self.log)
        raise AssertionError("the tree never settles")


def bare_pod(name: str, policy: str = "Never") -> Raw:
    """Return a bare Pod's manifest."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": policy, "containers": [{"name": "main"}]},
    }


def bare_child(kind: str, name: str, **more: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return a child that is a Job or bare Pod."""
    return {
        "name": name,
        "targetRef": {"apiVersion": "batch/v1" if kind == "Job" else "v1", "kind": kind, "name": name},
        **more,
    }


def bare_scene(children: str, *, more: dict[str, Raw] | None = None, **spec: Any) -> BareScene:  # noqa: ANN401
    """Build a scene: 'db migrate=job:transient tool=pod' (a StatefulSet unless said otherwise); nothing has ended yet."""
    it = BareScene({})
    raws = []
    for word in children.split():
        text, _, restart = word.partition(":")
        name, _, kind = text.partition("=")
        fields = {"restart": (restart or "permanent").capitalize(), **(more or {}).get(name, {})}
        if kind:
            raws.append(bare_child(kind.capitalize(), name, **fields))
            it.apply(job(name) if kind == "job" else bare_pod(name))
        else:
            raws.append(child(name, "StatefulSet", **fields))
            it.workloads.append(workload("StatefulSet", name))
    it.tree = tree(*raws, **spec)
    for top in it.workloads:
        it.fill(top)
    it.settle()
    assert it.log == []
    return it


def states(it: BareScene) -> str:
    """Return the states of all children."""
    return " ".join(str(child.state) for child in it.status.children)
