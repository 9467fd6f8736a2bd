"""Captures what this version writes into a tree's status, for the tests of later versions: `make samples`.

Each sample is a whole situation, taken from a real API server: the tree, its workloads and their pods, at one moment.
`tests/upgrade` has the operator of today take over from there. Run it once for each release, and commit what it writes.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

import suptree
from e2e.cluster import Cluster
from e2e.lib import crash
from e2e.lib.kube import Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.operator import NAMESPACE, Operator, install, kubeconfig
from e2e.lib.target import ROOT, of_local
from e2e.lib.workloads import child, tree, workload

Json = dict[str, Any]

FOLDER = ROOT / "tests" / "upgrade" / suptree.__version__
LARGE = 100
"""Pods are remembered one by one up to this many."""
_META = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "labels")
_META_OF_PODS = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels")
_SPEC_OF_PODS = ("nodeName", "schedulingGates", "restartPolicy", "terminationGracePeriodSeconds")
_STATUS_OF_PODS = ("phase", "reason", "conditions", "containerStatuses", "startTime")


def _only(raw: Json, *names: str) -> Json:
    return {name: raw[name] for name in names if name in raw}


def _pod(raw: Json) -> Json:
    return {
        "metadata": _only(raw["metadata"], *_META_OF_PODS, "ownerReferences"),
        "spec": _only(raw["spec"], *_SPEC_OF_PODS),
        "status": _only(raw["status"], *_STATUS_OF_PODS),
    }


def _workload(raw: Json) -> Json:
    spec = {**raw["spec"], "template": _only(raw["spec"]["template"], "metadata")}
    return {
        **_only(raw, "apiVersion", "kind", "status"),
        "metadata": _only(raw["metadata"], *_META, "ownerReferences"),
        "spec": spec,
    }


def _lines(name: str, objects: list[Json]) -> str:
    return f"{name}:\n" + "".join(f"- {json.dumps(it)}\n" for it in objects)


def write(kube: Kube, name: str) -> None:
    """Write what is there now as a sample."""
    raw = kube.tree("shop")
    it = {**_only(raw, "apiVersion", "kind", "spec", "status"), "metadata": _only(raw["metadata"], *_META)}
    head = yaml.safe_dump({"now": round(time.time(), 3), "tree": it}, sort_keys=False, width=160)
    workloads = [_workload(it) for kind in ("statefulsets", "deployments", "replicasets") for it in kube.list(kind)]
    text = head + _lines("workloads", workloads) + _lines("pods", [_pod(it) for it in kube.list("pods")])
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.yaml").write_text(text)
    print(f"{FOLDER.relative_to(ROOT)}/{name}.yaml: {len(text) / 1024:.0f} KiB", flush=True)


def apply(kube: Kube, replicas: int = 1, **spec: object) -> None:
    """Apply a shop of two children, and wait until it is Ready."""
    children = (child("StatefulSet", "db"), child("Deployment", "web"))
    kube.apply(
        workload("StatefulSet", "db", real=False),
        workload("Deployment", "web", replicas, real=False),
        tree("shop", *children, **{"strategy": "OneForAll", **spec}),
    )
    wait_ready(kube, "shop")


def _fresh(kube: Kube) -> None:
    apply(kube, 2)


def _restarted(kube: Kube) -> None:
    apply(kube)
    for number in (1, 2):
        crash.pretend(kube, "db-0", 3 + number)
        wait_history(kube, "shop", number)
        wait_ready(kube, "shop")


def _large(kube: Kube) -> None:
    apply(kube, LARGE)
    crash.pretend(kube, "db-0")
    wait_history(kube, "shop", 1)
    wait_ready(kube, "shop")


def _parked(kube: Kube) -> None:
    apply(kube, intensity=0)
    crash.pretend(kube, "db-0")
    wait_condition(kube, "shop", "Stalled", "True", "Parked")


def _held(kube: Kube) -> None:
    apply(kube, intensity=0, onExhausted="Hold")
    crash.pretend(kube, "db-0")
    wait_condition(kube, "shop", "Stalled", "True", "Held")
    eventually(lambda: len(kube.held()) == 2, "both children are held")


def _stage(kube: Kube, stage: str, child: str) -> None:
    def so() -> bool:
        operation = kube.status("shop").get("operation", {})
        return (operation.get("stage"), operation.get("child")) == (stage, child)

    eventually(so, f"the operation is {stage} {child}")


def _stopping(kube: Kube) -> None:
    apply(kube)
    # Somebody else's finalizer keeps the pod from going.
    kube.patch("pod", kube.pod("web"), {"metadata": {"finalizers": ["example.org/wait"]}})
    crash.pretend(kube, "db-0")
    _stage(kube, "Stopping", "web")


def _starting(kube: Kube) -> None:
    apply(kube)
    kube.run("cordon", *(it["metadata"]["name"] for it in kube.list("nodes")))  # for good: this is the last sample
    crash.pretend(kube, "db-0")
    _stage(kube, "Starting", "db")
    eventually(lambda: len(kube.held()) == 1, "web is held")


STATES: dict[str, Callable[[Kube], None]] = {
    "fresh": _fresh,
    "restarted": _restarted,
    "large": _large,
    "parked": _parked,
    "held": _held,
    "stopping": _stopping,
    "starting": _starting,
}


def main() -> int:
    """Bring each state about, in a namespace of its own, and write it down."""
    with tempfile.TemporaryDirectory() as folder, Cluster.start("samples", real_node=False) as cluster:
        target = of_local(cluster)
        install(target)
        log = Path(folder) / "operator.log"
        operator = Operator(target.kube.within(NAMESPACE), kubeconfig(target, Path(folder)), log)
        operator.start()
        for name, bring_about in STATES.items():
            kube = target.kube.within(name)
            kube.run("create", "namespace", name)
            bring_about(kube)
            write(kube, name)
        operator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
