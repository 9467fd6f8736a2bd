"""What counts as an exit (design section 2): the causes, each death once, and what is no exit at all."""

from typing import Any

import pytest

from suptree.api.child import Child
from suptree.api.outcomes import Cause
from suptree.cluster.causes import GRAVITY, REASONS, UNCOUNTED, Exit
from suptree.cluster.memory import replaced
from suptree.cluster.views import pod_of
from suptree.core.restart import Reason
from tests.cluster.builders import (
    Raw,
    child,
    container,
    disrupted,
    new_uid,
    pod,
    running,
    terminated,
    unschedulable,
    waiting,
)
from tests.cluster.watching import Watch

UID = new_uid()


def db(*containers: Raw, **more: Any) -> Raw:  # noqa: ANN401 - fields of any type
    """Return the one pod that most of these stories are about."""
    return pod("db-0", *containers, uid=UID, **more)


def watched(*before: Raw, **fields: Any) -> Watch:  # noqa: ANN401 - fields of any type
    """Return the watch of a child that was looked at when all was well."""
    it = Watch(child=Child.model_validate(child("db", **fields)))
    it.look(*(before or (db(),)))
    return it


# Each cause and its evidence.


@pytest.mark.parametrize(
    ("state", "more", "cause"),
    [
        pytest.param(terminated(1), {}, "Crash", id="exit code 1"),
        pytest.param(terminated(143), {}, "Crash", id="exit code 143 is a signal"),
        pytest.param(terminated(0, "Error", signal=9), {}, "Crash", id="a signal with exit code 0"),
        pytest.param(terminated(255, "Error"), {}, "Crash", id="exit code 255 that the program chose"),
        pytest.param(terminated(137, "OOMKilled"), {}, "OOMKilled", id="out of memory"),
        pytest.param(terminated(0, "OOMKilled"), {}, "OOMKilled", id="out of memory with exit code 0"),
        pytest.param(terminated(0), {}, "Completed", id="C18: exit code 0"),
        pytest.param(terminated(143), {"conditions": [disrupted()]}, "Disrupted", id="C15: evicted"),
        pytest.param(
            terminated(0),
            {"conditions": [disrupted("TerminationByKubelet")]},
            "Disrupted",
            id="C20: a node that shuts down",
        ),
        pytest.param(
            terminated(137, "OOMKilled"), {"conditions": [disrupted()]}, "OOMKilled", id="out of memory while evicted"
        ),
        pytest.param(terminated(255, "Unknown"), {}, "Lost", id="C08: the node rebooted"),
        pytest.param(terminated(137, "ContainerStatusUnknown"), {}, "Lost", id="nobody knows how it ended"),
        pytest.param(terminated(128, "StartError"), {}, None, id="it could not be started at all"),
    ],
)
def test_each_cause_has_its_evidence(state: Raw, more: Raw, cause: str | None) -> None:
    """A dead container is named for what the kubelet reports of it, and an exit code alone does not decide."""
    it = watched()
    assert it.cause(db(container(state), ready=False, **more)) == cause


def test_the_evidence_is_kept() -> None:
    """The exit names the pod, the container, the exit code and what the kubelet said."""
    it = watched()
    found = it.look(db(container(terminated(3, message="disk full"), name="main"))).exit
    assert found == Exit(Cause.CRASH, "db-0", "main", 3, "disk full")


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_place_in_every_table(cause: Cause) -> None:
    """No cause is without a reason, a gravity, and a rule whether it is counted."""
    assert cause in REASONS
    assert cause in GRAVITY
    assert Exit(cause).is_counted is (cause not in {Cause.DISRUPTED, Cause.LOST, Cause.DELETED})
    assert all(REASONS[found] is Reason.SHUTDOWN for found in UNCOUNTED)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        *[(it, Reason.ABNORMAL) for it in ("Crash", "OOMKilled", "StartFailed", "Zombie", "JobFailed")],
        *[(it, Reason.NORMAL) for it in ("Completed", "JobComplete")],
        *[(it, Reason.SHUTDOWN) for it in ("Disrupted", "Lost", "Deleted", "Exhausted")],
    ],
)
def test_the_reason_that_otp_would_see(cause: str, reason: Reason) -> None:
    """Transient children come back after the abnormal causes only."""
    assert REASONS[Cause(cause)] is reason  # type: ignore[call-arg]


# Each death once.


def test_c03_one_crash_has_several_faces() -> None:
    """C03: the same death in state, in lastState, in a relist and after a restart of the operator is one exit."""
    it = watched()
    dead = terminated(137, "OOMKilled")
    assert it.cause(db(container(dead, restarts=3), ready=False)) == "OOMKilled"
    back_off = db(container(waiting("CrashLoopBackOff"), last=dead, restarts=3), ready=False)
    assert it.cause(back_off) is None
    again = db(container(running(), last=dead, restarts=4))
    assert it.cause(again) is None
    assert it.cause(again) is None
    it.before.clear()  # The operator restarts: its memory is the status.
    assert it.cause(again) is None


