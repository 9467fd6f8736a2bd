"""The API calls: few, each with its precondition, each safe to repeat.

They go through the official client's connection layer (authentication, TLS, proxies), not through its typed models: one
restart is hundreds of calls, and nothing in their answers is looked at.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import ClientError, TraceConfig
from kubernetes.aio.client import ApiClient, Configuration

from suptree.api.child import LabelSelector
from suptree.api.reasons import HOLD_GATE, RESET_ANNOTATION, TREE_LABEL
from suptree.api.tree import API_VERSION, GROUP, KIND, PLURAL, VERSION
from suptree.cluster.labels import INDEX_LABEL, INDEX_NAME
from suptree.cluster.scales import ScaleRef
from suptree.cluster.situation import Delete, Notice, Release
from suptree.cluster.trees import Tree
from suptree.cluster.views import OPERATION_LABEL

FIELD_MANAGER = "suptree"
POLICY_NAME = "suptree-hold"
_TIMEOUT_SECONDS = 10
_CONNECTIONS = 64

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""What is answered to a delete or a patch of a pod is not looked at: let it be short."""
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

PAGE = 250
"""Objects in one page of a list."""

FORBIDDEN, NOT_FOUND, CONFLICT, INVALID = 403, 404, 409, 422


class ApiError(Exception):
    """The API server said no, or nothing. It is never a failure of a child."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status = status
        """HTTP status; 0 when there was no answer."""


class Api:
    """The calls that Suptree makes."""

    def __init__(self, configuration: Configuration, user_agent: str, traces: Sequence[TraceConfig] = ()) -> None:
        """Prepare to call.

        Args:
            configuration: How to reach the API server.
            user_agent: How to be called in its audit log.
            traces: Who is told of each request.
        """
        configuration.connection_pool_maxsize = _CONNECTIONS
        # Otherwise aiohttp looks for a .netrc, in a thread, at every request.
        configuration.client_session_kwargs = {"trust_env": False, "trace_configs": list(traces)}
        self._client = ApiClient(configuration)
        self._client.user_agent = user_agent

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> bytes:
        headers = {"Content-Type": content_type, "Accept": accept}
        request = await self._client.param_serialize(method, path, header_params=headers, auth_settings=["BearerToken"])
        method, url, headers, _, _ = request
        try:
            answer = await self._client.call_api(method, url, headers, body, _request_timeout=_TIMEOUT_SECONDS)
            data: bytes = await answer.read()
        except (ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"{method} {path}: {type(error).__name__} {error}") from error
        if answer.status >= 400:  # noqa: PLR2004 - HTTP's own line between answers and refusals
            raise ApiError(answer.status, f"{method} {path}: {_parse(data).get('message') or answer.reason}")
        return data

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = JSON
    ) -> dict[str, Any]:
        return _parse(await self._call(method, path, body, content_type))

    async def _find(self, path: str) -> dict[str, Any] | None:
        """Read an object; None if it is not there."""
        try:
            return await self._ask("GET", path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def _if_there(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bool:
        """Make a call about an object; tell whether it was there."""
        try:
            await self._call(method, path, body)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return True

    async def _pages(self, path: str, query: Mapping[str, str], accept: str = JSON) -> AsyncIterator[dict[str, Any]]:
        """List objects page by page; the query's `limit` is the size of a page."""
        page = dict(query)
        while True:
            answer = _parse(await self._call("GET", f"{path}?{urlencode(page)}", accept=accept))
            for item in answer.get("items") or []:
                yield item
            token = (answer.get("metadata") or {}).get("continue")
            if not token:
                return
            page["continue"] = token

    # Trees.

    async def get_tree(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a tree."""
        return await self._ask("GET", _tree_path(namespace, name))

    async def is_tree_there(self, namespace: str, name: str) -> bool:
        """Tell whether a tree exists."""
        return await self._if_there("GET", _tree_path(namespace, name))

    async def list_trees(self, namespace: str) -> list[dict[str, Any]]:
        """List the trees of a namespace."""
        items: list[dict[str, Any]] = (await self._ask("GET", _tree_path(namespace))).get("items") or []
        return items

    async def annotate_reset(self, namespace: str, name: str, value: str) -> None:
        """Ask for a reset of a tree, as a person does with `kubectl annotate`."""
        body = {"metadata": {"annotations": {RESET_ANNOTATION: value}}}
        await self._call("PATCH", _tree_path(namespace, name), body, MERGE)

    async def put_status(self, tree: Tree, status: Mapping[str, Any]) -> dict[str, Any]:
        """Write a tree's status if nobody has written the tree since it was read.

        Raises:
            ApiError: With status 409 when somebody has; the decision is then void.
        """
        meta = {"name": tree.name, "namespace": tree.namespace, "uid": tree.uid, "resourceVersion": tree.version}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "status": status}
        return await self._ask("PUT", f"{_tree_path(tree.namespace, tree.name)}/status", body)

    # Pods.

    async def delete_pod(self, it: Delete) -> bool:
        """Delete that pod and no other of its name; tell whether it was still there."""
        body: dict[str, Any] = {"preconditions": {"uid": it.pod.uid}}
        if it.grace_seconds is not None:
            # Grace 0 would be a force delete, which does not wait for the kubelet to have stopped the containers.
            body["gracePeriodSeconds"] = max(1, it.grace_seconds)
        return await self._on_pod("DELETE", it.pod.namespace, it.pod.name, body, JSON)

    async def release_pod(self, it: Release, tree: str) -> bool:
        """Lift our gate and stamp the pod, in one patch; tell whether it was still there."""
        labels = {} if it.operation is None else {TREE_LABEL: tree, OPERATION_LABEL: str(it.operation)}
        body = {
            "metadata": {"uid": it.pod.uid, "labels": labels},
            "spec": {"schedulingGates": [{"$patch": "delete", "name": HOLD_GATE}]},
        }
        return await self._on_pod("PATCH", it.pod.namespace, it.pod.name, body, STRATEGIC)

    async def _on_pod(self, method: str, namespace: str, name: str, body: Mapping[str, Any], content_type: str) -> bool:
        try:
            await self._call(method, f"{_pods_path(namespace)}/{name}", body, content_type, METADATA_ONLY)
        except ApiError as error:
            # Gone, or another pod of the same name: either way the one that was meant is no more.
            # A patch names the UID, and would change that of the other one: invalid, as it is immutable.
            if error.status in {NOT_FOUND, CONFLICT} or (error.status == INVALID and "metadata.uid" in str(error)):
                return False
            raise
        return True

    async def list_pods(self, namespace: str, selector: LabelSelector) -> tuple[list[dict[str, Any]], int]:
        """List the pods with these labels, as they are now; and say as of which resource version."""
        query = urlencode({"labelSelector": selector_text(selector)})
        answer = await self._ask("GET", f"{_pods_path(namespace)}?{query}")
        return answer.get("items") or [], int((answer.get("metadata") or {}).get("resourceVersion") or 0)

    # Everything that is watched, in pages: a cluster has many pods, and most of them are nobody's children.

    async def list_uids(self, resource: str, namespace: str) -> list[tuple[str, str]]:
        """List what there is of one resource: namespace and UID of each object.

        Args:
            resource: The path of its group, a space, its plural: "apis/apps/v1 deployments".
            namespace: Empty: the whole cluster.
        """
        group, plural = resource.split()
        path = f"/{group}/namespaces/{quote(namespace)}/{plural}" if namespace else f"/{group}/{plural}"
        items = self._pages(path, {"limit": str(PAGE)}, METADATA_LIST)
        return [(it["metadata"].get("namespace", ""), it["metadata"]["uid"]) async for it in items]

    # Workloads, events, the index, the policy.

    async def get_workload(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Read a workload; None if it is gone."""
        return await self._find(f"/apis/apps/v1/namespaces/{namespace}/{kind.lower()}s/{name}")

    async def is_namespace_going(self, namespace: str) -> bool:
        """Tell whether a namespace is being deleted, or is gone; False when that may not be read."""
        try:
            found = await self._ask("GET", f"/api/v1/namespaces/{quote(namespace)}")
        except ApiError as error:
            if error.status == FORBIDDEN:
                return False
            if error.status != NOT_FOUND:
                raise
            return True
        return bool(found["metadata"].get("deletionTimestamp"))

    async def discover(self, api_version: str) -> dict[str, Any] | None:
        """List the kinds of an API version (an APIResourceList); None if the API server does not know it."""
        return await self._find(_version_path(api_version))

    async def get_scale(self, ref: ScaleRef, namespace: str, plural: str) -> dict[str, Any]:
        """Read the scale of an object."""
        path = f"{_version_path(ref.api_version)}/namespaces/{quote(namespace)}/{plural}/{quote(ref.name)}/scale"
        return await self._ask("GET", path)

    async def send_event(self, tree: Tree, notice: Notice, time: str) -> None:
        """Create an Event under a name of its own, so that the same thing is told once."""
        about: dict[str, Any] = {"apiVersion": API_VERSION, "kind": KIND, "name": tree.name, "uid": tree.uid}
        if notice.pod is not None:
            about = {"apiVersion": "v1", "kind": "Pod", "name": notice.pod.name, "uid": notice.pod.uid}
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{tree.name}.{tree.uid[:8]}.{notice.key}", "namespace": tree.namespace},
            "eventTime": time,
            "type": notice.type,
            "reason": notice.reason,
            "action": notice.reason,
            "note": notice.message[:1024],
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": FIELD_MANAGER,
            "regarding": {**about, "namespace": tree.namespace},
        }
        try:
            await self._call("POST", f"/apis/events.k8s.io/v1/namespaces/{tree.namespace}/events", body)
        except ApiError as error:
            # It was told already; or the namespace is gone, and whoever could have read it.
            if error.status not in {CONFLICT, NOT_FOUND}:
                raise

    async def apply_index(self, namespace: str, data: Mapping[str, str]) -> str:
        """Write the index of a namespace, whole; return when it last changed, by the API server's clock."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": INDEX_NAME,
                "labels": {"app.kubernetes.io/managed-by": "suptree", INDEX_LABEL: "true"},
            },
            "data": dict(data),
        }
        path = f"/api/v1/namespaces/{namespace}/configmaps/{INDEX_NAME}?fieldManager={FIELD_MANAGER}&force=true"
        return changed_at(_parse(await self._call("PATCH", path, body, APPLY, METADATA_ONLY)))

    async def delete_index(self, namespace: str) -> None:
        """Remove the index of a namespace that has no trees any more."""
        await self._if_there("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/{INDEX_NAME}")

    # The Lease by which one of several operators is the one that acts.

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Read a Lease; None if there is none."""
        return await self._find(f"{_leases_path(namespace)}/{name}")

    async def put_lease(
        self, namespace: str, name: str, spec: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Write a Lease if nobody has written it since it was read.

        Args:
            namespace: Where it is.
            name: Its name.
            spec: What to write.
            before: The whole Lease as it was read; None: there was none.

        Raises:
            ApiError: With status 409 when somebody has, and 404 when it is gone.
        """
        body: dict[str, Any] = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": dict(spec)}
        if before is None:
            return await self._ask("POST", _leases_path(namespace), {**body, "metadata": {"name": name}})
        return await self._ask("PUT", f"{_leases_path(namespace)}/{name}", {**body, "metadata": before["metadata"]})

    async def policy_changed_at(self) -> str | None:
        """Return when the admission policy that holds pods, or its binding, last changed; None when one is not there."""
        times = []
        for plural in ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"):
            found = await self._find(f"/apis/admissionregistration.k8s.io/v1/{plural}/{POLICY_NAME}")
            if found is None:
                return None
            times.append(changed_at(found))
        return max(times)


def changed_at(raw: Mapping[str, Any]) -> str:
    """Return when an object was last changed by anybody, by the API server's clock."""
    meta = raw.get("metadata") or {}
    times = [meta.get("creationTimestamp"), *(it.get("time") for it in meta.get("managedFields") or ())]
    return max((time for time in times if time), default="")


def selector_text(selector: LabelSelector) -> str:
    """Write a selector as a query parameter."""
    parts = [f"{key}={value}" for key, value in (selector.match_labels or {}).items()]
    for it in selector.match_expressions or ():
        values = ",".join(it.values or ())
        parts.append(
            {
                "In": f"{it.key} in ({values})",
                "NotIn": f"{it.key} notin ({values})",
                "Exists": it.key,
                "DoesNotExist": f"!{it.key}",
            }[it.operator]
        )
    return ",".join(parts)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data) if data else {}
    except ValueError:
        parsed = {"message": data[:200].decode(errors="replace")}
    return parsed if isinstance(parsed, dict) else {}


def _tree_path(namespace: str, name: str = "") -> str:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{quote(namespace)}/{PLURAL}"
    return f"{path}/{quote(name)}" if name else path


def _version_path(api_version: str) -> str:
    return f"/{'apis' if '/' in api_version else 'api'}/{quote(api_version)}"


def _leases_path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace)}/leases"


def _pods_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace)}/pods"
