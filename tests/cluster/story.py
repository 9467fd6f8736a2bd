"""A story: what kubelets, controllers and people do to a scene, and what a tree may hold against a child."""

from dataclasses import dataclass

from suptree.cluster.situation import Plan
from tests.cluster.builders import disrupted
from tests.cluster.scene import Scene

DEATHS = {"crash": (1, ""), "end": (0, ""), "oom": (137, "OOMKilled"), "lost": (255, "Unknown")}
"""How a container may end: its exit code, and the reason that its kubelet gives."""


@dataclass
class Story:
    """One story, with its own count of what could be held against a child."""

    it: Scene
    deaths: int = 0
    """Deaths and deletions since the tree last looked."""
    resets: int = 0

    def happen(self, what: str, number: int) -> None:
        """Let one thing happen."""
        names = sorted(self.it.pods)
        name = names[number % len(names)] if names else ""
        match what:
            case "decide":
                self.look()
            case "killed":
                self.look(acts=False)
            case "forget":
                self.it.known = {}
            case "controllers":
                for top in self.it.workloads:
                    self.it.fill(top)
            case "time":
                self.it.now += number * number
            case "reset":
                self.it.tree["metadata"]["annotations"] = {"suptree.dev/reset": str(self.it.now)}
                self.resets += 1
            case "scale":
                # Down and up again between two looks cannot be told from a deletion.
                self.scale(number)
                self.look()
            case _ if name:
                self.to_pod(what, name)

    def scale(self, number: int) -> None:
        """Somebody scales the web server; its controllers have seen it."""
        replicas = number % 4
        for top in (self.it.workload("Deployment", "web"), self.it.workload("ReplicaSet", "web-r1")):
            top["spec"]["replicas"] = replicas
            top["metadata"]["generation"] += 1
            top["status"]["observedGeneration"] = top["metadata"]["generation"]
        here = {name: raw for name, raw in self.it.pods.items() if name.startswith("web")}
        mine = sorted(name for name, raw in here.items() if "deletionTimestamp" not in raw["metadata"])
        for name in mine[replicas:]:
            self.it.delete(name)

    def to_pod(self, what: str, name: str) -> None:
        """Something happens to one pod."""
        raw = self.it.pods[name]
        is_gated = bool(raw["spec"].get("schedulingGates"))
        is_going = "deletionTimestamp" in raw["metadata"]
        runs = any("running" in status["state"] for status in raw["status"]["containerStatuses"])
        match what:
            case "kubelet" if is_going:
                self.it.gone(name)
            case "kubelet" if not is_gated:
                self.it.runs(name)
            case "not ready" if runs:
                raw["status"]["conditions"][0]["status"] = "False"
            case "delete" | "evict" if not is_going:
                raw["status"]["conditions"] += [disrupted()] if what == "evict" else []
                self.it.delete(name)
                self.deaths += 1
            case "crash" | "end" | "oom" | "lost" if runs:
                self.it.dies(name, *DEATHS[what])
                self.deaths += not is_going

    def look(self, *, acts: bool = True) -> Plan:
        """The tree decides; every count needs something that happened since it last did."""
        before = self.it.status
        plan = self.it.decide()
        after = plan.status
        assert (after.serial or 0) - (before.serial or 0) <= self.deaths + self.resets
        assert (after.restarts or 0) - (before.restarts or 0) <= self.deaths
        self.deaths = self.resets = 0
        for delete in plan.deletes:
            raw = self.it.pods[delete.pod.name]
            assert raw["metadata"]["uid"] == delete.pod.uid
            assert not raw["spec"].get("schedulingGates")
        assert len(after.history) <= 10
        assert after.budget is not None
        assert after.budget.used <= after.budget.limit
        assert self.it.peek().status.serial == after.serial
        if acts:
            self.it.act(plan)
        self.it.now += 1
        return plan
