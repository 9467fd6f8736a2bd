"""The way out, against an API server that is slow to let go: what is asked of it, in which order, and what is asked again."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from suptree.app import release
from suptree.app.release import Leaving, LeavingApi

Json = dict[str, Any]

HELD = "suptree.dev/hold"
INDEX = "/api/v1/namespaces/{}/configmaps/suptree-index"
DEPLOYMENT = "/apis/apps/v1/namespaces/system/deployments/suptree"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/system/leases/suptree"
BINDING = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/suptree-hold"
EVERYTHING = Leaving(operator=("system", "suptree"), is_policy_ours=True)


def pod(name: str, *gates: str) -> Json:
    """Return a pod with these scheduling gates."""
    spec = {"schedulingGates": [{"name": gate} for gate in gates]}
    return {"metadata": {"namespace": "shop", "name": name, "uid": name}, "spec": spec, "status": {"phase": "Pending"}}


class Server:
    """An API server with a few pods, which answers what it is told to answer first."""

    def __init__(self, *pods: Json, size: int = 500) -> None:
        self.pods = {it["metadata"]["name"]: it for it in pods}
        self.size = size
        self.first: dict[tuple[str, str], list[int]] = {}
        """Statuses to answer with before what is right."""
        self.asked: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the API server would."""
        self.asked.append((request.method, request.path))
        if status := next(iter(self.first.get((request.method, request.path), [])), None):
            self.first[request.method, request.path].pop(0)
            return web.json_response({"message": "not now"}, status=status)
        if request.path == "/api/v1/namespaces":
            return web.json_response({"items": [{"metadata": {"name": name}} for name in ("default", "shop")]})
        if request.path in {"/api/v1/pods", "/api/v1/namespaces/shop/pods"}:
            return web.json_response(self._page(int(request.query.get("continue") or 0)))
        if request.method == "PATCH":
            self._lift(request.path.rsplit("/", 1)[1])
            return web.json_response({})
        # The Deployment, its binding and the indexes: what is not there can be deleted, too.
        return web.json_response({"message": "not found"}, status=404)

    def _page(self, start: int) -> Json:
        names = sorted(self.pods)
        more = {"continue": str(start + self.size)} if start + self.size < len(names) else {}
        return {"metadata": more, "items": [self.pods[name] for name in names[start : start + self.size]]}

    def _lift(self, name: str) -> None:
        gates = self.pods[name]["spec"]["schedulingGates"]
        self.pods[name]["spec"]["schedulingGates"] = [gate for gate in gates if gate["name"] != HELD]

    def gates(self) -> dict[str, list[str]]:
        """Give the gates of each pod."""
        return {name: [gate["name"] for gate in it["spec"]["schedulingGates"]] for name, it in self.pods.items()}


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(release, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(release, "_ASK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(release, "pause", lambda _: 0.01)
    yield
    for handler in logging.root.handlers[:]:
        if type(handler) is logging.StreamHandler:
            logging.root.removeHandler(handler)


def run(server: Server, what: Leaving, seconds: float = 20.0) -> int:
    """Let go of everything at that server."""

    async def it() -> int:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
        api = LeavingApi(configuration, "test")
        try:
            return await release.insist(api, what, seconds)
        finally:
            await api.close()
            await runner.cleanup()

    return asyncio.run(it())


def test_the_order_is_policy_operator_indexes_pods() -> None:
    """First nothing new is held, then nobody acts, and only then the pods are let go."""
    server = Server(pod("a", HELD, "other.example/gate"), pod("b", "other.example/gate"))
    assert run(server, EVERYTHING) == 1
    assert server.asked[:5] == [
        ("DELETE", BINDING),
        ("DELETE", DEPLOYMENT),
        ("GET", DEPLOYMENT),
        ("DELETE", LEASE),
        ("GET", "/api/v1/namespaces"),
    ]
    assert sorted(server.asked[5:7]) == [("DELETE", INDEX.format("default")), ("DELETE", INDEX.format("shop"))]
    assert server.asked[7:9] == [("GET", "/api/v1/pods"), ("PATCH", "/api/v1/namespaces/shop/pods/a")]
    assert server.gates() == {"a": ["other.example/gate"], "b": ["other.example/gate"]}


def test_with_namespaces_nothing_outside_is_asked_for() -> None:
    """Where the release watches some namespaces only, only these are looked at."""
    server = Server(pod("a", HELD))
    assert run(server, Leaving(namespaces=("shop",))) == 1
    assert {path for _, path in server.asked} == {
        INDEX.format("shop"),
        "/api/v1/namespaces/shop/pods",
        "/api/v1/namespaces/shop/pods/a",
    }


def test_many_pods_come_in_pages() -> None:
    """All held pods are released, however many lists it takes to see them."""
    server = Server(*(pod(f"p{number}", HELD) for number in range(7)), size=3)
    assert run(server, Leaving(namespaces=("shop",))) == 7
    assert set(map(tuple, server.gates().values())) == {()}


@pytest.mark.parametrize(
    "trouble",
    [
        ("DELETE", BINDING),
        ("DELETE", DEPLOYMENT),
        ("GET", "/api/v1/pods"),
        ("PATCH", "/api/v1/namespaces/shop/pods/a"),
    ],
    ids=lambda it: " ".join((it[0], it[1].rsplit("/", 1)[1])),
)
def test_what_fails_is_done_again(trouble: tuple[str, str]) -> None:
    """An API server that does not answer for a while costs time, and nothing is left out."""
    server = Server(pod("a", HELD))
    server.first[trouble] = [503, 429]
    run(server, EVERYTHING)
    assert server.gates() == {"a": []}
    assert server.asked.count(trouble) >= 3


def test_an_operator_that_does_not_go_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a pod of the operator is stuck on a lost node, the others are let go all the same."""
    monkeypatch.setattr(release, "GONE_SECONDS", 0.05)
    server = Server(pod("a", HELD))
    server.first["GET", DEPLOYMENT] = [200] * 100
    assert run(server, EVERYTHING) == 1


def main(*arguments: str) -> str:
    """Run the command where there is no cluster to talk to; give how it ended."""

    async def nowhere() -> Configuration:
        return Configuration(host="http://127.0.0.1:1")

    with pytest.raises(SystemExit) as ended:
        release.main([*arguments], nowhere)
    return str(ended.value.code)


def test_who_cannot_be_reached_is_named() -> None:
    """Where it cannot be done in time, the job fails and its log says which call failed, and how."""
    said = main("--all-namespaces", "--timeout-seconds=0.05")
    assert said.startswith("suptree release: not done within 0 s: ")
    assert "/api/v1/namespaces" in said


@pytest.mark.parametrize("text", ["suptree", "/suptree", "system/"])
def test_the_operator_is_named_in_full(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A Deployment without its namespace is refused by name."""
    assert main("--all-namespaces", f"--operator={text}") == "2"
    assert f"'{text}' is not NAMESPACE/NAME" in capsys.readouterr().err
