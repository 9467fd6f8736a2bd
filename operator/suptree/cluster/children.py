"""Which pods a child is, and what it is doing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from suptree.api.child import Child, LabelSelector, TargetRef
from suptree.api.outcomes import State
from suptree.api.reasons import Reason
from suptree.api.status import SupervisionTreeStatus
from suptree.api.supported import RECREATED, TARGETS
from suptree.api.tree import KIND
from suptree.cluster.bare import Bare, BareKind, Objects, find, remembering
from suptree.cluster.family import TreeView, tree_view, trouble
from suptree.cluster.labels import matches, selector_of
from suptree.cluster.memory import Replaced, Seen, decode, decode_replaced
from suptree.cluster.scales import Scale, ScaleRef, Trouble
from suptree.cluster.trees import Tree
from suptree.cluster.views import Pod, Workload


class World(Objects, Protocol):
    """What is known of one namespace."""

    def workload(self, kind: str, name: str) -> Workload | None:
        """Return the workload, if it exists."""

    def workloads(self) -> Iterable[Workload]:
        """Return all workloads."""

    def scale(self, ref: ScaleRef) -> Scale | Trouble:
        """Return the scale of an object whose kind is not watched, or why there is none."""

    def pods(self, selector: LabelSelector) -> Iterable[Pod]:
        """Return the pods with these labels."""

    def held(self, tree: str) -> Iterable[Pod]:
        """Return the pods with the tree's mark that wait to be released."""

    def trees_by_name(self) -> Mapping[str, Tree]:
        """Return all trees."""

    def older_claim(self, tree: str, pods: Iterable[Pod], target: tuple[str, str] | None = None) -> str:
        """Return the name of an older tree that claims one of the pods, or that target; empty if none does."""


@dataclass(frozen=True, slots=True)
class ChildView:
    """One child as it is."""

    name: str
    selector: LabelSelector | None = None
    pods: tuple[Pod, ...] = ()
    desired: int = 0
    workload: Workload | None = None
    generation: int = 0
    """Of its workload, or of all that make its pods, added up."""
    problem: Reason | None = None
    """Why the tree must not act on it."""
    message: str = ""
    ghosts: tuple[Pod, ...] = field(default=())
    """Pods that were there when it was last looked at, and are gone."""
    tree: TreeView | None = None
    """Of a child that is a tree."""
    bare: Bare | None = None
    """Of a child that is a Job or bare Pod."""
    is_done: bool = False
    """Of a child that is found by labels: whether all it has is pods of Jobs whose work is done."""


def resolve(tree: str, child: Child, world: World) -> ChildView:
    """Find a child's pods."""
    view = _by_selector(child, world) if child.selector else _by_target(tree, child, world)
    target = (str(view.bare.kind), view.bare.name) if view.bare else None
    other = world.older_claim(tree, view.pods, target) if view.problem is None else ""
    if other:
        return ChildView(
            child.name,
            problem=Reason.CLAIMED_BY_OTHER_TREE,
            message=f"child {child.name}: its pods belong to the older tree {other}; "
            f"take the child out of one of the two trees",
        )
    return view


def resolve_all(tree: str, children: Iterable[Child], world: World) -> tuple[ChildView, ...]:
    """Find the pods of all children; a pod that two of them claim is the earlier one's."""
    views: list[ChildView] = []
    first: dict[str, int] = {}  # the position of the child that claims it
    for child in children:
        view = resolve(tree, child, world)
        claims = tuple(_claims(view))
        twin = min((first[it] for it in claims if it in first), default=None)
        if twin is None:
            first |= dict.fromkeys(claims, len(views))
        else:
            view = ChildView(
                child.name,
                problem=Reason.CHILDREN_OVERLAP,
                message=f"child {child.name}: its pods belong to child {views[twin].name} already; take one of the two out",
            )
        views.append(view)
    return tuple(views)


def _claims(view: ChildView) -> Iterable[str]:
    """Return what no other child may have: the object that it is, and its pods."""
    if view.bare is not None:
        yield view.bare.target
    if view.workload is not None:
        yield view.workload.uid
    yield from (pod.uid for pod in view.pods)


def strays(tree: str, views: Iterable[ChildView], world: World) -> tuple[Pod, ...]:
    """Return the held pods that carry the tree's mark and belong to none of its children, nor to those of another tree."""
    mine = {pod.uid for view in views for pod in view.pods}
    found = tuple(pod for pod in world.held(tree) if pod.uid not in mine)
    if not found:
        return ()
    # The mark is only the first tree in the alphabet whose selector fits: whose pod it is, its owner tells.
    others = [it for it in world.trees_by_name().values() if it.name != tree and it.spec is not None]
    theirs = {
        pod.uid
        for other in others
        for view in resolve_all(other.name, other.spec.children if other.spec else (), world)
        for pod in view.pods
    }
    return tuple(pod for pod in found if pod.uid not in theirs)


