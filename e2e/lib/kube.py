"""A cluster as its users have it: kubectl, what the API server shows, and waiting for that."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from e2e.cluster.spec import REAL_NODE
from e2e.lib.api import Api, api
from suptree.api.reasons import RESET_ANNOTATION

Json = dict[str, Any]
Objects = list[Json]
Names = list[str]
T = TypeVar("T")

PATIENCE_SECONDS = 240
"""How long anything may take before a test fails; far more than it takes, because machines are slow and shared."""

_MAKERS = ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs")
"""What makes pods; each before what it makes."""


class Kube:
    """One cluster, and one namespace of it, through kubectl."""

    def __init__(self, kubectl: str | Path, kubeconfig: str | Path, namespace: str = "default") -> None:
        self.kubectl = str(kubectl)
        self.kubeconfig = str(kubeconfig)
        self.namespace = namespace

    def within(self, namespace: str) -> "Kube":
        """Return the same cluster, in another namespace."""
        return Kube(self.kubectl, self.kubeconfig, namespace)

    @property
    def api(self) -> Api:
        """The API server itself."""
        return api(self.kubeconfig)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment for other tools."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    def run(self, *args: str, given: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl.

        Raises:
            AssertionError: It failed, with what it said.
        """
        command = [self.kubectl, "--namespace", self.namespace, *args]
        done = subprocess.run(command, input=given, capture_output=True, text=True, env=self.env, check=False)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done

    # What tests do again and again goes to the API server itself: kubectl is a process, and slow to start.

    def apply(self, *objects: Json) -> None:
        """Apply manifests, as `kubectl apply --server-side --force-conflicts` does."""
        for it in objects:
            self.api.apply(it, self.namespace)

    def create_namespace(self) -> None:
        """Create this namespace."""
        self.api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})

    def delete_namespace(self) -> None:
        """Delete this namespace, and do not wait for its end."""
        self.api.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def empty(self) -> None:
        """Delete what makes pods in this namespace, and all pods: those of fake nodes at once, because nobody stops them.

        The namespace stays. Its end would cost a hundred requests, and its workloads' controllers as many tries again.
        """
        # By its path: a test may have deleted the CRD.
        self.api.ask("DELETE", f"/apis/suptree.dev/v1alpha1/namespaces/{self.namespace}/supervisiontrees")
        for kind in _MAKERS:
            self.delete_all(kind)
        pods = self.path("pods")
        self.api.ask("DELETE", pods, {"gracePeriodSeconds": 0}, fieldSelector=f"spec.nodeName!={REAL_NODE}")
        self.api.ask("DELETE", pods, fieldSelector=f"spec.nodeName={REAL_NODE}")

    def get(self, kind: str, name: str) -> Json:
        """Return an object."""
        return self.api.ask("GET", self.path(kind, name))

    def list(self, kind: str, labels: str = "") -> Objects:
        """Return objects, by name."""
        items, _ = self.api.objects(self.path(kind), labels)
        return sorted(items, key=lambda it: str(it["metadata"]["name"]))

    def patch(self, kind: str, name: str, patch: Json, *, subresource: str = "", type_: str = "merge") -> None:
        """Patch an object."""
        self.api.patch(self.path(kind, name, subresource), patch, type_)

    def uid(self, kind: str, name: str) -> str:
        """Return the UID of an object; empty when it is not there."""
        return next((str(it["metadata"]["uid"]) for it in self.list(kind) if it["metadata"]["name"] == name), "")

    def delete(self, kind: str, name: str, *, wait: bool = True) -> None:
        """Delete an object, as `kubectl delete` does: wait until it is gone."""
        uid = self.uid(kind, name)
        assert uid, f"there is no {kind} {name} to delete"
        self.api.ask(
            "DELETE", self.path(kind, name), {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        )
        if wait:
            eventually(lambda: self.uid(kind, name) != uid, f"{kind} {name} is gone")

    def delete_all(self, kind: str, labels: str = "") -> None:
        """Delete all objects with these labels, and do not wait for their end."""
        self.api.ask("DELETE", self.path(kind), **({"labelSelector": labels} if labels else {}))

    def create(self, kind: str, manifest: Json, *, is_dry_run: bool = False) -> Json:
        """Create an object, or only ask the API server what it would make of it; return it.

        Raises:
            AssertionError: It is refused, with the API server's message.
        """
        return self.api.ask("POST", self.path(kind), manifest, **({"dryRun": "All"} if is_dry_run else {}))

    def scale(self, kind: str, name: str, replicas: int) -> None:
        """Scale a workload."""
        self.patch(kind, name, {"spec": {"replicas": replicas}}, subresource="scale")

    def token(self, account: str, hours: int) -> str:
        """Return a new token of a service account of this namespace."""
        asked = {"spec": {"expirationSeconds": hours * 3600}}
        answer = self.api.ask("POST", self.path("serviceaccount", account, "token"), asked)
        return str(answer["status"]["token"])

    def wait_established(self, crd: str) -> None:
        """Wait until the API server serves a kind."""
        eventually(lambda: is_true(self.get("crd", crd), "Established"), f"{crd} is established")

    def wait_rolled_out(self, kind: str, name: str) -> None:
        """Wait until a workload has as many pods as it is to have, all of its newest template and available."""

        def so() -> bool:
            found = self.get(kind, name)
            status = found.get("status", {})
            fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
            return is_seen and all(status.get(it, 0) == found["spec"]["replicas"] for it in fields)

        eventually(so, f"{kind} {name} is rolled out")

    def path(self, kind: str, name: str = "", subresource: str = "") -> str:
        """Return the path of this namespace's objects of a kind, or of one of them."""
        return self.api.resource(kind).path(self.namespace, name, subresource)

    def pods(self, app: str) -> Objects:
        """Return the pods of an app that are to stay, by name."""
        return [pod for pod in self.list("pods", f"app={app}") if not pod["metadata"].get("deletionTimestamp")]

    def pod(self, app: str) -> str:
        """Return the name of one of an app's pods, once it has one."""
        return str(eventually(lambda: self.pods(app), f"{app} has a pod")[0]["metadata"]["name"])

    def held(self) -> Names:
        """Return the names of the pods that Suptree's gate holds."""
        return [
            str(pod["metadata"]["name"])
            for pod in self.list("pods")
            if any(gate["name"] == "suptree.dev/hold" for gate in pod["spec"].get("schedulingGates") or [])
        ]

    def events(self, reason: str) -> Objects:
        """Return the Events with that reason that are about trees."""
        return [
            it
            for it in self.list("events")
            if it["reason"] == reason and it["involvedObject"]["kind"] == "SupervisionTree"
        ]

    # Trees.

    def tree(self, name: str) -> Json:
        """Return a tree."""
        return self.get("supervisiontree", name)

    def status(self, name: str) -> Json:
        """Return a tree's status."""
        status: Json = self.tree(name).get("status", {})
        return status

    def condition(self, name: str, type_: str) -> Json:
        """Return a condition of a tree; empty if it has none of that type."""
        found = [it for it in self.status(name).get("conditions", []) if it["type"] == type_]
        return found[0] if found else {}

    def reset(self, name: str, value: str = "now") -> None:
        """Reset a tree, as a person would."""
        self.patch("suptree", name, {"metadata": {"annotations": {RESET_ANNOTATION: value}}})


def eventually(what: Callable[[], T], hope: str, patience: float = PATIENCE_SECONDS) -> T:
    """Ask until the answer is true, and return it.

    Raises:
        AssertionError: It never was; with the last answer, or why there was none.
    """
    end = time.monotonic() + patience
    last: object = None
    pause = 0.05
    while time.monotonic() < end:
        try:
            last = what()
        except (AssertionError, LookupError) as error:  # what is not there yet is not so yet
            last = error
        else:
            if last:
                return last
        # A machine that is busy asking answers late.
        time.sleep(pause)
        pause = min(0.3, 1.5 * pause)
    raise AssertionError(f"{hope}: not within {patience} s; last: {last!r}")


def wait_condition(kube: Kube, tree: str, type_: str, status: str, reason: str) -> Json:
    """Wait until a condition of a tree has that status and reason, for the newest spec; return the tree's status."""

    def so() -> Json | None:
        found = kube.tree(tree)
        for it in found.get("status", {}).get("conditions", []):
            is_new = it["observedGeneration"] == found["metadata"]["generation"]
            if is_new and (it["type"], it["status"], it["reason"]) == (type_, status, reason):
                here: Json = found["status"]
                return here
        return None

    found = eventually(so, f"tree {tree}: {type_}={status}, {reason}")
    assert found is not None
    return found


def is_ready(pod: Json) -> bool:
    """Tell whether a pod is Ready."""
    return is_true(pod, "Ready")


def is_true(found: Json, type_: str) -> bool:
    """Tell whether a condition of an object is True."""
    conditions = found.get("status", {}).get("conditions") or []
    return any((it["type"], it["status"]) == (type_, "True") for it in conditions)


def wait_running(kube: Kube, app: str) -> str:
    """Wait until a pod of an app runs, so that it can be entered; return its name."""

    def so() -> str:
        for pod in kube.pods(app):
            containers = pod["status"].get("containerStatuses", [])
            if containers and all("running" in it["state"] for it in containers):
                return str(pod["metadata"]["name"])
        return ""

    return eventually(so, f"{app} runs")


def wait_restarted(kube: Kube, pod: str, count: int) -> None:
    """Wait until the kubelet has restarted a pod's container that often, and it is Ready."""

    def so() -> bool:
        container = kube.get("pod", pod)["status"]["containerStatuses"][0]
        return bool(container["restartCount"] >= count and container["ready"])

    eventually(so, f"pod {pod} was restarted {count} times and is Ready")


def wait_ready(kube: Kube, tree: str) -> Json:
    """Wait until a tree is Ready and at rest, and return its status."""

    def ready() -> Json | None:
        status = kube.status(tree)
        found = {it["type"]: it["status"] for it in status.get("conditions", [])}
        at_rest = found.get("Ready") == "True" and found.get("Reconciling") == "False"
        return status if at_rest else None

    found = eventually(ready, f"tree {tree} is Ready and at rest")
    assert found is not None
    return found


def wait_history(kube: Kube, tree: str, count: int, outcome: str = "Restarted") -> Json:
    """Wait until the tree's newest restart has that operation number and outcome; return its status."""

    def there() -> Json | None:
        status = kube.status(tree)
        newest = (status.get("history") or [{}])[0]
        return status if newest.get("operation") == count and newest.get("outcome") == outcome else None

    found = eventually(there, f"tree {tree}: operation {count} is {outcome}")
    assert found is not None
    return found
