"""What is remembered of pods: whole, small, and only of those that need it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suptree.api.model import from_time
from suptree.api.spec import SupervisionTreeSpec
from suptree.cluster.memory import (
    Known,
    Replaced,
    Seen,
    decode,
    decode_replaced,
    encode,
    encode_replaced,
    replaced,
    short_id,
    short_uid,
)
from suptree.cluster.record import read, supervisor_of
from suptree.cluster.trees import tree_of
from suptree.cluster.views import pod_of
from suptree.core.budget import uncounted_limit
from tests.cluster.builders import container, new_id, pod, stamp, terminated
from tests.cluster.scene import Scene, scene

FAST = settings(max_examples=100, deadline=None, derandomize=True)

words = st.text("0123456789abcdef", min_size=8, max_size=8)
seconds = st.integers(1_700_000_000, 1_900_000_000)


@st.composite
def knowns(draw: st.DrawFn) -> Known:
    """Draw what may be remembered of one pod."""
    deaths = frozenset(
        draw(st.lists(st.one_of(words, st.just("-"), st.sampled_from(("latew0", "later2w0"))), max_size=4))
    )
    attempt = draw(st.sampled_from(("", "r0", "w3r0", "t12")))
    return Known(
        deaths,
        was_ready=draw(st.booleans()),
        had_success=draw(st.booleans()),
        is_starting=draw(st.booleans()),
        has_failed=draw(st.booleans()),
        has_died=draw(st.booleans()),
        attempt=attempt,
        since=draw(st.one_of(st.none(), seconds)) if attempt else None,
    )


memories = st.builds(
    Seen,
    st.dictionaries(words, knowns(), max_size=8),
    st.integers(0, 10**9),
    st.one_of(st.none(), seconds),
    st.one_of(st.none(), seconds),
    st.sampled_from(("", "2026-03-01T00:00:00Z")),
)


@given(memories)
@FAST
def test_what_was_judged_survives_a_round_trip(seen: Seen) -> None:
    """A new leader knows exactly which deaths were counted, which clocks run, and what was scaled since."""
    assert decode(encode(seen)) == seen


def test_never_looked_at_is_not_the_same_as_nothing_there() -> None:
    """A child without pods has been looked at: what appears in it later is not history."""
    assert decode(None) is None
    assert decode(encode(Seen())) == Seen()


@given(st.lists(words, max_size=20, unique=True), st.sampled_from(("", "2026-03-01T00:00:00Z")))
@FAST
def test_the_decision_which_pods_to_replace_survives_a_round_trip(uids: list[str], newest: str) -> None:
    """An operator that comes back deletes exactly the pods that were decided upon."""
    it = Replaced(frozenset(uids), newest)
    assert decode_replaced(encode_replaced(it)) == it


def test_only_pods_that_were_decided_upon_are_replaced() -> None:
    """A pod made since is never taken for one that is to go, even if its UID should begin alike."""
    old = pod_of(pod("db-0", created="2026-03-01T00:00:00Z"))
    twin = pod_of(pod("db-0", uid=old.uid[:8] + "-ffff", created="2026-03-01T00:00:09Z"))
    other = pod_of(pod("db-1", created="2026-02-01T00:00:00Z"))
    it = replaced([old])
    assert it.has(old)
    assert not it.has(twin)
    assert not it.has(other)
    assert not Replaced().has(old)


@pytest.mark.parametrize(
    ("long", "short"),
    [
        pytest.param("containerd://0123456789abcdef", "01234567", id="containerd"),
        pytest.param("cri-o://0123456789abcdef", "01234567", id="cri-o"),
        pytest.param("0123456789abcdef", "01234567", id="a bare id"),
    ],
)
def test_a_container_is_named_whatever_its_runtime(long: str, short: str) -> None:
    """Deaths are told apart under any container runtime."""
    assert short_id(long) == short
    assert short_uid("0123abcd-0000-4000-8000-000000000000") == "0123abcd"


@pytest.mark.parametrize(
    "are_dead",
    [
        pytest.param(False, id="none of them dead"),
        pytest.param(True, id="C69: all dead twice"),
    ],
)
def test_a_status_of_5000_pods_stays_small(*, are_dead: bool) -> None:
    """A child with 5,000 pods that are all replaced leaves a status below 64 KiB, whatever the error texts say."""
    it = scene("db big=deploy*5000", strategy="OneForAll", ordering="Parallel")
    huge = "x" * 300_000
    it.dies("db-0", message=huge)
    for raw in it.of("big") if are_dead else ():
        ended = [terminated(1, "Error", new_id(), message=huge), terminated(137, "OOMKilled", new_id(), message=huge)]
        raw["status"]["containerStatuses"] = [container(ended[0], last=ended[1], restarts=7)]
        raw["status"]["conditions"] = [{"type": "Ready", "status": "False", "message": huge}]
    plan = it.decide()
    assert len(plan.deletes) == 5001
    assert len(json.dumps(plan.status.to_json())) < 64 * 1024


def test_the_largest_budget_leaves_a_small_status() -> None:
    """A tree that has used up the largest budget there is, and its disruptions too, has a status below 64 KiB."""
    it = scene("db web=deploy*100", strategy="OneForAll", intensity=1000, periodSeconds=86400)
    it.decide()
    stamps = [stamp(it.now - 1 - at / 7) for at in range(1000)]
    status = it.tree["status"]
    status["budget"]["times"], status["uncounted"] = stamps, stamps[: uncounted_limit(1000)]
    it.dies("db-0", message="x" * 300_000)
    plan = it.decide()
    assert plan.status.exhausted is not None
    assert plan.status.budget is not None
    assert plan.status.budget.used == 1000
    window, _ = windows(it)
    assert [int(time) for time in window] == [int(from_time(time)) for time in stamps]
    assert len(json.dumps(plan.status.to_json())) < 64 * 1024


def windows(it: Scene) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the windows of counted and uncounted restarts, as the next decision reads them."""
    state = read(
        it.status, supervisor_of(tree_of(it.tree).spec or SupervisionTreeSpec(children=()), is_gate_in_force=True)
    )
    return state.window, state.uncounted


