"""The operator as a process beside the cluster, with the rights that the chart gives it and no others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from e2e.lib import audit
from e2e.lib.kube import Kube, eventually
from e2e.lib.target import ROOT, Target
from tests import yamls

NAMESPACE = "suptree-system"
RELEASE = "suptree"


def manifests(target: Target, *settings: str) -> list[dict[str, Any]]:
    """Render the chart; without the Deployment, because the operator runs as a process here."""
    sets = [part for setting in settings for part in ("--set", setting)]
    chart = str(ROOT / "charts/suptree")
    command = [target.helm, "template", RELEASE, chart, "--namespace", NAMESPACE, "--no-hooks", *sets]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [it for it in yamls.load_all(rendered) if it and it["kind"] != "Deployment"]


def install(target: Target, *settings: str) -> None:
    """Install CRD, rights and gate policy from the chart."""
    kube = target.kube.within(NAMESPACE)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kube.apply(*manifests(target, *settings))
    kube.wait_established("supervisiontrees.suptree.dev")


ELECTED = ("--all-namespaces", "--leader-elect", "--lease-namespace", NAMESPACE, "--lease-name", RELEASE)
"""Arguments of one of several operators."""


def kubeconfig(target: Target, folder: Path, server: str | None = None) -> Path:
    """Write a kubeconfig with a token of the service account.

    Args:
        target: The cluster.
        folder: Where to write it.
        server: The API server's address; None: the cluster's own.
    """
    token = target.kube.within(NAMESPACE).token(RELEASE, hours=24)
    config = yamls.load(Path(target.kube.kubeconfig).read_text())
    config["users"] = [{"name": RELEASE, "user": {"token": token}}]
    for context in config["contexts"]:
        context["context"]["user"] = RELEASE
    for cluster in config["clusters"] if server else []:
        cluster["cluster"]["server"] = server
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


class Process(Protocol):
    """What there is to a process: that of `subprocess.Popen`, and what `preloaded` puts in its place."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, at most so many seconds; return its exit code."""


class Operator:
    """The operator's process."""

    def __init__(
        self,
        kube: Kube,
        config: Path,
        log: Path,
        args: Sequence[str] = ("--all-namespaces",),
        tether: int | None = None,
    ) -> None:
        """Describe it.

        Args:
            kube: The cluster.
            config: Its kubeconfig.
            log: Where it logs to.
            args: Its arguments.
            tether: The process with which it ends, instead of with this one.
        """
        self.tether = tether
        self.kube = kube
        self.config = config
        self.log = log
        self.args = args
        self.process: Process | None = None
        self.exit_code: int | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, and wait until it works."""
        self.log.touch()
        already = len(self.log.read_text())
        self.process = self._spawn()
        eventually(lambda: "has started" in self._since(already), f"the operator starts; see {self.log}")

    def _spawn(self) -> Process:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "suptree", *self.arguments]
            if self.tether is not None:
                command = [sys.executable, "-m", "e2e.lib.tether", str(self.tether), *command]
            env = {**os.environ, "KUBECONFIG": str(self.config)}
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=env, cwd=ROOT, start_new_session=self.tether is not None
            )

    @property
    def arguments(self) -> tuple[str, ...]:
        """All its arguments."""
        return ("--health-port", "0", *self.args)

    def _since(self, already: int) -> str:
        assert self.process is not None
        assert self.process.poll() is None, f"the operator ended: {self.log.read_text()[-2000:]}"
        return self.log.read_text()[already:]

    def kill(self) -> None:
        """Kill it without warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.wait()

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        assert self.process is not None
        self.exit_code = self.process.wait(timeout=60)
        self.process = None
        return self.exit_code

    def says(self, text: str) -> bool:
        """Tell whether it has logged that."""
        return text in self.log.read_text()

    def rss_mebibytes(self) -> float:
        """Return its resident memory, in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


_WRITES = ("create", "update", "patch", "delete", "deletecollection")


def _is_write(entry: dict[str, Any]) -> bool:
    return entry["verb"] in _WRITES and entry["objectRef"]["resource"] != "leases"


def writes(audit_log: Path, agent: str, since: float) -> list[dict[str, Any]]:
    """Return the writes of a user agent since a time (seconds since the epoch), from the audit log; not those of its Lease."""
    found = []
    for entry in audit.entries(audit_log, agent):
        stamp = entry["requestReceivedTimestamp"][:26].rstrip("Z")
        when = time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + float("0" + stamp[19:])
        is_its = entry.get("userAgent", "").startswith(agent) and entry["stage"] == "ResponseComplete"
        if is_its and when >= since and _is_write(entry):
            found.append(entry)
    return found
