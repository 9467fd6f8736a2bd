"""What the watches have shown so far, a namespace at a time, with the indexes that make one decision cheap.

The store only remembers: it makes no call and takes no decision. What a watch missed is mended by a fresh list, with
`put_pods` and `miss_pods`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from suptree.api.child import LabelSelector
from suptree.api.reasons import TREE_LABEL
from suptree.api.spec import SupervisionTreeSpec
from suptree.api.supported import TARGETS
from suptree.cluster.jobs import Job
from suptree.cluster.labels import Pair, matches, pairs_of
from suptree.cluster.scales import Scale, ScaleRef, Trouble, missing, scale_refs
from suptree.cluster.trees import Tree
from suptree.cluster.views import Pod, Workload

Target = tuple[str, str]
"""Kind and name of a workload."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a tree claims: the targets, the scales and the selectors of its children."""

    seniority: tuple[str, str]
    """When the tree was created, and its name: the smaller is the older."""
    targets: frozenset[Target]
    selectors: tuple[LabelSelector, ...]
    scales: tuple[ScaleRef, ...]


def claim_of(tree: Tree, spec: SupervisionTreeSpec) -> Claim:
    """Return what a tree claims."""
    refs = [child.target_ref for child in spec.children if child.target_ref]
    return Claim(
        (tree.created, tree.name),
        frozenset((ref.kind, ref.name) for ref in refs if (ref.api_version, ref.kind) in TARGETS),
        tuple(child.selector for child in spec.children if child.selector),
        scale_refs(spec),
    )


