"""A pool of workers that make API calls side by side: each call once, and again after a pause if it failed.

A restart is one burst of calls. A bounded number of workers bounds the API server's share of it, and gets the first call
out at once where a task a call would first build them all.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

from suptree.cluster.client import ApiError

logger = logging.getLogger(__name__)

LEAST_WORKERS, MOST_WORKERS, CALLS_A_WORKER = 4, 48, 4
"""Each worker has a connection of its own, and opening one costs as much as several calls over one that is open."""
_LONGEST_CALM_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0

_LAST_CALLS_SECONDS = 12.0
"""A little longer than any call may take."""
_UNSURE_SECONDS = 0.25

Call = Callable[[], Awaitable[None]]


def pause(attempt: int) -> float:
    """Return the seconds to wait after that many failures in a row."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * float(2 ** min(attempt, 16)))


class Calls:
    """The calls that are to be made, by key: a key that is already there is not added again."""

    def __init__(self, may_call: Callable[[], bool] = lambda: True) -> None:
        """Start with none.

        Args:
            may_call: Whether a call may be made now; asked before each. As long as it may not, all wait.
        """
        self._may_call = may_call
        self._is_stopping = False
        self._queue: deque[tuple[Hashable, Call, int]] = deque()
        self._keys: set[Hashable] = set()
        self._calm = asyncio.Event()
        self._workers: set[asyncio.Task[None]] = set()
        self._delayed: set[asyncio.TimerHandle] = set()

    async def stop(self, patience: float = _LAST_CALLS_SECONDS) -> None:
        """Let the calls under way end, and drop the others: whoever acts next decides again what they were for.

        Args:
            patience: How long the calls under way may take, in seconds; 0: they are broken off.
        """
        self._is_stopping = True
        for timer in self._delayed:
            timer.cancel()
        workers = list(self._workers)
        if workers and patience:
            await asyncio.wait(workers, timeout=patience)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    @property
    def is_busy(self) -> bool:
        """Whether calls wait for a worker."""
        return len(self._queue) > LEAST_WORKERS

    async def calm(self) -> None:
        """Wait until no calls wait for a worker, or a second has passed.

        What a burst of calls causes, several watch events a call, would otherwise take its turn among the calls.
        """
        if self.is_busy:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._calm.wait(), _LONGEST_CALM_SECONDS)

    def put(self, key: Hashable, call: Call) -> None:
        """Have a call made, unless the same one is waiting or under way."""
        if key not in self._keys:
            self._keys.add(key)
            self._enqueue(key, call, 0)

    def _enqueue(self, key: Hashable, call: Call, attempt: int) -> None:
        self._queue.append((key, call, attempt))
        if self.is_busy:
            self._calm.clear()
        if not self._is_stopping and len(self._workers) < min(
            MOST_WORKERS, LEAST_WORKERS + len(self._queue) // CALLS_A_WORKER
        ):
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        while self._queue and not self._is_stopping:
            if not self._may_call():
                await asyncio.sleep(_UNSURE_SECONDS)
                continue
            key, call, attempt = self._queue.popleft()
            if not self.is_busy:
                self._calm.set()
            try:
                await call()
            except ApiError as error:
                wait = pause(attempt)
                logger.warning("an API call failed and is made again in %.1f s: %s", wait, error)
                self._later(wait, key, call, attempt + 1)
            except Exception:
                logger.exception("a call failed in a way that is a defect of Suptree; it is not made again: %s", key)
                self._keys.discard(key)
            else:
                self._keys.discard(key)

    def _later(self, wait: float, key: Hashable, call: Call, attempt: int) -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            self._delayed.discard(timer)
            self._enqueue(key, call, attempt)

        timer = loop.call_later(wait, again)
        self._delayed.add(timer)
