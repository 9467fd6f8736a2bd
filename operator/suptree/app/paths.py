"""What a request to the API server is about, from its path: the words of Kubernetes' own metrics and rules."""

from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class About:
    """What a request does."""

    verb: str
    """get, list, watch, create, update, patch or delete."""
    resource: str
    """Plural, with the subresource: `pods`, `supervisiontrees/status`."""
    namespace: str
    """Empty: all namespaces, or none."""


def about(method: str, path: str, query: Mapping[str, str]) -> About:
    """Read a request's path.

    Args:
        method: HTTP's.
        path: Such as `/apis/apps/v1/namespaces/shop/deployments/web/scale`.
        query: Its parameters.
    """
    parts = path.strip("/").split("/")
    parts = parts[3:] if parts[0] == "apis" else parts[2:]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces":  # noqa: PLR2004 - 'namespaces/shop' is about the namespace itself
        namespace, parts = parts[1], parts[2:]
    name, sub = (parts[1] if len(parts) > 1 else ""), "/".join(parts[2:])
    if method == "GET":
        verb = "watch" if query.get("watch") == "true" else "get" if name else "list"
    else:
        verb = _VERBS.get(method, method.lower())
    return About(verb, "/".join(filter(None, [parts[0] if parts else "discovery", sub])), namespace)
