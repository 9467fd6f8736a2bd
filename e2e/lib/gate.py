"""What the tests of the gate policy do with a cluster that has it."""

import asyncio
import collections.abc
import time
import typing

import kubernetes.aio.client
import kubernetes.aio.config

from e2e.lib.kube import Kube
from e2e.lib.recorder import Recorder
from e2e.lib.target import Target
from suptree.api.child import LabelRequirement, LabelSelector
from suptree.api.choices import LabelOperator
from suptree.api.reasons import HOLD_GATE, TREE_LABEL
from suptree.cluster.client import Api
from suptree.cluster.situation import Release
from suptree.cluster.views import pod_of

Json = dict[str, typing.Any]
T = typing.TypeVar("T")

PATIENCE = 20.0
SENTINEL = "gate-test"
CONTAINER: Json = {"name": "main", "image": "none"}


class Gate:
    """What the tests do with a cluster that has the policy."""

    def __init__(self, target: Target) -> None:
        self._kube = target.kube
        self._generation = 0

    def within(self, namespace: str) -> Kube:
        """Return the cluster, in a namespace."""
        return self._kube.within(namespace)

    def namespace(self, name: str) -> str:
        """Make a namespace in which pods can be created."""
        self._kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        until(lambda: self.within(name).list("serviceaccounts"))
        return name

    def index(self, namespace: str, data: dict[str, str]) -> None:
        """Write the index of a namespace, as the operator does, and wait until the policy reads it."""
        self._generation += 1
        tree = f"generation-{self._generation}"
        with_sentinel = {**data, f"{SENTINEL}.": f"{tree} mark {SENTINEL}="}
        self._ask(lambda api: api.apply_index(namespace, with_sentinel))
        until(lambda: tree_of(self.pod(namespace, {SENTINEL: ""})) == tree)

    def release(self, pod: Json, tree: str, operation: int) -> bool:
        """Let a pod go, as the operator does; tell whether it was still there."""
        return self._ask(lambda api: api.release_pod(Release(pod_of(pod), operation), tree))

    def _ask(self, what: collections.abc.Callable[[Api], collections.abc.Awaitable[T]]) -> T:
        return asyncio.run(self._answer(what))

    async def _answer(self, what: collections.abc.Callable[[Api], collections.abc.Awaitable[T]]) -> T:
        configuration = kubernetes.aio.client.Configuration()
        await kubernetes.aio.config.load_kube_config(
            self._kube.kubeconfig, client_configuration=configuration, persist_config=False
        )
        api = Api(configuration, "gate-test")
        try:
            return await what(api)
        finally:
            await api.close()

    def pod(self, namespace: str, labels: dict[str, str] | None, **spec: object) -> Json:
        """Create a pod with dry-run; return what would have been stored."""
        metadata: Json = {"generateName": "it-"} if labels is None else {"generateName": "it-", "labels": labels}
        manifest = {"metadata": metadata, "spec": {"containers": [CONTAINER], **spec}}
        return self.within(namespace).create("pod", manifest, is_dry_run=True)

    def bound(self, namespace: str) -> set[str]:
        """Give the UIDs of the pods that have a node."""
        pods = self.within(namespace).list("pods")
        return {pod["metadata"]["uid"] for pod in pods if pod["spec"].get("nodeName")}

    def record(self, namespace: str) -> Recorder:
        """Watch the pods that are really there."""
        return Recorder(self.within(namespace))

    def policy(self) -> Json:
        """Give the installed policy."""
        return self._kube.get("mutatingadmissionpolicy", "suptree-hold")

    def create(self, namespace: str, manifest: Json) -> None:
        """Create any object, for real."""
        self.within(namespace).create(manifest["kind"], manifest)


def until(condition: collections.abc.Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def gates_of(pod: Json) -> list[str]:
    """Give the names of a pod's scheduling gates."""
    return [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]


def is_held(pod: Json) -> bool:
    """Tell whether the pod has our gate."""
    return HOLD_GATE in gates_of(pod)


def tree_of(pod: Json) -> str | None:
    """Give the tree that the pod is marked with."""
    tree: str | None = pod["metadata"].get("labels", {}).get(TREE_LABEL)
    return tree


def by_labels(**labels: str) -> LabelSelector:
    """Select pods by equality."""
    return LabelSelector(match_labels=labels)


def by_expression(key: str, operator: LabelOperator, *values: str) -> LabelSelector:
    """Select pods by one expression."""
    requirement = LabelRequirement(key=key, operator=operator, values=values or None)
    return LabelSelector(match_expressions=(requirement,))
