"""Trees of trees: who is whose parent, and what a parent wants of a child tree.

A parent writes only its own status. That status is the order: a child tree reads in it whether it is to stop or to start,
and says in its own status how far it is. So a crash of either loses nothing, and no write is ever made for another tree.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from suptree.api.choices import Mode
from suptree.api.outcomes import Stage
from suptree.api.reasons import Reason
from suptree.api.status import Exhausted
from suptree.api.tree import API_VERSION, KIND
from suptree.cluster.record import read, supervisor_of
from suptree.cluster.trees import Parent, Tree, Wish
from suptree.core import effects as do
from suptree.core.state import Life

Trees = Mapping[str, Tree]


def children_of(tree: Tree) -> Iterable[tuple[str, str]]:
    """Return the child trees of a tree: the child's name, and the tree's."""
    for child in tree.spec.children if tree.spec else ():
        ref = child.target_ref
        if ref is not None and (ref.api_version, ref.kind) == (API_VERSION, KIND):
            yield child.name, ref.name


def _is_parent(tree: Tree) -> bool:
    """Tell whether a tree acts for its children: one that keeps its hands off is nobody's parent."""
    spec = tree.spec
    return (
        spec is not None
        and tree.refusal is None
        and not tree.is_deleting
        and not spec.suspend
        and spec.mode is Mode.ENFORCE
    )


def _claimants(name: str, trees: Trees) -> list[Tree]:
    found = [it for it in trees.values() if _is_parent(it) and any(name == child for _, child in children_of(it))]
    return sorted(found, key=lambda it: (it.created, it.name))


def is_in_cycle(name: str, trees: Trees) -> bool:
    """Tell whether a tree is its own descendant."""
    seen: set[str] = set()
    below = [name]
    while below:
        tree = trees.get(below.pop())
        for _, child in children_of(tree) if tree else ():
            if child == name:
                return True
            if child not in seen:
                seen.add(child)
                below.append(child)
    return False


def parent_of(name: str, trees: Trees) -> Tree | None:
    """Return the tree that supervises this one: the oldest that names it; none for a root and within a cycle."""
    claimants = _claimants(name, trees)
    return claimants[0] if claimants and not is_in_cycle(name, trees) else None


def parent(name: str, trees: Trees, *, is_gate_in_force: bool) -> Parent | None:
    """Return what the parent of a tree wants of it; None for a root."""
    tree = parent_of(name, trees)
    if tree is None or tree.spec is None:
        return None
    child = next(child for child, target in children_of(tree) if target == name)
    wish, operation = Wish.NOTHING, 0
    if tree.status.uid == tree.uid:
        wish, operation = _wish(tree, child, is_gate_in_force=is_gate_in_force)
    # A reset reaches every tree below.
    reset = "/".join(it for it in (tree.status.parent_reset, tree.status.reset) if it)
    return Parent(tree.name, child, wish, operation, reset or None, is_restarting=_is_being_restarted(name, trees))


def _is_being_restarted(name: str, trees: Trees) -> bool:
    """Tell whether an operation of a tree above is stopping or starting the tree, or the branch that it is in."""
    while (tree := parent_of(name, trees)) is not None:
        child = next(child for child, target in children_of(tree) if target == name)
        op = tree.status.operation if tree.status.uid == tree.uid else None
        if op is not None and op.stage is not Stage.WAITING and child in (*(op.stop or ()), *(op.start or ())):
            return True
        name = tree.name
    return False


def _wish(tree: Tree, child: str, *, is_gate_in_force: bool) -> tuple[Wish, int]:
    assert tree.spec is not None  # noqa: S101 - for the type checker; the caller looked
    sup = supervisor_of(tree.spec, is_gate_in_force=is_gate_in_force)
    state = read(tree.status, sup)
    op = state.operation
    todo = do.effects(sup, state)
    if op is not None and do.Stop(child) in todo:
        return Wish.STOP, op.id
    if op is not None and do.Start(child) in todo:
        return Wish.START, op.id
    if state.life(child) in {Life.STOPPED, Life.REMOVED}:
        return Wish.STOP, state.serial
    return Wish.NOTHING, 0


@dataclass(frozen=True, slots=True)
class TreeView:
    """A child tree, as its parent sees it."""

    uid: str
    serial: int
    """Names its latest decision."""
    is_ready: bool
    is_acting: bool
    """False: it keeps its hands off, so nothing can be asked of it."""
    has_ended: bool
    """Whether it gave up, or was stopped."""
    is_down: bool
    """Whether nothing of it runs."""
    incarnation: int
    """The parent's operation that last started it."""
    exhausted: Exhausted | None
    """Why it gave up; None when it did not, or was stopped."""


def tree_view(tree: Tree) -> TreeView:
    """Return a child tree as its parent sees it."""
    status = tree.status
    ready = any(it.type == "Ready" and it.status == "True" for it in status.conditions)
    has_ended = status.ending is not None and status.operation is None
    return TreeView(
        uid=tree.uid,
        serial=status.serial or 0,
        is_ready=ready and status.observed_generation == tree.generation,
        is_acting=_is_parent(tree),
        has_ended=has_ended,
        is_down=has_ended and not any(child.supervision == Life.ALIVE for child in status.children),
        incarnation=status.incarnation or 0,
        exhausted=status.exhausted if has_ended and _is_parent(tree) else None,
    )


def trouble(parent_name: str, child: str, target: str, trees: Trees) -> tuple[Reason, str] | None:
    """Say why a tree must not act on a child tree."""
    if target not in trees:
        return (
            Reason.CHILD_MISSING,
            f"child {child}: SupervisionTree {target} does not exist; create it or take the child out of the tree",
        )
    if is_in_cycle(target, trees):
        return (
            Reason.REFERENCE_CYCLE,
            f"child {child}: SupervisionTree {target} is its own descendant; take it out of one of the trees below it",
        )
    claimants = _claimants(target, trees)
    if claimants and claimants[0].name != parent_name and any(it.name == parent_name for it in claimants):
        return (
            Reason.TWO_PARENTS,
            f"child {child}: SupervisionTree {target} is a child of the older tree {claimants[0].name}; take it out of one",
        )
    return None
