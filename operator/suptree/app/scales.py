"""Reads the scales of children whose kinds are not watched: each at most so often, and none that no tree names."""

import asyncio
import logging
import time
from collections.abc import Iterable

from suptree.cluster.client import FORBIDDEN, NOT_FOUND, Api, ApiError
from suptree.cluster.scales import Scale, ScaleRef, Trouble, forbidden, missing, resource_of, scale_of
from suptree.cluster.store import Store

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5
"""For how long what was read is good enough, however much happens."""
TROUBLE_SECONDS = 5
"""How long after trouble it is tried again, though nothing happens: nobody tells us when the object comes."""


class Scales:
    """The scales that trees name, kept in the store; and the plural names of their kinds."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store
        self._plurals: dict[tuple[str, str], str] = {}
        self._read: dict[tuple[str, ScaleRef], float] = {}
        """When each was read last (monotonic)."""
        self._lock = asyncio.Lock()

    async def look(self, namespace: str, refs: Iterable[ScaleRef]) -> float | None:
        """See to it that the store knows these scales; return in how many seconds they should be looked at again.

        Raises:
            ApiError: One that was never read cannot be read now.
        """
        waits: list[float] = []
        for ref in refs:
            age = time.monotonic() - self._read.get((namespace, ref), float("-inf"))
            known = self._store.namespace(namespace).scales.get(ref)
            if known is None or age >= FRESH_SECONDS:
                await self._read_again(namespace, ref)
                known = self._store.namespace(namespace).scales[ref]
            else:
                waits.append(FRESH_SECONDS - age)
            waits += [TROUBLE_SECONDS] if isinstance(known, Trouble) else []
        return min(waits, default=None)

    async def _read_again(self, namespace: str, ref: ScaleRef) -> None:
        scales = self._store.namespace(namespace).scales
        self._read[namespace, ref] = time.monotonic()
        try:
            scales[ref] = await self._ask(namespace, ref)
        except ApiError as error:
            if ref not in scales:
                raise
            # What was read before holds until it can be read again: an API error delays, and no more.
            logger.warning("cannot read the scale of %s: %s", ref, error, extra={"namespace": namespace})

    async def _ask(self, namespace: str, ref: ScaleRef) -> Scale | Trouble:
        plural = await self._plural(ref)
        if isinstance(plural, Trouble):
            return plural
        try:
            return scale_of(ref, await self._api.get_scale(ref, namespace, plural))
        except ApiError as error:
            if error.status == FORBIDDEN:
                return forbidden(ref, plural)
            if error.status != NOT_FOUND:
                raise
        # It is gone; or its kind is, or has lost its scale.
        self._plurals.pop((ref.api_version, ref.kind), None)
        plural = await self._plural(ref)
        return plural if isinstance(plural, Trouble) else missing(ref)

    async def _plural(self, ref: ScaleRef) -> str | Trouble:
        """Return the plural name of the kind; asked once, and again only when there was trouble."""
        key = (ref.api_version, ref.kind)
        async with self._lock:
            if key not in self._plurals:
                found = resource_of(ref, await self._api.discover(ref.api_version))
                if isinstance(found, Trouble):
                    return found
                self._plurals[key] = found
            return self._plurals[key]
