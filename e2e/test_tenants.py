"""Two teams share a cluster: what one of them has supervised, held or broken is nothing to the other."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.lib import check, crash
from e2e.lib.kube import Kube, eventually, wait_condition, wait_ready
from e2e.lib.operator import writes
from e2e.lib.recorder import Recorder
from e2e.lib.target import Target
from e2e.lib.workloads import child, tree, workload

APPS = ("db", "web")


@pytest.fixture
def other(target: Target) -> Iterator[Kube]:
    """Make another tenant's namespace."""
    with target.namespace() as here:
        yield here


def test_a_tree_never_touches_another_namespace(fake: Kube, other: Kube, audit_log: Path) -> None:
    """A tree restarts and holds its own pods; those of another namespace with the same names and labels are not even written to."""
    for kube in (fake, other):
        kube.apply(*(workload("StatefulSet", app, real=False) for app in APPS))
        by_labels = {"name": "web", "selector": {"matchLabels": {"app": "web"}}}
        kube.apply(
            tree("shop", child("StatefulSet", "db"), by_labels, strategy="OneForAll", intensity=1, onExhausted="Hold")
        )
    with Recorder(fake) as mine, Recorder(other) as theirs:
        for kube in (fake, other):
            wait_ready(kube, "shop")
        my_pods, their_pods = (check.census(recorder, *APPS) for recorder in (mine, theirs))
        start = time.time()
        crash.pretend(fake, "db-0")
        check.all_gone(mine, my_pods, *APPS)
        wait_ready(fake, "shop")
        crash.pretend(fake, "db-0")
        wait_condition(fake, "shop", "Stalled", "True", "Held")
        eventually(lambda: fake.held() == ["db-0", "web-0"], "the tree holds its children")
        check.untouched(theirs, their_pods)
        made = [
            it for it in writes(audit_log, "suptree/", start) if it["objectRef"].get("namespace") == other.namespace
        ]
        assert made == []
        other.delete("pod", "web-0")
        check.all_gone(theirs, their_pods, *APPS)
        wait_ready(other, "shop")
    check.none_held(other)
    assert fake.held() == ["db-0", "web-0"], "and one tenant's restart lets nobody of the other go"


def test_a_tree_cannot_name_another_namespace(fake: Kube, other: Kube) -> None:
    """There is no field for it: the API server refuses the tree and names the field."""
    ref = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "namespace": other.namespace}
    for where, there in (("targetRef", ref), ("selector", {"namespace": other.namespace})):
        reaching = tree("shop", {"name": "db", where: there})
        done = fake.run("create", "-f", "-", given=yaml.safe_dump(reaching), check=False)
        assert f'unknown field "spec.children[0].{where}.namespace"' in done.stderr


def test_who_may_edit_one_namespace_may_make_trees_there_alone(fake: Kube, other: Kube) -> None:
    """A user with the role edit in one namespace makes trees there; in another one neither makes nor sees any; nobody writes a status."""
    fake.run("create", "rolebinding", "alice", "--clusterrole=edit", "--user=alice")

    def may(kube: Kube, verb: str, subresource: str = "") -> bool:
        asked = ("auth", "can-i", verb, "supervisiontrees.suptree.dev", f"--subresource={subresource}", "--as=alice")
        return kube.run(*asked, check=False).stdout.strip() == "yes"

    eventually(lambda: may(fake, "create"), "the role edit has been aggregated")
    assert [may(fake, verb) for verb in ("get", "list", "watch", "update", "patch", "delete")] == [True] * 6
    assert [may(other, verb) for verb in ("create", "get", "list", "watch", "update", "delete")] == [False] * 6
    assert not may(fake, "update", "status")
