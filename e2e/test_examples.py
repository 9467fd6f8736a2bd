"""The examples, each applied as a user would and put to the test that it is made for; on fake nodes."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, eventually, wait_history, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.recorder import WHAT, Recorder
from e2e.lib.target import ROOT, Target
from e2e.lib.workloads import load, on_fake_nodes

EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Story:
    """What is done to an example, and what is to come of it."""

    example: str
    dies: str
    """The app whose pod crashes."""
    root: str
    """The tree that restarts a slice because of it."""
    child: str
    """The child whose exit that is to this tree: the app itself, or the tree below that gave up."""
    slice: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    """The apps that are replaced, in start order: those of one group without an order among them."""
    before: tuple[str, str, int] | None = None
    """A tree that restarts the app alone as long as it may: its name, its child, how often."""
    replicas: dict[str, int] = field(default_factory=dict)
    """Apps that somebody else has scaled before."""


STORIES = (
    Story(
        "opentelemetry-demo",
        dies="kafka",
        root="otel-demo-shop",
        child="stores",
        slice=("stores", "services", "checkout", "frontend", "frontend-proxy", "load-generator"),
        groups=(
            ("kafka", "postgresql", "valkey", "flagd"),
            ("accounting", "cart", "currency", "fraud-detection", "shipping"),
            ("checkout",),
            ("frontend",),
            ("frontend-proxy",),
            ("load-generator",),
        ),
        before=("otel-demo-stores", "kafka", 5),
    ),
    Story(
        "plausible",
        dies="plausible-events-db",
        root="plausible",
        child="plausible-events-db",
        slice=("plausible-events-db", "plausible"),
        groups=(("plausible-events-db",), ("plausible",)),
    ),
    Story(
        "supabase",
        dies="supabase-db",
        root="supabase",
        child="supabase-db",
        slice=("supabase-db", "services", "kong", "studio"),
        groups=(("supabase-db",), ("auth", "rest", "realtime", "storage"), ("kong",), ("studio",)),
        replicas={"realtime": 3},
    ),
    Story(
        "harbor",
        dies="harbor-redis",
        root="harbor",
        child="harbor-redis",
        slice=("harbor-redis", "harbor-core", "clients"),
        groups=(
            ("harbor-redis",),
            ("harbor-core",),
            ("harbor-jobservice", "harbor-registry", "harbor-portal"),
        ),
    ),
    Story(
        "sentry",
        dies="kafka",
        root="sentry",
        child="brokers",
        slice=("brokers", "consumers", "taskbroker", "taskworker", "web", "relay"),
        groups=(
            ("kafka", "clickhouse"),
            ("snuba-api", "snuba-replays-consumer", "ingest-events", "post-process-forward-errors"),
            ("taskbroker",),
            ("taskworker",),
            ("web",),
            ("relay",),
        ),
    ),
    Story(
        "temporal",
        dies="temporal-db",
        root="temporal",
        child="temporal-db",
        slice=("temporal-db", "services", "temporal-web", "temporal-worker"),
        groups=(
            ("temporal-db",),
            ("temporal-history", "temporal-matching", "temporal-frontend"),
            ("temporal-web",),
            ("temporal-worker",),
        ),
    ),
    Story(
        "mastodon",
        dies="mastodon-redis",
        root="mastodon",
        child="mastodon-redis",
        slice=("mastodon-redis", "processes"),
        groups=(("mastodon-redis",), ("sidekiq-default", "sidekiq-scheduler", "mastodon-streaming", "mastodon-web")),
    ),
)
TRAINING = "training"


def trees(objects: list[Json]) -> list[str]:
    """Return the names of the trees among the objects."""
    return [it["metadata"]["name"] for it in objects if it["kind"] == "SupervisionTree"]


def apps(objects: list[Json]) -> list[str]:
    """Return the label `app` of the pods that the objects make."""
    return [it["spec"]["template"]["metadata"]["labels"]["app"] for it in objects if "template" in it["spec"]]


@pytest.fixture(scope="module")
def applied(target: Target, operator: Operator, recreating: None) -> Iterator[dict[str, Kube]]:  # noqa: ARG001 - before anything is applied
    """Every example, each in a namespace of its own; all of them become Ready side by side, and their Jobs are complete."""
    assert operator.process is not None
    if not target.fake_nodes:
        pytest.skip("kwok's fake nodes must be there for this: use CLUSTER=local")
    found = {}
    with ExitStack() as stack:
        for example in (*(story.example for story in STORIES), TRAINING):
            found[example] = kube = stack.enter_context(target.namespace(f"t-{example}"))
            kube.apply(*map(on_fake_nodes, load(EXAMPLES / f"{example}.yaml")))
        for story in STORIES:
            for it in load(EXAMPLES / f"{story.example}.yaml"):
                if it["kind"] == "Job":
                    run_to_end(found[story.example], it["metadata"]["name"])
        yield found


def running(kube: Kube, app: str, count: int = 1) -> list[str]:
    """Wait until that many pods of an app run, and return their names."""

    def there() -> list[str]:
        names = [pod["metadata"]["name"] for pod in kube.pods(app) if pod["status"]["phase"] == "Running"]
        return names if len(names) == count else []

    return eventually(there, f"{count} pods of {app} run")


def run_to_end(kube: Kube, app: str, count: int = 1) -> None:
    """Let the pods of a Job end well."""
    for pod in running(kube, app, count):
        crash.finish(kube, pod)


def restart_alone(kube: Kube, story: Story) -> None:
    """Let the app crash as often as the tree around it bears by itself."""
    assert story.before is not None
    tree, child, times = story.before
    for count in range(1, times + 1):
        pod = kube.pod(story.dies)
        crash.pretend(kube, pod)
        wait_history(kube, tree, count, "InProgress")
        crash.recover(kube, pod)
        status = wait_history(kube, tree, count)
        assert (status["budget"]["used"], status["history"][0]["slice"]) == (count, [child])


def firsts(recorder: Recorder, what: str, uids: set[str]) -> list[int]:
    """Return for each of these pods the position of the first change in which it is so."""
    found: dict[str, int] = {}
    for at, change in enumerate(recorder.changes):
        if change.uid in uids and WHAT[what](change):
            found.setdefault(change.uid, at)
    assert found.keys() == uids, f"not all were {what}: {recorder.story()}"
    return list(found.values())


def in_order(recorder: Recorder, story: Story, before: check.Census) -> None:
    """Assert that the groups were stopped last to first and started first to last, each Ready before the next.

    Nothing new starts before all of the old is gone, so nothing ever runs twice (C28).
    """
    every = {app for group in story.groups for app in group}
    all_old = {uid for app in every for uid in before[app]}
    all_new = {uid for app in every for uid in check.new(recorder, before, app)}
    assert max(firsts(recorder, "gone", all_old)) < min(firsts(recorder, "released", all_new)), recorder.story()
    for pair in pairwise(story.groups):
        (old, new), (old_later, new_later) = (
            (
                {uid for app in group for uid in before[app]},
                {uid for app in group for uid in check.new(recorder, before, app)},
            )
            for group in pair
        )
        # A tree that gives up has stopped its own children before its parent hears of it.
        if story.child == story.dies or pair[0] is not story.groups[0]:
            assert max(firsts(recorder, "gone", old_later)) < min(firsts(recorder, "deleting", old)), recorder.story()
        assert max(firsts(recorder, "ready", new)) < min(firsts(recorder, "released", new_later)), recorder.story()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.example)
def test_an_example_does_what_its_comment_says(applied: dict[str, Kube], story: Story) -> None:
    """When the dependency fails that the tree is about, those that need it are restarted after it, in order, for one count."""
    kube, objects = applied[story.example], load(EXAMPLES / f"{story.example}.yaml")
    for app, replicas in story.replicas.items():
        kube.run("scale", "deployment", app, f"--replicas={replicas}")
    names = trees(objects)
    for name in names:
        check.cost_nothing(wait_ready(kube, name))
    with Recorder(kube) as recorder:
        before = check.census(recorder, *apps(objects))
        if story.before is not None:
            restart_alone(kube, story)
            check.untouched(recorder, before)
        crash.pretend(kube, kube.pod(story.dies))
        entry = check.counted_once(wait_history(kube, story.root, 1))
        assert (entry["child"], entry["slice"]) == (story.child, list(story.slice))
        assert entry["pod"].startswith(story.dies)
        for name in names:
            wait_ready(kube, name)
        replaced = {app for group in story.groups for app in group} | below(objects, story.slice)
        check.replaced_once(recorder, before, *replaced)
        if left := before.keys() - replaced:
            check.untouched(recorder, before, *left)
        in_order(recorder, story, before)
    for app, replicas in story.replicas.items():
        assert kube.get("deployment", app)["spec"]["replicas"] == replicas
        assert len(kube.pods(app)) == replicas
    # A tree that was started afresh has an empty window; every other budget is as it was.
    assert {name: kube.status(name)["budget"]["used"] for name in names} == {
        name: int(name == story.root) for name in names
    }
    check.none_held(kube)


def test_the_workers_of_a_training_are_run_again_and_finished_initializers_are_not(applied: dict[str, Kube]) -> None:
    """M12: an initializer that fails is run again alone; when a worker fails all workers are, and the initializers stay complete."""
    kube = applied[TRAINING]
    with Recorder(kube) as recorder:
        (pod,) = running(kube, "dataset-init")
        running(kube, "worker", 4)
        before = check.census(recorder, "dataset-init", "model-init", "worker")
        crash.finish(kube, pod, 3)
        run_to_end(kube, "model-init")
        eventually(lambda: running(kube, "dataset-init") != [pod], "the initializer is run again")
        run_to_end(kube, "dataset-init")
        entry = check.counted_once(wait_history(kube, "training-starters", 1))
        assert (entry["child"], entry["cause"], entry["slice"]) == ("dataset-init", "JobFailed", ["dataset-init"])
        wait_ready(kube, "training-starters")
        check.untouched(recorder, before, "model-init", "worker")

        before = check.census(recorder, "dataset-init", "model-init", "worker")
        crash.finish(kube, running(kube, "worker", 4)[0], 3)
        check.all_gone(recorder, before, "worker")
        run_to_end(kube, "worker", 4)
        entry = check.counted_once(wait_history(kube, "training", 1))
        assert (entry["child"], entry["cause"], entry["slice"]) == ("worker", "JobFailed", ["worker"])
        states = {it["name"]: it["state"] for it in wait_ready(kube, "training")["children"]}
        assert states == {"starters": "Up", "worker": "Completed"}
        check.untouched(recorder, before, "dataset-init", "model-init")


def below(objects: list[Json], children: tuple[str, ...]) -> set[str]:
    """Return the apps of the trees among these children."""
    found = set()
    specs = {it["metadata"]["name"]: it["spec"] for it in objects if it["kind"] == "SupervisionTree"}
    for spec in specs.values():
        for child in spec["children"]:
            target = child.get("targetRef", {})
            if child["name"] in children and target.get("kind") == "SupervisionTree":
                found |= {it["targetRef"]["name"] for it in specs[target["name"]]["children"]}
    return found


@pytest.mark.parametrize(
    "path", sorted(set(EXAMPLES.glob("*.yaml")) - {EXAMPLES / "any-kind.yaml"}), ids=lambda path: path.stem
)
def test_the_api_server_takes_every_example(target: Target, operator: Operator, path: Path) -> None:
    """`kubectl apply -f` takes each example whole: every field is known, and no rule of the CRD is broken."""
    assert operator.process is not None
    done = target.kube.run("apply", "--dry-run=server", "--validate=strict", "-f", str(path), check=False)
    assert done.returncode == 0, done.stderr


def test_every_example_has_a_story() -> None:
    """No example is untried; the shop is the demo's, any-kind and zammad have files of their own (test_scale.py, test_recreate.py)."""
    elsewhere = {"shop", "any-kind", "zammad"}
    assert {story.example for story in STORIES} | {TRAINING} | elsewhere == {
        path.stem for path in EXAMPLES.glob("*.yaml")
    }
