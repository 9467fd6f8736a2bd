"""A base image like those that have nothing but Python: no shell, no package manager, no program of Debian's essential set.

apt finds the packages in whatever mirror this machine uses; they are unpacked and nothing in them is run.
"""

import os
import pathlib
import platform
import subprocess

from e2e.cluster.report import Report

RUNTIME = ("python3", "python-is-python3")
BUILDER = (*RUNTIME, "python3-pip")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64")


def inputs() -> list[str]:
    """Give what decides what the base is, as far as it is known before it is made."""
    release = platform.freedesktop_os_release()
    own = pathlib.Path(__file__).read_text()
    return [release["ID"], release.get("VERSION_CODENAME", ""), platform.machine(), own]


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _download(packages: tuple[str, ...], folder: pathlib.Path) -> list[pathlib.Path]:
    (folder / "partial").mkdir(parents=True)
    nothing_installed = folder / "status"
    nothing_installed.touch()
    settings = {
        "Dir::State::status": nothing_installed,
        "Dir::Cache::archives": folder,
        "Dir::Cache::pkgcache": "",  # the machine's own would be replaced by one in which nothing is installed
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",  # this folder is not readable for another
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    _apt(*options, "--yes", "--no-install-recommends", "--download-only", "install", *packages)
    return sorted(folder.glob("*.deb"))


def _is_essential(package: pathlib.Path) -> bool:
    found = subprocess.run(["dpkg-deb", "--field", package, "Essential"], capture_output=True, text=True, check=True)
    return found.stdout.strip() == "yes"


def _unpack(package: pathlib.Path, root: pathlib.Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as content:
        unpack = ["tar", "--extract", "--keep-directory-symlink", "--directory", str(root)]
        subprocess.run(unpack, stdin=content.stdout, check=True)
    if content.returncode:
        raise RuntimeError(f"{package.name} cannot be unpacked")


def make(packages: tuple[str, ...], root: pathlib.Path, work: pathlib.Path) -> None:
    """Fill the folder `root` with these packages and what they depend on."""
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in _download(packages, work):
        if not _is_essential(package):
            _unpack(package, root)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def update(report: Report) -> None:
    """Have apt know what the mirror has now."""
    with report.step("Asking Debian's mirror for its packages"):
        _apt("update")
