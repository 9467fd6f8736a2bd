"""How fast a restart is, beside the floor: the same pods deleted by a bare client, without an operator.

`python -m e2e.bench` brings up a local cluster without a real node. For each N it restarts all N pods of a Deployment
(OneForAll, Parallel) five times, interleaved with the floor, and prints medians and spreads. Times up to the last delete
are the API server's own, from its audit log; `all Ready` is a watch's. No test asserts on any of this.
"""

import argparse
import asyncio
import base64
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from e2e.cluster import Cluster
from e2e.lib.kube import eventually, is_ready, wait_ready
from e2e.lib.operator import NAMESPACE, Operator, install, kubeconfig, writes
from e2e.lib.target import Target, of_local
from e2e.lib.workloads import child, tree, workload

SIZES = (8, 64, 256)
ROUNDS = 5
FLOOR_CONNECTIONS = 48
APP = "bench"


@dataclass(frozen=True)
class Round:
    """One measured restart; seconds."""

    first_delete: float
    all_marked: float
    all_ready: float
    writes: int


class Client:
    """A bare client of the API server: connections, and nothing else."""

    def __init__(self, config: Path, connections: int) -> None:
        parsed = yaml.safe_load(config.read_text())
        cluster, user = parsed["clusters"][0]["cluster"], parsed["users"][0]["user"]
        self.server: str = cluster["server"]
        with tempfile.TemporaryDirectory() as folder:
            ca, cert, key = (Path(folder) / name for name in ("ca", "cert", "key"))
            ca.write_bytes(_data(cluster, "certificate-authority"))
            cert.write_bytes(_data(user, "client-certificate"))
            key.write_bytes(_data(user, "client-key"))
            context = ssl.create_default_context(cafile=str(ca))
            context.load_cert_chain(cert, key)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=connections),
            headers={"User-Agent": "suptree-bench"},
            read_bufsize=2**22,
        )

    async def pods(self, namespace: str) -> tuple[list[dict[str, Any]], str]:
        """List the pods, and say as of which version."""
        async with self.session.get(f"{self.server}/api/v1/namespaces/{namespace}/pods") as answer:
            listed = await answer.json()
        return listed["items"], listed["metadata"]["resourceVersion"]

    async def delete(self, namespace: str, pod: dict[str, Any]) -> None:
        """Delete a pod."""
        body = {"preconditions": {"uid": pod["metadata"]["uid"]}}
        path = f"{self.server}/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        async with self.session.delete(path, json=body) as answer:
            await answer.read()
            answer.raise_for_status()

    async def until_replaced(self, namespace: str, old: set[str], version: str, count: int) -> float:
        """Watch until that many other pods are Ready and the old ones are gone; return when.

        The API server cuts off watchers that are slow; then the pods are listed, and watched again.
        """
        ready: set[str] = set()
        left = set(old)
        while True:
            path = f"{self.server}/api/v1/namespaces/{namespace}/pods?watch=true&resourceVersion={version}"
            async with self.session.get(path, timeout=aiohttp.ClientTimeout(total=None)) as answer:
                async for line in answer.content:
                    event = json.loads(line)
                    pod = event["object"]
                    uid = pod["metadata"]["uid"]
                    if event["type"] == "DELETED":
                        left.discard(uid)
                        ready.discard(uid)
                    elif uid not in old and is_ready(pod):
                        ready.add(uid)
                    if not left and len(ready) >= count:
                        return time.time()
            pods, version = await self.pods(namespace)
            left &= {pod["metadata"]["uid"] for pod in pods}
            ready = {pod["metadata"]["uid"] for pod in pods if is_ready(pod)} - old


def _data(entry: dict[str, Any], name: str) -> bytes:
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return Path(entry[name]).read_bytes()


async def _delete_all(config: Path, namespace: str) -> None:
    """Run the floor: every pod deleted, as fast as a bare client can."""
    client = Client(config, FLOOR_CONNECTIONS)
    async with client.session:
        pods, _ = await client.pods(namespace)
        await asyncio.gather(*(client.delete(namespace, pod) for pod in pods))


async def _watch_while(config: Path, namespace: str, count: int, act: Callable[[], object]) -> float:
    """Do something, and return when all pods were replaced by Ready ones."""
    client = Client(config, 4)
    async with client.session:
        pods, version = await client.pods(namespace)
        old = {pod["metadata"]["uid"] for pod in pods}
        watching = asyncio.create_task(client.until_replaced(namespace, old, version, count))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(act)
        return await asyncio.wait_for(watching, 300)


