"""Random stories: whatever kubelets, controllers and people do, and whenever the operator looks or is killed."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.scene import scene
from tests.cluster.story import DEATHS, Story

FAST = settings(max_examples=25, deadline=None, derandomize=True)


things = st.tuples(
    st.sampled_from(
        ("decide",) * 6
        + ("kubelet",) * 4
        + ("controllers",) * 2
        + (*DEATHS, "crash", "delete", "evict", "reset", "scale")
        + ("forget", "killed", "time", "not ready")
    ),
    st.integers(0, 30),
)
specs = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(("OneForOne", "OneForAll", "RestForOne")),
        "ordering": st.sampled_from(("Ordered", "Ordered", "Parallel")),
        "intensity": st.integers(0, 5),
        "periodSeconds": st.sampled_from((30, 1000)),
        "backoff": st.sampled_from(({"initialSeconds": 0}, {"initialSeconds": 5})),
        "onExhausted": st.sampled_from(("Park", "Park", "Hold")),
        "mode": st.sampled_from(("Enforce", "Enforce", "Enforce", "Observe")),
    }
)


def tell(children: str, spec: dict[str, Any], happenings: list[tuple[str, int]], *, gate: bool) -> None:
    """Tell a story to its end: then all is up, or the tree has given up."""
    it = scene(children, **spec)
    it.is_gate_installed = gate
    story = Story(it)
    for what, number in happenings:
        story.happen(what, number)
    it.settle()
    for _ in range(3):
        it.now += 400  # Backoffs end.
        it.settle()
    status = it.status
    assert status.operation is None
    assert all(found.outcome != "InProgress" for found in status.history)
    if status.ending is None:
        states = {found.name: str(found.state) for found in status.children}
        assert states.pop("tmp") in {"Up", "Held"}
        assert set(states.values()) <= {"Up", "Suspended"}
        held = [name for name, raw in it.pods.items() if raw["spec"].get("schedulingGates")]
        assert all(name.startswith("tmp") for name in held)


@given(specs, st.lists(things.filter(lambda it: it[0] != "reset"), min_size=10, max_size=50), st.booleans())
@FAST
def test_nothing_is_counted_that_did_not_happen(
    spec: dict[str, Any], happenings: list[tuple[str, int]], gate: bool
) -> None:
    """Whatever happens, nothing is counted without evidence or twice, and in the end all is up or the tree has given up."""
    tell("db web=deploy*2 job:transient tmp", spec, happenings, gate=gate)


@given(specs, st.lists(things, min_size=10, max_size=50), st.booleans())
@FAST
def test_resets_and_temporary_children_disturb_nothing(
    spec: dict[str, Any], happenings: list[tuple[str, int]], gate: bool
) -> None:
    """The same holds with people who reset the tree at any time, and with children that are never restarted."""
    tell("db web=deploy*2 job:transient tmp:temporary", spec, happenings, gate=gate)
