"""kopf's handlers: one event handler a kind, which feeds the store.

They are coroutines that do not call anybody: kopf would run plain functions in threads, beside the loops. What a burst of
calls shows of itself waits until the burst is out. There are no indexes (see `listing`), and no handlers of changes: they
would put finalizers and annotations on objects that are not ours.
"""

import kopf

from suptree.api.tree import GROUP, PLURAL, VERSION
from suptree.app.hub import Hub
from suptree.app.listing import WORKLOADS

DELETED = "DELETED"
WATCHED = ("pods", PLURAL, *WORKLOADS)
"""All that is listed and watched."""


def register(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    """Register all handlers."""
    _register_pods(registry, hub)
    _register_trees(registry, hub)
    for plural, kind in WORKLOADS.items():
        _register_workload(registry, hub, plural, kind)
    if hub.recreates:
        _register_jobs(registry, hub)


def _register_pods(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    @kopf.on.event("v1", "pods", registry=registry)
    async def pod_event(type: str, body: kopf.Body, **_: object) -> None:  # noqa: A002 - kopf's name
        if type == DELETED:
            hub.drop_pod(body)
        else:
            await hub.calls.calm()
            hub.store_pod(body)


def _register_trees(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def tree_event(type: str, body: kopf.Body, namespace: str | None, name: str, **_: object) -> None:  # noqa: A002 - kopf's name
        if type == DELETED:
            hub.drop_tree(body)
        else:
            hub.store_tree(body)
            hub.run_tree(namespace or "", name)


def _register_workload(registry: kopf.OperatorRegistry, hub: Hub, plural: str, kind: str) -> None:
    @kopf.on.event("apps", "v1", plural, registry=registry, id=f"event_{plural}")
    async def workload_event(type: str, body: kopf.Body, **_: object) -> None:  # noqa: A002 - kopf's name
        if type == DELETED:
            hub.drop_workload(kind, body)
        else:
            hub.store_workload(kind, body)


def _register_jobs(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_event(type: str, body: kopf.Body, **_: object) -> None:  # noqa: A002 - kopf's name
        if type == DELETED:
            hub.drop_job(body)
        else:
            hub.store_job(body)
