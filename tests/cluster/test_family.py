"""Who is whose parent, what a parent's status orders, and whole families of trees, decided one after the other."""

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from suptree.api.tree import API_VERSION, KIND
from suptree.cluster.family import is_in_cycle, parent, parent_of, tree_view, trouble
from suptree.cluster.situation import Situation
from suptree.cluster.trees import Tree, Wish, tree_of
from suptree.cluster.urgency import is_urgent
from tests.cluster.builders import Raw, child, tree, workload
from tests.cluster.scene import Scene, seen_tree

Json = dict[str, Any]


def subtree(name: str, **fields: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return a child that is a tree."""
    return {**child(name, **fields), "targetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": name}}


def a_tree(
    name: str, *children: str, created: str = "2026-01-01T00:00:00Z", status: Json | None = None, **spec: object
) -> Tree:
    """Return a tree whose children are other trees; one without children has a Deployment."""
    refs = list(map(subtree, children)) or [child("web", "Deployment")]
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "creationTimestamp": created, "generation": 1}
    return tree_of({"metadata": meta, "spec": {"children": refs, **spec}, "status": status or {}})


def family(*trees: Tree) -> dict[str, Tree]:
    """Return trees by name."""
    return {tree.name: tree for tree in trees}


def test_the_older_of_two_parents_counts() -> None:
    """Of two trees that name the same child the older supervises it, and the younger is told so."""
    trees = family(a_tree("b", "leaf", created="2026-01-02T00:00:00Z"), a_tree("c", "leaf"), a_tree("leaf"))
    assert parent_of("leaf", trees) is trees["c"]
    reason, message = trouble("b", "leaf", "leaf", trees) or ("", "")
    assert reason == "TwoParents"
    assert "older tree c" in message
    assert trouble("c", "leaf", "leaf", trees) is None


def test_a_cycle_has_no_parents() -> None:
    """Trees that contain one another supervise nothing, each is told so, and a tree beside them is not drawn in."""
    trees = family(a_tree("a", "b"), a_tree("b", "c"), a_tree("c", "a", "leaf"), a_tree("leaf"), a_tree("top", "a"))
    assert [is_in_cycle(name, trees) for name in ("a", "b", "c", "leaf", "top")] == [True, True, True, False, False]
    assert parent_of("a", trees) is None
    assert (trouble("top", "a", "a", trees) or ("",))[0] == "ReferenceCycle"


@pytest.mark.parametrize("hands_off", [{"suspend": True}, {"mode": "Observe"}])
def test_a_tree_that_keeps_its_hands_off_is_nobodys_parent(hands_off: Json) -> None:
    """A suspended or observing tree does not change what the trees below it do."""
    assert parent_of("leaf", family(a_tree("top", "leaf", **hands_off), a_tree("leaf"))) is None


def test_a_missing_tree_is_said() -> None:
    """A child tree that does not exist, or not yet, is named."""
    assert (trouble("top", "leaf", "leaf", family(a_tree("top", "leaf"))) or ("",))[0] == "ChildMissing"


def operation(**lists: list[str]) -> Json:
    """Return a status with a restart under way."""
    op = {"id": 7, "kind": "restart", "stage": "Stopping", "slice": ["x", "y"], "startTime": "2026-01-01T00:00:00Z"}
    return {"uid": "uid-top", "serial": 7, "operation": {**op, **lists}}


@pytest.mark.parametrize(
    ("status", "wish"),
    [
        pytest.param({}, Wish.NOTHING, id="a parent that has decided nothing yet"),
        pytest.param(operation(stop=["y", "x"], start=["x", "y"]), Wish.STOP, id="its turn to stop"),
        pytest.param(operation(stop=[], start=["y"]), Wish.START, id="its turn to start"),
        pytest.param(
            {"uid": "uid-top", "serial": 7, "children": [{"name": "y", "supervision": "stopped"}]},
            Wish.STOP,
            id="stopped, and not started again",
        ),
        pytest.param({**operation(stop=["y"], start=["y"]), "uid": "another"}, Wish.NOTHING, id="a restored status"),
    ],
)
def test_the_parents_status_is_the_order(status: Json, wish: Wish) -> None:
    """A child tree stops and starts when its parent's restart comes to it, and at no other time."""
    trees = family(a_tree("top", "x", "y", status=status, strategy="OneForAll"), a_tree("x"), a_tree("y"))
    found = parent("y", trees, is_gate_in_force=True)
    assert found is not None
    assert found.wish is wish


def test_a_parked_tree_with_running_pods_is_not_down() -> None:
    """A parent that stops a tree waits until its pods are gone, also when that tree had parked."""
    children = [{"name": "web", "supervision": "alive"}]
    parked = tree_view(a_tree("leaf", status={"uid": "uid-leaf", "ending": "intensity", "children": children}))
    assert (parked.has_ended, parked.is_down) == (True, False)


# Families: each tree decides by itself, from what the others have written.


@dataclass
class Member(Scene):
    """One tree of a family, with its own workloads."""

    family: dict[str, "Member"] = field(default_factory=dict)
    crashing: dict[str, int] = field(default_factory=dict)
    """Pod -> how many of its next starts fail."""

    def look(self) -> Situation:
        """Return the whole current state."""
        self.others = [it.tree for it in self.family.values() if it is not self]
        name, trees = self.tree["metadata"]["name"], {it: seen_tree(member.tree) for it, member in self.family.items()}
        return replace(super().look(), parent=parent(name, trees, is_gate_in_force=self.is_gate_installed))

    def runs(self, name: str) -> None:
        """Let the kubelet start a pod's container; it crashes as often as it is to."""
        if self.crashing.get(name, 0) > 0 and self.pods[name]["status"]["containerStatuses"] == []:
            self.crashing[name] -= 1
            self.dies(name, 9)
        elif self.crashing.get(name, 0) >= 0:
            super().runs(name)


class Family(dict[str, Member]):
    """The trees of one namespace, by name."""

    def __init__(self, *lines: str, more: Json | None = None, **specs: Json) -> None:
        """Bring a family up: 'top: inner web' is a tree of the tree inner and the StatefulSet web.

        Args:
            lines: The trees.
            more: Further fields of children, by name.
            specs: The trees' specs, by name.
        """
        super().__init__()
        self.log: list[str] = []
        names = [line.partition(":")[0] for line in lines]
        for line in lines:
            name, _, rest = line.partition(":")
            fields = [(it, (more or {}).get(it, {})) for it in rest.split()]
            children = [subtree(it, **its) if it in names else child(it, **its) for it, its in fields]
            self.join(tree(*children, name=name, **specs.get(name, {})), *(set(rest.split()) - {*names}))
        assert self.settle() == ""

    def join(self, raw: Raw, *workloads: str) -> None:
        """Have a tree with StatefulSets of its own."""
        tops = [workload("StatefulSet", name) for name in sorted(workloads)]
        self[raw["metadata"]["name"]] = it = Member(raw, tops, log=self.log, family=self)
        for top in tops:
            it.fill(top)

    def settle(self, dice: random.Random | None = None) -> str:
        """Let everybody do their work until nothing changes any more; answer what was done.

        With dice, the trees and kubelets first work for a while in any order, the operator is killed now and then, and
        what need not be written at once is lost.
        """
        self.log.clear()
        for _ in range(25 if dice else 0):
            self._round(dice)
        for _ in range(200):
            before = self._all()
            self._round(None)
            if self._all() == before:
                return " ".join(self.log)
        raise AssertionError(f"the family never settles: {self.log[-40:]}")

    def _all(self) -> str:
        return json.dumps([[it.tree["status"], it.pods] for it in self.values()], sort_keys=True)

    def _round(self, dice: random.Random | None) -> None:
        for member in self.values():
            if dice is None:
                member.step()
            elif dice.random() < 0.5:
                before, stored = member.status, member.tree["status"]
                plan = member.step()
                if dice.random() < 0.5 and not is_urgent(before, plan.status, is_followed=plan.is_followed):
                    member.tree["status"] = stored
                member.known = {} if dice.random() < 0.2 else member.known
        now = max(it.now for it in self.values())
        for member in self.values():
            member.now = now
            if dice is None or dice.random() < 0.5:
                member.run_cluster()

    def crash(self, pod: str, dice: random.Random | None = None) -> str:
        """Let a pod crash, and everybody do their work."""
        next(it for it in self.values() if pod in it.pods).dies(pod, 3)
        return self.settle(dice)

    def reset(self, name: str, value: str = "now") -> str:
        """Let a person reset a tree."""
        self[name].tree["metadata"].setdefault("annotations", {})["suptree.dev/reset"] = value
        return self.settle()

    def used(self) -> list[int]:
        """Return what each tree has spent of its budget."""
        return [it.status.budget.used or 0 for it in self.values() if it.status.budget]

    def is_ready(self) -> bool:
        """Tell whether all trees are Ready."""
        return all(it.condition("Ready") == "True AllChildrenUp" for it in self.values())


ONE: Json = {"intensity": 1}
REST: Json = {"intensity": 1, "strategy": "RestForOne"}


def three_levels(**more: Json) -> Family:
    """Return root [middle [inner [api, cache], side]], each allowed one restart."""
    return Family("root: middle", "middle: inner side", "inner: api cache", root=ONE, middle=REST, inner=ONE, more=more)


def test_a_tree_that_gives_up_is_restarted_by_its_parent() -> None:
    """The children stop last to first, the parent counts one restart of its slice, and the tree begins with an empty window."""
    it = three_levels()
    assert it.crash("api-0") == ""
    assert it.used() == [0, 0, 1]
    assert it.crash("api-0") == "-cache-0 -api-0 -side-0 +api-0 +cache-0 +side-0"
    assert it.used() == [0, 1, 0]
    assert it.is_ready()
    (entry,) = it["middle"].status.history
    assert (entry.child, entry.cause, entry.slice) == ("inner", "Exhausted", ("inner", "side"))
    assert (entry.origin, entry.origin_cause, entry.pod, entry.exit_code) == ("api", "Crash", "api-0", 3)


@pytest.mark.parametrize("seed", range(3))
def test_a_failure_climbs_in_the_same_way_in_whatever_order_the_trees_look(seed: int) -> None:
    """Whichever tree decides first, and wherever the operator is killed, each level restarts what it may and the root parks."""
    it, dice = three_levels(), random.Random(seed)  # noqa: S311 - no secret
    for spent in ([0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]):
        it.crash("api-0", dice)
        assert it.used() == spent
        assert it.is_ready()
    it.crash("api-0", dice)
    stalled = [member.condition("Stalled") for member in it.values()]
    assert stalled == ["True Parked", "True ShutDown", "True ShutDown"]
    assert [member.status.restarts for member in it.values()] == [1, 2, 4]
    assert "middle gave up because middle/inner/api crashed" in it["root"].message("Ready")
    assert "inner gave up because inner/api crashed" in it["middle"].message("Ready")
    pods = {name: raw for member in it.values() for name, raw in member.pods.items()}
    assert [name for name, raw in pods.items() if not raw["spec"]["schedulingGates"]] == []
    assert it.reset("root") == "+api-0 +cache-0 +side-0"
    assert it.is_ready()
    assert it.used() == [0, 0, 0]


def test_a_start_that_fails_is_a_new_attempt_of_the_parent() -> None:
    """A child that crashes while its tree is started ends that start, and the parent's next attempt counts (OTP rule 22)."""
    it = Family("top: inner side", "inner: api cache", top={"intensity": 3, "strategy": "RestForOne"}, inner=ONE)
    it["inner"].crashing["cache-0"] = 1
    it.crash("api-0")
    assert it.crash("api-0") == "-cache-0 -api-0 -side-0 +api-0 +cache-0 -cache-0 -api-0 +api-0 +cache-0 +side-0"
    top, inner = it["top"].status, it["inner"].status
    assert [(entry.origin, entry.outcome) for entry in top.history] == [("cache", "Restarted"), ("api", "Superseded")]
    assert [entry.child for entry in inner.history if entry.outcome == "Exhausted"] == ["cache", "api"]
    assert (top.restarts, inner.restarts) == (2, 1)
    assert it.used() == [2, 0]


def test_a_tree_that_never_starts_exhausts_its_parent() -> None:
    """Attempts to start a tree end with the parent's budget, which then parks and says what fails."""
    it = Family("top: inner side", "inner: api", top={"intensity": 2}, inner=ONE)
    it["inner"].crashing["api-0"] = 100
    it.crash("api-0")
    it.crash("api-0")
    assert it["top"].condition("Stalled") == "True Parked"
    assert it["top"].status.restarts == 2
    assert "inner gave up because inner/api crashed" in it["top"].message("Stalled")


def test_a_transient_tree_that_gave_up_is_let_go() -> None:
    """OTP rule 19: the parent restarts nothing, counts nothing and says so; whoever resets the tree has it back."""
    it = three_levels(inner={"restart": "Transient"})
    it.crash("api-0")
    assert it.crash("api-0") == "-cache-0 -api-0"
    assert "inner gave up, and is not restarted" in it["middle"].message("Ready")
    assert (it["middle"].status.restarts, it["middle"].status.history) == (0, ())
    assert it.reset("inner") == "+api-0 +cache-0"
    assert it.is_ready()
    assert it["middle"].child("inner").supervision == "alive"


def test_the_end_of_a_significant_tree_ends_its_parent() -> None:
    """OTP rule 34: a significant Transient tree that gives up has its parent shut down, and so on upwards."""
    more: Json = {"inner": {"restart": "Transient", "significant": True}}
    specs: Json = {"middle": {"autoShutdown": "AnySignificant"}, "inner": {"intensity": 0}}
    it = Family("top: middle", "middle: inner side", "inner: api", more=more, **specs)
    assert it.crash("api-0") == "-api-0 -side-0 +api-0 +side-0"
    (entry,) = it["top"].status.history
    assert (entry.child, entry.origin, entry.origin_cause) == ("middle", "inner/api", "Crash")
    assert it.is_ready()


def test_a_reset_of_the_root_empties_every_window_below() -> None:
    """A person who resets the root begins anew with the whole family, also where nothing had to be restarted."""
    it = three_levels()
    it.crash("api-0")
    it.crash("side-0")
    assert it.used() == [0, 1, 1]
    assert it.reset("root") == ""
    assert it.used() == [0, 0, 0]
    it.reset("middle")
    it.crash("api-0")
    del it["root"]
    it.settle()
    assert it.used() == [0, 1], "who is gone resets nothing"


def test_a_tree_whose_parent_is_reset_before_it_was_there_is_not_reset() -> None:
    """Taking up a child tree says nothing of resets that are long over."""
    it = Family("top: web", "leaf: api", leaf={"intensity": 2})
    it.reset("top")
    it.crash("api-0")
    it["top"].tree["spec"]["children"].append(subtree("leaf"))
    it.settle()
    assert it["leaf"].status.parent == "top"
    assert it["leaf"].status.budget is not None
    assert it["leaf"].status.budget.used == 1


def stopped() -> Family:
    """Return top [side, leaf], which has stopped its leaf and waits for side."""
    it = Family("top: side leaf", "leaf: api", top={"strategy": "OneForAll"})
    it["top"].crashing["side-0"] = -1  # It never starts.
    assert it.crash("side-0") == "-api-0 -side-0 +side-0"
    assert it["leaf"].child("api").state == "Held"
    return it


@pytest.mark.parametrize("how", ["deleted", "suspended", "without it", "taken over"])
def test_a_tree_that_its_parent_leaves_stopped_starts_again(how: str) -> None:
    """Nobody stays held for a parent that is gone, keeps its hands off, or has another list of children."""
    it = stopped()
    if how == "taken over":
        it.join(tree(subtree("leaf"), name="younger"))
        it.settle()
        assert it["younger"].condition("ResolvedRefs") == "False TwoParents"
    if how == "suspended":
        it["top"].tree["spec"]["suspend"] = True
    elif how == "without it":
        it["top"].tree["spec"]["children"].pop()
    else:
        del it["top"]
    assert "+api-0" in it.settle().split()
    assert it["leaf"].condition("Ready") == "True AllChildrenUp"
    assert it["leaf"].status.parent == ("younger" if how == "taken over" else None)


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_parent_that_is_created_anew_restarts_its_tree(*, is_seen: bool) -> None:
    """The first restart of a new parent is not taken for one of the parent before it, whoever saw that one go."""
    it = Family("top: leaf", "leaf: api", leaf={"intensity": 0})
    it.crash("api-0")
    assert it["top"].status.restarts == 1
    del it["top"]
    if is_seen:
        it.settle()
    it.join(tree(subtree("leaf"), name="top"))
    it.settle()
    assert it.crash("api-0") == "-api-0 +api-0"
    assert it.is_ready()


def test_a_parked_tree_is_stopped_with_its_running_children() -> None:
    """A parent that restarts its group stops also what a tree had left running when it parked as a root."""
    it = Family("leaf: api cache", leaf={"intensity": 0})
    it.crash("api-0")
    it.join(tree(child("side"), subtree("leaf"), name="top", strategy="OneForAll"), "side")
    it.settle()
    assert it.crash("side-0") == "-cache-0 -api-0 -side-0 +side-0 +api-0 +cache-0"
    assert it.is_ready()


@pytest.mark.parametrize("hands_off", [{"suspend": True}, {"mode": "Observe"}])
def test_a_tree_that_keeps_its_hands_off_is_not_waited_for(hands_off: Json) -> None:
    """A parent's restart passes over a child tree that does not act, and what that tree only observes restarts nobody."""
    it = Family("top: side leaf", "leaf: api", top={"strategy": "OneForAll"}, leaf={"intensity": 0, **hands_off})
    assert it.crash("api-0") == ""
    assert it.crash("side-0") == "-side-0 +side-0"
    assert it["top"].outcomes == ["side Crash Restarted"]


@pytest.mark.parametrize(
    ("dies", "done"), [("side-0", "-cache-0 -api-0 -side-0 +side-0 +api-0 +cache-0"), ("api-0", "-cache-0 -api-0")]
)
def test_stopped_is_stopped(dies: str, done: str) -> None:
    """A tree that is stopped by its parent, or holds, leaves not even a pod running whose container was only being created."""
    trees = ("top: side leaf", "leaf: api cache") if dies == "side-0" else ("leaf: api cache",)
    it = Family(*trees, top={"strategy": "OneForAll"}, leaf={"intensity": 0, "onExhausted": "Hold"})
    it["leaf"].pods["cache-0"]["status"] |= {"containerStatuses": [], "conditions": []}
    it["leaf"].step()
    assert it.crash(dies) == done
