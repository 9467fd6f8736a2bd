"""The manifest of a Job or bare Pod, as somebody once applied it: the object without what the API server added to it.

Only what would be refused, or would be wrong, in a new object is taken off. Defaults stay: the server would set the same
ones again. So the cleaned manifest of the new object is the cleaned manifest of the old one.
"""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from hashlib import blake2b
from typing import Any

from suptree.api.reasons import HOLD_GATE, TREE_LABEL
from suptree.api.tree import GROUP
from suptree.cluster.views import OPERATION_LABEL, Raw

Manifest = dict[str, Any]

JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
_OF_ONE_JOB = frozenset({JOB_NAME_LABEL, "job-name", "batch.kubernetes.io/controller-uid", "controller-uid"})
"""Labels by which the API server ties pods to one Job."""
_OF_ONE_NODE = frozenset({"topology.kubernetes.io/zone", "topology.kubernetes.io/region"})
"""Labels that a pod gets from its node."""
_SERVERS = [
    "uid",
    "resourceVersion",
    "generation",
    "generateName",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "namespace",
]
_FINALIZERS = frozenset({"foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking"})
_RUNTIME_ANNOTATIONS = (
    f"{GROUP}/",
    "batch.kubernetes.io/",
    "cni.projectcalico.org/",
    "k8s.ovn.org/",
    "k8s.v1.cni.cncf.io/network-status",
)
"""Prefixes of annotations that say how one object fares, and are written again for the next."""
_TOKEN_VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}")
_COMPUTED = ("priority", "preemptionPolicy", "ephemeralContainers")
"""Fields of a pod that admission computes anew, or that no new pod may have."""


def clean(raw: Raw) -> Manifest:
    """Return the manifest from which the same object can be created again.

    Args:
        raw: A Job or a Pod, as the API server gives it.
    """
    kind = raw["kind"]
    spec = deepcopy(dict(raw["spec"]))
    if kind == "Job":
        _clean_job(spec)
    else:
        _clean_pod(spec, raw["metadata"].get("managedFields") or ())
    meta = _clean_metadata(raw["metadata"], _OF_ONE_JOB if kind == "Job" else _OF_ONE_NODE)
    return {"apiVersion": raw["apiVersion"], "kind": kind, "metadata": meta, "spec": spec}


def _clean_metadata(raw: Raw, generated: frozenset[str]) -> Manifest:
    meta = deepcopy({key: value for key, value in raw.items() if key not in _SERVERS})
    labels = {
        key: value
        for key, value in (meta.pop("labels", None) or {}).items()
        if key not in generated and not key.startswith(f"{GROUP}/")
    }
    annotations = {
        key: value
        for key, value in (meta.pop("annotations", None) or {}).items()
        if not key.startswith(_RUNTIME_ANNOTATIONS)
    }
    finalizers = [it for it in meta.pop("finalizers", None) or () if it not in _FINALIZERS]
    more = {"labels": labels, "annotations": annotations, "finalizers": finalizers}
    return meta | {key: value for key, value in more.items() if value}


def pod_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that a bare Pod has from its manifest."""
    return {key: it for key, it in labels.items() if key not in _OF_ONE_NODE and not key.startswith(f"{GROUP}/")}


def _clean_job(spec: Manifest) -> None:
    meta = spec["template"].get("metadata") or {}
    meta.pop("creationTimestamp", None)
    if not spec.get("manualSelector"):
        spec.pop("selector", None)
        meta["labels"] = {key: it for key, it in (meta.get("labels") or {}).items() if key not in _OF_ONE_JOB}
        if not meta["labels"]:
            del meta["labels"]
    spec["template"]["metadata"] = meta
    if not meta:
        del spec["template"]["metadata"]


def _clean_pod(spec: Manifest, managers: Any) -> None:  # noqa: ANN401 - as the API server gives it
    for name in _COMPUTED:
        spec.pop(name, None)
    if not _chose_node(managers):
        spec.pop("nodeName", None)
    gates = [it for it in spec.pop("schedulingGates", None) or () if it["name"] != HOLD_GATE]
    volumes = [it for it in spec.pop("volumes", None) or () if not _TOKEN_VOLUME.fullmatch(it["name"])]
    spec |= {key: value for key, value in (("schedulingGates", gates), ("volumes", volumes)) if value}
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        mounts = [it for it in container.pop("volumeMounts", None) or () if not _TOKEN_VOLUME.fullmatch(it["name"])]
        if mounts:
            container["volumeMounts"] = mounts


def _chose_node(managers: Any) -> bool:  # noqa: ANN401 - as the API server gives it
    """Tell whether somebody set spec.nodeName: the scheduler binds, and binding leaves no trace among the managers."""
    return any("f:nodeName" in ((it.get("fieldsV1") or {}).get("f:spec") or {}) for it in managers)


def stamped(manifest: Raw, tree: str, operation: int) -> Manifest:
    """Return the object to create: the manifest with the marks of the tree and of the operation that starts it."""
    marks = {TREE_LABEL: tree, OPERATION_LABEL: str(operation)}
    meta = manifest["metadata"]
    return {**manifest, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), **marks}}}


# ControllerRevisions, in which manifests are kept.

CHILD_LABEL = f"{GROUP}/child"
KEPT_REVISIONS = 3
"""How many manifests of one child are kept: the newest is the one that is used, the others are for a person to look at."""
_LONGEST_PREFIX = 230


def revision_name(tree: str, uid: str, child: str, manifest: Raw) -> str:
    """Return the name under which a tree keeps a manifest: the same manifest is kept once."""
    text = uid + json.dumps(manifest, sort_keys=True)
    return f"{tree}-{child}"[:_LONGEST_PREFIX] + f"-{blake2b(text.encode(), digest_size=5).hexdigest()}"


def revision(tree: str, uid: str, child: str, manifest: Raw, number: int) -> Manifest:
    """Return the ControllerRevision that keeps a manifest; it goes with the tree that owns it.

    Args:
        tree: Name of the tree.
        uid: Its UID.
        child: Name of the child.
        manifest: What is kept.
        number: Its place among the child's manifests; the highest is the one that is used.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": revision_name(tree, uid, child, manifest),
            "labels": {TREE_LABEL: tree, CHILD_LABEL: child, "app.kubernetes.io/managed-by": "suptree"},
            "ownerReferences": [
                {
                    "apiVersion": f"{GROUP}/v1alpha1",
                    "kind": "SupervisionTree",
                    "name": tree,
                    "uid": uid,
                    "controller": True,
                }
            ],
        },
        # Wrapped, so that nobody takes the data for an object.
        "data": {"manifest": dict(manifest)},
        "revision": number,
    }


def by_age(found: list[Manifest], uid: str) -> list[Manifest]:
    """Return the revisions that belong to the tree of that UID, the newest first."""
    mine = [it for it in found if any(ref.get("uid") == uid for ref in it["metadata"].get("ownerReferences") or ())]
    return sorted(mine, key=lambda it: int(it["revision"]), reverse=True)


def kept(revision_: Mapping[str, Any], kind: str, name: str) -> Manifest | None:
    """Return the manifest that a revision keeps; None when it is not one of that object."""
    manifest = (revision_.get("data") or {}).get("manifest") or {}
    is_it = (manifest.get("kind"), (manifest.get("metadata") or {}).get("name")) == (kind, name)
    return dict(manifest) if is_it else None
