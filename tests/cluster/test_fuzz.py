"""Random stories: whatever kubelets, controllers and people do, and whenever the operator looks or is killed."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.cluster.situation import Plan
from tests.cluster.builders import disrupted
from tests.cluster.scene import Scene, scene

FAST = settings(max_examples=70, deadline=None, derandomize=True)


DEATHS = {"crash": (1, ""), "end": (0, ""), "oom": (137, "OOMKilled"), "lost": (255, "Unknown")}
things = st.tuples(
    st.sampled_from(
        ("decide",) * 6
        + ("kubelet",) * 4
        + ("controllers",) * 2
        + (*DEATHS, "crash", "delete", "evict", "reset", "scale")
        + ("forget", "killed", "time", "not ready")
    ),
    st.integers(0, 30),
)
specs = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(("OneForOne", "OneForAll", "RestForOne")),
        "ordering": st.sampled_from(("Ordered", "Ordered", "Parallel")),
        "intensity": st.integers(0, 5),
        "periodSeconds": st.sampled_from((30, 1000)),
        "backoff": st.sampled_from(({"initialSeconds": 0}, {"initialSeconds": 5})),
        "onExhausted": st.sampled_from(("Park", "Park", "Hold")),
        "mode": st.sampled_from(("Enforce", "Enforce", "Enforce", "Observe")),
    }
)


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


def tell(children: str, spec: dict[str, Any], happenings: list[tuple[str, int]], *, gate: bool) -> None:
    """Tell a story to its end: then all is up, or the tree has given up."""
    it = scene(children, **spec)
    it.is_gate_installed = gate
    story = Story(it)
    for what, number in happenings:
        story.happen(what, number)
    it.settle()
    for _ in range(3):
        it.now += 400  # Backoffs end.
        it.settle()
    status = it.status
    assert status.operation is None
    assert all(found.outcome != "InProgress" for found in status.history)
    if status.ending is None:
        states = {found.name: str(found.state) for found in status.children}
        assert states.pop("tmp") in {"Up", "Held"}
        assert set(states.values()) <= {"Up", "Suspended"}
        held = [name for name, raw in it.pods.items() if raw["spec"].get("schedulingGates")]
        assert all(name.startswith("tmp") for name in held)


@given(specs, st.lists(things.filter(lambda it: it[0] != "reset"), min_size=10, max_size=50), st.booleans())
@FAST
def test_nothing_is_counted_that_did_not_happen(
    spec: dict[str, Any], happenings: list[tuple[str, int]], gate: bool
) -> None:
    """Whatever happens, nothing is counted without evidence or twice, and in the end all is up or the tree has given up."""
    tell("db web=deploy*2 job:transient tmp", spec, happenings, gate=gate)


@given(specs, st.lists(things, min_size=10, max_size=50), st.booleans())
@FAST
def test_resets_and_temporary_children_disturb_nothing(
    spec: dict[str, Any], happenings: list[tuple[str, int]], gate: bool
) -> None:
    """The same holds with people who reset the tree at any time, and with children that are never restarted."""
    tell("db web=deploy*2 job:transient tmp:temporary", spec, happenings, gate=gate)