def _by_selector(child: Child, world: World) -> ChildView:
    assert child.selector is not None  # noqa: S101 - for the type checker; the caller looked
    selector = child.selector
    pods = tuple(world.pods(selector))
    makers = [it for it in world.workloads() if matches(selector, it.template_labels)]
    desired = sum(it.replicas for it in makers if it.kind != "Deployment")
    alone = sum(pod.owner is None and not pod.is_deleting for pod in pods)
    is_done = bool(pods) and not desired and all(_has_done_its_work(pod, world) for pod in pods)
    return ChildView(child.name, selector, pods, desired + alone, generation=_generation(makers), is_done=is_done)


def _has_done_its_work(pod: Pod, world: World) -> bool:
    """Tell whether a pod belongs to a Job that is complete; without recreate.enabled Jobs are not known, and the pod tells."""
    if pod.owner is None or pod.owner.kind != BareKind.JOB:
        return False
    job = world.job(pod.owner.name)
    return job.is_complete if job is not None and job.uid == pod.owner.uid else pod.is_success


def _generation(makers: Iterable[Workload]) -> int:
    return sum(it.generation for it in makers if it.kind != "Deployment")


def _by_tree(tree: str, name: str, target: str, world: World) -> ChildView:
    trees = world.trees_by_name()
    found = trouble(tree, name, target, trees)
    if found is not None:
        return ChildView(name, problem=found[0], message=found[1])
    return ChildView(name, desired=1, tree=tree_view(trees[target]))


def _by_scale(name: str, ref: ScaleRef, world: World) -> ChildView:
    found = world.scale(ref)
    if isinstance(found, Trouble):
        return ChildView(name, problem=found.reason, message=f"child {name}: {found.message}")
    makers = [it for it in world.workloads() if matches(found.selector, it.template_labels)]
    pods = tuple(world.pods(found.selector))
    return ChildView(name, found.selector, pods, found.replicas, generation=_generation(makers))


def _by_bare(tree: str, child: Child, ref: TargetRef, world: World) -> ChildView:
    it = world.trees_by_name().get(tree)
    was = next((old.selector for old in it.status.children if old.name == child.name), None) if it else None
    found, selector = find(child, ref, was, world)
    owner = found.object.owner if found.object is not None else None
    if owner is not None:
        return ChildView(
            child.name,
            problem=Reason.INVALID_TARGET,
            message=f"child {child.name}: {ref.kind} {ref.name} belongs to {owner.kind} {owner.name}, which makes another "
            f"when it is gone; name that one in targetRef, or find the pods by selector",
        )
    wanted = found.job.pods_wanted if found.job is not None else 1
    return ChildView(child.name, selector, found.pods, 0 if found.is_done else wanted, bare=found)


def settled(views: Iterable[ChildView], before: SupervisionTreeStatus, fresh: frozenset[str]) -> tuple[ChildView, ...]:
    """Return the views with what is remembered of Jobs and bare Pods: one that is not there may be done, or missing."""
    old = {child.name: child for child in before.children}
    return tuple(
        _settled(
            view,
            view.bare,
            decode(old[view.name].seen) if view.name in old else None,
            replaced_in(before, view.name),
            fresh,
        )
        if view.bare is not None
        else view
        for view in views
    )


def replaced_in(status: SupervisionTreeStatus, child: str) -> Replaced:
    """Return what the operation in a status replaces of a child."""
    text = ((status.operation.replacing if status.operation else None) or {}).get(child)
    return decode_replaced(text) if text else Replaced()


_ENDED_UNSEEN = (
    "if it had ended, its ttlSecondsAfterFinished removed it before an operator saw that: "
    "leave that out, or make it longer than the operator may be away"
)


def _settled(view: ChildView, it: Bare, seen: Seen | None, replaced: Replaced, fresh: frozenset[str]) -> ChildView:
    found = remembering(it, seen, replaced, fresh)
    if found is not None:
        return replace(view, bare=found, desired=0 if found.is_done else view.desired)
    what = f"child {view.name}: {it.kind} {it.name} does not exist; create it or take the child out of the tree"
    ended = f" ({_ENDED_UNSEEN})" if it.kind is BareKind.JOB else ""
    return ChildView(view.name, view.selector, problem=Reason.CHILD_MISSING, message=what + ended)


