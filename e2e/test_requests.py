"""How many requests a restart costs the API server, by its own audit log."""

import time
from pathlib import Path
from typing import Any

from e2e.lib import check, crash
from e2e.lib.kube import Kube, wait_history, wait_ready
from e2e.lib.operator import writes
from e2e.lib.recorder import Recorder
from e2e.lib.workloads import child, tree, workload

PODS = 64
TOUCHED = {("pods", ""), ("supervisiontrees", "status"), ("events", ""), ("configmaps", "")}
"""All that the operator ever writes."""


def resource(entry: dict[str, Any]) -> tuple[str, str]:
    """Return what a request was about: resource and subresource."""
    return entry["objectRef"]["resource"], entry["objectRef"].get("subresource", "")


def test_a_parallel_restart_costs_one_delete_a_pod_and_eight_more(
    fake: Kube, recorder: Recorder, audit_log: Path
) -> None:
    """A restart of 64 pods is 64 deletes of 64 pods and at most 8 other writes, none of a workload, and it is on record before the first."""
    start = time.time()
    fake.apply(
        tree(
            "shop",
            child("StatefulSet", "db"),
            child("Deployment", "web"),
            strategy="OneForAll",
            ordering="Parallel",
        ),
        workload("StatefulSet", "db", real=False),
        workload("Deployment", "web", PODS - 1, real=False),
    )
    wait_ready(fake, "shop")
    before = check.census(recorder, "db", "web")
    at = crash.pretend(fake, "db-0")
    check.counted_once(wait_history(fake, "shop", 1))
    wait_ready(fake, "shop")
    check.replaced_once(recorder, before)

    made = [it for it in writes(audit_log, "suptree/", at) if it["objectRef"].get("namespace") == fake.namespace]
    deletes = [it for it in made if it["verb"] == "delete"]
    assert {resource(it) for it in deletes} == {("pods", "")}
    names = [it["objectRef"]["name"] for it in deletes]
    assert len(names) == len(set(names)) == PODS
    assert all(it["responseStatus"]["code"] == 200 for it in deletes)
    assert len(made) <= PODS + 8, [(it["verb"], *resource(it)) for it in made if it not in deletes]
    written = [it for it in made if resource(it) == ("supervisiontrees", "status")]
    assert written[0]["stageTimestamp"] <= min(it["requestReceivedTimestamp"] for it in deletes)

    ever = [it for it in writes(audit_log, "suptree/", start) if it["objectRef"].get("namespace") == fake.namespace]
    assert {resource(it) for it in ever} <= TOUCHED
    assert {it["verb"] for it in ever if resource(it) == ("pods", "")} == {"delete"}, "with Parallel no pod is patched"
