"""Several pods that fail for one reason: replicas of one child (C10), all containers of a node (C09)."""

import pytest

from tests.cluster.scene import Scene, scene


def outage(it: Scene, *names: str) -> None:
    """Let these pods crash, a second apart."""
    for name in names:
        it.dies(name)
        it.step()


def back(it: Scene) -> None:
    """Let the kubelets start everything again."""
    for name in it.pods:
        it.runs(name)
    it.settle()


def test_c10_replicas_that_die_one_after_the_other_are_one_restart() -> None:
    """A database is away and six replicas crash within seconds: one restart of one child, for one count."""
    it = scene("api=deploy*6", intensity=3, periodSeconds=60)
    outage(it, *it.pods)
    assert it.used == 1
    assert it.child("api").last_exit.cause == "Crash"
    back(it)
    assert it.outcomes == ["api Crash Restarted"]
    assert it.condition("Ready") == "True AllChildrenUp"


def test_c10_the_next_outage_is_a_restart_of_its_own() -> None:
    """Once all replicas are Ready again the outage is over; what comes after it counts again, however the pods died before."""
    it = scene("api=deploy*6", intensity=3, periodSeconds=600)
    for outages in (1, 2, 3):
        outage(it, *it.pods)
        assert it.used == outages
        back(it)
    outage(it, *it.pods)
    assert it.condition("Stalled") == "True Parked"


def test_c10_a_replica_that_dies_again_has_failed_to_start() -> None:
    """A replica in a crash loop spends the budget, whether or not the others are well."""
    it = scene("api=deploy*3", intensity=2, periodSeconds=600)
    first, second, _ = it.pods
    outage(it, first, second)
    for used in (2, 2):
        it.runs(first)
        it.step()
        outage(it, first)
        assert it.used == used
    assert it.outcomes[-1] == "api Crash Exhausted"


def test_c10_a_replica_that_is_younger_than_the_outage_has_failed_to_start() -> None:
    """A new pod that crashes while the others are restarted is a failed start of its own, not a part of the outage."""
    it = scene("api=deploy*3")
    first, second, third = it.pods
    outage(it, first)
    it.gone(second)
    it.now += 5
    for found in it.workloads:
        it.fill(found)
    outage(it, third)
    assert it.used == 1
    outage(it, second)  # A new pod of that name.
    assert it.used == 2


KUBELET_UPGRADE = [143, 137, 143, 143]
"""How the containers of a node end when its new kubelet restarts them all."""


@pytest.mark.parametrize(
    ("strategy", "used"),
    [
        pytest.param("OneForAll", 1, id="a group: one restart"),
        pytest.param("OneForOne", 4, id="four children on their own: four restarts"),
    ],
)
def test_c09_a_kubelet_that_restarts_all_containers_is_a_crash_of_each_child(strategy: str, used: int) -> None:
    """Nothing in a pod tells a kubelet's upgrade from a container that was killed for its own fault: it counts, a group once."""
    it = scene("a b c d", strategy=strategy, intensity=5)
    for name, code in zip(list(it.pods), KUBELET_UPGRADE, strict=True):
        it.dies(name, code)
        it.runs(name)
    it.settle()
    assert it.used == used
    assert it.condition("Ready") == "True AllChildrenUp"


def test_c09_a_rule_excludes_it() -> None:
    """Who knows that 137 and 143 mean nothing says so once a child, and an upgrade costs nothing."""
    rule = {"action": "RestartUncounted", "onExitCodes": {"operator": "In", "values": [137, 143]}}
    it = scene("a b c d", strategy="OneForOne", intensity=0, more={name: {"failurePolicy": [rule]} for name in "abcd"})
    for name, code in zip(list(it.pods), KUBELET_UPGRADE, strict=True):
        it.dies(name, code)
        it.runs(name)
    it.settle()
    assert it.used == it.status.restarts == 0
    assert it.condition("Ready") == "True AllChildrenUp"