def _by_target(tree: str, child: Child, world: World) -> ChildView:
    ref = child.target_ref
    assert ref is not None  # noqa: S101 - for the type checker; the CRD's rules say so
    if ref.kind == KIND:
        return _by_tree(tree, child.name, ref.name, world)
    if (ref.api_version, ref.kind) in RECREATED:
        return _by_bare(tree, child, ref, world)
    if (ref.api_version, ref.kind) not in TARGETS:
        return _by_scale(child.name, ScaleRef(ref.api_version, ref.kind, ref.name), world)
    workload = world.workload(ref.kind, ref.name)
    if workload is None or workload.is_deleting:
        return ChildView(
            child.name,
            problem=Reason.CHILD_MISSING,
            message=f"child {child.name}: {ref.kind} {ref.name} does not exist; create it or take the child out of the tree",
        )
    selector = selector_of(workload.selector)
    owners = {workload.uid}
    if workload.kind == "Deployment":
        owners = {it.uid for it in world.workloads() if it.owner is not None and it.owner.uid == workload.uid}
    pods = tuple(pod for pod in world.pods(selector) if pod.owner is not None and pod.owner.uid in owners)
    return ChildView(child.name, selector, pods, workload.replicas, workload, workload.generation)


def ready_pods(view: ChildView, replaced: Replaced) -> int:
    """Count the pods that are Ready and are to stay; a tree counts as one."""
    if view.tree is not None:
        return int(view.tree.is_ready)
    if view.bare is not None:
        return view.bare.ready_pods(replaced)
    return sum(pod.is_ready and not pod.is_deleting and not replaced.has(pod) for pod in view.pods)


def is_nothing_ready(view: ChildView) -> bool:
    """Tell whether a child that should run, or should have run to its end, has no Ready pod."""
    if view.bare is not None and (view.bare.is_done or view.bare.is_suspended):
        return False
    return view.desired > 0 and ready_pods(view, Replaced()) == 0


def is_up(view: ChildView, replaced: Replaced) -> bool:
    """Tell whether all the pods that the child should have are Ready; a Job that may end is up when it is complete."""
    if view.bare is not None:
        return view.bare.is_up(replaced)
    return view.desired > 0 and ready_pods(view, replaced) >= view.desired


def is_nothing_to_start(view: ChildView) -> bool:
    """Tell whether the order need not wait for the child: its target is not there, or wants no pods."""
    if view.bare is not None:
        return False
    return view.problem is not None or view.desired == 0 or (view.tree is not None and not view.tree.is_acting)


_UNKNOWN = frozenset({Reason.CHILD_MISSING, Reason.INVALID_TARGET, Reason.FORBIDDEN})


def observed_state(view: ChildView, was: State | None) -> State:
    """Say what a child is doing that no operation is working on."""
    if view.problem in _UNKNOWN:
        return State.MISSING
    if view.tree is not None:
        return _state_of_tree(view.tree)
    if view.is_done:
        return State.COMPLETED
    state = view.bare.state(was) if view.bare is not None else None
    if state is not None:
        return state
    if view.bare is None and view.desired == 0 and not view.pods:
        return State.SUSPENDED
    return _state_of_pods(view, was)


def _state_of_pods(view: ChildView, was: State | None) -> State:
    ready = ready_pods(view, Replaced())
    # A child that is up stays up while new pods of it come and go, as long as it is not down.
    if ready >= max(view.desired, 1) or (was is State.UP and ready > 0):
        return State.UP
    if obstacle(view):
        return State.CANNOT_START
    return State.DOWN if ready == 0 and was in {State.UP, State.DOWN} else State.STARTING


def _state_of_tree(tree: TreeView) -> State:
    if tree.is_ready:
        return State.UP
    return State.DOWN if tree.has_ended else State.STARTING


def obstacle(view: ChildView) -> str:
    """Say why the child cannot start; empty when nothing is known to keep it."""
    for pod in view.pods:
        if pod.obstacle and not pod.is_deleting:
            return f"pod {pod.name}: {pod.obstacle}"
    if view.bare is not None and view.bare.refusal and view.bare.object is None:
        return f"{view.bare.kind} {view.bare.name} cannot be created: {view.bare.refusal}"
    top = view.workload
    return f"{top.kind} {top.name}: {top.obstacle}" if top is not None and top.obstacle else ""


def controllers_of(world: World) -> Mapping[str, Workload]:
    """Return the workloads by UID."""
    return {it.uid: it for it in world.workloads()}
