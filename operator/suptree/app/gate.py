"""Keeps each namespace's index, in which the gate policy finds the tree of a new pod, and knows whether it is there."""

import asyncio
import logging
from collections.abc import Iterable

from suptree.api.child import LabelSelector
from suptree.app.calls import Calls
from suptree.cluster.client import Api, ApiError
from suptree.cluster.labels import index

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

    async def check(self) -> bool:
        """Look whether the policy is there; tell whether that has changed."""
        try:
            installed = await self._api.is_policy_installed()
        except ApiError as error:
            logger.warning("cannot tell whether the gate policy is installed: %s", error)
            return False
        changed, self.is_installed = installed != self.is_installed, installed
        for namespace in self._entries if changed else ():
            self._write(namespace)
        return changed

    async def watch(self, on_change: "asyncio.Event") -> None:
        """Look now and then, for ever; set the event when it has come or gone."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            if await self.check():
                on_change.set()

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
        if self.is_installed and namespace not in self._silent:
            self._calls.put(("index", namespace), lambda: self._apply(namespace))

    async def _apply(self, namespace: str) -> None:
        # Until what was written is what the trees say now: they may have said more while it was being written.
        while (data := self._data(namespace)) != self._written.get(namespace):
            if data:
                await self._api.apply_index(namespace, data)
            else:
                await self._api.delete_index(namespace)
            self._written[namespace] = data

    def _data(self, namespace: str) -> dict[str, str]:
        entries = self._entries.get(namespace, {})
        return index((tree, gated, sel) for tree, (gated, selectors) in entries.items() for sel in selectors)
