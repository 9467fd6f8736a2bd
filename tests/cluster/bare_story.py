"""A story of Jobs and bare Pods: what happens to them, and what a tree may say about it afterwards."""

from dataclasses import dataclass, field
from typing import Any

from suptree.api.status import SupervisionTreeStatus
from suptree.cluster.ledger import RESET_RULE
from suptree.cluster.memory import decode, short_uid
from suptree.cluster.situation import Plan
from tests.cluster.bare_scene import bare_child, bare_pod, job
from tests.cluster.builders import Raw, child, disrupted, tree, workload
from tests.cluster.job_controller import ENDED, FINISHED, JobScene, has
from tests.cluster.story import DEATHS

JOB, POD = "migrate", "tool"
RESET = "suptree.dev/reset"


def job_scene(job_: Raw, pod_: Raw, **spec: Any) -> JobScene:  # noqa: ANN401 - any fields
    """Build a scene of a database, a Job, a bare Pod and a web server; nothing has ended yet.

    Args:
        job_: Fields of the Job's spec, its pods' restartPolicy as `policy`, and fields of its child as `child`.
        pod_: Likewise of the bare Pod.
        spec: Fields of the tree's spec.
    """
    it = JobScene({})
    job_, pod_ = dict(job_), dict(pod_)
    one, other = bare_child("Job", JOB, **job_.pop("child")), bare_child("Pod", POD, **pod_.pop("child"))
    policy = job_.pop("policy")
    it.manifests = {JOB: job(JOB, **job_), POD: bare_pod(POD, pod_["policy"])}
    it.manifests[JOB]["spec"]["template"]["spec"]["restartPolicy"] = policy
    for name in ("db", "web"):
        it.workloads.append(workload("StatefulSet", name))
    it.tree = tree(child("db"), one, other, child("web"), **spec)
    for top in it.workloads:
        it.fill(top)
    for name in it.manifests:
        it.apply_again(name)
    it.settle()
    assert it.status.serial == 0
    return it


def replacing(status: SupervisionTreeStatus, name: str) -> str:
    """Return what the operation under way replaces of a child."""
    return ((status.operation.replacing if status.operation else None) or {}).get(name, "")


