"""Deletions: a pod that is gone says nothing by itself. It is an exit when its controller did not want it gone."""

from typing import Any

import pytest

from suptree.cluster.views import pod_of
from tests.cluster.builders import T0, Raw, container, disrupted, pod, stamp, terminated, waiting, workload
from tests.cluster.watching import Watch


def story(kind: str, replicas: int, **more: Any) -> tuple[Watch, list[Raw], Raw]:  # noqa: ANN401 - fields of a workload
    """Return a child of that kind with its pods up, its pods, and their controller."""
    top = workload(kind, "db", replicas, **more)
    controller = top
    workloads = [top]
    if kind == "Deployment":
        controller = workload("ReplicaSet", "db-r1", replicas, of=top, app="db")
        workloads.append(controller)
    first = more.get("first", 0)
    pods = [pod(f"db-{first + at}", of=controller) for at in range(replicas)]
    it = Watch(workloads=tuple(workloads))
    it.look(*pods)
    return it, pods, controller


def going(raw: Raw, asked: float = T0 + 600) -> Raw:
    """Return the pod as it is when somebody has deleted it."""
    meta = {**raw["metadata"], "deletionTimestamp": stamp(asked + 30), "deletionGracePeriodSeconds": 30}
    return {**raw, "metadata": meta}


