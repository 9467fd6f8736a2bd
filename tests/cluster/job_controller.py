"""What the Job controller, the TTL controller, the garbage collector and kubelets write, one step at a time."""

from dataclasses import dataclass, field
from typing import Any

from suptree.cluster.labels import matches
from suptree.cluster.situation import Plan
from tests.cluster.bare_scene import BareScene
from tests.cluster.builders import Raw, owner, pod, stamp

ENDED = {"Succeeded", "Failed"}
FINISHED = ("Complete", "Failed")


def has(raw: Raw, *types: str) -> bool:
    """Tell whether a Job has one of these conditions."""
    return any(it["type"] in types for it in raw["status"].get("conditions", ()))


@dataclass
class JobScene(BareScene):
    """A namespace in which Jobs and bare Pods live as in a cluster: nothing happens in one go."""

    counted: set[str] = field(default_factory=set)
    """UIDs of the pods that their Jobs have counted, or have deleted themselves."""
    manifests: dict[str, Raw] = field(default_factory=dict)
    """What somebody applies again when it is gone."""

    # Pods begin without a container, and held if the tree holds what is new.

    def begin(self, raw: Raw) -> None:
        """Let the API server take a new pod."""
        labels = raw["metadata"]["labels"]
        is_ours = self.plan is not None and any(matches(it, labels) for it in self.plan.selectors)
        gated = is_ours and self.is_gate_installed and self.plan is not None and self.plan.is_gated
        raw["spec"]["schedulingGates"] = [{"name": "suptree.dev/hold"}] if gated else []
        raw["status"] |= {"phase": "Pending", "containerStatuses": []}
        raw["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        self.add(raw)

    def apply(self, manifest: Raw) -> None:
        """Let somebody apply a manifest."""
        super().apply(manifest)
        if manifest["kind"] == "Pod":
            self.begin(self.pods[manifest["metadata"]["name"]])

    def act(self, plan: Plan) -> None:
        """Do what was decided; what is created is never there twice."""
        before = len(self.created)
        super().act(plan)
        assert len(self.created) - before <= len(plan.creations)

    # Kubelets.

    def kubelet(self, name: str, number: int = 0) -> None:
        """Let a kubelet do the next thing about a pod."""
        raw = self.pods[name]
        status, policy = raw["status"], raw["spec"].get("restartPolicy", "Always")
        is_over = status["phase"] in ENDED
        if "deletionTimestamp" in raw["metadata"]:
            if not is_over and status["containerStatuses"] and number % 2:
                self.ends_for_good(name, (0, 143, 137)[number % 3])
            else:
                self.gone(name)
        elif not raw["spec"].get("schedulingGates") and not is_over:
            ended = next(
                (it["state"]["terminated"] for it in status["containerStatuses"] if it["state"].get("terminated")), None
            )
            if ended and (policy == "Never" or (policy == "OnFailure" and ended["exitCode"] == 0)):
                status["phase"] = "Failed" if ended["exitCode"] else "Succeeded"
            else:
                self.runs(name)

    def ends_for_good(self, name: str, code: int, reason: str = "") -> None:
        """Let a pod that is not started again come to its end."""
        self.dies(name, code, reason)
        self.pods[name]["status"]["phase"] = "Failed" if code else "Succeeded"

    # The Job controller.

    def sync(self, name: str) -> None:
        """Let the Job controller look at a Job once."""
        raw = self.jobs[name]
        status = raw["status"]
        if has(raw, *FINISHED):
            return
        self._count(raw)
        mine = [it for it in self.pods_of(raw) if it["status"]["phase"] not in ENDED]
        active = [it for it in mine if "deletionTimestamp" not in it["metadata"]]
        if has(raw, "SuccessCriteriaMet", "FailureTarget"):
            self._let_go(active)
            if not mine:
                self._say(raw, "Complete" if has(raw, "SuccessCriteriaMet") else "Failed")
        elif status.get("failed", 0) + self._restarts(raw) > raw["spec"]["backoffLimit"]:
            self._say(raw, "FailureTarget")
        elif status.get("succeeded", 0) >= raw["spec"]["completions"]:
            self._say(raw, "SuccessCriteriaMet")
        elif "deletionTimestamp" not in raw["metadata"]:
            self._manage(raw, active)
        status["active"] = sum("deletionTimestamp" not in it["metadata"] for it in mine)

    def _count(self, raw: Raw) -> None:
        """Count the pods that have ended, and those that somebody has deleted."""
        for it in self.pods_of(raw):
            is_good = it["status"]["phase"] == "Succeeded"
            is_over = it["status"]["phase"] in ENDED or "deletionTimestamp" in it["metadata"]
            if is_over and it["metadata"]["uid"] not in self.counted:
                self.counted.add(it["metadata"]["uid"])
                key = "succeeded" if is_good else "failed"
                raw["status"][key] = raw["status"].get(key, 0) + 1

    def _restarts(self, raw: Raw) -> int:
        return sum(self.restarts(it["metadata"]["name"]) for it in self.pods_of(raw))

    def _manage(self, raw: Raw, active: list[Raw]) -> None:
        """Make the pods that are missing, or delete those of a Job that is suspended."""
        spec = raw["spec"]
        if spec.get("suspend"):
            self._let_go(active)
        left = spec["completions"] - raw["status"].get("succeeded", 0)
        wanted = 0 if spec.get("suspend") else min(spec["parallelism"], left)
        for _ in range(wanted - len(active)):
            new = pod(f"{raw['metadata']['name']}-{len(self.counted)}-{len(self.pods)}", created=stamp(self.now))
            new["metadata"]["name"] += f"-{new['metadata']['uid'][:5]}"
            new["metadata"]["labels"] = dict(spec["template"]["metadata"]["labels"])
            of = owner("Job", raw["metadata"]["name"], raw["metadata"]["uid"])
            new["metadata"]["ownerReferences"] = [of]
            new["spec"]["restartPolicy"] = spec["template"]["spec"]["restartPolicy"]
            self.begin(new)

    def _let_go(self, pods: list[Raw]) -> None:
        for it in pods:
            self.counted.add(it["metadata"]["uid"])
            it["metadata"]["deletionTimestamp"] = stamp(self.now + 30)

    def _say(self, raw: Raw, type_: str) -> None:
        why = "BackoffLimitExceeded" if type_ in {"FailureTarget", "Failed"} else "CompletionsReached"
        self.now += 1  # It looks at what has happened once a second.
        found: list[Raw] = raw["status"].setdefault("conditions", [])
        found.append({"type": type_, "status": "True", "reason": why, "lastTransitionTime": stamp(self.now)})

    # The TTL controller, the garbage collector, and people.

    def foreground(self, name: str) -> None:
        """Let a Job be deleted with its pods going first, as the TTL controller does it."""
        self.jobs[name]["metadata"].setdefault("deletionTimestamp", stamp(self.now))

    def collect(self) -> None:
        """Let the garbage collector delete the pods of Jobs that go, and the Jobs when these are gone."""
        for name, raw in list(self.jobs.items()):
            if "deletionTimestamp" in raw["metadata"]:
                mine = self.pods_of(raw)
                for it in mine:
                    it["metadata"].setdefault("deletionTimestamp", stamp(self.now + 30))
                if not mine:
                    del self.jobs[name]

    def run_cluster(self) -> None:
        """Let everybody do the next thing."""
        for name in list(self.pods):
            self.kubelet(name)
        for name in list(self.jobs):
            self.sync(name)
        self.collect()
        for it in self.workloads:
            self.fill(it)

    def gone(self, name: str) -> Raw:
        """Let a pod's object go; its Job has counted it before."""
        ref = (self.pods[name]["metadata"].get("ownerReferences") or [{}])[0]
        raw = self.jobs.get(ref.get("name", ""))
        if (
            ref.get("kind") == "Job"
            and raw is not None
            and raw["metadata"]["uid"] == ref["uid"]
            and not has(raw, *FINISHED)
        ):
            self._count(raw)
        return super().gone(name)

    def apply_again(self, name: str) -> Any:  # noqa: ANN401 - nothing
        """Let somebody apply what is not there."""
        manifest = self.manifests[name]
        if self.object_of(manifest["kind"], name) is None:
            self.apply(manifest)
