"""Keeps each namespace's index, in which the gate policy finds the tree of a new pod, and knows whether the policy is in force."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from suptree.api.child import LabelSelector
from suptree.app.calls import Calls
from suptree.cluster.children import ChildView
from suptree.cluster.client import Api, ApiError
from suptree.cluster.gating import Evidence, after_lag, evidence
from suptree.cluster.labels import index
from suptree.cluster.views import Workload

logger = logging.getLogger(__name__)

_CHECK_SECONDS = 60
_EXPECT_SECONDS = 15

Entry = tuple[bool, tuple[LabelSelector, ...]]


class Gate:
    """The index of each namespace, made from what its trees say."""

    def __init__(self, api: Api, calls: Calls) -> None:
        self._api = api
        self._calls = calls
        self._entries: dict[str, dict[str, Entry]] = {}
        self._written: dict[str, dict[str, str]] = {}
        self._silent: dict[str, set[str]] = {}
        """Trees that have yet to say which pods are theirs."""
        self.is_installed = False
        self.changed = asyncio.Event()
        """Set when the policy has come or gone, or may be in force in a namespace where it was not, or the other way round."""
        self._policy_changed_at = ""
        self._index_changed_at: dict[str, str] = {}
        self._outdated: set[str] = set()
        """Namespaces whose trees have said more since."""
        self._evidence: dict[str, Evidence] = {}
        self._confirmed: dict[str, str] = {}
        """The youngest unmarked pod after whose creation index and policy were looked at."""

    async def check(self) -> None:
        """Look whether the policy is there."""
        try:
            await self._look_at_policy()
        except ApiError as error:
            logger.warning("cannot tell whether the gate policy is installed: %s", error)

    async def _look_at_policy(self) -> None:
        found = await self._api.policy_changed_at()
        self._policy_changed_at = found or ""
        if self.is_installed == (found is not None):
            return
        self.is_installed = found is not None
        self._evidence.clear()
        for namespace in self._entries:
            self._write(namespace)
        self.changed.set()

    async def watch(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            await self.check()

    # Whether it is in force: what is installed may do nothing all the same.

    def unheld(self, namespace: str) -> str | None:
        """Return a pod that shows that the policy is not in force there ("": it is not remembered which); None: it is."""
        told = self._evidence.get(namespace, Evidence())
        return told.pod if told.is_against else None

    def remember(self, namespace: str, time: str) -> None:
        """Take note that the policy was not in force at that time, as the status of a tree says."""
        self._evidence[namespace] = self._evidence.get(namespace, Evidence()) | Evidence(unmarked=f"{time[:19]}Z")

    def saw(self, namespace: str, tree: str, views: Iterable[ChildView], controllers: Mapping[str, Workload]) -> None:
        """Look at the pods of a tree: whether they have the policy's mark."""
        indexed_at, known = self._index_changed_at.get(namespace), self._entries.get(namespace, {}).get(tree)
        can_tell = self.is_installed and self._policy_changed_at and namespace not in self._outdated
        if not (can_tell and indexed_at and known):
            return
        since = after_lag(max(indexed_at, self._policy_changed_at))
        before = self._evidence.get(namespace, Evidence())
        after = before | evidence(views, known[1], controllers, since)
        if after.is_against and not before.is_against:
            if after.unmarked > self._confirmed.get(namespace, ""):
                self._calls.put(("gate", namespace), lambda: self._confirm(namespace, after.unmarked))
                return
            logger.warning("pod %s/%s was not held: the gate policy is not in force there", namespace, after.pod)
        if after.is_against and before.is_against:
            after = replace(after, pod=before.pod)  # One name is enough: each other one would be a write to the status.
        self._evidence[namespace] = after
        if after.is_against != before.is_against:
            self.changed.set()
        if before.is_against and not after.is_against:
            logger.info("new pods of %s are held again: the gate policy is in force there", namespace)

    async def _confirm(self, namespace: str, unmarked: str) -> None:
        """See to it that the policy and the index are as they should be, before it is said that they do nothing."""
        await self._look_at_policy()
        self._written.pop(namespace, None)  # Somebody may have edited it, or taken it away.
        await self._apply(namespace)
        self._confirmed[namespace] = unmarked
        self.changed.set()

    def expect(self, trees: Iterable[tuple[str, str]]) -> None:
        """Write no index before these trees have said which pods are theirs: another operator may have left a whole one."""
        for namespace, tree in trees:
            self._silent.setdefault(namespace, set()).add(tree)
        asyncio.get_running_loop().call_later(_EXPECT_SECONDS, self._expect_no_more)

    def _expect_no_more(self) -> None:
        late, self._silent = self._silent, {}
        for namespace in late:
            self._write(namespace)

    def _heard(self, namespace: str, tree: str) -> None:
        silent = self._silent.get(namespace)
        if silent is not None:
            silent.discard(tree)
            if not silent:
                del self._silent[namespace]
                self._write(namespace)

    def set(self, namespace: str, tree: str, *, is_gated: bool, selectors: tuple[LabelSelector, ...]) -> None:
        """Say which pods belong to a tree, and whether new ones wait for it."""
        entries = self._entries.setdefault(namespace, {})
        if entries.get(tree) != (is_gated, selectors):
            entries[tree] = (is_gated, selectors)
            self._write(namespace)
        self._heard(namespace, tree)

    def drop(self, namespace: str, tree: str) -> None:
        """Forget a tree."""
        if self._entries.get(namespace, {}).pop(tree, None) is not None:
            self._write(namespace)
        self._heard(namespace, tree)

    def _write(self, namespace: str) -> None:
        self._outdated.add(namespace)
        if self.is_installed and namespace not in self._silent:
            self._calls.put(("index", namespace), lambda: self._apply(namespace))

    async def _apply(self, namespace: str) -> None:
        # Until what was written is what the trees say now: they may have said more while it was being written.
        while (data := self._data(namespace)) != self._written.get(namespace):
            if data:
                self._index_changed_at[namespace] = await self._api.apply_index(namespace, data)
            else:
                await self._api.delete_index(namespace)
            self._written[namespace] = data
        self._outdated.discard(namespace)

    def _data(self, namespace: str) -> dict[str, str]:
        entries = self._entries.get(namespace, {})
        return index((tree, gated, sel) for tree, (gated, selectors) in entries.items() for sel in selectors)