def test_a_liveness_kill_shows_in_last_state_alone() -> None:
    """A container that was killed and runs again between two looks has still died, though Ready never moved."""
    it = watched()
    assert it.cause(db(container(running(), last=terminated(137), restarts=1))) == "Crash"


def test_two_deaths_between_two_looks_are_one_exit() -> None:
    """Deaths of one child that are seen together are one exit."""
    it = watched()
    assert it.cause(db(container(terminated(1), last=terminated(1), restarts=2), ready=False)) == "Crash"
    assert it.cause(db(container(running(), last=terminated(1), restarts=4))) == "Crash"


def test_a_restart_counter_that_falls_is_no_exit() -> None:
    """Restart counters can fall or jump; only a death is a death."""
    it = watched(db(container(running(), restarts=7)))
    assert it.cause(db(container(running(), restarts=2))) is None
    assert it.cause(db(container(running(), restarts=50))) is None


@pytest.mark.parametrize(
    ("codes", "cause"),
    [
        pytest.param((0, 1), "Crash", id="a crash beside a normal end is a crash"),
        pytest.param((1, 0), "Crash", id="in either order"),
        pytest.param((0, 0), "Completed", id="two normal ends"),
    ],
)
def test_the_gravest_of_several_deaths_stands_for_all(codes: tuple[int, int], cause: str) -> None:
    """When several containers have died, the exit is named for the worst."""
    it = watched()
    names = ("main", "side")
    both = [container(terminated(code), name=name) for code, name in zip(codes, names, strict=True)]
    assert it.cause(db(*both, ready=False)) == cause


def test_c10_several_pods_that_die_together_are_one_exit() -> None:
    """C10: six replicas that crash in one outage, and are seen together, are one failure of one child."""
    pods = [pod(f"api-{at}") for at in range(6)]
    it = watched(*pods)
    for raw in pods:
        raw["status"]["containerStatuses"] = [container(terminated(1))]
    assert it.cause(*pods) == "Crash"
    assert it.cause(*pods) is None


def test_what_is_dead_when_first_seen_is_history() -> None:
    """A new tree restarts nothing for what happened before it was there."""
    it = Watch()
    dead = db(container(terminated(1), last=terminated(137, "OOMKilled"), restarts=9), ready=False)
    assert it.cause(dead) is None
    assert it.cause(dead) is None


def test_a_new_pod_that_is_already_dead_is_an_exit() -> None:
    """C05: a replacement that has died before it was ever seen alive is a failure, whatever its restart count."""
    it = watched()
    assert it.cause(db(), pod("db-1", container(terminated(137)), ready=False)) == "Crash"


# Init containers and sidecars.


def test_an_init_container_that_has_done_its_work_is_no_exit() -> None:
    """Init containers end with exit code 0: that is what they are for."""
    it = watched(db(container(waiting("PodInitializing")), ready=False))
    ended = container(terminated(0), name="migrate")
    assert it.cause(db(container(waiting("PodInitializing")), init=[ended], ready=False)) is None


def test_c38_an_init_container_that_fails_is_a_crash() -> None:
    """C38: an init container that exits 1 keeps the child down and is a failure of it."""
    it = watched(db(container(waiting("PodInitializing")), ready=False))
    ended = container(terminated(1), name="migrate")
    assert it.cause(db(container(waiting("PodInitializing")), init=[ended], ready=False)) == "Crash"


def test_a_sidecar_that_ends_is_an_exit() -> None:
    """A sidecar is to run for ever: when it ends, even well, it has ended."""
    proxy = container(running(), name="proxy")
    it = watched(db(init=[proxy], sidecars=["proxy"]))
    ended = container(terminated(0), name="proxy")
    assert it.cause(db(init=[ended], sidecars=["proxy"])) == "Completed"


# What is no exit.


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(db(container(waiting("ErrImagePull")), ready=False), id="C52: a wrong image"),
        pytest.param(db(container(waiting("ImagePullBackOff")), ready=False), id="C52: a wrong image, again"),
        pytest.param(
            db(container(waiting()), ready=False, conditions=[unschedulable()], phase="Pending"), id="C52: no room"
        ),
        pytest.param(db(ready=False), id="C54: Not Ready alone, without notReadySeconds"),
        pytest.param(db(container(waiting()), ready=False), id="C51: still being created"),
    ],
)
def test_what_a_restart_cannot_help_is_no_exit(raw: Raw) -> None:
    """A pod that cannot start, or is Not Ready for a while, has not crashed."""
    it = watched()
    assert it.cause(raw) is None
    assert it.cause(raw, after=86_400) is None


