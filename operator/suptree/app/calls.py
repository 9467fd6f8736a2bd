"""A pool of workers that make API calls side by side: each call once, and again after a pause if it failed.

A restart is one burst of calls. A fixed number of workers keeps the API server's share of it bounded and gets the first
call out at once, where a task a call would first build them all.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

from suptree.cluster.client import ApiError

logger = logging.getLogger(__name__)

WORKERS = 48
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0

Call = Callable[[], Awaitable[None]]


def pause(attempt: int) -> float:
    """Return the seconds to wait after that many failures in a row."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * float(2 ** min(attempt, 16)))


class Calls:
    """The calls that are to be made, by key: a key that is already there is not added again."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Hashable, Call, int]] = deque()
        self._keys: set[Hashable] = set()
        self._wanted = asyncio.Semaphore(0)
        self._workers: list[asyncio.Task[None]] = []
        self._delayed: set[asyncio.TimerHandle] = set()

    def start(self) -> None:
        """Start the workers."""
        self._workers = [asyncio.create_task(self._work(), name=f"calls-{at}") for at in range(WORKERS)]

    async def stop(self) -> None:
        """Drop what is left; whatever it was for is decided again by whoever acts next."""
        for timer in self._delayed:
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def put(self, key: Hashable, call: Call) -> None:
        """Have a call made, unless the same one is waiting or under way."""
        if key not in self._keys:
            self._keys.add(key)
            self._enqueue(key, call, 0)

    def _enqueue(self, key: Hashable, call: Call, attempt: int) -> None:
        self._queue.append((key, call, attempt))
        self._wanted.release()

    async def _work(self) -> None:
        while True:
            await self._wanted.acquire()
            key, call, attempt = self._queue.popleft()
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
