"""What the operator is allowed to do, by its roles, and what it has done, by the API server's audit log."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from e2e.lib import audit
from e2e.lib.kube import Kube
from tests import yamls

Json = dict[str, Any]
_CREATED, _FORBIDDEN = 201, 403


class Right(NamedTuple):
    """A verb on a resource, such as `patch pods` or `update supervisiontrees.suptree.dev/status`."""

    verb: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def _name(group: str, resource: str) -> str:
    resource, _, sub = resource.partition("/")
    return f"{resource}.{group}".rstrip(".") + (f"/{sub}" if sub else "")


def of_rules(rules: Iterable[Json]) -> set[Right]:
    """Return the rights that rules of a role give."""
    return {
        Right(verb, _name(group, resource))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(kube: Kube, account: str) -> set[Right]:
    """Return what the roles give that are bound to a service account of the namespace, in the whole cluster."""
    found: set[Right] = set()
    for kind in ("clusterrolebindings", "rolebindings"):
        for binding in json.loads(kube.run("get", kind, "-A", "-o", "json").stdout)["items"]:
            subjects = {(it["kind"], it.get("namespace"), it["name"]) for it in binding.get("subjects", ())}
            if ("ServiceAccount", kube.namespace, account) in subjects:
                role = binding["roleRef"]
                here = kube.within(binding["metadata"].get("namespace", kube.namespace))
                found |= of_rules(here.get(role["kind"], role["name"])["rules"])
    return found


def documented(page: Path, heading: str = "## Rights") -> set[Right]:
    """Return the rights that a page lists in the first table below a heading, verbs and resources as code."""
    section = page.read_text().split(f"\n{heading}\n")[1].split("\n| --- | --- | --- |\n")[1].split("\n\n")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    words = re.compile(r"`([^`]+)`").findall
    return {
        Right(verb, resource) for verbs, resources in rows for verb in words(verbs) for resource in words(resources)
    }


def of_helm(manifests: str) -> set[Right]:
    """Return the rights that the roles among rendered manifests give."""
    roles = [it for it in yamls.load_all(manifests) if it and it["kind"] in {"Role", "ClusterRole"}]
    return of_rules(rule for role in roles for rule in role["rules"])


def requests(audit_log: Path, user: str) -> Iterator[Json]:
    """Walk what a user has asked the API server for, each request once."""
    seen: set[str] = set()
    for entry in audit.entries(audit_log, user):
        if entry["user"]["username"] == user and entry["auditID"] not in seen and "objectRef" in entry:
            seen.add(entry["auditID"])
            yield entry


def used(entries: Iterable[Json]) -> set[Right]:
    """Return the rights that these requests needed."""
    found: set[Right] = set()
    for entry in entries:
        about = entry["objectRef"]
        sub = f"/{about['subresource']}" if "subresource" in about else ""
        resource = _name(about.get("apiGroup", ""), about["resource"] + sub)
        found.add(Right(entry["verb"], resource))
        if entry["verb"] == "patch" and entry["responseStatus"]["code"] == _CREATED:
            found.add(Right("create", resource))  # an apply of what was not there; the API server checks both
    return found


def refused(entries: Iterable[Json]) -> set[Right]:
    """Return the rights that were missing."""
    return used(it for it in entries if it["responseStatus"]["code"] == _FORBIDDEN)


def within(entries: Iterable[Json], namespace: str) -> list[Json]:
    """Keep the requests about a namespace: elsewhere other tests clean up."""
    return [it for it in entries if it["objectRef"].get("namespace") == namespace]
