"""Processes by identity: a number alone may belong to a stranger by the time it is used.

A process is known by its number, its start time and the machine's boot; nothing else is ever signalled.
"""

import dataclasses
import json
import os
import pathlib
import signal
import time
import typing

PROC = pathlib.Path("/proc")
_AFTER_NAME_STATE, _AFTER_NAME_START = 0, 19  # fields of /proc/PID/stat, counted from behind the name


def _stat(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


@dataclasses.dataclass(frozen=True)
class Process:
    """One process, for ever."""

    pid: int
    start: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> typing.Self | None:
        """Identify a running process."""
        stat = _stat(pid)
        return cls(pid, stat[_AFTER_NAME_START], _boot()) if stat else None

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that ended and waits to be collected does not."""
        stat = _stat(self.pid)
        return bool(stat) and stat[_AFTER_NAME_STATE] not in "ZX" and self == Process.of(self.pid)

    def children(self) -> list["Process"]:
        """Give its own children."""
        if not self.alive:
            return []
        tasks = (PROC / str(self.pid) / "task").glob("*/children")
        found = [Process.of(int(child)) for task in tasks for child in _read(task).split()]
        return [child for child in found if child]

    def inner_pid(self) -> int:
        """Give its number in the innermost PID namespace it is in."""
        for line in _read(PROC / str(self.pid) / "status").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
        return self.pid

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still is what it was."""
        if self.alive:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; False when it has not in time."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def save(self, path: pathlib.Path) -> None:
        """Write it down for other processes."""
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, path: pathlib.Path) -> typing.Self | None:
        """Read what `save` wrote."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError):
            return None


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
