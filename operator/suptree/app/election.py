"""Leader election: of several operators one acts, and says so in a Lease that it renews every second.

The Kubernetes client brings an election (`kubernetes.aio.leaderelection`, 37.0), which is not used: it never gives a Lease
back, its renewal has no time-out (a connection that hangs leaves two leaders for minutes), any network error other than an
HTTP status ends it without a word to whom it elected, and it measures by the wall clock. Read: docs/design/running.md.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from suptree.api.model import to_time
from suptree.cluster import lease
from suptree.cluster.client import CONFLICT, NOT_FOUND, Api, ApiError
from suptree.cluster.lease import Move, Sight

logger = logging.getLogger(__name__)

LEASE_SECONDS = 4
"""How long the others wait for a renewal. Short, as a wrong guess costs nothing: every action is fenced by the status."""
_RENEW_EVERY = 1 / 4
_GIVE_UP_AFTER = 3 / 4
_LOOK_EVERY = 1 / 8
_TRY_FOR = 3 / 8
"""Parts of the Lease's duration: a leader gives up before another one takes over."""
_SHORTEST_TRY_SECONDS = 0.5
_LONGEST_LOOK_SECONDS = 1.0
_RELEASE_SECONDS = 3.0


class LostError(Exception):
    """The Lease is lost; the message says how."""


class Election:
    """One candidate."""

    def __init__(self, api: Api, namespace: str, name: str, identity: str, seconds: int = LEASE_SECONDS) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._seconds = seconds
        self._raw: Mapping[str, Any] | None = None
        self._sight: Sight | None = None
        self._renewed: float | None = None
        """When the last renewal that succeeded was sent, by the monotonic clock; None: this candidate does not lead."""

    def __str__(self) -> str:
        return f"the lease {self._namespace}/{self._name}"

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can hold the Lease, by this process's own clock."""
        return self._renewed is not None and time.monotonic() < self._renewed + self._seconds

    async def acquire(self) -> None:
        """Wait until this candidate holds the Lease. Errors delay."""
        told = ""
        while not await self._try(Move.CREATE, Move.TAKE, Move.RENEW):
            holder = self._sight.holder if self._sight else ""
            if holder != told:
                logger.info("%s is held by %s, which acts; this process waits", self, holder or "nobody")
                told = holder
            await asyncio.sleep(self._until_next_look())

    def _until_next_look(self) -> float:
        wait = min(_LONGEST_LOOK_SECONDS, self._seconds * _LOOK_EVERY)
        if self._sight is None:
            return wait
        return min(wait, max(0.01, self._sight.expires(self._seconds) - time.monotonic()))

    async def hold(self) -> None:
        """Renew the Lease for ever.

        Raises:
            LostError: Somebody else holds it, or it could not be renewed in time.
        """
        while True:
            await asyncio.sleep(self._seconds * _RENEW_EVERY)
            # Whoever wakes late tries once before it gives up: if nobody took the Lease, nothing is lost.
            while not await self._try(Move.CREATE, Move.RENEW):
                self._check()
                await asyncio.sleep(min(_LONGEST_LOOK_SECONDS, self._seconds * _LOOK_EVERY))

    def _check(self) -> None:
        assert self._renewed is not None  # noqa: S101 - for the type checker; only a leader holds
        if self._sight is not None and self._sight.holder not in {"", self._identity}:
            raise LostError(f"{self} was taken by {self._sight.holder}")
        if time.monotonic() >= self._renewed + self._give_up_seconds:
            raise LostError(f"{self} could not be renewed for {self._give_up_seconds:g} s")

    @property
    def _give_up_seconds(self) -> float:
        return self._seconds * _GIVE_UP_AFTER

    def _patience(self) -> float:
        """Return how long one try may take: a leader tries twice, on two connections, before it gives up."""
        left = self._renewed + self._give_up_seconds - time.monotonic() if self._renewed is not None else float("inf")
        return max(_SHORTEST_TRY_SECONDS, min(self._seconds * _TRY_FOR, left))

    async def release(self) -> None:
        """Give the Lease back, if it is ours, so that the next candidate takes it at once."""
        if self._renewed is None or self._raw is None:
            return
        self._renewed = None
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._put(lease.released(self._raw["spec"], to_time(time.time())))
        except (ApiError, TimeoutError) as error:
            logger.warning("%s was not released, and is free in %d s: %s", self, self._seconds, error)
        else:
            logger.info("%s is released", self)

    def drop(self) -> None:
        """Be a leader no more."""
        self._renewed = None

    async def _try(self, *moves: Move) -> bool:
        """Look at the Lease and make one of these moves; tell whether the Lease is ours."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._patience()):
                # A leader knows what it wrote: it looks only when its write has failed.
                if self._renewed is None or self._raw is None:
                    self._look(await self._api.get_lease(self._namespace, self._name))
                if lease.move(self._sight, self._identity, time.monotonic(), self._seconds) not in moves:
                    return False
                before = self._raw["spec"] if self._raw else None
                await self._put(lease.held(before, self._identity, self._seconds, to_time(time.time())))
        except TimeoutError:
            logger.warning("%s: no answer", self)
            return False
        except ApiError as error:
            if error.status in {CONFLICT, NOT_FOUND}:
                # Somebody else was faster, or an earlier write of ours arrived after all: look again.
                self._raw = None
            else:
                logger.warning("%s: %s", self, error)
            return False
        self._renewed = started
        return True

    async def _put(self, spec: Mapping[str, Any]) -> None:
        self._look(await self._api.put_lease(self._namespace, self._name, spec, self._raw))

    def _look(self, raw: Mapping[str, Any] | None) -> None:
        self._raw = raw
        self._sight = lease.see(self._sight, raw, time.monotonic()) if raw is not None else None
