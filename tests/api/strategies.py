"""Random specs and statuses that are valid, for properties that must hold of every one."""

from typing import Any

from hypothesis import strategies as st

from suptree.api import to_time
from suptree.api.choices import RestartType, Strategy
from suptree.api.outcomes import Cause, Outcome, Stage, State
from tests.api.refusals import Json, child, selecting, tree

names = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
moments = st.integers(0, 4_102_444_800 * 1_000_000).map(lambda micros: micros / 1_000_000)  # until the year 2100
times = moments.map(to_time)
counts = st.integers(0, 2**40)
texts = st.text(max_size=300)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Draw an object that has any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


children = st.one_of(
    some(
        restart=st.sampled_from([one.value for one in RestartType]),
        shutdownSeconds=st.integers(0, 86_400),
        notReadySeconds=st.integers(1, 86_400),
        minFailedPods=st.one_of(st.integers(1, 5000), st.integers(1, 100).map(lambda part: f"{part}%")),
        failurePolicy=st.just([{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [143]}}]),
    ).map(lambda fields: child(**fields)),
    names.map(lambda app: selecting(matchLabels={"app": app})),
)


def _named(drawn: list[Json]) -> list[Json]:
    """Give each child a name and a target of its own."""
    for at, one in enumerate(drawn):
        one["name"] = f"c{at}"
        if "targetRef" in one:
            one["targetRef"] = {**one["targetRef"], "name": one["name"]}
    return drawn


trees = st.builds(
    lambda drawn, spec: tree(*_named(drawn), **spec),
    st.lists(children, min_size=1, max_size=5),
    some(
        strategy=st.sampled_from([one.value for one in Strategy]),
        intensity=st.integers(0, 1000),
        periodSeconds=st.integers(1, 86_400),
        suspend=st.booleans(),
    ),
)

exits = st.fixed_dictionaries(
    {"cause": st.sampled_from([one.value for one in Cause]), "time": times},
    optional={"pod": names, "container": names, "exitCode": st.integers(-1, 255), "message": texts},
)
child_statuses = st.fixed_dictionaries(
    {"name": names},
    optional={
        "state": st.sampled_from([one.value for one in State]),
        "ready": counts,
        "desired": counts,
        "restarts": counts,
        "lastExit": exits,
        "selector": st.just({"matchLabels": {"app": "db"}}),
        "seen": texts,
        "supervision": texts,
    },
)
operations = st.fixed_dictionaries(
    {"id": counts, "stage": st.sampled_from([one.value for one in Stage]), "startTime": times},
    optional={
        "slice": st.lists(names),
        "child": names,
        "replacing": st.dictionaries(names, texts),
        "stop": st.lists(names),
        "start": st.lists(names),
    },
)
entries = st.fixed_dictionaries(
    {"operation": counts, "time": times, "child": names, "cause": st.sampled_from([one.value for one in Cause])},
    optional={
        "rule": st.just("Default"),
        "counted": st.booleans(),
        "stoppedTime": times,
        "readyTime": times,
        "outcome": st.sampled_from([one.value for one in Outcome]),
    },
)
conditions = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Ready", "Stalled"]),
        "status": st.sampled_from(["True", "False", "Unknown"]),
        "reason": st.just("Idle"),
        "lastTransitionTime": times,
    },
    optional={"message": texts, "observedGeneration": counts},
)
statuses = some(
    observedGeneration=counts,
    conditions=st.lists(conditions, max_size=2, unique_by=lambda one: one["type"]),
    children=st.lists(child_statuses, max_size=4, unique_by=lambda one: one["name"]),
    budget=some(used=counts, limit=counts, times=st.lists(times, max_size=4)),
    restarts=counts,
    operation=operations,
    history=st.lists(entries, max_size=12),
    nextAttemptTime=times,
    exhausted=st.fixed_dictionaries({"reason": st.just("BudgetExhausted"), "time": times}),
    summary=some(children=st.just("3/3"), budget=st.just("2/3")),
    uid=names,
    generation=counts,
    reset=texts,
    uncounted=st.lists(times, max_size=4),
    retry=st.lists(names, max_size=4),
)
