"""Jobs as children: what their ends are, when they are created again, and when they are not."""

import pytest

from tests.cluster.bare_scene import BareScene, bare_child, bare_scene, job, states
from tests.cluster.builders import tree

REST, ALL, ONE = "RestForOne", "OneForAll", "OneForOne"


# Ends of Jobs.


def test_a_transient_job_that_completes_is_done() -> None:
    """A migration that completes is Completed: it costs nothing, and nobody is restarted."""
    it = bare_scene("db migrate=job:transient web", strategy=REST)
    assert states(it) == "Up Starting Up"
    it.ends("migrate")
    assert it.settle() == ""
    assert states(it) == "Up Completed Up"
    assert it.condition("Ready") == "True AllChildrenUp"
    assert (it.status.restarts, it.outcomes) == (0, [])
    assert it.child("migrate").last_exit.cause == "JobComplete"


def test_a_failed_job_is_created_again_once_and_counted_once() -> None:
    """A Job that failed takes the rest of its group along: it is deleted, created again under its name, and counted once."""
    it = bare_scene("db migrate=job:transient web", strategy=REST)
    first = it.jobs["migrate"]["metadata"]["uid"]
    it.ends("migrate", "Failed", 3)
    assert it.settle() == "-web-0 -migrate *migrate"
    assert it.jobs["migrate"]["metadata"]["uid"] != first
    assert it.jobs["migrate"]["metadata"]["labels"]["suptree.dev/operation"] == "1"
    assert it.outcomes == ["migrate JobFailed InProgress"]
    assert (it.status.history[0].exit_code, it.used) == (3, 1)
    it.ends("migrate")
    assert it.settle() == "+web-0"
    assert it.outcomes == ["migrate JobFailed Restarted"]
    assert (states(it), it.used) == ("Up Completed Up", 1)


def test_a_job_retries_its_own_pods() -> None:
    """A pod of a Job that fails is the Job's business: only the Job's own end is an exit."""
    it = bare_scene("migrate=job:transient web", strategy=ALL)
    (pod,) = it.pods_of(it.jobs["migrate"])
    it.dies(pod["metadata"]["name"], 1)
    pod["status"]["phase"] = "Failed"
    it.jobs["migrate"]["status"] = {"failed": 1, "active": 1}
    it.decide()
    assert it.status.history == ()
    assert it.child("migrate").last_exit is None


def test_a_permanent_job_is_run_again_when_it_completes() -> None:
    """As in OTP a Permanent child that ends is restarted, however it ended: its Job is run again, and counted."""
    it = bare_scene("sync=job", strategy=ONE)
    assert states(it) == "Up"
    it.ends("sync")
    assert it.settle() == "-sync *sync"
    assert (it.outcomes, states(it)) == (["sync JobComplete Restarted"], "Up")


def test_the_end_of_a_significant_job_ends_the_tree() -> None:
    """A batch whose significant Job is complete stops its helpers and says so."""
    it = bare_scene(
        "cache batch=job:transient", more={"batch": {"significant": True}}, autoShutdown="AnySignificant", strategy=ALL
    )
    it.ends("batch")
    assert it.settle() == "-cache-0"
    assert it.condition("Stalled") == "True Held"
    assert states(it) == "Held Completed"


# C26: what its TTL removed.


def test_c26_a_complete_job_stays_completed_when_its_ttl_removed_it() -> None:
    """C26: a Job that is complete and gone is neither missing nor run again, also for an operator that was just started."""
    it = bare_scene("migrate=job:transient web", strategy=ALL)
    it.ends("migrate")
    it.settle()
    it.job_gone("migrate")
    it.known = {}
    assert it.settle() == ""
    assert states(it) == "Completed Up"
    assert it.condition("ResolvedRefs") == "True Resolved"
    it.dies("web-0")
    assert it.settle() == "-web-0 +web-0"
    assert it.outcomes == ["web Crash Restarted"]
    assert it.status.history[0].slice == ("web",)


@pytest.mark.parametrize(
    ("how", "did", "outcomes", "what"),
    [
        ("Complete", "", [], "Completed Up"),
        ("Failed", "-web-0 *migrate", ["migrate JobFailed InProgress"], "Starting Held"),
    ],
)
def test_c26_a_job_that_is_removed_as_soon_as_it_ends_has_ended(
    how: str, did: str, outcomes: list[str], what: str
) -> None:
    """C26: with a ttlSecondsAfterFinished of 0 a Job is gone before anybody looks; it counts as what it was at last, and once."""
    it = bare_scene("migrate=job:transient web", strategy=REST)
    it.ends("migrate", how)
    it.job_gone("migrate")
    assert it.settle() == did
    assert (states(it), it.outcomes) == (what, outcomes)
    assert it.condition("ResolvedRefs") == "True Resolved"
    assert it.settle() == ""
    assert it.outcomes == outcomes


