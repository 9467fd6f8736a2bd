"""Replay scenarios on the core: scenarios on stdin, one JSON object a line; traces on stdout, likewise.

The format is that of docs/otp-traces.md. A scenario that cannot be replayed answers {"id": ..., "error": ...}.
"""

import json
import sys
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.otp.world import EVENTS, World


def replay(scenario: dict[str, Any]) -> dict[str, Any]:
    """Return the trace of a scenario."""
    unknown = sorted({event["op"] for event in [*scenario.get("prelude", []), *scenario["events"]]} - set(EVENTS))
    if unknown:
        return {"id": scenario.get("id"), "error": f"operations without a meaning here: {', '.join(unknown)}"}
    return World(scenario).run()


def main() -> None:
    """Replay each line of stdin."""
    for line in sys.stdin:
        if line.strip():
            given = json.loads(line)
            print(json.dumps(replay(given.get("scenario", given)), separators=(",", ":")), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
