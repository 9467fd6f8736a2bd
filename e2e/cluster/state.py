"""The state folders: one a cluster below the temporary folder, and what several clusters on one machine share.

Ports and subnets are given out under a lock, so that two clusters that start at once do not choose the same.
"""

import contextlib
import ipaddress
import os
import pathlib
import random
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator

from e2e.cluster import cache
from e2e.cluster.processes import Process
from e2e.cluster.report import Report
from e2e.cluster.spec import HOST, Ports, Spec

CGROUPS = pathlib.Path("/sys/fs/cgroup")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_PORTS = range(10_000, 30_000)  # below what the kernel gives to outgoing connections


def root() -> pathlib.Path:
    """Give the folder of all clusters of this user, made for this user alone."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"suptree-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to someone else: set TMPDIR to another folder")
    return folder


def folder(name: str) -> pathlib.Path:
    """Give the state folder of a cluster, whether it is up or not."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a cluster: small letters, digits and dashes, at most 32")
    return root() / name


def names() -> list[str]:
    """Give the names of all clusters that have a state folder."""
    return sorted(file.parent.name for file in root().glob("*/cluster.json"))


@contextlib.contextmanager
def starting(name: str, report: Report) -> Iterator[None]:
    """Let one process at a time start the cluster of that name."""
    with cache.locked(root() / f".{name}.lock", report, f"it is starting the cluster {name}"):
        yield


@contextlib.contextmanager
def choosing() -> Iterator[None]:
    """Let one process at a time choose ports and a subnet, until its choice is written down."""
    with cache.locked(root() / ".choosing.lock"):
        yield


def keeper(path: pathlib.Path) -> Process | None:
    """Give the process that owns the cluster in that state folder, while it lives."""
    found = Process.load(path / "keeper.json")
    return found if found and found.alive else None


def _specs() -> list[Spec]:
    found = []
    for name in names():
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError):  # going, or of another checkout's making
            found.append(Spec.load(root() / name))
    return found


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def ports() -> Ports:
    """Choose free ports that no other cluster has; call it while `choosing`."""
    taken = {port for spec in _specs() for port in vars(spec.ports).values()}
    candidates = (port for port in random.sample(_PORTS, len(_PORTS)) if port not in taken and _free(port))
    return Ports(*(next(candidates) for _ in range(6)))


def routes() -> list[ipaddress.IPv4Network]:
    """Give the networks that this machine reaches by more than its default route."""
    found = []
    for line in pathlib.Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        address, mask = (bytes.fromhex(fields[column])[::-1] for column in (1, 7))
        if any(mask):  # the default route overlaps everything and means nothing here
            found.append(ipaddress.IPv4Network((address, str(ipaddress.IPv4Address(mask)))))
    return found


def pod_subnet() -> str:
    """Choose addresses for a real node's pods that neither the machine nor another cluster uses."""
    taken = [*routes(), *(ipaddress.IPv4Network(spec.pod_subnet) for spec in _specs())]
    every = list(ipaddress.IPv4Network("10.192.0.0/10").subnets(new_prefix=24))
    for candidate in random.sample(every, len(every)):
        if not any(candidate.overlaps(other) for other in taken):
            return str(candidate)
    raise RuntimeError("no free subnet for the pods of a real node")


def remove(path: pathlib.Path) -> None:
    """Remove what a cluster that has ended leaves: its state folder and its containers' empty cgroups."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        _remove_cgroups(Spec.load(path).containerd_state)
    shutil.rmtree(path, ignore_errors=True)


def _remove_cgroups(containerd_state: pathlib.Path) -> None:
    # Only those of its own containers: an empty one may be that of a container which another cluster is starting.
    containers = [found.name for found in containerd_state.glob("io.containerd.runtime.v2.task/k8s.io/*")]
    for hierarchy in (CGROUPS, *CGROUPS.glob("*/")) if containers else ():
        parent = hierarchy / "k8s.io"
        trees = [tree for container in containers for tree in (*(parent / container).rglob("*/"), parent / container)]
        for cgroup in (*sorted(trees, key=lambda tree: -len(tree.parts)), parent):
            with contextlib.suppress(OSError):  # the parent stays while another cluster is in it
                cgroup.rmdir()