@dataclass
class Namespace:
    """One namespace, as far as it is known; it is the `World` in which children are resolved."""

    pods_by_uid: dict[str, Pod] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    scales: dict[ScaleRef, Scale | Trouble] = field(default_factory=dict)
    """What was read last of the objects whose kinds are not watched."""
    _by_pair: dict[Pair, dict[str, Pod]] = field(default_factory=dict)
    _workloads: dict[Target, Workload] = field(default_factory=dict)
    _jobs: dict[str, Job] = field(default_factory=dict)
    _by_workload_uid: dict[str, Workload] = field(default_factory=dict)
    _claims: dict[str, Claim] = field(default_factory=dict)
    _ends: list[set[str]] = field(default_factory=list)

    @contextmanager
    def ends(self) -> Iterator[set[str]]:
        """Collect the UIDs of what ends meanwhile: the answer to a question that was asked before may still show it."""
        found: set[str] = set()
        self._ends.append(found)
        try:
            yield found
        finally:
            self._ends = [it for it in self._ends if it is not found]

    def _ended(self, uid: str) -> None:
        for found in self._ends:
            found.add(uid)

    # Pods.

    def put_pod(self, pod: Pod) -> bool:
        """Remember a pod; tell whether anything of interest has changed. An older view than the known one is ignored."""
        old = self.pods_by_uid.get(pod.uid)
        if old is not None and old.version > pod.version:
            return False
        self.pods_by_uid[pod.uid] = pod
        for pair in pod.labels.items():
            self._by_pair.setdefault(pair, {})[pod.uid] = pod
        if old is None:
            return True
        for pair in old.labels.items() - pod.labels.items():
            self._drop_from_pair(pair, pod.uid)
        return not _same(old, pod)

    def drop_pod(self, uid: str) -> Pod | None:
        """Forget a pod that is gone; return what was known of it."""
        self._ended(uid)
        return self._forget(uid)

    def _forget(self, uid: str) -> Pod | None:
        pod = self.pods_by_uid.pop(uid, None)
        if pod is not None:
            for pair in pod.labels.items():
                self._drop_from_pair(pair, uid)
        return pod

    def _drop_from_pair(self, pair: Pair, uid: str) -> None:
        bucket = self._by_pair.get(pair, {})
        bucket.pop(uid, None)
        if not bucket:
            self._by_pair.pop(pair, None)

    def lost(self, listed: Iterable[Pod], selector: LabelSelector, version: int) -> list[str]:
        """Return the UIDs of the pods with these labels that are known and were gone when they were listed.

        Args:
            listed: The pods that there were.
            selector: Their labels.
            version: The resource version as of which they were listed; a pod that is younger is none that was missed.
        """
        found = {pod.uid for pod in listed}
        return [pod.uid for pod in self.pods(selector) if pod.uid not in found and pod.version <= version]

    def put_pods(self, listed: Iterable[Pod]) -> bool:
        """Remember the pods of a fresh list; tell whether anything of interest has changed."""
        return sum(map(self.put_pod, listed)) > 0

    def miss_pods(self, lost: Iterable[str]) -> bool:
        """Forget pods that a fresh list has lost; tell whether there were any. They may come back: with other labels."""
        return sum(self._forget(uid) is not None for uid in lost) > 0

    def pods(self, selector: LabelSelector) -> Iterator[Pod]:
        """Return the pods with these labels."""
        pairs = pairs_of(selector)
        places = [self._by_pair.get(pair, {}) for pair in pairs] if pairs else [self.pods_by_uid]
        found = {uid: pod for place in places for uid, pod in place.items()}
        return (pod for pod in found.values() if matches(selector, pod.labels))

    def pod(self, name: str) -> Pod | None:
        """Return the pod of that name; of two, the one that is not on its way out."""
        found = [pod for pod in self.pods_by_uid.values() if pod.name == name]
        return max(found, key=lambda pod: (not pod.is_deleting, pod.created), default=None)

    def pods_of_job(self, name: str, selector: LabelSelector) -> tuple[Pod, ...]:
        """Return the pods that any Job of that name has made."""
        owner = ("Job", name)
        return tuple(it for it in self.pods(selector) if it.owner and (it.owner.kind, it.owner.name) == owner)

    def held(self, tree: str) -> list[Pod]:
        """Return the pods with the tree's mark that wait to be released."""
        marked = self._by_pair.get((TREE_LABEL, tree), {}).values()
        return [pod for pod in marked if pod.is_held]

    def knows(self, uid: str) -> bool:
        """Tell whether an object with that UID is remembered."""
        is_tree = any(tree.uid == uid for tree in self.trees.values())
        return (
            is_tree
            or uid in self.pods_by_uid
            or uid in self._by_workload_uid
            or any(job.uid == uid for job in self._jobs.values())
        )

    # Jobs.

    def put_job(self, it: Job) -> bool:
        """Remember a Job; tell whether it has changed."""
        old = self._jobs.get(it.name)
        if old is not None and old.uid == it.uid and old.version > it.version:
            return False
        self._jobs[it.name] = it
        return old is None or not _same(old, it)

    def drop_job(self, name: str, uid: str) -> None:
        """Forget a Job that is gone, unless another of the same name has taken its place."""
        self._ended(uid)
        if name in self._jobs and self._jobs[name].uid == uid:
            del self._jobs[name]

    def job(self, name: str) -> Job | None:
        """Return the Job of that name, if it exists."""
        return self._jobs.get(name)

    # Workloads.

    def put_workload(self, it: Workload) -> bool:
        """Remember a workload; tell whether it has changed."""
        old = self._workloads.get((it.kind, it.name))
        if old is not None and old.uid == it.uid and old.version > it.version:
            return False
        if old is not None:
            self._by_workload_uid.pop(old.uid, None)
        self._workloads[it.kind, it.name] = it
        self._by_workload_uid[it.uid] = it
        return old is None or not _same(old, it)

    def drop_workload(self, kind: str, name: str, uid: str) -> None:
        """Forget a workload that is gone, unless another of the same name has taken its place."""
        self._ended(uid)
        old = self._workloads.get((kind, name))
        if old is not None and old.uid == uid:
            del self._workloads[kind, name]
            self._by_workload_uid.pop(uid, None)

    def workload(self, kind: str, name: str) -> Workload | None:
        """Return the workload, if it exists."""
        return self._workloads.get((kind, name))

    def workloads(self) -> Iterable[Workload]:
        """Return all workloads."""
        return self._workloads.values()

    def scale(self, ref: ScaleRef) -> Scale | Trouble:
        """Return what was read last of an object; it counts as missing when it never was."""
        return self.scales.get(ref) or missing(ref)

    @property
    def controllers(self) -> dict[str, Workload]:
        """The workloads by UID."""
        return self._by_workload_uid

    # Trees and what they claim.

    def put_tree(self, tree: Tree) -> None:
        """Remember a tree and what it claims."""
        self.trees[tree.name] = tree
        if tree.spec is None or tree.is_deleting:
            self._claims.pop(tree.name, None)
        else:
            self._claims[tree.name] = claim_of(tree, tree.spec)

    def drop_tree(self, name: str) -> None:
        """Forget a tree that is gone, and what it claimed."""
        self.trees.pop(name, None)
        self._claims.pop(name, None)

    def trees_by_name(self) -> dict[str, Tree]:
        """Return all trees."""
        return self.trees

    def older_claim(self, tree: str, pods: Iterable[Pod], target: Target | None = None) -> str:
        """Return the name of an older tree that claims one of the pods, or that target; empty if none does."""
        mine = self._claims.get(tree)
        older = sorted(
            (it.seniority, name, it)
            for name, it in self._claims.items()
            if name != tree and mine is not None and it.seniority < mine.seniority
        )
        if not older:
            return ""
        targets = {found for pod in pods for found in self._targets_of(pod)} | ({target} if target else set())
        for _, name, it in older:
            selectors = (*it.selectors, *self._selectors_of(it.scales))
            if targets & it.targets or any(matches(sel, pod.labels) for sel in selectors for pod in pods):
                return name
        return ""

    def _selectors_of(self, refs: Iterable[ScaleRef]) -> Iterator[LabelSelector]:
        return (found.selector for ref in refs if isinstance(found := self.scales.get(ref), Scale))

    def _targets_of(self, pod: Pod) -> list[Target]:
        if pod.owner is None:
            return [("Pod", pod.name)]
        found = [(pod.owner.kind, pod.owner.name)]
        owner = self._by_workload_uid.get(pod.owner.uid)
        if owner is not None and owner.owner is not None:
            found.append((owner.owner.kind, owner.owner.name))
        return found


def _same(old: Pod | Workload | Job, new: Pod | Workload | Job) -> bool:
    """Compare two views, leaving out the resource version."""
    return all(getattr(old, name) == getattr(new, name) for name in old.__slots__ if name != "version")


class Store:
    """All namespaces."""

    def __init__(self) -> None:
        self.namespaces: dict[str, Namespace] = {}

    def namespace(self, name: str) -> Namespace:
        """Return the namespace; one that was never heard of is empty."""
        return self.namespaces.setdefault(name, Namespace())
