"""The locked dependencies as wheels for the base's Python, which may be another one than this."""

import pathlib
import subprocess
import sys


def download(lock: pathlib.Path, root: pathlib.Path, target: pathlib.Path) -> None:
    """Fetch what the lock names into `target`, checking its hashes, for the Python in the base that lies in `root`."""
    asked = ["chroot", str(root), "/usr/bin/python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    wanted = ["--no-deps", "--only-binary=:all:", f"--python-version={version}", "--require-hashes"]
    subprocess.run([*pip, *wanted, "--dest", target, "--requirement", lock], check=True)
