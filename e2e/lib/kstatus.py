"""What kstatus, the library by which Flux and others judge objects, makes of them (e2e/cluster/go/kstatus)."""

import json
import subprocess
from typing import Any

from e2e.cluster import build, pins
from e2e.cluster.report import Report


def judge(*objects: dict[str, Any]) -> list[tuple[str, str]]:
    """Return status and message of each object."""
    all_pins = pins.load()
    program = build.build(all_pins.families["kstatus"], all_pins, Report())["kstatus"]
    done = subprocess.run([str(program)], input=json.dumps(objects), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(it["status"], it["message"]) for it in json.loads(done.stdout)]
