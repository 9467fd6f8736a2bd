"""Two operators: one acts, the other takes over when it dies, hangs or is told to end, and nothing is lost or doubled."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Kube, eventually, wait_history, wait_ready
from e2e.lib.operator import ELECTED, NAMESPACE, Operator, kubeconfig, writes
from e2e.lib.preloaded import PreloadedOperator
from e2e.lib.proxy import Proxy
from e2e.lib.recorder import Recorder
from e2e.lib.target import Target
from e2e.lib.workloads import child, tree, workload
from suptree.app.main import LOST_THE_LEASE
from tests import yamls

APPS = ("db", "web", "worker")
A_LONG_LEASE = ("--lease-seconds", "600")
"""Who takes over within a test's patience has not waited until this Lease expired."""

Replica = Callable[..., Operator]


@pytest.fixture
def replica(target: Target, operator: Operator, tmp_path: Path) -> Iterator[Replica]:
    """Start operators that elect a leader; the one that the other tests have pauses meanwhile."""
    operator.stop()
    started: list[Operator] = []

    def start(*more: str, server: str | None = None) -> Operator:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        config = kubeconfig(target, folder, server)
        it = PreloadedOperator(operator.kube, config, folder / "operator.log", (*ELECTED, *more))
        started.append(it)
        it.start()
        return it

    yield start
    for it in started:
        it.kill()
    target.kube.within(NAMESPACE).run("delete", "lease", "suptree", "--ignore-not-found")
    operator.start()


def acts(it: Operator) -> None:
    """Wait until an operator is the one that acts."""
    eventually(lambda: it.says("this process acts"), f"it acts; see {it.log}")


def waits(it: Operator) -> None:
    """Wait until an operator waits for another one to go."""
    eventually(lambda: it.says("this process waits"), f"it waits; see {it.log}")


def made_by(it: Operator, kube: Kube, audit_log: Path) -> list[dict[str, Any]]:
    """Return what one operator has written in a namespace; its token tells it from the other one."""
    token = yamls.load(it.config.read_text())["users"][0]["user"]["token"]
    payload = token.split(".")[1]
    token_id = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]
    key = "authentication.kubernetes.io/credential-id"
    return [
        entry
        for entry in writes(audit_log, "suptree/", 0)
        if entry["user"].get("extra", {}).get(key) == [f"JTI={token_id}"]
        and entry["objectRef"].get("namespace") == kube.namespace
    ]


def apply(kube: Kube, ordering: str = "Ordered") -> None:
    """Apply a tree of three and wait until it is Ready."""
    kube.apply(
        tree("shop", *(child("Deployment", name) for name in APPS), strategy="OneForAll", ordering=ordering),
        *(workload("Deployment", name, 5, real=False) for name in APPS),
    )
    wait_ready(kube, "shop")


def is_half_done(kube: Kube, recorder: Recorder, before: check.Census) -> bool:
    """Tell whether a restart is under way that has replaced some pods and not others."""
    gone = set(recorder.deleted())
    old = check.old(before)
    return bool(old & gone) and bool(old - gone) and "operation" in kube.status("shop")


def test_a_leader_that_is_killed_is_replaced_in_the_middle_of_a_restart(
    fake: Kube, recorder: Recorder, replica: Replica, audit_log: Path
) -> None:
    """Of two operators one acts; killed in the middle of a restart, the other one finishes that restart, for one count."""
    leader = replica()
    acts(leader)
    follower = replica()
    waits(follower)
    apply(fake)
    before = check.census(recorder, *APPS)
    crash.pretend(fake, fake.pod("db"))
    check.counted_once(wait_history(fake, "shop", 1))
    wait_ready(fake, "shop")
    check.replaced_once(recorder, before)
    assert made_by(leader, fake, audit_log)
    assert made_by(follower, fake, audit_log) == []

    before = check.census(recorder, *APPS)
    crash.pretend(fake, fake.pod("web"))
    eventually(lambda: is_half_done(fake, recorder, before), "the restart is half done")
    leader.kill()
    acts(follower)
    status = wait_history(fake, "shop", 2)
    assert (status["restarts"], status["budget"]["used"], len(status["history"])) == (2, 2, 2)
    wait_ready(fake, "shop")
    check.replaced_once(recorder, before)
    check.none_held(fake)


