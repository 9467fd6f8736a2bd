"""What Prometheus would have of an operator: its metrics, read again and again while something happens."""

import threading
import time
import urllib.request
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from e2e.lib.kube import eventually
from e2e.lib.promql import Series

INTERVAL_SECONDS = 0.5
"""How often it reads: far more often than Prometheus does, because a test is over in a minute."""
TARGET = {"job": "suptree-metrics", "pod": "suptree-0"}
"""The labels that Prometheus adds."""


class Scrapes:
    """Reads metrics in the background, from entering to leaving."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._read: list[tuple[float, str]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._scrape()  # an address that does not answer is noticed here
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _scrape(self) -> None:
        with urllib.request.urlopen(self._address, timeout=10) as answer:  # noqa: S310 - an address of our own
            self._read.append((time.time(), answer.read().decode()))

    def _run(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self._scrape()

    @property
    def start(self) -> float:
        """When it read first, in seconds since the epoch."""
        return self._read[0][0]

    @property
    def end(self) -> float:
        """When it read last."""
        return self._read[-1][0]

    def shows(self, sample: str) -> bool:
        """Tell whether a line of what was read last begins so."""
        return any(line.startswith(sample) for line in self._read[-1][1].splitlines())

    def wait(self, sample: str) -> None:
        """Wait until it shows."""
        eventually(lambda: self.shows(sample), f"the metrics say {sample}")

    def wait_for_a_line(self) -> None:
        """Wait until what it shows now has been read twice more: a line has two points."""
        already = len(self._read)
        eventually(lambda: len(self._read) > already + 1, "the metrics are read twice more")

    def series(self) -> list[Series]:
        """Return all that was read."""
        found: dict[tuple[tuple[str, str], ...], list[tuple[float, float | None]]] = {}
        for at, text in list(self._read):
            for family in text_string_to_metric_families(text):
                for it in family.samples:
                    labels = {**TARGET, **it.labels, "__name__": it.name}
                    found.setdefault(tuple(sorted(labels.items())), []).append((at, it.value))
        return [Series(dict(labels), samples) for labels, samples in found.items()]
