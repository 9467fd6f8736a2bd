"""What new pods tell about the gate policy: it may be installed and hold nothing (kubernetes/kubernetes#130887)."""

from typing import Any

import pytest

from suptree.api.child import LabelSelector
from suptree.cluster.children import ChildView
from suptree.cluster.gating import Evidence, after_lag, evidence
from suptree.cluster.views import pod_of, workload_of
from tests.cluster.builders import T0, Raw, pod, stamp, template_labels, workload
from tests.cluster.scene import Scene, scene

SELECTOR = LabelSelector(match_labels={"app": "web"})
SINCE = stamp(T0)
MARK = {"suptree.dev/tree": "shop"}


def shop(**spec: Any) -> Scene:  # noqa: ANN401 - fields of the spec
    """Return a tree of three children that are up, and have been for a while."""
    it = scene("db web=deploy*2 job", strategy="OneForAll", **spec)
    it.now += 60
    it.settle()
    return it


def test_a_policy_that_holds_nothing_is_told_and_not_relied_upon() -> None:
    """When new pods are not held though the policy is installed, OrderEnforced names one and says what to do, and the next restart goes child by child."""
    it = shop()
    it.is_gate_in_force = False
    it.dies("db-0")
    it.settle()
    assert it.condition("OrderEnforced") == "False GateNotInForce"
    for word in ("pod web-r1-0 ", "130887", "restart the API server", "child by child", "excludeNamespaces"):
        assert word in it.message("OrderEnforced")
    assert it.condition("Ready") == "True AllChildrenUp"
    it.dies("job-0")
    assert it.settle() == "-db-0 -web-r1-0 -web-r1-1 -job-0"
    assert it.outcomes == ["db Crash Restarted", "job Crash Restarted"]


def test_the_next_pod_that_is_held_ends_it() -> None:
    """Once the API server reads the index again, the first new pod shows it, and the order is enforced again."""
    it = shop()
    it.is_gate_in_force = False
    it.dies("db-0")
    it.settle()
    it.is_gate_in_force = True
    it.now += 60
    it.delete("web-r1-0")
    it.settle()
    assert it.condition("OrderEnforced") == "True GateInstalled"
    it.now += 60
    it.dies("db-0")
    assert it.settle() == "-job-0 -web-r1-1 -web-r1-0 -db-0 +db-0 +web-r1-0 +web-r1-1 +job-0"


def test_nothing_is_said_while_pods_are_held() -> None:
    """Restart after restart of a policy that works, OrderEnforced stays True."""
    it = shop()
    for name in ("db-0", "job-0", "web-r1-0"):
        it.dies(name)
        it.settle()
        assert it.condition("OrderEnforced") == "True GateInstalled"
        it.now += 60
    assert it.told.marked
    assert not it.told.unmarked


def told(raw: Raw, top: Raw | None, *, indexed: bool = True) -> Evidence:
    """Return what a pod tells that is found by app=web."""
    view = ChildView("web", SELECTOR, (pod_of(raw),))
    controllers = {} if top is None else {top["metadata"]["uid"]: workload_of(top["kind"], top)}
    return evidence([view], [SELECTOR] if indexed else [], controllers, after_lag(SINCE))


WEB = workload("ReplicaSet", "web")
OTHER = workload("ReplicaSet", "other")
LABELLED_LATER = pod("other-1", of=OTHER, created=stamp(T0 + 60), labels={"app": "web"})
MARKED = workload("ReplicaSet", "web")
template_labels(MARKED).update(MARK)


@pytest.mark.parametrize(
    ("raw", "top", "expected"),
    [
        pytest.param(pod(of=WEB, created=stamp(T0 + 6)), WEB, Evidence("", stamp(T0 + 6), "db-0"), id="not marked"),
        pytest.param(pod(of=WEB, created=stamp(T0 + 6), labels=MARK), WEB, Evidence(stamp(T0 + 6)), id="marked"),
        pytest.param(pod(of=WEB, created=stamp(T0 + 5)), WEB, Evidence(), id="made while the index was being read"),
        pytest.param(pod(of=WEB), WEB, Evidence(), id="made before the index"),
        pytest.param(pod(of=WEB, created=stamp(T0 + 60)), None, Evidence(), id="of a controller that nobody knows"),
        pytest.param(pod(labels={"app": "web"}, created=stamp(T0 + 60)), None, Evidence(), id="of no controller"),
        pytest.param(LABELLED_LATER, OTHER, Evidence(), id="labelled by somebody after its creation"),
        pytest.param(
            pod(of=MARKED, created=stamp(T0 + 60)), MARKED, Evidence(), id="of a template that has the mark itself"
        ),
    ],
)
def test_which_pods_tell(raw: Raw, top: Raw | None, expected: Evidence) -> None:
    """Only a pod that was made with its labels, well after the index asked for it, tells whether the policy works."""
    assert told(raw, top) == expected


def test_a_pod_that_the_index_does_not_name_tells_nothing() -> None:
    """Pods of a child that the index does not have yet raise no alarm."""
    raw = pod(of=WEB, created=stamp(T0 + 60))
    assert told(raw, WEB).is_against
    assert told(raw, WEB, indexed=False) == Evidence()


@pytest.mark.parametrize(("later", "expected"), [(-1, True), (0, True), (5, True), (6, False)])
def test_the_youngest_pods_decide(later: int, *, expected: bool) -> None:
    """Of several API servers one may be deaf: only a held pod that is clearly younger than the last unheld one ends the alarm."""
    both = Evidence(unmarked=stamp(T0), pod="x") | Evidence(marked=stamp(T0 + later))
    assert both.is_against is expected
    assert both.pod == "x"
