"""The cap on simultaneous restarts: never more than so many begin, everybody gets a turn, and a family never waits for itself."""

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.cluster.situation import Plan, Situation
from suptree.cluster.trees import Tree, tree_of
from suptree.cluster.turns import PLACE_SECONDS, Key, Place, turns_of
from tests.cluster.builders import T0, Raw, child, stamp, tree, workload
from tests.cluster.scene import seen_tree
from tests.cluster.test_family import Family, Member

ALL: dict[str, Any] = {"strategy": "OneForAll", "intensity": 3}
WAITS = {"initialSeconds": 100, "factor": 1, "maxSeconds": 100, "jitterPercent": 0}


# Who is under way, and whose turn it is.


def restarting(name: str, stage: str = "Stopping", *, at: float = 0, turn: float | None = 0, due: float = 0) -> Tree:
    """Return a tree with a restart that was decided, got its turn, or is due, at that time after T0."""
    op = {"id": 1, "kind": "restart", "stage": stage, "slice": ["db"], "startTime": stamp(T0 + at), "stop": ["db"]}
    raw = tree(name=name)
    raw["status"] = {"uid": raw["metadata"]["uid"], "operation": op}
    if turn is not None:
        op["turnTime"] = stamp(T0 + turn)
    if stage == "Waiting":
        raw["status"]["nextAttemptTime"] = stamp(T0 + due)
    return tree_of(raw)


@pytest.mark.parametrize(
    ("others", "comes"),
    [
        pytest.param([], True, id="nobody"),
        pytest.param([restarting("a")], True, id="one place is left"),
        pytest.param([restarting("a"), restarting("b", "Starting")], False, id="as many as are allowed"),
        pytest.param([restarting("a"), restarting("b", turn=None)], True, id="in place, or the parent's, takes none"),
        pytest.param([restarting("a"), restarting("b", "Waiting", at=-1, turn=None)], False, id="who waits longer"),
        pytest.param([restarting("a"), restarting("b", "Waiting", at=1, turn=None)], True, id="who waits less long"),
        pytest.param([restarting("a"), restarting("b", "Waiting", at=0, turn=None)], True, id="at once: by name"),
        pytest.param([restarting("a"), restarting("b", "Waiting", at=-1, due=99)], True, id="who backs off"),
        pytest.param([restarting("a"), restarting("b", turn=-PLACE_SECONDS)], True, id="one that is stuck"),
        pytest.param([restarting("a"), restarting("b", turn=1 - PLACE_SECONDS)], False, id="one that is almost stuck"),
        pytest.param([restarting("a"), replace(restarting("b"), uid="other")], True, id="a restored status"),
        pytest.param([restarting("a"), replace(restarting("b"), is_deleting=True)], True, id="one that is deleted"),
    ],
)
def test_whose_turn_it_is(others: list[Tree], comes: bool) -> None:
    """Two restarts at once: a third waits for one of them, and for those that were decided before it."""
    assert turns_of(others, T0, 2).comes_to(Place(T0, "shop", "a-")) is comes


def test_without_a_limit_nobody_waits() -> None:
    """0 is any number."""
    assert turns_of([restarting(name) for name in "abc"], T0, 0).comes_to(Place(T0, "shop", "x"))


def test_what_is_being_written_counts_and_what_is_in_trouble_does_not() -> None:
    """A place that is taken this moment is taken; a tree that cannot be decided about keeps nobody waiting."""
    late, me = restarting("b", "Waiting", at=-1, turn=None), Place(T0, "shop", "x")
    assert not turns_of([restarting("a"), late], T0, 2, taken={("shop", "c")}).comes_to(me)
    assert not turns_of([restarting("a"), late], T0, 2).comes_to(me)
    assert turns_of([restarting("a"), late], T0, 2, troubled={("shop", "b")}).comes_to(me)
    assert turns_of([restarting("a"), restarting("b")], T0, 2).frees_at == T0 + PLACE_SECONDS


# Many trees.


@dataclass
class Queued(Member):
    """A tree that sees how many others are restarting."""

    limit: int = 2

    def look(self) -> Situation:
        """Return the whole current state."""
        others = [seen_tree(it.tree) for it in self.family.values() if it is not self]
        return replace(super().look(), turns=turns_of(others, self.now, self.limit))

    def decide(self) -> Plan:
        """Decide and write; the limit holds after each write."""
        plan = super().decide()
        assert len(self.under_way()) <= self.limit
        return plan

    def under_way(self) -> frozenset[Key]:
        """Return all restarts of the cluster that have a place."""
        return turns_of([seen_tree(it.tree) for it in self.family.values()], self.now, self.limit).under_way


