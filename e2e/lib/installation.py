"""The operator as users have it: its image, installed by Helm, in a pod of its own Deployment on a real kubelet."""

import contextlib
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import image
from e2e.cluster.report import Report
from e2e.lib.door import Door
from e2e.lib.kube import eventually
from e2e.lib.target import ROOT, Target
from e2e.lib.target import target as provide

NAMESPACE = "suptree-system"
RELEASE = "suptree"
CHART = str(ROOT / "charts/suptree")

Json = dict[str, Any]


class Installation:
    """A cluster of its own, on which the release `suptree` can be installed."""

    def __init__(self, target: Target, door: Door) -> None:
        self.target = target
        self.kube = target.kube.within(NAMESPACE)
        self._installed: Json | None = None
        repository, _, tag = image.IMAGE.rpartition(":")
        # The local cluster has no Service addresses, so the operator is told where the API server is.
        where = {"KUBERNETES_SERVICE_HOST": door.host, "KUBERNETES_SERVICE_PORT": str(door.port)}
        self.values: Json = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "extraEnv": [{"name": name, "value": value} for name, value in where.items()],
        }

    def helm(self, action: str, *arguments: str, **values: object) -> str:
        """Run `helm install`, `upgrade` (with these values beside those that this cluster needs), or another command.

        Raises:
            AssertionError: It failed; with what it said, and what became of the operator's pod.
        """
        command = [self.target.helm, *action.split(), RELEASE, "--namespace", NAMESPACE, *arguments]
        if action in {"install", "upgrade"}:
            command += [CHART, "--values", "-"]
        given = json.dumps(self.values | values)
        done = subprocess.run(command, input=given, capture_output=True, text=True, env=self.kube.env, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{self.story()}"
        return done.stdout

    def ensure(self, **values: object) -> list[Json]:
        """Install the release, or upgrade it, unless it has these values already; return its pods, which are Ready."""
        if self._installed != values:
            self.helm("install" if self._installed is None else "upgrade", **values)
            self._installed = values
        return self.roll_out()

    def story(self) -> str:
        """Tell what became of the operator's pods."""
        seen = (("get", "pods,events", "-o", "wide"), ("logs", "deployment/suptree", "--tail=20"))
        return "\n".join(self.kube.run(*it, check=False).stdout for it in seen)

    def roll_out(self) -> list[Json]:
        """Wait until the newest pods of the Deployment are Ready and the only ones; return them."""
        done = self.kube.run("rollout", "status", "deployment/suptree", "--timeout=120s", check=False)
        assert done.returncode == 0, f"{done.stderr}\n{self.story()}"
        wanted = self.kube.get("deployment", "suptree")["spec"]["replicas"]
        eventually(lambda: len(self.pods()) == wanted, f"{wanted} operators run")
        return self.pods()

    def pods(self) -> list[Json]:
        """Return the operator's pods."""
        return self.kube.list("pods", "app.kubernetes.io/component=operator")


@contextlib.contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """Start a cluster that has the image, and a namespace that takes only pods of the strictest standard."""
    kind = os.environ.get("CLUSTER", "local")
    reason = (
        f"the image can be given to a local cluster only, not to CLUSTER={kind}" if kind != "local" else image.why_not()
    )
    if reason:
        pytest.skip(reason)
    archive = folder / "suptree.tar"
    image.build(Report(), archive)
    with provide(
        "local", kubernetes=os.environ.get("KUBERNETES", "1.37"), name=f"e2e-{secrets.token_hex(3)}"
    ) as target:
        assert target.cluster is not None
        if not target.real_node:
            pytest.skip(target.real_node_reason)
        target.cluster.import_images(archive)
        archive.unlink()
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        target.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
        with Door(target.cluster) as door:
            yield Installation(target, door)
