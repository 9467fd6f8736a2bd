"""The CustomResourceDefinitions of the Prometheus operator, generated from its Go types as it generates them itself."""

import os
import subprocess
from pathlib import Path
from typing import Any

from e2e.cluster import build, cache, pins, toolchain
from e2e.cluster.report import Report
from tests import yamls

Json = dict[str, Any]


def definitions(*plurals: str) -> list[Json]:
    """Return the definitions of these resources, made now if they are not in the cache yet."""
    folder = _folder(Report())
    return [yamls.load((folder / f"monitoring.coreos.com_{it}.yaml").read_text()) for it in plurals]


def _folder(report: Report) -> Path:
    all_pins = pins.load()
    family = all_pins.families["monitoring"]
    generator = build.build(family, all_pins, report)["controller-gen"]
    module = generator.parents[1]
    made = module / "crds"
    with cache.lock(f"{family.name}-crds", report):
        if not made.is_dir():
            path = f"{Path(toolchain.go(all_pins, report)).parent}:{os.environ['PATH']}"
            env = {**os.environ, "PATH": path, "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local"}
            with cache.made_whole(made) as fresh:
                command = [str(generator), "crd", f"paths={family.module}/v1", f"output:crd:dir={fresh}"]
                subprocess.run(command, cwd=module, env=env, check=True)
    return made