@dataclass
class BareStory:
    """One story, with its own account of what could be held against each child."""

    it: JobScene
    events: int = 0
    """How much has happened since the tree last looked that may be held against a child."""
    evidence: dict[str, set[str]] = field(default_factory=dict)
    """Child -> the causes that it may be told with."""
    due: dict[str, str] = field(default_factory=dict)
    """Child -> UID of its object: the tree knew it, and it has ended; the next look has to tell so."""
    resets: int = 0
    told: set[tuple[str, str]] = field(default_factory=set)
    """Ends of Jobs that were taken note of: UID and condition."""

    def happen(self, what: str, number: int) -> None:
        """Let one thing happen."""
        names = sorted(self.it.pods)
        match what:
            case "decide" | "killed":
                self.look(acts=what == "decide")
            case "forget":
                self.it.known = {}
            case "time":
                self.it.now += number * number
            case "reset":
                self.it.tree["metadata"]["annotations"] = {RESET: str(self.it.now)}
                self.resets += 1
            case "refuse":
                self.it.is_refusing = not self.it.is_refusing
            case "everybody":
                self.it.run_cluster()
            case "job controller" | "suspend" | "ttl" | "delete job" | "replace job" | "apply":
                self.to_object(what, number)
            case "replace pod" if POD in self.it.pods:
                self.goes(POD, "Deleted")
                self.it.gone(POD)
                self.it.apply_again(POD)
            case _ if names:
                # Mostly the pods that nobody makes again.
                mine = [name for name in names if name.startswith((JOB, POD))] if number % 4 else names
                self.to_pod(what, (mine or names)[number % len(mine or names)], number)
        self.note_ends()

    # Jobs.

    def to_object(self, what: str, number: int) -> None:
        """Something happens to the Job, or somebody applies what is not there."""
        raw = self.it.jobs.get(JOB)
        if what == "apply":
            self.it.apply_again((JOB, POD)[number % 2])
        elif raw is None:
            return
        elif what == "job controller":
            self.it.sync(JOB)
            if number % 2:
                self.it.collect()
        elif what == "suspend":
            raw["spec"]["suspend"] = not raw["spec"]["suspend"]
            raw["metadata"]["generation"] += 1
        elif (what == "ttl" and has(raw, *FINISHED)) or (what == "delete job" and number % 2):
            self.it.foreground(JOB)
        elif what in {"delete job", "replace job"}:
            self.it.job_gone(JOB)
            if what == "replace job":
                self.it.apply_again(JOB)

    def note_ends(self) -> None:
        """Take note of the Job's end."""
        raw = self.it.jobs.get(JOB)
        if raw is None or raw["metadata"]["uid"] != self.due.get(JOB):
            self.due.pop(JOB, None)  # It ended and was gone before the tree looked.
        if raw is None:
            return
        for type_, cause in (("Complete", "JobComplete"), ("Failed", "JobFailed")):
            if has(raw, type_) and (raw["metadata"]["uid"], type_) not in self.told:
                self.told.add((raw["metadata"]["uid"], type_))
                if "deletionTimestamp" not in raw["metadata"]:
                    self.happened(JOB, raw["metadata"]["uid"], cause)

    # Pods.

    def to_pod(self, what: str, name: str, number: int) -> None:
        """Something happens to one pod."""
        raw = self.it.pods[name]
        status = raw["status"]
        is_over, is_going = status["phase"] in ENDED, "deletionTimestamp" in raw["metadata"]
        is_alone = name.startswith((JOB, POD))
        runs = not is_over and any("running" in it["state"] for it in status["containerStatuses"])
        match what:
            case "kubelet":
                self.it.kubelet(name, number)
            case "delete" | "evict" | "node lost" if not is_going:
                cause = "Deleted" if what == "delete" else "Disrupted"
                reason = "DeletionByTaintManager" if what == "node lost" else "EvictionByEvictionAPI"
                status["conditions"] += [disrupted(reason)] if what != "delete" else []
                self.goes(name, cause)
                self.it.delete(name)
            case "node gone" if is_alone and not is_going and not raw["spec"].get("schedulingGates"):
                status["conditions"] += [disrupted("DeletionByPodGC")]
                self.goes(name, "Lost")
                status["phase"] = "Failed"
                self.it.delete(name)
            case "kubelet evicts" if is_alone and runs and not is_going:
                self.it.dies(name, 137)
                status["phase"], status["reason"] = "Failed", "Evicted"
                self.ends(name, "Disrupted")
            case "crash" | "end" | "oom" | "lost" if runs:
                self.it.dies(name, *DEATHS[what])
                if not is_going:
                    cause = {"crash": "Crash", "end": "Completed", "oom": "OOMKilled", "lost": "Lost"}[what]
                    self.ends(name, cause)

    def child_of(self, name: str) -> str:
        """Return the child that a pod is judged as a part of; empty for a Job's: only the Job's own end is an exit."""
        return "" if name.startswith(JOB) else POD if name == POD else name.split("-", 1)[0]

    def ends(self, name: str, cause: str) -> None:
        """A container of a pod has ended."""
        self.happened(self.child_of(name), self.it.pods[name]["metadata"]["uid"], cause)

    def goes(self, name: str, cause: str) -> None:
        """A pod is on its way out; when it is gone before the tree looks, nothing may be left that says why."""
        raw = self.it.pods[name]
        if raw["status"]["phase"] not in ENDED:
            is_dead = any("terminated" in it["state"] for it in raw["status"]["containerStatuses"])
            self.happened(self.child_of(name), "" if is_dead else raw["metadata"]["uid"], cause, "Deleted")
        else:
            # It may be told, if its end was a part of a restart; it is no new exit.
            self.evidence.setdefault(self.child_of(name), set()).update({cause, "Deleted"})

    def happened(self, name: str, uid: str, *causes: str) -> None:
        """Something has happened that may be held against a child, and has to be told if the tree knew the object as alive."""
        self.events += 1
        self.evidence.setdefault(name, set()).update(causes)
        status = self.it.status
        if name in {JOB, POD} and status.children:
            seen = decode(self.it.child(name).seen)
            if seen is not None and not seen.marks and seen.object == short_uid(uid):
                self.due[name] = uid

    def is_excused(self, name: str, before: SupervisionTreeStatus, after: SupervisionTreeStatus) -> bool:
        """Tell whether nothing need be told of a child's end: it is a part of a restart, or the kubelet was faster."""
        groups = [found.slice for found in after.history if found.operation > (before.serial or 0)]
        has_ended = after.ending != before.ending
        if has_ended or any(name in group for group in groups) or replacing(before, name) or replacing(after, name):
            return True
        pod = self.it.pods.get(POD)
        is_ready = pod is not None and pod["status"]["conditions"][0]["status"] == "True"
        return name == POD and self.evidence[POD] <= {"Lost", "Disrupted"} and is_ready

    # Looking.

    def look(self, *, acts: bool = True) -> Plan:
        """The tree decides: what it says has evidence, and what happened to what it knew is told."""
        before = self.it.status
        last = {found.name: found.last_exit for found in before.children}
        plan = self.it.decide()
        after = plan.status
        assert (after.serial or 0) - (before.serial or 0) <= self.events + self.resets
        assert (after.restarts or 0) - (before.restarts or 0) <= self.events
        for entry in after.history:
            if entry.operation > (before.serial or 0) and entry.rule != RESET_RULE:
                assert str(entry.cause) in self.evidence.get(entry.child, ()), entry.child
        for found in after.children:
            if found.last_exit is not None and found.last_exit != last[found.name]:
                assert str(found.last_exit.cause) in self.evidence.get(found.name, ()), found.name
            elif found.name in self.due:
                assert self.is_excused(found.name, before, after), (found.name, self.evidence[found.name])
        self.due, self.resets = {}, 0
        if self.it.tree["spec"].get("mode") != "Observe" or after.serial == before.serial:
            # What is only observed stays as it is, and may be told once more when the restart that it was a part of is over.
            assert self.it.peek().status.serial == after.serial
            self.evidence, self.events = {}, 0
        for remove in plan.removals:
            raw = self.it.object_of(remove.target.kind, remove.target.name)
            assert raw is not None
            assert raw["metadata"]["uid"] == remove.uid
        if acts:
            self.it.act(plan)
        self.it.now += 1
        return plan
