"""The main job, on a cluster of its own, told as it happens: `python -m e2e.demo [--keep]`.

A shop of three children under RestForOne. Its database crashes once: the story shows who is stopped, held and started,
and in which order. Then it crashes beyond its budget: the tree parks. Then a person resets it. The demo ends with 1 when
anything did not happen as told.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from e2e.cluster import Cluster
from e2e.lib import crash
from e2e.lib.kube import Kube, eventually, wait_history, wait_ready
from e2e.lib.operator import NAMESPACE, Operator, install, kubeconfig
from e2e.lib.recorder import WHAT, Change, Recorder
from e2e.lib.target import ROOT, of_local
from e2e.lib.workloads import load, on_fake_nodes

TREE = "shop"
ORDER = ("db", "web", "worker")
BOLD, DIM, GREEN, RED, PLAIN = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
)


class Story:
    """Prints what happens, when it happens."""

    def __init__(self, kube: Kube, recorder: Recorder) -> None:
        self.kube = kube
        self.recorder = recorder
        self.start = time.time()
        self._told = 0
        self._events: set[str] = set()
        self._said: set[tuple[str, str]] = set()

    def heading(self, text: str) -> None:
        """Begin a part."""
        print(f"\n{BOLD}{text}{PLAIN}", flush=True)

    def say(self, text: str) -> None:
        """Print a line with the time."""
        print(f"{time.time() - self.start:6.1f} s  {text}", flush=True)

    def follow(self) -> None:
        """Tell what is new about pods, and what suptree says."""
        for event in self.kube.list("events.events.k8s.io"):
            name = event["metadata"]["name"]
            if event["regarding"]["kind"] == "SupervisionTree" and name not in self._events:
                self._events.add(name)
                self.say(f"{BOLD}suptree: {event['reason']}: {event['note']}{PLAIN}")
        changes = self.recorder.changes
        while self._told < len(changes):
            self._tell(changes[self._told])
            self._told += 1

    def _tell(self, change: Change) -> None:
        for what, words in WORDS.items():
            if change.app in ORDER and WHAT[what](change) and (change.uid, what) not in self._said:
                self._said.add((change.uid, what))
                self.say(f"  {DIM}{change.name:26}{PLAIN} {words}")

    def until(self, ready: Callable[[], object], hope: str) -> None:
        """Tell until something has come true."""

        def look() -> object:
            found = ready()
            self.follow()
            return found

        eventually(look, hope)


WORDS = {
    "deleting": "is being stopped",
    "gone": "is gone",
    "held": "is new, and held: it is not its turn",
    "released": "is released: its turn has come",
    "ready": "is Ready",
}


class Demo:
    """The parts of the demo."""

    def __init__(self, kube: Kube, recorder: Recorder, *, real: bool) -> None:
        self.kube = kube
        self.recorder = recorder
        self.real = real
        self.story = Story(kube, recorder)

    def run(self) -> None:
        """Tell all of it."""
        self.apply()
        self.one_crash()
        self.beyond_the_budget()
        self.reset()

    def apply(self) -> None:
        """Apply the example, and wait until it is Ready."""
        self.story.heading("1. A shop of three: db, web and worker. Each depends on those before it (RestForOne).")
        self.story.say("kubectl apply -f examples/shop.yaml")
        objects = load(ROOT / "examples/shop.yaml")
        self.kube.apply(*(objects if self.real else map(on_fake_nodes, objects)))
        self.story.until(lambda: _is_ready(self.kube), "the shop is Ready")
        self._show()

    def one_crash(self) -> None:
        """Let the database crash once, and check the order."""
        self.story.heading(
            "2. The database crashes: what depends on it is stopped, and started again when db is Ready."
        )
        before = len(self.recorder.changes)
        self._crash()
        self._until_newest(1, "Restarted")
        wait_history(self.kube, TREE, 1)
        wait_ready(self.kube, TREE)
        self.story.follow()
        _check_order(self.recorder, before)
        self.story.say(
            "stopped in reverse order, started in order, each pod replaced once, for one count of the budget:"
        )
        self._show()

    def beyond_the_budget(self) -> None:
        """Let it crash beyond its budget, and check that the tree parks."""
        self.story.heading("3. It crashes again and again: three restarts in 300 s are allowed, the fourth is refused.")
        for count in (2, 3):
            self._crash()
            self._until_newest(count, "Restarted")
        self._crash()
        self.story.until(lambda: self.kube.condition(TREE, "Stalled").get("status") == "True", "the tree parks")
        status = self.kube.status(TREE)
        if status["restarts"] != 3 or status["history"][0]["outcome"] != "Exhausted":
            raise AssertionError(f"the fourth crash was to be refused: {status['history'][0]}")
        self._show()
        self.story.say(f"Stalled: {self.kube.condition(TREE, 'Stalled')['message']}")

    def reset(self) -> None:
        """Reset it, as a person would."""
        self.story.heading("4. A person has mended the cause, and resets the tree.")
        self.story.say(f"kubectl annotate suptree {TREE} suptree.dev/reset=now --overwrite")
        self.kube.reset(TREE)
        self.story.until(lambda: _is_ready(self.kube), "the shop is Ready again")
        status = wait_ready(self.kube, TREE)
        if status["budget"]["used"] != 0:
            raise AssertionError(f"the budget was to be empty: {status['budget']}")
        self._show()

    def _until_newest(self, operation: int, outcome: str) -> None:
        self.story.until(lambda: _newest(self.kube) == (operation, outcome), f"operation {operation} is {outcome}")

    def _crash(self) -> None:
        self.story.follow()
        self.story.say(f"{RED}db-0 crashes with exit code 3{PLAIN}")
        if self.real:
            self.kube.run("exec", "db-0", "--", "touch", "/tmp/crash")  # noqa: S108 - in the container
        else:
            crash.pretend(self.kube, "db-0")

    def _show(self) -> None:
        print(self.kube.run("get", "suptree", TREE).stdout, end="", flush=True)


def _newest(kube: Kube) -> tuple[int, str]:
    entry = (kube.status(TREE).get("history") or [{"operation": 0, "outcome": ""}])[0]
    return entry["operation"], entry["outcome"]


def _is_ready(kube: Kube) -> bool:
    found = {it["type"]: it["status"] for it in kube.status(TREE).get("conditions", [])}
    return found.get("Ready") == "True" and found.get("Reconciling") == "False"


def _check_order(recorder: Recorder, before: int) -> None:
    """Check that the story was true.

    Raises:
        AssertionError: It was not.
    """
    old = {change.uid for change in recorder.changes[:before]}
    for earlier, later in pairwise(ORDER):
        gone = recorder.last(later, "gone")
        if not gone < recorder.first(earlier, "deleting", after=before):
            raise AssertionError(f"{earlier} was stopped before {later} was gone")
        ready = recorder.first(earlier, "ready", after=recorder.first(earlier, "released", but=old), but=old)
        if not ready < recorder.first(later, "released", but=old):
            raise AssertionError(f"{later} was started before {earlier} was Ready")
    replaced = recorder.deleted()
    if len(replaced) != 4 or len(set(replaced)) != 4:
        raise AssertionError(f"each of 4 pods was to be replaced once: {recorder.story()}")


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m e2e.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster up, and say how to use it")
    parser.add_argument("--kubernetes", help="version of Kubernetes (default: the newest that is pinned)")
    parser.add_argument("--no-real-node", action="store_true", help="pretend containers, even when they could run")
    args = parser.parse_args()
    began = time.time()
    cluster = Cluster.start("demo", kubernetes=args.kubernetes, real_node=not args.no_real_node, detached=args.keep)
    try:
        _run(cluster, keep=args.keep)
    except AssertionError as error:
        sys.exit(f"{RED}this did not happen as told: {error}{PLAIN}")
    finally:
        if not args.keep:
            cluster.close()
    print(f"\n{GREEN}All of it happened as told, in {time.time() - began:.0f} s.{PLAIN}")
    if args.keep:
        print("The cluster is up, and the operator works in it until it ends: python -m e2e.cluster down --name demo")
        print(f"export KUBECONFIG={cluster.kubeconfig}")


def _run(cluster: Cluster, *, keep: bool) -> None:
    target = of_local(cluster)
    print(
        "Installing CRD, rights and gate policy from charts/suptree; the operator runs beside the cluster.", flush=True
    )
    install(target)
    folder = Path(cluster.dir)
    operator = Operator(
        target.kube.within(NAMESPACE),
        kubeconfig(target, folder),
        folder / "logs/operator.log",
        tether=cluster.pid if keep else None,
    )
    operator.start()
    kube = target.kube.within("default")
    try:
        with Recorder(kube) as recorder:
            Demo(kube, recorder, real=target.real_node).run()
    finally:
        if not keep:
            operator.stop()


if __name__ == "__main__":
    main()