def test_what_a_pod_reports_on_its_way_out_is_no_exit() -> None:
    """A pod that is being deleted ends with 143 or 137: that is how pods end."""
    it = watched(db(), other := pod("db-1"))
    dying = db(container(terminated(137)), ready=False, deletes_at=it.now + 30)
    assert it.cause(dying, other) is None
    assert it.cause(other) is None


def test_what_the_tree_replaces_itself_is_no_exit() -> None:
    """Our own restarts never count as failures of what they restart."""
    it = watched()
    mine = replaced([pod_of(db())])
    assert it.cause(db(container(terminated(143))), replaced=mine) is None
    assert it.cause(db(container(terminated(143)), deletes_at=it.now + 30), replaced=mine) is None
    assert it.cause(replaced=mine) is None
    assert it.cause(pod("db-0")) is None


@pytest.mark.parametrize(
    ("state", "more"),
    [
        pytest.param(terminated(143), {"conditions": [disrupted()]}, id="C11: one replica evicted"),
        pytest.param(terminated(255, "Unknown"), {}, id="one replica lost with its node"),
    ],
)
def test_a_disruption_of_one_of_three_is_no_exit(state: Raw, more: Raw) -> None:
    """Draining one replica of three does not take the child down, so it is none; draining the last one is."""
    pods = [db(), pod("db-1"), pod("db-2")]
    it = watched(*pods)
    pods[0] = db(container(state), ready=False, **more)
    assert it.cause(*pods) is None
    pods[1:] = [pod(raw["metadata"]["name"], uid=raw["metadata"]["uid"], ready=False) for raw in pods[1:]]
    it.look(*pods)
    fresh = [pod("db-3", container(state), ready=False, **more)]
    assert it.cause(*pods, *fresh) is not None


def test_a_crash_of_one_of_three_is_an_exit() -> None:
    """A crash is a failure of the child however many of its pods are well."""
    it = watched(db(), pod("db-1"), pod("db-2"))
    assert it.cause(db(container(terminated(1))), pod("db-1"), pod("db-2")) == "Crash"


# The child's own rules.


@pytest.mark.parametrize(
    ("rules", "code", "cause"),
    [
        pytest.param([("Ignore", "In", [143])], 143, None, id="ignored: the code is in the list"),
        pytest.param([("Ignore", "In", [143])], 1, "Crash", id="not ignored: another code"),
        pytest.param([("Ignore", "NotIn", [1])], 2, None, id="ignored: the code is not in the list"),
        pytest.param([("Ignore", "NotIn", [1])], 0, "Completed", id="exit code 0 is never matched by NotIn"),
        pytest.param([("Restart", "In", [3]), ("Ignore", "In", [3])], 3, "Crash", id="the first match wins"),
        pytest.param([("Ignore", "In", [3]), ("Restart", "In", [3])], 3, None, id="the first match wins, again"),
    ],
)
def test_the_failure_policy_has_the_first_word(
    rules: list[tuple[str, str, list[int]]], code: int, cause: str | None
) -> None:
    """A rule of failurePolicy decides before the cause does, and the first that matches wins."""
    policy = [{"action": do, "onExitCodes": {"operator": how, "values": codes}} for do, how, codes in rules]
    it = watched(failurePolicy=policy)
    assert it.cause(db(container(terminated(code)), ready=False)) == cause


def test_an_ignored_exit_is_not_looked_at_again() -> None:
    """What a rule ignores is judged once, as everything is."""
    it = watched(failurePolicy=[{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [143]}}])
    dead = terminated(143)
    found = it.look(db(container(dead), ready=False))
    assert found.without_effect is not None
    assert it.look(db(container(running(), last=dead, restarts=1))).without_effect is None


@pytest.mark.parametrize(
    ("needed", "dead", "cause"),
    [
        pytest.param(1, 1, "Crash", id="one of four is enough by default"),
        pytest.param(2, 1, None, id="one is not two"),
        pytest.param(2, 2, "Crash", id="two are two"),
        pytest.param("50%", 1, None, id="one of four is not half"),
        pytest.param("50%", 2, "Crash", id="two of four are half"),
        pytest.param("51%", 2, None, id="two of four are less than 51%"),
    ],
)
def test_min_failed_pods(needed: int | str, dead: int, cause: str | None) -> None:
    """A child has failed when as many of its pods have as minFailedPods says."""
    pods = [pod(f"db-{at}") for at in range(4)]
    it = watched(*pods, minFailedPods=needed)
    for raw in pods[:dead]:
        raw["status"]["containerStatuses"] = [container(terminated(1))]
        raw["status"]["conditions"][0]["status"] = "False"
    assert it.cause(*pods, desired=4) == cause
