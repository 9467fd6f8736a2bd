"""The examples, each applied as a user would and put to the test that it is made for; on fake nodes."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from e2e.lib import check, crash
from e2e.lib.kube import Json, Kube, wait_history, wait_ready
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
)


def trees(objects: list[Json]) -> list[str]:
    """Return the names of the trees among the objects."""
    return [it["metadata"]["name"] for it in objects if it["kind"] == "SupervisionTree"]


def apps(objects: list[Json]) -> list[str]:
    """Return the label `app` of the pods that the objects make."""
    return [it["spec"]["template"]["metadata"]["labels"]["app"] for it in objects if "template" in it["spec"]]


@pytest.fixture(scope="module")
def applied(target: Target, operator: Operator) -> Iterator[dict[str, Kube]]:
    """Every example, each in a namespace of its own; all of them become Ready side by side."""
    assert operator.process is not None
    if not target.fake_nodes:
        pytest.skip("kwok's fake nodes must be there for this: use CLUSTER=local")
    found = {}
    for story in STORIES:
        found[story.example] = kube = target.kube.within(f"t-{story.example}-{secrets.token_hex(2)}")
        kube.run("create", "namespace", kube.namespace)
        kube.apply(*map(on_fake_nodes, load(EXAMPLES / f"{story.example}.yaml")))
    yield found
    for kube in found.values():
        kube.run("delete", "namespace", kube.namespace, "--wait=false")


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
    """Assert that the groups were stopped last to first and started first to last, each Ready before the next."""
    for pair in pairwise(story.groups):
        (old, new), (old_later, new_later) = (
            (
                {uid for app in group for uid in before[app]},
                {uid for app in group for uid in check.new(recorder, before, app)},
            )
            for group in pair
        )
        # A tree that gives up has stopped its own children before its parent hears of it.
        if story.before is None or pair[0] is not story.groups[0]:
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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_api_server_takes_every_example(target: Target, operator: Operator, path: Path) -> None:
    """`kubectl apply -f` takes each example whole: every field is known, and no rule of the CRD is broken."""
    assert operator.process is not None
    done = target.kube.run("apply", "--dry-run=server", "--validate=strict", "-f", str(path), check=False)
    assert done.returncode == 0, done.stderr


def test_every_example_has_a_story() -> None:
    """No example is untried; the shop is the demo's, any-kind and zammad have files of their own (test_scale.py, test_recreate.py)."""
    assert {story.example for story in STORIES} | {"shop", "any-kind", "zammad"} == {
        path.stem for path in EXAMPLES.glob("*.yaml")
    }