KINDS = [pytest.param(kind, id=kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet")]


# Deleted by somebody else.


@pytest.mark.parametrize("kind", KINDS)
def test_the_only_pod_deleted_is_an_exit(kind: str) -> None:
    """`kubectl delete pod` of the only pod takes the child down: that is an exit, once."""
    it, (one,), _ = story(kind, 1)
    assert it.cause(going(one)) == "Deleted"
    assert it.cause(going(one)) is None
    assert it.cause() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_that_is_back_before_anybody_looks_was_down_all_the_same(kind: str) -> None:
    """C02: the only pod is deleted and the next one Ready within one look: the child was down, which is an exit, once."""
    it, (one,), top = story(kind, 1)
    new = pod(one["metadata"]["name"], of=top)
    assert it.cause(new) == "Deleted"
    assert it.cause(new) is None


@pytest.mark.parametrize("kind", [it for it in KINDS if it.values != ("StatefulSet",)])
@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("lasts", [True, False])
def test_a_heir_that_is_seen_before_the_deletion_does_not_hide_it(kind: str, late: int, lasts: bool) -> None:
    """C11: watches show pods in any order: a new pod that is seen, or even Ready, before the end of the old one is seen."""
    it, (one,), top = story(kind, 1)
    asked = it.now + 10
    new = pod("db-new", of=top, ready=False, created=stamp(asked + late))
    assert it.cause(one, new, after=11) is None
    new["status"]["conditions"][0]["status"] = "True"
    old = going(one, asked)
    gone: dict[str, Any] = {} if lasts else {"ghosts": [pod_of(old)]}
    assert it.cause(*([old] if lasts else []), new, **gone) == "Deleted"
    assert it.cause(new) is None


def test_a_pod_of_the_same_second_that_was_ready_is_no_heir() -> None:
    """Of two pods the older goes in the second in which the younger was made: that one was Ready already, so the child was up."""
    it, (one,), top = story("ReplicaSet", 1)
    second = pod("db-1", of=top, created=stamp(it.now + 1))
    assert it.cause(one, second) is None
    assert it.cause(going(one, it.now), second) is None


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_three_deleted_is_no_exit(kind: str) -> None:
    """Deleting one replica of three leaves the child up: no exit, then or later."""
    it, (one, *rest), top = story(kind, 3)
    assert it.cause(going(one), *rest) is None
    assert it.cause(*rest) is None
    assert it.cause(*rest, pod(one["metadata"]["name"], of=top)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_all_three_deleted_is_one_exit(kind: str) -> None:
    """Deleting all replicas is one exit, however many pods it takes."""
    it, pods, _ = story(kind, 3)
    assert it.cause(*(going(raw) for raw in pods)) == "Deleted"
    assert it.cause(*(going(raw) for raw in pods)) is None
    assert it.cause() is None


def test_a_daemon_sets_pod_replaced_by_one_of_its_revision_was_deleted() -> None:
    """A DaemonSet's pod that is replaced by the same revision was not rolled out: somebody deleted it."""
    it, (one,), top = story("DaemonSet", 1)
    assert it.cause(going(one)) is None  # Nothing can be said before its heir is there.
    new = pod("db-x", of=top, ready=False)
    assert it.cause(going(one), new) == "Deleted"
    new["status"]["conditions"][0]["status"] = "True"
    assert it.cause(new) is None


def test_an_eviction_is_named_a_disruption() -> None:
    """C15: an evicted pod is Disrupted, not merely Deleted."""
    it, (one,), _ = story("Deployment", 1)
    one["status"]["conditions"].append(disrupted())
    assert it.cause(going(one)) == "Disrupted"


def test_c11_evictions_of_one_replica_after_the_other_are_no_exits() -> None:
    """C11: a drain that never takes the last replica costs nothing."""
    it, pods, top = story("Deployment", 3)
    for at in range(3):
        pods[at] = going(pods[at])
        assert it.cause(*pods) is None
        pods[at] = pod(f"db-new-{at}", of=top)
        assert it.cause(*pods) is None


def test_c02_the_same_name_with_a_new_uid_is_noticed_once() -> None:
    """C02: a pod that was replaced by one of its name while nobody watched was down, and that is one exit."""
    it, (_,), top = story("StatefulSet", 1)
    it.before.clear()
    new = pod("db-0", of=top)
    assert it.cause(new) == "Deleted"
    assert it.cause(new) is None


def test_c02_an_unseen_replacement_of_one_of_three_is_no_exit() -> None:
    """C02: when two of three pods are still those that were there, the child was never down."""
    it, (_, *rest), top = story("StatefulSet", 3)
    it.before.clear()
    assert it.cause(pod("db-0", of=top), *rest) is None


def test_an_unseen_rollout_is_no_exit() -> None:
    """When the workload was changed meanwhile, new pods are what its owner wanted."""
    it, (_,), top = story("StatefulSet", 1)
    it.before.clear()
    top["metadata"]["generation"] = top["status"]["observedGeneration"] = 2
    assert it.cause(pod("db-0", of=top, revision="r2")) is None


# Wanted by its controller.


def scaled(it: Watch, replicas: int) -> None:
    """Let somebody scale the child; the controllers have seen it."""
    for top in it.workloads:
        top["spec"]["replicas"] = replicas
        top["metadata"]["generation"] += 1
        top["status"]["observedGeneration"] = top["metadata"]["generation"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("of", "to"), [pytest.param(3, 1, id="3 to 1"), pytest.param(2, 1, id="2 to 1")])
def test_a_scale_down_is_no_exit(kind: str, of: int, to: int) -> None:
    """Pods that go because fewer are wanted were not lost."""
    it, pods, _ = story(kind, of)
    scaled(it, to)
    assert it.cause(*pods[:to], *(going(raw) for raw in pods[to:])) is None
    assert it.cause(*pods[:to]) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replicas", [1, 3])
def test_c14_a_scale_to_zero_is_no_exit(kind: str, replicas: int) -> None:
    """C14: a workload that is scaled to zero, by whomever, has no failure, nor when it comes back."""
    it, pods, controller = story(kind, replicas)
    scaled(it, 0)
    assert it.cause(*(going(raw) for raw in pods)) is None
    assert it.cause() is None
    scaled(it, replicas)
    assert it.cause(*(pod(raw["metadata"]["name"], of=controller) for raw in pods)) is None


def test_a_scale_down_while_the_rest_is_not_ready_is_no_exit() -> None:
    """A scale-down that hits a child in trouble is still a scale-down."""
    it, pods, _ = story("Deployment", 2)
    pods[0]["status"]["conditions"][0]["status"] = "False"
    it.look(*pods)
    scaled(it, 1)
    assert it.cause(pods[0], going(pods[1])) is None


def test_c12_a_rollout_of_a_deployment_is_no_exit() -> None:
    """C12: old pods that end with 143 during a rollout are no failure, even where none is Ready meanwhile."""
    it, (old,), controller = story("Deployment", 1)
    new_set = workload("ReplicaSet", "db-r2", 1, of=it.workloads[0], app="db")
    controller["spec"]["replicas"] = 0
    it.workloads = (*it.workloads, new_set)
    it.workloads[0]["metadata"]["generation"] = 2
    new = pod("db-new", container({"waiting": {"reason": "ContainerCreating"}}), of=new_set, ready=False)
    dying = going(old)
    assert it.cause(dying, new) is None
    dying = {**dying, "status": {**dying["status"], "containerStatuses": [container(terminated(143))]}}
    assert it.cause(dying, new) is None
    assert it.cause(new) is None


def test_c12_a_rollout_of_a_stateful_set_is_no_exit() -> None:
    """C12: a StatefulSet replaces pods of the old revision; that they go is wanted."""
    it, (old,), top = story("StatefulSet", 1)
    top["metadata"]["generation"] = 2
    top["status"] |= {"observedGeneration": 2, "updateRevision": "r2"}
    assert it.cause(going(old)) is None
    assert it.cause() is None
    assert it.cause(pod("db-0", of=top, revision="r2")) is None


def test_a_pod_of_the_new_revision_deleted_in_a_rollout_is_an_exit() -> None:
    """The rollout explains only the pods of the old revision."""
    it, (_,), top = story("StatefulSet", 1)
    top["metadata"]["generation"] = 2
    top["status"] |= {"observedGeneration": 2, "updateRevision": "r2"}
    new = pod("db-0", of=top, revision="r2")
    assert it.cause(new) is None
    assert it.cause(going(new)) == "Deleted"


def test_c12_a_rollout_of_a_daemon_set_is_no_exit() -> None:
    """C12: a DaemonSet puts a pod of another revision in the place of the old one."""
    it, (old,), top = story("DaemonSet", 1)
    assert it.cause(going(old)) is None
    new = pod("db-new", of=top, revision="r2", ready=False)
    assert it.cause(new) is None
    new["status"]["conditions"][0]["status"] = "True"
    assert it.cause(new) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late", [0, 8], ids=["seen together", "the pod is seen later"])
def test_c14_scaled_to_zero_and_back_between_two_looks_is_no_exit(kind: str, late: int) -> None:
    """C14: a workload that somebody scaled to 0 and back wants its pods again, and the one that went was not lost."""
    it, (old,), top = story(kind, 1)
    scaled(it, 0)
    scaled(it, 1)
    if late:
        assert it.cause(old, after=late) is None
    assert it.cause(going(old)) is None
    new = pod("db-0", of=top, created="2026-03-01T00:00:00Z")
    assert it.cause(new) is None
    it.look(new, after=10)
    assert it.cause(going(new)) == "Deleted", "what goes later has another reason"


@pytest.mark.parametrize("kind", KINDS)
def test_c14_scaled_to_zero_and_back_seen_step_by_step_is_no_exit(kind: str) -> None:
    """C14: the same, when each change is seen and the pod's deletion comes last."""
    it, (old,), top = story(kind, 1)
    scaled(it, 0)
    assert it.cause(old) is None
    scaled(it, 1)
    assert it.cause(old) is None
    assert it.cause(pod("db-0", container(waiting()), of=top, ready=False)) is None


def test_c14_a_disruption_is_one_even_after_a_change_of_scale() -> None:
    """What Kubernetes marks as a disruption is not put down to whoever scaled the workload."""
    it, (old,), _ = story("StatefulSet", 1)
    scaled(it, 0)
    scaled(it, 1)
    old["status"]["conditions"].append(disrupted())
    assert it.cause(going(old)) == "Disrupted"


def test_the_last_ordinals_go_in_a_scale_down() -> None:
    """Of a StatefulSet with a start ordinal the pods beyond the last wanted one were scaled away, and no other."""
    it, pods, _ = story("StatefulSet", 2, first=5)
    scaled(it, 1)
    assert it.cause(going(pods[0]), going(pods[1])) == "Deleted"


def test_ordinals_begin_where_the_spec_says() -> None:
    """With ordinals from 5 the pod db-5 is the first, not the sixth of one."""
    it, (one,), _ = story("StatefulSet", 1, first=5)
    assert it.cause(going(one)) == "Deleted"


# What cannot be said yet.


def test_a_stateful_set_that_lags_leaves_it_undecided() -> None:
    """Before its controller has seen the change, nobody can tell a rollout from a deletion: it is judged later, once."""
    it, (one,), top = story("StatefulSet", 1)
    top["metadata"]["generation"] = 2
    assert it.cause(going(one)) is None
    assert it.cause() is None
    top["status"]["observedGeneration"] = 2
    assert it.cause() == "Deleted"
    assert it.cause() is None


def test_a_stateful_set_that_lagged_and_rolls_out_is_no_exit() -> None:
    """The same, when it turns out to have been a rollout."""
    it, (one,), top = story("StatefulSet", 1)
    top["metadata"]["generation"] = 2
    assert it.cause(going(one)) is None
    top["status"] |= {"observedGeneration": 2, "updateRevision": "r2"}
    new = pod("db-0", of=top, revision="r2")
    assert it.cause(new) is None
    assert it.cause(new) is None


@pytest.mark.parametrize("kind", [*KINDS, pytest.param("DaemonSet", id="DaemonSet")])
def test_the_controller_is_read_again_before_a_deletion_is_judged(kind: str) -> None:
    """The watch of workloads may lag behind that of pods: the controller is asked for, and nothing is judged before."""
    it, (one,), controller = story(kind, 1)
    it.is_fresh = False
    found = it.look(going(one))
    assert found.exit is None
    tops = {it["metadata"]["uid"] for it in it.workloads}
    assert {owner.uid for owner in found.confirm} == tops | {controller["metadata"]["uid"]}
    assert it.memory.pods  # It is still to be judged.


def test_nobody_is_asked_about_a_deletion_that_cannot_be_an_exit() -> None:
    """A pod that goes while others are Ready costs no call."""
    it, pods, _ = story("Deployment", 3)
    it.is_fresh = False
    assert it.look(going(pods[0]), *pods[1:]).confirm == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_that_is_deleted_takes_its_pods_along(kind: str) -> None:
    """When the whole workload is deleted its pods go with it; that is nobody's failure."""
    it, (one,), _ = story(kind, 1)
    for top in it.workloads:
        top["metadata"]["deletionTimestamp"] = "2026-03-01T00:10:00Z"
    assert it.cause(going(one)) is None
    it.workloads = ()
    assert it.cause() is None


def test_a_bare_pod_that_is_deleted_was_meant_to_be() -> None:
    """Nobody is short of a pod that has no controller."""
    it = Watch()
    it.look(one := pod("db-0"))
    assert it.cause(going(one)) is None
    assert it.cause() is None


def test_a_deletion_under_way_when_first_seen_is_history() -> None:
    """A pod that was on its way out before the tree was there is not the tree's."""
    top = workload("StatefulSet", "db")
    it = Watch(workloads=(top,))
    one = pod("db-0", of=top)
    assert it.cause(going(one)) is None
    assert it.cause(going(one)) is None
    assert it.cause() is None
