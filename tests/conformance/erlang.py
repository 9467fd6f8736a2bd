"""The real supervisor: Erlang/OTP, found or installed, and a process of it that runs scenarios."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HARNESS = Path(__file__).parent / "otp_harness.erl"
PATIENCE = 120
"""Seconds that a batch of scenarios may take."""


class NoErlangError(Exception):
    """There is no Erlang here and none can be installed."""


class HarnessError(Exception):
    """The harness ended or hung in the middle of its work."""


def ensure_erlang() -> None:
    """See to it that `erl` and `erlc` are there; root on Debian installs them.

    Raises:
        NoErlangError: They are not there and cannot be installed.
    """
    if shutil.which("erl") and shutil.which("erlc"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoErlangError("Erlang is missing: install Debian's erlang-base, or run as root on Debian to have it done")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["install", "--yes", "--quiet", "--no-install-recommends", "erlang-base"]
    for arguments in (["update", "--quiet"], install):
        done = subprocess.run(["apt-get", *arguments], env=quiet, capture_output=True, text=True, check=False)
    if done.returncode or not shutil.which("erl"):
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoErlangError(f"Erlang is missing and apt-get could not install erlang-base: {last}")


def term(value: object) -> str:
    """Write JSON as an Erlang term: keys become atoms, strings binaries."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f"<<{json.dumps(value)}>>"
        case list():
            return f"[{','.join(map(term, value))}]"
        case dict():
            return f"#{{{','.join(f'{key}=>{term(item)}' for key, item in value.items())}}}"
        case _:
            return str(value)


class Otp:
    """A running harness."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def traces(self, scenarios: Sequence[Json]) -> list[Json]:
        """Run the scenarios and return what OTP's supervisor did in each."""
        return self._ask([term(scenario) for scenario in scenarios])

    def difference(self) -> Json:
        """Say in which expressions the supervisor that runs here differs from the installed one."""
        (answer,) = self._ask(["difference"])
        return answer

    def _ask(self, requests: Sequence[str]) -> list[Json]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # The pipes are short: while one end is written, the other has to be read.
        writer = threading.Thread(target=self._write, args=(requests,), daemon=True)
        alarm = threading.Timer(PATIENCE, self._process.kill)
        writer.start()
        alarm.start()
        try:
            lines = [self._process.stdout.readline() for _ in requests]
        finally:
            alarm.cancel()
            writer.join()
        if "" in lines:
            raise HarnessError(f"Erlang ended, or took longer than {PATIENCE} s, at: {requests[lines.index('')]}")
        return [json.loads(line) for line in lines]

    def _write(self, requests: Sequence[str]) -> None:
        assert self._process.stdin is not None
        try:
            for request in requests:
                self._process.stdin.write(f"{request}.\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # the reader says what happened


@contextmanager
def running() -> Iterator[Otp]:
    """Run the harness for a while.

    Raises:
        NoErlangError: There is no Erlang here and none can be installed.
    """
    ensure_erlang()
    command = ["erl", "-noshell", "+S", "1", "-pa", _compiled(), "-run", HARNESS.stem, "main"]
    quiet = {**os.environ, "ERL_CRASH_DUMP_BYTES": "0"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet) as process:
        try:
            yield Otp(process)
        finally:
            process.kill()


@functools.cache
def _compiled() -> str:
    """Compile the harness, once a process; return the folder that it is in until that ends."""
    folder = tempfile.TemporaryDirectory(prefix="suptree-otp-")
    atexit.register(folder.cleanup)
    subprocess.run(["erlc", "-o", folder.name, str(HARNESS)], check=True)
    return folder.name
