"""Jobs and bare Pods of one tree: their manifests are kept, and they are deleted and created again, each step idempotently.

No step is taken before the decision that asks for it is in the tree's status, and no object is deleted before its manifest
is kept. A step that is repeated finds what it did before: the manifest is there, the object is gone, or its name is taken.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from suptree.app.calls import Calls
from suptree.app.watches import last_words
from suptree.cluster.children import ChildView
from suptree.cluster.client import ApiError
from suptree.cluster.jobs import Job, job_of
from suptree.cluster.manifest import KEPT_REVISIONS, by_age, clean, kept, revision, revision_name, stamped
from suptree.cluster.objects import ObjectApi
from suptree.cluster.situation import Create, Plan, Remove, Save, Target
from suptree.cluster.store import Namespace
from suptree.cluster.trees import Tree
from suptree.cluster.views import Owner, pod_of

logger = logging.getLogger(__name__)

KINDS = frozenset({"Job", "Pod"})


class Recreation:
    """What is done about the Jobs and bare Pods of one tree."""

    def __init__(
        self, namespace: str, store: Namespace, api: ObjectApi, calls: Calls, wake: Callable[[], None]
    ) -> None:
        self._at = namespace
        self._store = store
        self._api = api
        self._calls = calls
        self._wake = wake
        self._saved: dict[str, tuple[str, int]] = {}
        """Child -> UID and generation of the object whose manifest is kept."""
        self._removed: set[str] = set()
        self._unmade: set[str] = set()
        """Children whose manifest was looked for and is gone."""
        self._refused: dict[str, str] = {}
        """Child -> why the API server would not create its object."""
        self._targets: frozenset[Target] = frozenset()
        self._last: dict[str, Job] = {}
        """Name -> the last view of a Job that is gone."""

    def note(self, view: ChildView) -> ChildView:
        """Return the view with what came of the attempts to create its object, and how a Job that is gone looked at last."""
        if view.bare is None:
            return view
        last = self._last.get(view.bare.name) if view.bare.kind == "Job" else None
        refusal = self._refused.get(view.name, "")
        return replace(view, bare=replace(view.bare, is_unmade=view.name in self._unmade, refusal=refusal, last=last))

    def saw_last(self, job: Job) -> None:
        """Take the last view of a Job that is gone, if it is one of the tree's."""
        if any((it.kind, it.name) == ("Job", job.name) for it in self._targets):
            self._last[job.name] = job

    def is_concerned(self, pod: str) -> bool:
        """Tell whether a pod of that name is one of the tree's bare Pods."""
        return any((it.kind, it.name) == ("Pod", pod) for it in self._targets)

    def remember(self, views: tuple[ChildView, ...]) -> None:
        """Note which objects the tree has to do with."""
        bare = [(view.name, view.bare) for view in views if view.bare is not None]
        self._targets = frozenset(Target(name, str(it.kind), it.name) for name, it in bare)

    async def refresh(self) -> None:
        """Read all objects afresh: a watch can miss a deletion and never know."""
        self._removed.clear()
        for it in self._targets:
            await self._read(it.kind, it.name)

    async def confirm(self, owner: Owner) -> None:
        """Read an object that seems to be gone."""
        await self._read(owner.kind, owner.name)

    async def _read(self, kind: str, name: str) -> dict[str, Any] | None:
        with self._store.ends() as ended:
            raw = await self._api.get_object(kind, self._at, name)
        if raw is not None and raw["metadata"]["uid"] not in ended:
            self._put(raw)
            return raw
        job, pod = self._store.job(name), self._store.pod(name)
        if kind == "Job" and job is not None:
            await last_words(lambda: not self._store.knows(job.uid))
            self._store.drop_job(name, job.uid)
        if kind == "Pod" and pod is not None:
            self._store.drop_pod(pod.uid)
        return None

    def _put(self, raw: Mapping[str, Any]) -> None:
        if raw["kind"] == "Job":
            self._store.put_job(job_of(raw))
        else:
            self._store.put_pod(pod_of(raw))

    # Act.

    def act(self, tree: Tree, plan: Plan) -> None:
        """Take the steps that were decided."""
        for save in plan.saves:
            if self._saved.get(save.target.child) != (save.uid, save.generation):
                self._calls.put(("save", *tree.key, save.target), lambda it=save: self._save(tree, it))  # type: ignore[misc]
        for remove in plan.removals:
            if remove.uid not in self._removed:
                self._calls.put(("remove", remove.uid), lambda it=remove: self._remove(tree, it))  # type: ignore[misc]
        for create in plan.creations:
            self._calls.put(("create", *tree.key, create.target), lambda it=create: self._create(tree, it))  # type: ignore[misc]

    async def _save(self, tree: Tree, it: Save) -> None:
        raw = await self._read(it.target.kind, it.target.name)
        if raw is not None and raw["metadata"]["uid"] == it.uid:
            await self._keep(tree, it.target.child, raw)
            self._saved[it.target.child] = (it.uid, it.generation)

    async def _keep(self, tree: Tree, child: str, raw: Mapping[str, Any]) -> None:
        """Keep the manifest of an object as the child's newest, and no more than a few older ones."""
        manifest = clean(raw)
        name = revision_name(tree.name, tree.uid, child, manifest)
        found = by_age(await self._api.list_revisions(self._at, tree.name, child), tree.uid)
        names = [str(it["metadata"]["name"]) for it in found]
        if names[:1] == [name]:
            return
        number = int(found[0]["revision"]) + 1 if found else 1
        if name in names:
            # Made anew and not patched: the API server refuses a patch of it, which writes the same data in other bytes.
            # Killed in between, nothing is lost: the object itself is still there.
            await self._api.delete_revision(self._at, name)
        await self._api.create_revision(self._at, revision(tree.name, tree.uid, child, manifest, number))
        for old in [it for it in names if it != name][KEPT_REVISIONS - 1 :]:
            await self._api.delete_revision(self._at, old)

    async def _remove(self, tree: Tree, it: Remove) -> None:
        raw = await self._read(it.target.kind, it.target.name)
        if raw is not None and raw["metadata"]["uid"] == it.uid:
            await self._keep(tree, it.target.child, raw)
            await self._api.delete_object(self._at, it)
            self._removed.add(it.uid)
        self._wake()

    async def _create(self, tree: Tree, it: Create) -> None:
        child, kind, name = it.target.child, it.target.kind, it.target.name
        found = by_age(await self._api.list_revisions(self._at, tree.name, child), tree.uid)
        manifest = next((one for revision in found if (one := kept(revision, kind, name))), None)
        if manifest is None:
            # It may have been there all the time, unseen.
            is_news = child not in self._unmade and await self._read(kind, name) is None
            self._unmade.add(child)
        else:
            self._unmade.discard(child)
            is_news = await self._made(tree, it, manifest)
        if is_news:
            self._wake()

    async def _made(self, tree: Tree, it: Create, manifest: Mapping[str, Any]) -> bool:
        try:
            raw = await self._api.create_object(self._at, stamped(manifest, tree.name, it.operation))
        except ApiError as error:
            self._refused[it.target.child] = str(error)[:300]
            self._wake()
            raise
        self._refused.pop(it.target.child, None)
        if raw is None:
            # Somebody, or this operator before it was killed, has created it already.
            await self._read(it.target.kind, it.target.name)
        else:
            self._put(raw)
        return True
