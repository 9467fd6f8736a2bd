"""The operator itself: what is lost between its own writes, and what grows without end (C65, C69, C70)."""

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from e2e.lib.kube import Json, Kube, eventually, wait_ready
from e2e.lib.operator import Operator
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, pod_template, tree, workload

T = TypeVar("T")

CHILDREN = 200
OURS_LIMIT_BYTES = 100_000
OBJECT_LIMIT_BYTES = 200_000
"""With the spec, kubectl's copy of it in an annotation, and what the API server keeps of both; etcd takes 1.5 MB."""
STRANGERS, STRANGERS_BYTES = 400, 100_000
"""Pods that nobody supervises: all together as large as 5,000 ordinary ones."""
MEMORY_LIMIT_MEBIBYTES = 256
KUBELETS_LIMIT = 4_096
"""Characters of a termination message that a kubelet keeps."""


def test_c65_a_change_between_two_of_our_writes_is_not_lost(fake: Kube) -> None:
    """However soon after a write of the operator a user changes the spec, the change is taken up."""
    fake.apply(
        tree("shop", child("Deployment", "db"), child("Deployment", "web"), strategy="OneForAll", intensity=100),
        *(workload("Deployment", name, real=False) for name in ("db", "web")),
    )
    wait_ready(fake, "shop")
    with Recorder(fake, "supervisiontrees") as trees:
        trees.catch_up()
        for intensity in range(101, 111):
            seen = len(trees.changes)
            fake.delete_all("pods", "app=db")
            end = time.monotonic() + 60
            while len(trees.changes) == seen:
                assert time.monotonic() < end, "the operator wrote nothing"
                time.sleep(0.001)
            fake.patch("suptree", "shop", {"spec": {"intensity": intensity}})
            wait_observed(fake, fake.tree("shop")["metadata"]["generation"])
            assert fake.status("shop")["budget"]["limit"] == intensity
            wait_ready(fake, "shop")


def wait_observed(kube: Kube, generation: int) -> None:
    """Wait until the operator has seen that generation of the shop."""
    eventually(lambda: kube.status("shop")["observedGeneration"] >= generation, f"generation {generation} is observed")


def numbered(number: int) -> str:
    """Return the name of a child."""
    return f"c{number:03}"


def bare_pod(name: str) -> Json:
    """Return a pod on a fake node that belongs to nobody."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **pod_template(name, real=False)} | {
        "metadata": {"name": name, "labels": {"app": name}}
    }


def all_at_once(what: Callable[[T], None], those: Iterable[T]) -> None:
    """Do something with each of those, without waiting for the one before."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(what, those))


def fill_with_crashes(kube: Kube, names: list[str]) -> None:
    """Let the containers of all these pods end at once, each with as long a message as a kubelet would keep; one says 300 kB."""

    def end(name: str) -> None:
        ended = {"exitCode": 3, "reason": "Error", "containerID": f"fake://{name}", "message": "x" * KUBELETS_LIMIT}
        if name == names[0]:
            ended["message"] = "x" * 300_000
        status = {
            "containerStatuses": [
                {
                    "name": "main",
                    "image": "none",
                    "imageID": "none",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"terminated": ended},
                }
            ],
            "conditions": [{"type": "Ready", "status": "False"}],
        }
        kube.patch("pod", name, {"status": status}, subresource="status", type_="strategic")

    all_at_once(end, names)


def test_c69_a_tree_of_200_children_that_all_crash_stays_small(fake: Kube) -> None:
    """What the operator writes of 200 children that all crashed stays under 100 kB, whatever their containers said last."""
    names = [numbered(at) for at in range(CHILDREN)]
    all_at_once(fake.apply, map(bare_pod, names))
    fake.apply(
        tree("crowd", *({"name": it, "selector": {"matchLabels": {"app": it}}} for it in names), intensity=CHILDREN)
    )
    wait_ready(fake, "crowd")
    fill_with_crashes(fake, names)
    eventually(lambda: fake.status("crowd")["restarts"] == CHILDREN, "all crashes are counted")
    shown = fake.run("get", "suptree", "crowd", "--output", "json", "--show-managed-fields")
    found = json.loads(shown.stdout)
    assert len(found["status"]["history"]) == 10
    said = [child["lastExit"]["message"] for child in found["status"]["children"]]
    assert all(text.startswith("xxx") for text in said)
    ours = [it for it in found["metadata"]["managedFields"] if it["manager"].startswith("suptree")]
    assert [it["subresource"] for it in ours] == ["status"]
    assert size(found["status"]) + size(ours) < OURS_LIMIT_BYTES
    assert size(found) < OBJECT_LIMIT_BYTES


def size(part: Json | list[Json]) -> int:
    """Return how large a part of an object is, in bytes."""
    return len(json.dumps(part, separators=(",", ":")).encode())


def strangers(kube: Kube) -> None:
    """Create many large pods that no tree names, and that never run."""

    def make(at: int) -> None:
        pod = pod_template(f"job-{at}", real=False)
        meta = {"name": f"job-{at}", "annotations": {"example.org/filler": "x" * STRANGERS_BYTES}, **pod["metadata"]}
        spec = {**pod["spec"], "schedulingGates": [{"name": "example.org/never"}]}
        kube.create("pod", {"metadata": meta, "spec": spec})

    all_at_once(make, range(STRANGERS))


def peak_mebibytes(operator: Operator) -> float:
    """Return the most memory that the process has ever had, in MiB."""
    status = Path(f"/proc/{operator.pid}/status").read_text()
    (line,) = (it for it in status.splitlines() if it.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def test_c70_a_cold_start_in_a_large_cluster(fake: Kube, operator: Operator) -> None:
    """An operator that starts in a cluster full of pods that are nobody's children gets to work within 256 MiB."""
    fake.apply(tree("shop", child("Deployment", "db")), workload("Deployment", "db", real=False))
    wait_ready(fake, "shop")
    strangers(fake)
    operator.kill()
    operator.start()
    fake.patch("suptree", "shop", {"spec": {"intensity": 7}})
    eventually(lambda: fake.status("shop")["budget"]["limit"] == 7, "it is at work")
    assert peak_mebibytes(operator) < MEMORY_LIMIT_MEBIBYTES