@pytest.mark.parametrize("is_replaced", [True, False], ids=["all being replaced", "all dead"])
def test_the_largest_budget_and_5000_dead_pods_leave_a_small_status(*, is_replaced: bool) -> None:
    """Windows with 1,000 and 500 restarts, and a child of 5,000 pods that all die, fit together below 64 KiB, and none is lost."""
    it = scene("db big=deploy*5000", strategy="OneForAll", ordering="Parallel", intensity=1000, periodSeconds=86400)
    it.decide()
    stamps = [stamp(it.now - 1 - at * 86) for at in range(1000)]
    it.tree["status"]["budget"]["times"] = stamps[is_replaced:]
    it.tree["status"]["uncounted"] = stamps[: uncounted_limit(1000)]
    for raw in it.of("big"):
        ended = terminated(1, "Error", new_id(), message="x" * 300), terminated(137, "OOMKilled", new_id())
        raw["status"]["containerStatuses"] = [container(ended[0], last=ended[1], restarts=7)]
        raw["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    for _ in range(2):
        plan = it.decide()
        assert len(plan.deletes) == (5001 if is_replaced else 0)
        assert (plan.status.exhausted is None) == is_replaced
        assert tuple(map(len, windows(it))) == (1000, 500)
        assert len(json.dumps(plan.status.to_json())) < 64 * 1024


def test_5000_deaths_are_one_exit_and_counted_once() -> None:
    """However many pods of a child die together, it is one restart, and looking again finds nothing new."""
    it = scene("db big=deploy*5000", strategy="OneForAll", ordering="Parallel")
    for raw in it.of("big"):
        it.dies(raw["metadata"]["name"])
    plan, again = it.decide(), it.decide()
    assert (plan.status.restarts, again.status.restarts) == (1, 1)
    assert len(plan.deletes) == 5001
    assert {found.pod.uid for found in again.deletes} == {found.pod.uid for found in plan.deletes}


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param(100, id="100 pods: each is remembered"),
        pytest.param(1500, id="1500 pods: as many dead as are remembered"),
        pytest.param(1501, id="1501 pods: one dead more than is remembered"),
    ],
)
def test_a_death_is_counted_once_however_many_there_are(pods: int) -> None:
    """When all pods of a large child crash, and stay dead for a while, that is one restart and not one a decision."""
    it = scene(f"big=deploy*{pods}")
    for raw in it.of("big"):
        it.dies(raw["metadata"]["name"])
    counted = []
    for _ in range(4):
        counted.append(it.decide().status.restarts)
        it.now += 1
    assert counted == [1, 1, 1, 1]


def test_a_large_child_that_is_slow_to_start_stays_small_too() -> None:
    """Clocks of 5,000 pods that have died, come back and are not Ready fit into the status, and count nothing twice."""
    more = {"big": {"startTimeoutSeconds": 600, "notReadySeconds": 600}}
    it = scene("db big=deploy*5000", strategy="OneForAll", ordering="Parallel", more=more)
    it.dies("db-0")
    for raw in it.of("big"):
        it.dies(raw["metadata"]["name"])
        it.runs(raw["metadata"]["name"])
        raw["status"]["conditions"][0]["status"] = "False"
    for _ in range(2):
        plan = it.decide()
        it.now += 60
        assert plan.status.restarts == 1
        assert len(json.dumps(plan.status.to_json())) < 64 * 1024
