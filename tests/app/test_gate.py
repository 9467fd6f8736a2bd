"""Whether the gate policy is in force, asked of an API server: nothing is said before policy and index were looked at again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from kubernetes.aio.client import Configuration

from suptree.api.child import LabelSelector
from suptree.app.calls import Calls
from suptree.app.gate import Gate
from suptree.cluster.children import ChildView
from suptree.cluster.client import Api
from suptree.cluster.views import pod_of, workload_of
from tests.cluster.builders import T0, pod, stamp, workload

SELECTOR = LabelSelector(match_labels={"app": "web"})
WEB = workload("ReplicaSet", "web")
CONTROLLERS = {WEB["metadata"]["uid"]: workload_of("ReplicaSet", WEB)}
MARK = {"suptree.dev/tree": "it"}
POLICY, BINDING, INDEX = "mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "configmaps"


class Server:
    """An API server that has the policy, its binding and the index, each changed at a time that the test sets."""

    def __init__(self) -> None:
        self.changed_at: dict[str, str | None] = dict.fromkeys((POLICY, BINDING, INDEX), stamp(T0))
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the object's metadata."""
        plural = request.path.split("/")[-2]
        self.asked.append(plural)
        time = self.changed_at[plural]
        if time is None:
            return web.json_response({"message": "not found"}, status=404)
        return web.json_response({"metadata": {"creationTimestamp": stamp(T0 - 60), "managedFields": [{"time": time}]}})


def views(*pods: tuple[int, bool]) -> list[ChildView]:
    """Return a child with these pods: how long after T0 each was created, and whether it has the policy's mark."""
    raws = [pod(f"web-{at}", of=WEB, created=stamp(T0 + at), labels=MARK if marked else {}) for at, marked in pods]
    return [ChildView("web", SELECTOR, tuple(map(pod_of, raws)))]


def run(story: Callable[[Server, Gate, Callable[..., Awaitable[str | None]]], Awaitable[None]]) -> None:
    """Let a gate whose index is written see what the story has it see."""

    async def it() -> None:
        server = Server()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api = Api(Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}"), "test")
        calls = Calls()
        gate = Gate(api, calls)

        async def told(*pods: tuple[int, bool]) -> str | None:
            server.asked.clear()
            gate.saw("shop", "it", views(*pods), CONTROLLERS)
            await _idle(calls)
            gate.saw("shop", "it", views(*pods), CONTROLLERS)
            await _idle(calls)
            return gate.unheld("shop")

        try:
            await gate.check()
            gate.set("shop", "it", is_gated=True, selectors=(SELECTOR,))
            await _idle(calls)
            await story(server, gate, told)
        finally:
            await calls.stop()
            await api.close()
            await runner.cleanup()

    asyncio.run(it())


async def _idle(calls: Calls) -> None:
    while workers := calls._workers:
        await asyncio.wait(set(workers))


async def _a_deaf_policy(server: Server, gate: Gate, told: Any) -> None:  # noqa: ANN401 - see `run`
    assert await told((3, False)) is None
    assert server.asked == []
    assert await told((3, False), (60, False)) == "web-60"
    assert server.asked == [POLICY, BINDING, INDEX]
    assert gate.changed.is_set()
    assert await told((90, False)) == "web-60"
    assert server.asked == []
    assert await told((120, True)) is None


def test_an_unheld_pod_is_told_after_policy_and_index_were_looked_at() -> None:
    """The alarm is raised when both are as they should be, names the first pod, and ends with the next pod that is held."""
    run(_a_deaf_policy)


async def _somebody_changed(server: Server, _gate: Gate, told: Any) -> None:  # noqa: ANN401 - see `run`
    for number, plural in enumerate((INDEX, POLICY, BINDING)):
        at = 100 * (number + 1)
        server.changed_at[plural] = stamp(T0 + at)
        assert await told((at - 10, False), (at + 5, False)) is None
    assert await told((306, False)) == "web-306"


def test_pods_of_before_the_policy_or_the_index_came_back_raise_no_alarm() -> None:
    """A policy that was upgraded, and an index that somebody had deleted and that is written again, are given the time to work."""
    run(_somebody_changed)


async def _it_goes(server: Server, gate: Gate, told: Any) -> None:  # noqa: ANN401 - see `run`
    server.changed_at[BINDING] = None
    assert await told((60, False)) is None
    assert not gate.is_installed


def test_a_policy_without_its_binding_is_not_installed() -> None:
    """Where the binding is gone the tree says that the policy is not installed, and not that it does nothing."""
    run(_it_goes)


async def _another_leader(server: Server, gate: Gate, told: Any) -> None:  # noqa: ANN401 - see `run`
    gate.remember("shop", "2026-03-01T00:01:00.000000Z")
    assert gate.unheld("shop") == ""
    assert await told((30, True)) == ""
    assert await told((66, True)) is None
    assert server.asked == []


def test_another_leader_goes_on_with_the_alarm() -> None:
    """After a change of leader the alarm stays until a younger pod is held, whether or not the unheld pod is still there."""
    run(_another_leader)