class Bench:
    """The benchmark on one cluster."""

    def __init__(self, target: Target, folder: Path) -> None:
        assert target.audit_log is not None
        self.target = target
        self.audit_log = target.audit_log
        self.admin = Path(target.kube.kubeconfig)
        self.kube = target.kube.within("bench")
        self.operator = Operator(target.kube.within(NAMESPACE), kubeconfig(target, folder), folder / "operator.log")

    def floor(self, count: int) -> Round:
        """Measure the bare client, in a process of its own as the operator is."""
        since = time.time()
        command = [sys.executable, "-m", "e2e.bench", "--delete-all", self.kube.namespace, str(self.admin)]
        ready = asyncio.run(
            _watch_while(self.admin, self.kube.namespace, count, lambda: subprocess.run(command, check=True))
        )
        deletes = self._deletes("suptree-bench", since)
        start = deletes[0][0]
        return Round(0.0, deletes[-1][1] - start, ready - start, len(deletes))

    def restart(self, count: int) -> Round:
        """Measure the operator: a crash is written, and the tree restarts all pods."""
        self.operator.start()
        self.kube.apply(
            tree("bench", child("Deployment", APP), strategy="OneForAll", ordering="Parallel", intensity=1000)
        )
        wait_ready(self.kube, "bench")
        time.sleep(2)
        since = time.time()
        ready = asyncio.run(_watch_while(self.admin, self.kube.namespace, count, self._crash))
        eventually(lambda: self.kube.status("bench")["history"][0]["outcome"] == "Restarted", "the restart is complete")
        time.sleep(1)
        crash = next(
            end for verb, uri, _, end in self._requests("python-urllib3/", since) if verb == "patch" and "status" in uri
        )
        deletes = self._deletes("suptree/", since)
        made = Round(
            deletes[0][0] - crash, deletes[-1][1] - crash, ready - crash, len(self._requests("suptree/", since))
        )
        assert len(deletes) == count, f"{len(deletes)} deletes of {count} pods"
        return made

    def _crash(self) -> None:
        from e2e.lib import crash  # noqa: PLC0415 - only this half of the benchmark needs it

        crash.pretend(self.kube, self.kube.list("pods")[0]["metadata"]["name"])

    def _requests(self, agent: str, since: float) -> list[tuple[str, str, float, float]]:
        return [
            (it["verb"], it["requestURI"], _seconds(it["requestReceivedTimestamp"]), _seconds(it["stageTimestamp"]))
            for it in writes(self.audit_log, agent, since)
        ]

    def _deletes(self, agent: str, since: float) -> list[tuple[float, float]]:
        return sorted(
            (start, end)
            for verb, uri, start, end in self._requests(agent, since)
            if verb == "delete" and "/pods/" in uri
        )

    def size(self, count: int, rounds: int) -> tuple[list[Round], list[Round], float]:
        """Measure one N: the floor and the operator in turn; and the operator's memory after the last."""
        self.kube.apply(workload("Deployment", APP, count, real=False))
        floors, restarts, rss = [], [], 0.0
        for at in range(rounds):
            self.kube.run("rollout", "status", f"deployment/{APP}", "--timeout=300s")
            floors.append(self.floor(count))
            self.kube.run("rollout", "status", f"deployment/{APP}", "--timeout=300s")
            restarts.append(self.restart(count))
            rss = max(rss, self.operator.rss_mebibytes())
            self.operator.stop()
            self.kube.run("delete", "suptree", "bench")
            print(f"  N={count}: round {at + 1} of {rounds}", file=sys.stderr, flush=True)
        return floors, restarts, rss


def _seconds(stamp: str) -> float:
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + float(f"0.{fraction or 0}")


def _row(name: str, unit: float, values: Sequence[float]) -> str:
    scaled = sorted(value * unit for value in values)
    return f"{name:34} {statistics.median(scaled):9.2f} {scaled[0]:9.2f} {scaled[-1]:9.2f}"


def report(count: int, floors: list[Round], restarts: list[Round], rss: float) -> None:
    """Print the table of one N."""
    marked = [ours.all_marked / floor.all_marked for ours, floor in zip(restarts, floors, strict=True)]
    ready = [ours.all_ready / floor.all_ready for ours, floor in zip(restarts, floors, strict=True)]
    print(f"\nN = {count}{'':27} {'median':>9} {'min':>9} {'max':>9}")
    print(_row("crash to first delete, ms", 1000, [it.first_delete for it in restarts]))
    print(_row("floor: all marked, s", 1, [it.all_marked for it in floors]))
    print(_row("suptree: all marked, s", 1, [it.all_marked for it in restarts]))
    print(_row("  suptree / floor, pair by pair", 1, marked))
    print(_row("floor: all Ready again, s", 1, [it.all_ready for it in floors]))
    print(_row("suptree: all Ready again, s", 1, [it.all_ready for it in restarts]))
    print(_row("  suptree / floor, pair by pair", 1, ready))
    print(_row("write requests beyond N", 1, [it.writes - count for it in restarts]))
    print(f"operator's memory (RSS), MiB {rss:15.1f}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--delete-all", nargs=2, metavar=("NAMESPACE", "KUBECONFIG"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.delete_all:
        asyncio.run(_delete_all(Path(args.delete_all[1]), args.delete_all[0]))
        return
    with Cluster.start("bench", real_node=False) as cluster, tempfile.TemporaryDirectory() as folder:
        target = of_local(cluster)
        install(target)
        target.kube.run("create", "namespace", "bench")
        bench = Bench(target, Path(folder))
        try:
            for count in args.sizes:
                report(count, *bench.size(count, args.rounds))
        finally:
            bench.operator.stop()


if __name__ == "__main__":
    main()
