"""Where built programs stay between runs: outside the checkout, whole or not at all.

Two builders may start at once and either may be killed: a lock lets one wait for the other,
and a folder gets its name only when it is complete.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
import typing
from collections.abc import Iterator

from e2e.cluster.report import Report


def root() -> pathlib.Path:
    """Give the cache folder, by the rules of XDG."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "suptree" / "e2e"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_at(file: typing.IO[str], path: pathlib.Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


@contextlib.contextmanager
def locked(path: pathlib.Path, report: Report | None = None, waiting_for: str = "") -> Iterator[None]:
    """Hold an exclusive lock; it goes with this process, however that ends, and its file with it if it ends well."""
    while True:
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if report:
                    report.line(f"Waiting for another process: {waiting_for}")
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, path):
                continue  # its last holder removed the file meanwhile
            try:
                yield
            finally:
                path.unlink()
            return


@contextlib.contextmanager
def lock(name: str, report: Report) -> Iterator[None]:
    """Let one builder at a time make a thing of the cache."""
    with locked(root() / f"{name}.lock", report, f"it is building {name}"):
        yield


@contextlib.contextmanager
def made_whole(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give an empty folder to fill; it becomes `folder` at the end, and nothing is left of it when that fails."""
    for left in folder.parent.glob(f"{folder.name}.part-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = pathlib.Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    try:
        yield fresh
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
