"""Whether everything was listed whole: before that nothing is touched (design section 5.5).

kopf has indexes for that. But while they fill, it wakes the worker of every object for every other object that is indexed:
with 5,000 pods in the cluster it took minutes until the first decision (docs/cases.md, C70). So its watches feed the store
as they come, and the store is held against lists of our own, in pages and of metadata alone.
"""

import asyncio
import logging
from collections.abc import Sequence

from suptree.api.tree import GROUP, PLURAL, VERSION
from suptree.app.calls import pause
from suptree.cluster.client import Api, ApiError
from suptree.cluster.store import Store

logger = logging.getLogger(__name__)

WORKLOADS = {
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "replicasets": "ReplicaSet",
}
"""Plural and kind of the workloads in apps/v1."""

RESOURCES = ("api/v1 pods", f"apis/{GROUP}/{VERSION} {PLURAL}", *(f"apis/apps/v1 {plural}" for plural in WORKLOADS))
"""Whatever is watched: the path of its group, and its plural."""

_LOOK_AGAIN_SECONDS = 0.1


JOBS = "apis/batch/v1 jobs"
"""Watched only when Jobs may be created."""


async def wait_until_listed(api: Api, store: Store, namespaces: Sequence[str], more: Sequence[str] = ()) -> None:
    """Wait until the store knows every object of every kind that is watched.

    Args:
        api: The calls.
        store: What the watches have shown.
        namespaces: Those that are watched; none: all.
        more: Further resources that are watched.
    """
    for resource in (*RESOURCES, *more):
        for namespace in namespaces or [""]:
            await _wait_for(api, store, resource, namespace)


async def _wait_for(api: Api, store: Store, resource: str, namespace: str) -> None:
    failures = 0
    while True:
        try:
            # Listed again each time: what is gone by now need not be known.
            listed = await api.list_uids(resource, namespace)
        except ApiError as error:
            logger.warning("not everything is listed yet, listed again in %.1f s: %s", pause(failures), error)
            await asyncio.sleep(pause(failures))
            failures += 1
            continue
        if all(store.namespace(where).knows(uid) for where, uid in listed):
            return
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
