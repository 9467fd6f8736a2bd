"""The API server's audit log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def entries(log: Path, about: str) -> Iterator[Json]:
    """Walk the entries in which a text occurs, such as a namespace's or a user's name; JSON is slow to read, and most are about others."""
    for line in log.read_text().splitlines():
        if about in line:
            yield json.loads(line)