class Cluster(Family):
    """Trees that share the places."""

    def join(self, raw: Raw, *workloads: str) -> None:
        """Have a tree with StatefulSets of its own."""
        tops = [workload("StatefulSet", name) for name in sorted(workloads)]
        self[raw["metadata"]["name"]] = it = Queued(raw, tops, log=self.log, family=self)
        for top in tops:
            it.fill(top)

    def begun(self) -> str:
        """Return the trees in the order in which their first restart got its turn: the order of their first deletes."""
        names = [word[1] for word in self.log if word.startswith("-")]
        return "".join(dict.fromkeys(names))

    def allow(self, limit: int) -> None:
        """Let so many restart at once."""
        for member in self.values():
            assert isinstance(member, Queued)
            member.limit = limit


def cluster(names: str, **spec: Any) -> Cluster:  # noqa: ANN401 - any fields
    """Return trees that have a db and a web each, which are restarted together."""
    lines = (f"{name}: {name}db {name}web" for name in names)
    return Cluster(*lines, **{name: {**ALL, **spec} for name in names})


def test_a_node_failure_restarts_them_two_at_a_time() -> None:
    """C09: a hundred trees may lose a pod at once; those that wait say so, in their order, and each is restarted once."""
    it = cluster("abcde")
    for name in "cadbe":
        it[name].dies(f"{name}db-0")
        it[name].decide()
        for member in it.values():
            member.now += 1
    assert [it[name].condition("Reconciling") for name in "cadbe"] == ["True Restarting"] * 2 + ["True Queued"] * 3
    assert it["e"].message("Reconciling") == (
        "edb crashed (pod edb-0, container main, exit code 1): the restart of edb and eweb waits: 2 restarts are under way "
        "in the cluster, and no more are allowed at once (--max-simultaneous-restarts)"
    )
    assert it["e"].plan is not None
    assert [notice.reason for notice in it["e"].plan.notices] == ["Restarting", "Queued"]
    it.settle()
    assert {*it.begun()[:2]} == {"c", "a"}
    assert it.begun()[2:] == "dbe"
    assert it.used() == [1] * 5
    assert [member.outcomes for member in it.values()] == [[f"{name}db Crash Restarted"] for name in "abcde"]
    assert it.is_ready()


def test_what_fails_while_it_waits_is_part_of_it() -> None:
    """A tree that waits for its turn counts no failure twice, and keeps its place when its restart grows."""
    it = cluster("abcd", strategy="RestForOne")
    for name, pod in (("a", "adb-0"), ("b", "bdb-0"), ("c", "cweb-0"), ("d", "ddb-0")):
        it[name].tree["spec"]["strategy"] = "OneForAll" if name == "c" else "RestForOne"
        it[name].dies(pod)
        it[name].decide()
        for member in it.values():
            member.now += 1
    it["c"].dies("cdb-0")
    it["c"].decide()
    it.settle()
    assert it.begun() == "abcd"
    assert it.used() == [1] * 4


def test_a_restart_that_grows_keeps_its_place() -> None:
    """An earlier child that fails while its tree waits is a new count, and the tree stays where it is in the queue."""
    it = cluster("abcd", strategy="RestForOne")
    it["c"].tree["spec"]["children"] = [child(f"c{name}") for name in ("db", "web", "job", "log")]
    it["c"].workloads += [workload("StatefulSet", f"c{name}") for name in ("job", "log")]
    it.settle()
    it.allow(1)
    for pod in ("adb-0", "bdb-0", "cjob-0", "ddb-0", "cdb-0"):
        it[pod[0]].dies(pod)
        it[pod[0]].decide()
        for member in it.values():
            member.now += 1
    it.log.clear()
    it.settle()
    assert it.begun() == "abcd"
    assert it.used() == [1, 1, 2, 1]


def test_a_restart_in_place_waits_for_nobody() -> None:
    """A container that its kubelet restarts by itself stops nothing, so it takes no place."""
    it = cluster("abc")
    it["c"].tree["spec"]["strategy"] = "OneForOne"
    for name in "abc":
        it[name].dies(f"{name}db-0")
        it[name].decide()
    assert [it[name].condition("Reconciling") for name in "abc"] == ["True Restarting"] * 3
    assert it["c"].status.operation is not None
    assert it["c"].status.operation.turn_time is None


