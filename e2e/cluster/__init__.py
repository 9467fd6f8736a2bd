"""A real Kubernetes on one machine, without Docker: built from pinned sources, on loopback, gone when it is not needed.

    with Cluster.start("mine") as cluster:
        subprocess.run([cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "get", "nodes"])

`python -m e2e.cluster up` does the same from a shell.
Workloads for the fake nodes tolerate `FAKE_TAINT` and select `FAKE_LABEL`; workloads for the real node, which has no
taint, select `REAL_LABEL` and use the image `BUSYBOX` with `imagePullPolicy: Never` (see `e2e/cluster/images.py`).
"""

from e2e.cluster.cluster import Cluster, ClusterError, down
from e2e.cluster.components import FAKE_LABEL, FAKE_TAINT
from e2e.cluster.images import BUSYBOX
from e2e.cluster.node import LABEL as REAL_LABEL
from e2e.cluster.report import QUIET, Report

__all__ = ["BUSYBOX", "FAKE_LABEL", "FAKE_TAINT", "QUIET", "REAL_LABEL", "Cluster", "ClusterError", "Report", "down"]
