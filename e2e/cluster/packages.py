"""What the real node and the image need of the machine itself, and Debian's packages that bring it."""

import os
import pathlib
import shutil
import subprocess
from collections.abc import Mapping

from e2e.cluster.report import Report

_LIBSECCOMP = "seccomp.h"
REAL_NODE = {
    "busybox": "busybox-static",
    "unshare": "util-linux",
    "mount": "mount",
    "cc": "gcc libc6-dev",
    "pkg-config": "pkg-config",
    _LIBSECCOMP: "libseccomp-dev",
}
"""Program -> package, for a node on which containers run."""
IMAGE = {"buildah": "buildah"}
"""Likewise, to build the operator's image."""


def missing(needs: Mapping[str, str]) -> list[str]:
    """Give the packages that are still needed here."""
    return [package for program, package in needs.items() if not _have(program)]


def _have(program: str) -> bool:
    if program == _LIBSECCOMP:
        asked = shutil.which("pkg-config")
        return asked is not None and subprocess.run([asked, "--exists", "libseccomp"], check=False).returncode == 0
    found = shutil.which(program)
    if found and program == "busybox":  # it runs in an image with nothing else, so it must not need a loader
        content = pathlib.Path(found).read_bytes()
        return b"/ld-linux" not in content and b"/ld-musl" not in content
    return found is not None


def may_isolate() -> bool:
    """Whether a keeper can have a PID namespace and a mount namespace of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    attempt = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "true"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


def why_no_real_node(*, wanted: bool) -> str:
    """Say in one line why this machine cannot have a real node, before anything is installed; empty when it can."""
    if not wanted:
        return "no real node: it was not asked for (--no-real-node)"
    if os.geteuid() != 0:
        return "no real node: containers need root, and this is another user (run it as root to have one)"
    if not may_isolate():
        return "no real node: this root may not make PID and mount namespaces (a container without privileges?)"
    if missing(REAL_NODE) and not shutil.which("apt-get"):
        return f"no real node: install {', '.join(missing(REAL_NODE))} with this system's package manager"
    return ""


def why_no_image() -> str:
    """Say in one line why the operator's image cannot be built here, before anything is installed; empty when it can."""
    if os.geteuid() != 0:
        return "no image: building it without Docker needs root, and this is another user (run it as root to have one)"
    if not may_isolate():
        return "no image: this root may not make mount namespaces (a container without privileges?)"
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return "no image: its base is made from Debian's packages, and there is no apt here"
    return ""


def install(report: Report, needs: Mapping[str, str]) -> None:
    """Install what is missing; needs root."""
    wanted = " ".join(missing(needs)).split()
    if not wanted:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with report.step(f"Installing {', '.join(wanted)} (usually half a minute)"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *wanted]):
            done = subprocess.run(
                ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *command],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"apt-get {command[0]} failed: {done.stderr.strip()}")
