"""Building the pinned programs from their Go modules, once.

Only the ordinary Go client is used. It works in a copy of the committed go.mod and go.sum, which it may not change.
"""

import os
import pathlib
import shutil
import subprocess

from e2e.cluster import cache, pins, toolchain
from e2e.cluster.report import Report


def _folder(family: pins.Family) -> pathlib.Path:
    return cache.root() / f"{family.name}-{family.key()}"


def _environment(family: pins.Family) -> dict[str, str]:
    # The toolchain stays the chosen one and no workspace of the user's mixes in; where modules come from is theirs.
    fixed = {"GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "1" if family.cgo else "0"}
    return {**os.environ, **fixed}


def _build(family: pins.Family, go: str, target: pathlib.Path) -> None:
    for file in family.sources:
        shutil.copy(file, target)
    binaries = target / "bin"
    binaries.mkdir()
    command = [go, "build", *family.flags, "-o", f"{binaries}/", *family.packages]
    subprocess.run(command, cwd=target, env=_environment(family), check=True)
    for old, new in family.rename.items():
        (binaries / old).rename(binaries / new)


def _minutes(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def build(family: pins.Family, all_pins: pins.Pins, report: Report) -> dict[str, pathlib.Path]:
    """Give the family's programs by name, built now if they are not in the cache yet."""
    folder = _folder(family)
    if not folder.is_dir():
        go = toolchain.go(all_pins, report)
        with cache.lock(family.name, report):
            if not folder.is_dir():
                usual = f"usually {_minutes(family.usual_seconds)} on 2 cores, once"
                text = f"Building {', '.join(family.programs)} ({family.module} {family.version}; {usual})"
                with report.step(text), cache.made_whole(folder) as fresh:
                    _build(family, go, fresh)
    return {program: folder / "bin" / program for program in family.programs}


def programs(kubernetes: str, report: Report, *, real_node: bool) -> dict[str, pathlib.Path]:
    """Give every program of a cluster by name."""
    all_pins = pins.load()
    found: dict[str, pathlib.Path] = {}
    for family in all_pins.needed(kubernetes, real_node=real_node):
        found.update(build(family, all_pins, report))
    return found
