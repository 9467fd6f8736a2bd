"""kopf's handlers: an index a kind, so that nothing is done before everything was listed, and an event handler a kind.

They are coroutines that do not call anybody: kopf would run plain functions in threads, beside the loops. What a burst of
calls shows of itself waits until the burst is out.
kopf calls no event handler before all indexes are filled. The indexing functions fill the store; kopf's own indexes stay
empty. There are no handlers of changes: they would put finalizers and annotations on objects that are not ours.

kopf looks whether an event concerns a handler only after that same moment, so the filter is where it is noticed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from suptree.api.tree import GROUP, PLURAL, VERSION
from suptree.app.hub import Hub

WORKLOADS = {
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "replicasets": "ReplicaSet",
}


def register(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    """Register all handlers."""
    _register_pods(registry, hub)
    _register_trees(registry, hub)
    for plural, kind in WORKLOADS.items():
        _register_workload(registry, hub, plural, kind)


def _is_gone(hub: Hub) -> Callable[..., bool]:
    def is_gone(event: Mapping[str, Any], **_: object) -> bool:
        hub.all_is_listed()
        return bool(event["type"] == "DELETED")

    return is_gone


def _register_pods(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    @kopf.index("v1", "pods", registry=registry)
    async def store_pod(body: kopf.Body, **_: object) -> None:
        await hub.calls.calm()
        hub.store_pod(body)

    @kopf.on.event("v1", "pods", registry=registry, when=_is_gone(hub))
    async def drop_pod(body: kopf.Body, **_: object) -> None:
        hub.drop_pod(body)


def _register_trees(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    @kopf.index(GROUP, VERSION, PLURAL, registry=registry)
    async def store_tree(body: kopf.Body, **_: object) -> None:
        hub.store_tree(body)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def tree_event(type: str, body: kopf.Body, namespace: str | None, name: str, **_: object) -> None:  # noqa: A002 - kopf's name
        hub.all_is_listed()
        if type == "DELETED":
            hub.drop_tree(body)
        else:
            hub.run_tree(namespace or "", name)


def _register_workload(registry: kopf.OperatorRegistry, hub: Hub, plural: str, kind: str) -> None:
    @kopf.index("apps", "v1", plural, registry=registry, id=f"store_{plural}")
    async def store_workload(body: kopf.Body, **_: object) -> None:
        hub.store_workload(kind, body)

    @kopf.on.event("apps", "v1", plural, registry=registry, id=f"drop_{plural}", when=_is_gone(hub))
    async def drop_workload(body: kopf.Body, **_: object) -> None:
        hub.drop_workload(kind, body)
