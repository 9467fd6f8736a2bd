"""Progress for the person who waits: what is being done, how long it usually takes, how long it took."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Report:
    """Lines of progress, printed to standard error so that a command's output stays usable by scripts."""

    def __init__(self, write: Callable[[str], None] = _print) -> None:
        self._write = write

    def line(self, text: str) -> None:
        """Say one thing."""
        self._write(text)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Say what begins, and how long it took when it is done."""
        began = time.monotonic()
        self._write(f"{text} ...")
        yield
        self._write(f"{text}: {time.monotonic() - began:.1f} s")


QUIET = Report(lambda _text: None)
