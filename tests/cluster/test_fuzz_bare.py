"""Random stories of Jobs and bare Pods: whatever controllers, kubelets and people do, and whenever the operator looks."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.bare_story import JOB, POD, BareStory, job_scene
from tests.cluster.job_controller import ENDED
from tests.cluster.story import DEATHS
from tests.cluster.test_fuzz import specs

FAST = settings(max_examples=25, deadline=None, derandomize=True)

ALPHABET = (
    ("decide",) * 6
    + ("kubelet",) * 4
    + ("job controller",) * 4
    + (*DEATHS, "crash", "delete", "evict", "node lost", "node gone", "kubelet evicts")
    + ("suspend", "ttl", "delete job", "replace job", "replace pod", "apply", "apply")
    + ("forget", "killed", "time", "everybody", "everybody", "refuse", "reset")
)
things = st.tuples(st.sampled_from(ALPHABET), st.integers(0, 30))
children = st.fixed_dictionaries(
    {
        "restart": st.sampled_from(("Permanent", "Transient", "Transient", "Temporary")),
        "afterCompletion": st.sampled_from(("Keep", "Rerun")),
    }
)
jobs = st.fixed_dictionaries(
    {
        "child": children,
        "policy": st.sampled_from(("Never", "Never", "OnFailure")),
        "backoffLimit": st.integers(0, 2),
        "completions": st.integers(1, 2),
        "parallelism": st.integers(1, 2),
    }
)
pods = st.fixed_dictionaries({"child": children, "policy": st.sampled_from(("Never", "OnFailure", "Always"))})


def finish(story: BareStory) -> None:
    """Let somebody put everything back, and let it run to its end."""
    it = story.it
    it.is_refusing = False
    for _ in range(4):
        it.now += 400  # Backoffs end.
        for name in (JOB, POD):
            it.apply_again(name)
        it.jobs[JOB]["spec"]["suspend"] = False
        it.settle()
        if it.child(JOB).state == "Starting":
            for raw in it.pods_of(it.jobs[JOB]):
                if raw["status"]["containerStatuses"] and raw["status"]["phase"] not in ENDED:
                    it.ends_for_good(raw["metadata"]["name"], 0)
    it.settle()


@given(specs, jobs, pods, st.lists(things, min_size=10, max_size=60), st.booleans())
@FAST
def test_jobs_and_bare_pods_are_told_of_truly(
    spec: dict[str, Any], job: dict[str, Any], pod: dict[str, Any], happenings: list[tuple[str, int]], gate: bool
) -> None:
    """Whatever happens to Jobs and bare Pods, each end is told once, none is made up, and in the end all is up or given up."""
    it = job_scene(job, pod, **spec)
    it.is_gate_installed = gate
    story = BareStory(it)
    for what, number in happenings:
        story.happen(what, number)
    finish(story)
    status = it.status
    assert status.operation is None
    assert all(found.outcome != "InProgress" for found in status.history)
    if status.ending is None:
        states = {found.name: str(found.state) for found in status.children}
        assert (states["db"], states["web"]) == ("Up", "Up")
        for name, child in ((JOB, job["child"]), (POD, pod["child"])):
            rest = {"Permanent": set(), "Transient": {"Completed", "Down"}, "Temporary": {"Completed", "Down", "Held"}}
            assert states[name] in {"Up"} | rest[child["restart"]] or spec["mode"] == "Observe"