def test_a_leader_that_is_told_to_end_hands_over(fake: Kube, recorder: Recorder, replica: Replica) -> None:
    """Told to end in the middle of a restart, the leader gives the Lease back, and the other one takes it without waiting."""
    leader = replica(*A_LONG_LEASE)
    acts(leader)
    follower = replica(*A_LONG_LEASE)
    waits(follower)
    apply(fake, "Parallel")
    before = check.census(recorder, *APPS)
    with Recorder(fake.within(NAMESPACE), "leases") as leases:
        crash.pretend(fake, fake.pod("web"))
        eventually(lambda: "operation" in fake.status("shop"), "the restart is under way")
        leader.stop()
        assert leader.exit_code == 0
        acts(follower)
        eventually(lambda: len(holders(leases)) >= 3, "the Lease is taken")
        old, nobody, new = holders(leases)[:3]
        assert (bool(old), nobody, bool(new)) == (True, "", True)
        assert old != new
    check.counted_once(wait_history(fake, "shop", 1))
    wait_ready(fake, "shop")
    check.replaced_once(recorder, before)
    follower.stop()
    assert follower.exit_code == 0


def holders(leases: Recorder) -> list[str]:
    """Return who held the Lease, in the order in which they did."""
    found: list[str] = []
    for change in list(leases.changes):
        holder = change.pod["spec"].get("holderIdentity", "")
        if not found or found[-1] != holder:
            found.append(holder)
    return found


def test_a_leader_whose_network_hangs_ends_and_its_late_write_does_nothing(
    target: Target, fake: Kube, recorder: Recorder, replica: Replica, audit_log: Path
) -> None:
    """C66: a leader that cannot renew its Lease ends; what it had decided and sent arrives late and is refused."""
    address = yamls.load(Path(target.kube.kubeconfig).read_text())["clusters"][0]["cluster"]["server"]
    with Proxy(address) as proxy:
        # However slow the machine: the leader decides while it still holds the Lease.
        leader = replica("--lease-seconds", "12", server=proxy.url)
        acts(leader)
        follower = replica("--lease-seconds", "12")
        waits(follower)
        apply(fake)
        before, web = check.census(recorder, *APPS), fake.pod("web")
        # Just after a renewal, whose connection the decision is then sent over: through a proxy that hangs none is made.
        with Recorder(fake.within(NAMESPACE), "leases") as leases:
            leases.catch_up()
            at = len(leases.changes)
            eventually(lambda: len(leases.changes) > at, "the Lease is renewed")
            proxy.hang(down=False)
            crash.pretend(fake, web)
        assert leader.wait() == LOST_THE_LEASE
        assert leader.says(
            f"this process ends with exit code {LOST_THE_LEASE}: the lease {NAMESPACE}/suptree could not"
        )
        acts(follower)
        eventually(lambda: "operation" in fake.status("shop"), "the other one has decided")
        proxy.deliver()
        eventually(lambda: conflicts(leader, fake, audit_log), "the late write arrives")
    assert set(conflicts(leader, fake, audit_log)) == {"supervisiontrees"}
    check.counted_once(wait_history(fake, "shop", 1))
    wait_ready(fake, "shop")
    check.replaced_once(recorder, before)
    check.none_held(fake)


def conflicts(it: Operator, kube: Kube, audit_log: Path) -> list[str]:
    """Return what an operator has tried to write that somebody else had written meanwhile."""
    made = made_by(it, kube, audit_log)
    return [entry["objectRef"]["resource"] for entry in made if entry["responseStatus"]["code"] == 409]
