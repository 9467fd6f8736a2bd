"""What is remembered of pods: whole, small, and only of those that need it."""

import functools
import json
import pickle
from typing import Any

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
from suptree.cluster.situation import Plan
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


LIMIT = 64 * 1024
"""Bytes."""
LARGE: dict[str, Any] = {"strategy": "OneForAll", "ordering": "Parallel", "intensity": 1000, "periodSeconds": 86400}
PODS = 5000


@functools.cache
def _large() -> bytes:
    return pickle.dumps(scene(f"db big=deploy*{PODS}", **LARGE))


@pytest.fixture
def large() -> Scene:
    """A tree with the largest budget, db, and a child of 5,000 pods; built once, because that takes longer than a decision."""
    found: Scene = pickle.loads(_large())  # noqa: S301 - our own
    return found


def size(plan: Plan) -> int:
    """Return how large the status is, in bytes."""
    return len(json.dumps(plan.status.to_json()))


def test_a_status_of_5000_pods_stays_small(large: Scene) -> None:
    """A child with 5,000 pods that are all replaced leaves a status below 64 KiB, whatever the error text says."""
    large.dies("db-0", message="x" * 300_000)
    plan = large.decide()
    assert len(plan.deletes) == PODS + 1
    assert size(plan) < LIMIT


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
    assert size(plan) < LIMIT


def windows(it: Scene) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the windows of counted and uncounted restarts, as the next decision reads them."""
    state = read(
        it.status, supervisor_of(tree_of(it.tree).spec or SupervisionTreeSpec(children=()), is_gate_in_force=True)
    )
    return state.window, state.uncounted


@pytest.mark.parametrize("is_replaced", [True, False], ids=["all being replaced", "all dead"])
def test_the_largest_budget_and_5000_dead_pods_leave_a_small_status(large: Scene, *, is_replaced: bool) -> None:
    """C69: however many pods die twice together, it is one exit, counted once; beside windows with 1,000 and 500 restarts it fits below 64 KiB, and nothing is lost."""
    large.decide()
    stamps = [stamp(large.now - 1 - at * 86) for at in range(1000)]
    large.tree["status"]["budget"]["times"] = stamps[is_replaced:]
    large.tree["status"]["uncounted"] = stamps[: uncounted_limit(1000)]
    for raw in large.of("big"):
        ended = terminated(1, "Error", new_id(), message="x" * 300), terminated(137, "OOMKilled", new_id())
        raw["status"]["containerStatuses"] = [container(ended[0], last=ended[1], restarts=7)]
        raw["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    plans = [large.decide() for _ in range(2)]
    for plan in plans:
        assert plan.status.restarts == is_replaced
        assert len(plan.deletes) == (PODS + 1 if is_replaced else 0)
        assert (plan.status.exhausted is None) == is_replaced
        assert tuple(map(len, windows(large))) == (1000, 500)
        assert size(plan) < LIMIT
    assert {found.pod.uid for found in plans[0].deletes} == {found.pod.uid for found in plans[1].deletes}


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


def test_a_large_child_that_is_slow_to_start_stays_small_too(large: Scene) -> None:
    """Clocks of 5,000 pods that have died, come back and are not Ready fit into the status, and count nothing twice."""
    large.tree["spec"]["children"][1] |= {"startTimeoutSeconds": 600, "notReadySeconds": 600}
    large.dies("db-0")
    for raw in large.of("big"):
        large.dies(raw["metadata"]["name"])
        large.runs(raw["metadata"]["name"])
        raw["status"]["conditions"][0]["status"] = "False"
    for _ in range(2):
        plan = large.decide()
        large.now += 60
        assert plan.status.restarts == 1
        assert size(plan) < LIMIT
