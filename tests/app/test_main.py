"""The process: how it ends."""

import asyncio

from kubernetes.aio.client import Configuration

from suptree.app.main import Operator
from suptree.app.watches import Watches
from suptree.cluster.objects import ObjectApi


def test_nothing_is_waited_for_at_the_end() -> None:
    """Told to end, the process ends with its own work: kopf's task that waits for its flag is not left to be waited for."""

    async def end() -> bool:
        api = ObjectApi(Configuration(), "test")
        operator = Operator(api, None, 0, [], Watches([], [], 70), recreates=False)
        waiting = asyncio.create_task(operator.must_end.wait())
        await operator._stop()
        await asyncio.wait([waiting], timeout=1)
        return waiting.done()

    assert asyncio.run(end())
