"""Draws the chart's dashboard as Grafana would show it, over a real run: `python -m e2e.dashboard FILE`.

There is no Grafana in it. The queries are answered by Prometheus' own engine, over what a real operator's metrics said
while trees failed on kwok's nodes (`story`); places, titles, units, legends and thresholds are the dashboard's.
"""

import argparse
import json
import socket
import time
from pathlib import Path

from e2e.cluster import Cluster
from e2e.lib import crash
from e2e.lib.grafana import draw
from e2e.lib.kube import Kube, eventually, wait_condition, wait_history, wait_ready
from e2e.lib.operator import NAMESPACE, Operator, install, kubeconfig
from e2e.lib.panels import Json, Scene
from e2e.lib.scrape import INTERVAL_SECONDS, Scrapes
from e2e.lib.target import ROOT, of_local
from e2e.lib.workloads import child, tree, workload

DASHBOARD: Json = json.loads((ROOT / "charts/suptree/files/dashboard.json").read_text())
PAUSE_SECONDS = 5
"""How long nothing happens before and after each part of the story, so that the picture is easy to read."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def set_up(kube: Kube) -> None:
    """Make four trees on kwok's nodes, and wait until they are Ready."""
    names = ("db", "web", "worker", "mail", "report", "queue")
    kube.apply(
        tree("shop", *(child("Deployment", it) for it in ("db", "web", "worker")), strategy="RestForOne", intensity=5),
        tree("mail", child("Deployment", "mail"), intensity=3),
        tree("report", child("Deployment", "report"), intensity=0),
        tree("stuck", child("ReplicaSet", "cache"), child("Deployment", "queue"), strategy="OneForAll", intensity=2),
        workload("ReplicaSet", "cache", real=False),
        *(workload("Deployment", name, real=False) for name in names),
    )
    for name in ("shop", "mail", "report", "stuck"):
        wait_ready(kube, name)


def story(kube: Kube, pause: float = 0) -> None:
    """Let one tree restart for three causes, one in place, one give up, and one hang in the middle of a restart."""
    time.sleep(pause)
    crash.pretend(kube, kube.pod("mail"))
    eventually(lambda: kube.status("mail")["restarts"] == 1, "mail is counted")
    crash.recover(kube, kube.pod("mail"))
    time.sleep(pause)
    crash.pretend(kube, kube.pod("db"))
    wait_history(kube, "shop", 1)
    time.sleep(pause)
    crash.pretend(kube, kube.pod("web"), 137, "OOMKilled")
    wait_history(kube, "shop", 2)
    time.sleep(pause)
    crash.pretend(kube, kube.pod("report"))
    wait_condition(kube, "report", "Stalled", "True", "Parked")
    time.sleep(pause)
    # What takes its place fits on no node, so the restart does not end.
    no_node = {"nodeSelector": {"suptree.dev/node": "none"}}
    kube.patch("replicaset", "cache", {"spec": {"template": {"spec": no_node}}})
    eventually(lambda: _is_observed(kube.get("replicaset", "cache")), "the ReplicaSet's controller has seen it")
    crash.pretend(kube, kube.pod("queue"))
    eventually(lambda: kube.status("stuck").get("operation"), "a restart is under way")
    time.sleep(pause)
    kube.run("delete", "pod", kube.pod("worker"), "--wait=false")
    wait_history(kube, "shop", 3)
    time.sleep(pause)


def _is_observed(found: Json) -> bool:
    return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])


def scene(scrapes: Scrapes, kube: Kube) -> Scene:
    """Return what was scraped, as the dashboard of that namespace."""
    return Scene(scrapes.series(), scrapes.start, scrapes.end, INTERVAL_SECONDS, kube.namespace)


def main() -> None:
    """Run the story on a cluster of its own, and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m e2e.dashboard", description=__doc__)
    parser.add_argument("file", type=Path, help="where to write the picture (SVG)")
    file: Path = parser.parse_args().file
    with Cluster.start("dashboard", real_node=False) as cluster:
        target = of_local(cluster)
        install(target)
        folder = Path(cluster.dir)
        port = free_port()
        operator = Operator(
            target.kube.within(NAMESPACE),
            kubeconfig(target, folder),
            folder / "logs/operator.log",
            ("--all-namespaces", "--metrics-port", str(port)),
        )
        operator.start()
        kube = target.kube.within("default")
        try:
            set_up(kube)
            with Scrapes(f"http://127.0.0.1:{port}/metrics") as scrapes:
                story(kube, PAUSE_SECONDS)
        finally:
            operator.stop()
        file.write_text(str(draw(DASHBOARD, scene(scrapes, kube))))
    print(f"{file} shows {scrapes.end - scrapes.start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