def test_who_backs_off_takes_no_place() -> None:
    """While a tree waits out its backoff others restart; when it is due it queues like any other."""
    it = cluster("abc", backoff=WAITS)
    for name in "ab":
        it.crash(f"{name}db-0")
        it[name].dies(f"{name}db-0")
        it[name].decide()
        assert it[name].condition("Reconciling") == "True Waiting"
    it["c"].dies("cdb-0")
    it["c"].decide()
    assert it["c"].condition("Reconciling") == "True Restarting"
    it.settle()
    for member in it.values():
        member.now += 200
    it.settle()
    assert it.used() == [2, 2, 1]
    assert it.is_ready()


def test_a_stuck_restart_gives_its_place_up() -> None:
    """Two restarts that never end keep the others waiting for five minutes, and no longer."""
    it = cluster("abc")
    for name in "ab":
        it[name].dies(f"{name}db-0")
        it[name].decide()
    it["c"].dies("cdb-0")
    plan = it["c"].decide()
    assert plan.wake_at is not None
    assert plan.wake_at <= it["a"].now + PLACE_SECONDS
    for member in it.values():
        member.now += PLACE_SECONDS + 1
    it["c"].decide()
    assert it["c"].condition("Reconciling") == "True Restarting"


def test_a_reset_waits_for_its_turn_too() -> None:
    """Trees that are reset, or try once more, at the same time are restarted no faster than those that failed."""
    it = cluster("abc", intensity=0)
    for name in "abc":
        it.crash(f"{name}db-0")
        assert it[name].condition("Stalled") == "True Parked"
    for name in "abc":
        it[name].tree["metadata"]["annotations"] = {"suptree.dev/reset": "now"}
        # The kubelet has not restarted it, or the tree would have nothing to do.
        it[name].dies(f"{name}db-0")
    it.log.clear()
    for name in "abc":
        it[name].decide()
    assert [it[name].condition("Reconciling") for name in "abc"] == ["True Restarting"] * 2 + ["True Queued"]
    it.settle()
    assert it.begun() == "abc"
    assert it.is_ready()


def test_a_family_never_waits_for_itself() -> None:
    """A child tree that fails within its parent's restart takes no second place: with one place in all, all come up."""
    it = Cluster("t: x y", "x: m", "m: mdb mweb", "y: ydb yweb", **dict.fromkeys("txmy", ALL))
    it.allow(1)
    it["m"].tree["spec"]["intensity"] = it["x"].tree["spec"]["intensity"] = 0
    it["m"].dies("mdb-0")
    while not (
        (op := it["t"].status.operation)
        and it["x"].status.incarnation == op.id
        and it["x"].condition("Ready")[0] == "T"
    ):
        it._round(None)
    assert (op.start or ())[0] == "x", "t has not seen yet that x is up again"
    it["m"].tree["spec"]["intensity"] = 1
    it["m"].dies("mdb-0")
    it["m"].step()
    assert it["m"].condition("Reconciling") == "True Restarting"
    assert it["m"].status.operation is not None
    assert it["m"].status.operation.turn_time is None
    it.settle()
    assert it.is_ready()
    assert it["m"].outcomes[-1] == "mdb Crash Restarted"
    assert it["t"].outcomes == ["x Exhausted Restarted"]


@settings(max_examples=4)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_everybody_gets_a_turn(seed: int, limit: int) -> None:
    """In any order of crashes, kills of the operator and lost writes: never more than the limit, and all are up in the end."""
    dice = random.Random(seed)  # noqa: S311 - it makes up stories
    it = Cluster(
        "a: adb aweb",
        "b: bdb bweb",
        "t: x tdb",
        "x: xdb xweb",
        "c: cdb cweb",
        **{n: {**ALL, "intensity": 9} for n in "abtxc"},
    )
    it.allow(limit)
    pods = ["adb-0", "bweb-0", "tdb-0", "xdb-0", "cdb-0"]
    dice.shuffle(pods)
    for pod in pods:
        member = next(found for found in it.values() if pod in found.pods)
        if "deletionTimestamp" not in member.pods[pod]["metadata"] and member.pods[pod]["status"]["containerStatuses"]:
            member.dies(pod)
        for _ in range(dice.randint(0, 2)):
            it._round(dice)
    it.settle(dice)
    assert it.is_ready()
    assert all(member.status.operation is None for member in it.values())