def test_a_job_that_was_complete_before_the_tree_is_done() -> None:
    """A tree that is applied after its migration has run takes it as done: history, no exit, and no rerun in a group restart."""
    it = bare_scene("db migrate=job:transient", strategy=REST)
    it.tree["status"] = {}
    it.ends("migrate")
    assert it.settle() == ""
    assert (states(it), it.child("migrate").last_exit) == ("Up Completed", None)
    it.dies("db-0")
    it.settle()
    assert it.status.history[0].slice == ("db",)


def test_a_job_that_its_owner_deletes_is_missing() -> None:
    """A Job that is deleted before its end was removed by its owner, as a Deployment may be: no exit, and no new one is made."""
    it = bare_scene("migrate=job:transient web", strategy=ALL)
    it.job_gone("migrate")
    assert it.settle() == ""
    assert states(it) == "Missing Up"
    assert it.condition("ResolvedRefs") == "False ChildMissing"
    assert "ttlSecondsAfterFinished" in it.message("ResolvedRefs")
    assert (it.status.restarts, it.outcomes) == (0, [])
    it.apply(job("migrate"))
    it.settle()
    assert states(it) == "Starting Up"
    it.ends("migrate", "Failed")
    it.settle()
    assert it.outcomes == ["migrate JobFailed InProgress"]


def test_a_new_job_of_the_same_name_is_supervised() -> None:
    """M04: a release that replaces a complete Job by a new one starts it; when that one fails it is a failure."""
    it = bare_scene("migrate=job:transient web", strategy=REST)
    it.ends("migrate")
    it.settle()
    it.job_gone("migrate")
    it.apply(job("migrate"))
    assert it.settle() == ""
    assert states(it) == "Starting Up"
    it.ends("migrate", "Failed")
    assert it.settle() == "-web-0 -migrate *migrate"


# C35: the finished child in the group.


@pytest.mark.parametrize(
    ("after", "did", "slice_"),
    [
        ("Keep", "-web-0 -db-0 +db-0 +web-0", ("db", "web")),
        ("Rerun", "-web-0 -migrate -db-0 +db-0 *migrate", ("db", "migrate", "web")),
    ],
)
@pytest.mark.parametrize("is_there", [True, False], ids=["there", "removed by its TTL"])
def test_c35_a_finished_job_in_a_group_restart(
    after: str, did: str, slice_: tuple[str, ...], *, is_there: bool
) -> None:
    """C35: when the database crashes a finished migration is left alone, or run again before what follows it, as it says."""
    it = bare_scene("db migrate=job:transient web", strategy=REST, more={"migrate": {"afterCompletion": after}})
    it.ends("migrate")
    it.settle()
    if not is_there:
        it.job_gone("migrate")
        it.settle()
        did = did.replace("-migrate ", "")
    it.dies("db-0")
    assert it.settle() == did
    assert it.status.history[0].slice == slice_
    if after == "Rerun":
        assert states(it) == "Up Starting Held"
        it.ends("migrate")
        assert it.settle() == "+web-0"
    assert (states(it), it.used) == ("Up Completed Up", 1)


# C16: suspended.


def test_c16_a_suspended_job_is_no_exit() -> None:
    """C16: a Job that a queue suspends loses its pods and has not ended; it is Suspended, and Starting when it is resumed."""
    it = bare_scene("migrate=job:transient web", strategy=ALL)
    it.suspend("migrate")
    assert it.settle() == ""
    assert (states(it), it.outcomes) == ("Suspended Up", [])
    it.suspend("migrate", on=False)
    it.settle()
    assert states(it) == "Starting Up"


def test_c16_the_order_waits_for_a_suspended_job() -> None:
    """C16: a Job that is suspended while it is to start is waited for, not failed, and is not deleted."""
    it = bare_scene("db migrate=job:transient web", strategy=REST)
    it.suspend("migrate")
    it.jobs["migrate"]["status"] = {"failed": 1}  # It ran before.
    it.settle()
    uid = it.jobs["migrate"]["metadata"]["uid"]
    it.dies("db-0")
    assert it.settle() == "-web-0 -db-0 +db-0"
    assert states(it) == "Up Suspended Held"
    it.suspend("migrate", on=False)
    it.settle()
    it.ends("migrate")
    assert it.settle() == "+web-0"
    assert it.jobs["migrate"]["metadata"]["uid"] == uid


