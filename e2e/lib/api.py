"""The API server over one kept connection: what tests ask again and again must not cost a process each time."""

import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

Json = dict[str, Any]

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_DISCOVERY_PAUSES = (0.1, 0.3, 1, 3)
"""Seconds between looks for a kind: discovery shows it a moment after its CRD is established."""
_RETRIES = urllib3.Retry(2, backoff_factor=0.1)
"""Of what may be asked twice, when the connection fails or the API server asks for patience."""


@dataclass(frozen=True)
class Resource:
    """A kind of object, as discovery describes it."""

    prefix: str
    """`/api/v1` or `/apis/GROUP/VERSION`."""
    plural: str
    names: frozenset[str]
    """What kubectl lets a person call it: plural, singular and short names, each also with its group."""
    is_namespaced: bool

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return the path of the objects of a namespace, or of one of them."""
        within = f"namespaces/{namespace}" if self.is_namespaced else ""
        return "/".join(part for part in (self.prefix, within, self.plural, name, subresource) if part)


class Api:
    """One cluster, as one user; usable from several threads."""

    def __init__(self, kubeconfig: str, account: str = "") -> None:
        """Connect.

        Args:
            kubeconfig: Where to, and as whom.
            account: The user to be taken for instead; empty: none.
        """
        self._account = account
        settings = client.Configuration()
        config.load_kube_config(config_file=kubeconfig, client_configuration=settings)
        self._settings = settings
        self._http: urllib3.PoolManager = client.ApiClient(settings).rest_client.pool_manager
        self._resources: list[Resource] = []

    def ask(self, method: str, path: str, body: object = None, content: str = "application/json", **query: str) -> Json:
        """Ask, and return the answer.

        Raises:
            AssertionError: The API server refused, with its message, or did not answer.
        """
        headers = {"Content-Type": content, "Accept": _DISCOVERY if path in ("/api", "/apis") else "application/json"}
        given = None if body is None else json.dumps(body)
        try:
            answer = self._http.request(
                method, self._url(path, query), headers={**headers, **self._credentials()}, body=given, retries=_RETRIES
            )
        except urllib3.exceptions.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error}") from error
        found: Json = json.loads(answer.data) if answer.data[:1] == b"{" else {"message": answer.data.decode()}
        is_gone = method == "DELETE" and answer.status == HTTPStatus.NOT_FOUND  # which is what was asked for
        assert answer.status < 300 or is_gone, f"{method} {path}: {found.get('message')}"
        return found

    def patch(self, path: str, patch: object, type_: str, **query: str) -> None:
        """Patch an object; `type_` as kubectl's --type."""
        self.ask("PATCH", path, patch, _PATCHES[type_], **query)

    def apply(self, manifest: Json, namespace: str) -> None:
        """Apply a manifest, by default in that namespace."""
        group, _, _ = manifest["apiVersion"].rpartition("/")
        resource = self.resource(f"{manifest['kind']}.{group}")
        metadata = manifest["metadata"]
        path = resource.path(metadata.get("namespace", namespace), metadata["name"])
        given = {"fieldManager": "kubectl", "force": "true", "fieldValidation": "Strict"}
        self.ask("PATCH", path, manifest, "application/apply-patch+yaml", **given)

    def objects(self, path: str, labels: str = "") -> tuple[list[Json], str]:
        """Return a list's objects, and its resourceVersion."""
        found = self.ask("GET", path, **({"labelSelector": labels} if labels else {}))
        # In a list only the list itself says of what kind its objects are.
        kind = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return [{**kind, **it} for it in found["items"]], str(found["metadata"]["resourceVersion"])

    @contextmanager
    def watch(self, path: str, version: str) -> Iterator["Stream"]:
        """Watch a list from that resourceVersion on.

        Raises:
            AssertionError: The API server refused.
        """
        url = self._url(path, {"watch": "1", "resourceVersion": version})
        answer = self._http.request("GET", url, headers=self._credentials(), preload_content=False, retries=_RETRIES)
        try:
            assert answer.status < 300, f"watch {path}: {answer.data.decode()}"
            yield Stream(answer)
        finally:
            answer.close()

    def resource(self, name: str) -> Resource:
        """Find a kind by any name that kubectl takes.

        Raises:
            AssertionError: The server has none of that name.
        """
        for pause in (0, *_DISCOVERY_PAUSES, 0):
            for it in self._resources:
                if name.lower() in it.names:
                    return it
            time.sleep(pause)
            self._resources = list(self._discover())  # kinds come and go with their CRDs
        raise AssertionError(f"the server has no resource type {name!r}")

    def _discover(self) -> Iterator[Resource]:
        for root in ("/api", "/apis"):
            for group in self.ask("GET", root)["items"]:
                for version in group["versions"][:1]:
                    yield from _resources(root, group["metadata"].get("name", ""), version)

    def _url(self, path: str, query: dict[str, str]) -> str:
        return f"{self._settings.host}{path}" + (f"?{urlencode(query)}" if query else "")

    def _credentials(self) -> dict[str, str]:
        token = self._settings.get_api_key_with_prefix("authorization")
        found = {"Authorization": token, "Impersonate-User": self._account}
        return {name: value for name, value in found.items() if value}


class Stream:
    """The events of a watch, until the server or `end` ends it."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[Json]:
        """Yield events as they come."""
        rest = b""
        for part in self._answer.stream(65536):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def end(self) -> None:
        """End it, from another thread."""
        with suppress(RuntimeError, ValueError, OSError):  # it has ended already, or is about to
            self._answer.shutdown()


@functools.cache
def api(kubeconfig: str) -> Api:
    """Return the connection of a kubeconfig."""
    return Api(kubeconfig)


def _resources(root: str, group: str, version: Json) -> Iterator[Resource]:
    prefix = f"{root}/{group}/{version['version']}" if group else f"{root}/{version['version']}"
    for it in version["resources"]:
        short = {it["resource"], it.get("singularResource", ""), it["responseKind"]["kind"].lower()} - {""}
        names = short | set(it.get("shortNames", ()))
        yield Resource(
            prefix,
            it["resource"],
            frozenset(names | {f"{name}.{group}" for name in names}),
            it["scope"] == "Namespaced",
        )
