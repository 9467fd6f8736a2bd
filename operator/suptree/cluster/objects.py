"""The API calls about Jobs and bare Pods, and about the ControllerRevisions that keep their manifests."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from suptree.api.reasons import TREE_LABEL
from suptree.cluster.client import CONFLICT, NOT_FOUND, Api, ApiError
from suptree.cluster.manifest import CHILD_LABEL
from suptree.cluster.situation import Remove

_RESOURCES = {"Job": ("apis/batch/v1", "jobs"), "Pod": ("api/v1", "pods")}


class ObjectApi(Api):
    """The calls that Suptree makes, those with which it creates objects included."""

    async def get_object(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Read a Job or Pod; None if there is none."""
        return await self._find(f"{_objects_path(kind, namespace)}/{quote(name)}")

    async def create_object(self, namespace: str, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create a Job or Pod; None if one of that name is there already."""
        try:
            return await self._ask("POST", _objects_path(manifest["kind"], namespace), manifest)
        except ApiError as error:
            if error.status == CONFLICT:
                return None
            raise

    async def delete_object(self, namespace: str, it: Remove) -> None:
        """Delete that object and no other of its name. The garbage collector deletes the pods of a Job."""
        body: dict[str, Any] = {"preconditions": {"uid": it.uid}}
        if it.target.kind == "Job":
            body["propagationPolicy"] = "Background"
        elif it.grace_seconds is not None:
            body["gracePeriodSeconds"] = max(1, it.grace_seconds)
        try:
            await self._call("DELETE", f"{_objects_path(it.target.kind, namespace)}/{quote(it.target.name)}", body)
        except ApiError as error:
            # Gone, or another of the same name: either way the one that was meant is no more.
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise

    async def list_revisions(self, namespace: str, tree: str, child: str) -> list[dict[str, Any]]:
        """List the ControllerRevisions that keep the manifests of a child."""
        query = urlencode({"labelSelector": f"{TREE_LABEL}={tree},{CHILD_LABEL}={child}"})
        found = await self._ask("GET", f"{_revisions_path(namespace)}?{query}")
        items: list[dict[str, Any]] = found.get("items") or []
        return items

    async def create_revision(self, namespace: str, revision: Mapping[str, Any]) -> None:
        """Keep a manifest; it is kept already when there is a revision of that name."""
        try:
            await self._call("POST", _revisions_path(namespace), revision)
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    async def delete_revision(self, namespace: str, name: str) -> None:
        """Forget a manifest."""
        await self._if_there("DELETE", f"{_revisions_path(namespace)}/{name}")


def _objects_path(kind: str, namespace: str) -> str:
    version, plural = _RESOURCES[kind]
    return f"/{version}/namespaces/{quote(namespace)}/{plural}"


def _revisions_path(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{quote(namespace)}/controllerrevisions"