def test_a_suspended_job_does_not_stop_the_clocks_of_others() -> None:
    """A child after a suspended Job is a zombie like any other: nobody waits for the Job."""
    it = bare_scene("migrate=job:transient web", strategy=REST, more={"web": {"notReadySeconds": 60}})
    it.suspend("migrate")
    it.settle()
    it.pods["web-0"]["status"]["conditions"][0]["status"] = "False"
    it.decide()
    it.now += 61
    it.decide()
    assert it.child("web").last_exit.cause == "Zombie"


# Two who want the same Job, and one that does not go.


def test_c57_two_trees_with_one_job() -> None:
    """C57: a Job belongs to the older of two trees that name it, also when it has no pods."""
    it = bare_scene("migrate=job:transient web", strategy=ALL)
    it.ends("migrate")
    it.settle()
    it.pods = {name: raw for name, raw in it.pods.items() if name == "web-0"}
    older = tree(bare_child("Job", "migrate"), name="older")
    older["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    it.others.append(older)
    it.settle()
    assert it.condition("ResolvedRefs") == "False ClaimedByOtherTree"
    assert "older" in it.message("ResolvedRefs")


def test_a_job_with_somebodys_finalizer_is_waited_for() -> None:
    """A Job that somebody's finalizer keeps is not created again before it is gone, is deleted once, and is named with the finalizer after 30 s."""
    it = bare_scene("db sync=job", strategy=REST)
    it.jobs["sync"]["metadata"]["finalizers"] = ["example.com/mine"]
    it.dies("db-0")
    assert it.settle() == "-sync"
    assert (states(it), it.created) == ("Up Stopping", [])  # The kubelet has restarted db.
    assert it.condition("Reconciling") == "True Restarting"
    wake_at = it.decide().wake_at
    assert wake_at is not None
    it.now = wake_at
    it.decide()
    assert it.condition("Reconciling") == "True StuckTerminating"
    assert "Job sync should be gone" in it.message("Reconciling")
    assert "example.com/mine" in it.message("Reconciling")
    it.job_gone("sync")
    assert it.settle() == "-db-0 +db-0 *sync"
    assert states(it) == "Up Up"


def test_a_job_has_stopped_when_its_pods_are_gone() -> None:
    """The Job's object goes at once and its pods take their time: the next child is stopped when they are gone, and not before."""
    it = bare_scene("db sync=job", strategy=REST)
    it.dies("db-0")
    for _ in range(3):
        it.step()
    assert it.jobs == {}
    assert it.log == ["-sync"]
    assert it.settle() == "-db-0 +db-0 *sync"


# Pods of Jobs that a child finds by labels.


def by_labels(*, known: bool) -> BareScene:
    """Return a tree whose child `init` finds the pods of a Job by their label; Jobs are known only with recreate.enabled."""
    it = bare_scene("db", strategy=REST)
    it.tree["spec"]["children"].append(
        {"name": "init", "restart": "Transient", "selector": {"matchLabels": {"app": "init"}}}
    )
    it.apply(job("init"))
    it.settle()
    if not known:
        it.jobs_are_known = False
    return it


@pytest.mark.parametrize("known", [True, False], ids=["with recreate.enabled", "without it"])
def test_a_child_that_finds_a_complete_job_by_its_labels_is_completed(*, known: bool) -> None:
    """M04: a child whose labels find only pods of a Job that is complete is Completed; until then the tree says that no order waits for it."""
    it = by_labels(known=known)
    assert states(it) != "Up Completed"
    name = it.pods_of(it.jobs["init"])[0]["metadata"]["name"]
    it.pods[name]["status"]["conditions"][0]["status"] = "False"
    it.decide()
    assert "finds pods of Job init by their labels, so no order waits for the Job" in it.message("Ready")
    it.ends("init")
    it.settle()
    assert states(it) == "Up Completed"
    assert it.condition("Ready") == "True AllChildrenUp"
    assert it.outcomes == []


def test_one_pod_that_has_done_its_work_is_not_the_whole_job() -> None:
    """While the Job that made it goes on, a child is not Completed because one of its pods is."""
    it = by_labels(known=True)
    it.ends("init")
    it.jobs["init"]["status"] = {"succeeded": 1}
    it.decide()
    assert states(it) != "Up Completed"


def test_a_failed_pod_of_a_complete_job_does_not_matter() -> None:
    """A Job that has tried twice and is complete has made its child Completed, whatever its first pod came to."""
    it = by_labels(known=True)
    first = it.pods_of(it.jobs["init"])[0]
    it.ends("init", "Failed", 3)
    it.jobs["init"]["status"] = {"failed": 1}
    del it.pods[first["metadata"]["name"]]
    it.run_cluster()
    it.pods[first["metadata"]["name"]] = first
    it.ends("init")
    first["status"]["phase"] = "Failed"
    it.settle()
    assert states(it) == "Up Completed"
