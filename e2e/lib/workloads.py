"""Manifests of small workloads, for the real node or for kwok's; and the examples."""

import json
from pathlib import Path
from typing import Any

from e2e.cluster import BUSYBOX, FAKE_LABEL, FAKE_TAINT, REAL_LABEL
from tests import yamls

Json = dict[str, Any]

CRASHES_WHEN_TOLD = "trap 'exit 0' TERM; until [ -e /tmp/end ]; do sleep 0.1; done; exit $(cat /tmp/end)"
"""A shell script that runs until a file says with which exit code to end (see `crash.end`)."""

READY_WHEN_TOLD: Json = {"exec": {"command": ["sh", "-c", "test -e /tmp/ready"]}, "periodSeconds": 1}
"""A readiness probe that fails until a file is there (see `crash.be_ready`)."""


def pod_template(name: str, *, real: bool, script: str = CRASHES_WHEN_TOLD, **container: Any) -> Json:  # noqa: ANN401
    """Return a pod template with the label `app`."""
    main = {
        "name": "main",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        **container,
    }
    spec: Json = {
        "terminationGracePeriodSeconds": 5,
        "containers": [main],
        "nodeSelector": REAL_LABEL if real else FAKE_LABEL,
    }
    if not real:
        spec["tolerations"] = [{**FAKE_TAINT, "operator": "Exists"}]
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def workload(kind: str, name: str, replicas: int = 1, *, real: bool = True, **template: Any) -> Json:  # noqa: ANN401
    """Return a Deployment, StatefulSet, ReplicaSet or DaemonSet."""
    spec: Json = {"selector": {"matchLabels": {"app": name}}, "template": pod_template(name, real=real, **template)}
    if kind != "DaemonSet":
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def child(kind: str, name: str, **fields: Any) -> Json:  # noqa: ANN401
    """Return a child that names a workload."""
    return {"name": name, "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}, **fields}


def tree(name: str, *children: Json, **spec: Any) -> Json:  # noqa: ANN401
    """Return a tree that does not wait between its restarts, unless told to."""
    no_wait = {"initialSeconds": 0, "factor": 1, "maxSeconds": 0, "jitterPercent": 0}
    return {
        "apiVersion": "suptree.dev/v1alpha1",
        "kind": "SupervisionTree",
        "metadata": {"name": name},
        "spec": {"backoff": no_wait, "children": list(children), **spec},
    }


def load(path: Path) -> list[Json]:
    """Return the objects of a file of manifests, those of its Lists one by one."""
    documents = [it for it in yamls.load_all(path.read_text()) if it]
    return [one for it in documents for one in (it["items"] if it["kind"] == "List" else [it])]


def on_fake_nodes(manifest: Json) -> Json:
    """Return the same object, its pods placed on kwok's nodes."""
    moved: Json = json.loads(json.dumps(manifest))
    template = moved.get("spec", {}).get("template")
    if template is not None:
        template["spec"] |= {"nodeSelector": FAKE_LABEL, "tolerations": [{**FAKE_TAINT, "operator": "Exists"}]}
    return moved
