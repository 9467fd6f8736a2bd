"""What a thousand trees cost: `python -m e2e.bench_trees [TREES]` on fake nodes. The chart's default resources are based on it.

Each tree has a Deployment of two pods and a StatefulSet of one, in namespaces of a hundred trees. Printed are the memory
of the operator when all trees are Ready, its highest, and that of an operator that starts when all of it is there.
"""

import secrets
import sys
import tempfile
import time
from pathlib import Path

import yaml

from e2e.lib.kube import Kube, eventually
from e2e.lib.operator import NAMESPACE, Operator, install, kubeconfig
from e2e.lib.target import target
from e2e.lib.workloads import child, tree, workload

A_NAMESPACE = 100
PATIENCE_SECONDS = 900


def _fill(kube: Kube, trees: int) -> None:
    """Make that many trees with their workloads."""
    for first in range(0, trees, A_NAMESPACE):
        here = kube.within(f"many-{first // A_NAMESPACE}")
        here.create_namespace()
        objects = [
            it
            for number in range(first, min(trees, first + A_NAMESPACE))
            for it in (
                workload("StatefulSet", f"db-{number}", real=False),
                workload("Deployment", f"web-{number}", 2, real=False),
                tree(f"shop-{number}", child("StatefulSet", f"db-{number}"), child("Deployment", f"web-{number}")),
            )
        ]
        here.run("create", "-f", "-", given=yaml.safe_dump_all(objects))


def _ready(kube: Kube) -> int:
    path = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    return kube.run("get", "suptree", "--all-namespaces", "-o", f"jsonpath={path}").stdout.split().count("True")


def _memory(operator: Operator) -> tuple[float, float]:
    """Return the resident memory and its highest so far, in MiB."""
    status = Path(f"/proc/{operator.pid}/status").read_text()
    now, most = (int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def _cpu_seconds(operator: Operator) -> float:
    fields = Path(f"/proc/{operator.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    """Measure, and print."""
    trees = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with target("local", name=f"trees-{secrets.token_hex(3)}") as found, tempfile.TemporaryDirectory() as folder:
        install(found)
        kube = found.kube.within(NAMESPACE)
        operator = Operator(kube, kubeconfig(found, Path(folder)), Path(folder) / "log")
        operator.start()
        began = time.monotonic()
        _fill(kube, trees)
        eventually(lambda: _ready(kube) == trees, f"{trees} trees are Ready", PATIENCE_SECONDS)
        print(f"{trees} trees and {3 * trees} pods are Ready after {time.monotonic() - began:.0f} s")
        now, most = _memory(operator)
        print(f"made one after the other: {now:.0f} MiB, {most:.0f} MiB at most; CPU {_cpu_seconds(operator):.0f} s")
        operator.stop()
        operator.start()
        before = _cpu_seconds(operator)
        time.sleep(60)
        now, most = _memory(operator)
        print(
            f"a new operator after a minute: {now:.0f} MiB, {most:.0f} MiB at most; CPU {_cpu_seconds(operator):.0f} s"
        )
        before = _cpu_seconds(operator)
        time.sleep(30)
        print(f"at rest: {(_cpu_seconds(operator) - before) / 30 * 1000:.0f} m of a CPU")
        operator.stop()


if __name__ == "__main__":
    main()
