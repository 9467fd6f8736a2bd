"""A cluster as tests and the command line see it: start it, attach to it, end it.

Starting is for everything at once: what is not built is built, what is not installed is installed, and a cluster of
that name that is already up is taken as it is. All of the work is the keeper's; this side starts it and watches.
"""

import contextlib
import pathlib
import signal
import subprocess
import sys
import time
import types
import typing

from e2e.cluster import build, node, packages, pins, state
from e2e.cluster.processes import Process
from e2e.cluster.report import Report
from e2e.cluster.spec import Spec

_REPOSITORY = pathlib.Path(__file__).parents[2]
_GRACE = 15.0


class ClusterError(Exception):
    """The cluster could not be started, or is not there; the message is for a person."""


class Cluster:
    """A running cluster. As a context manager it ends the cluster that it started, and leaves one that was up."""

    def __init__(self, spec: Spec, keeper: Process, starter: "subprocess.Popen[bytes] | None" = None) -> None:
        self.spec = spec
        self._keeper = keeper
        self._starter = starter
        self.name = spec.name
        self.dir = spec.folder
        self.kubeconfig = spec.kubeconfig
        self.kubectl = spec.programs["kubectl"]
        self.helm = spec.programs["helm"]
        self.audit_log = spec.audit_log
        self.logs = spec.logs
        self.server = spec.server
        self.kubernetes_version = spec.version
        self.real_node = spec.real_node
        self.real_node_reason = spec.real_node_reason

    @property
    def pid(self) -> int:
        """The process that everything hangs on: when it ends, the cluster does."""
        return self._keeper.pid

    @classmethod
    def attach(cls, name: str) -> "Cluster":
        """Give the cluster of that name, which must be up."""
        folder = state.folder(name)
        keeper = state.keeper(folder)
        if keeper is None or not (folder / "ready").exists():
            raise ClusterError(f"there is no cluster {name} up; start it with: python -m e2e.cluster up --name {name}")
        return cls(Spec.load(folder), keeper)

    @classmethod
    def start(
        cls,
        name: str = "local",
        *,
        kubernetes: str | None = None,
        fake_nodes: int = 4,
        real_node: bool = True,
        detached: bool = False,
        report: Report | None = None,
    ) -> "Cluster":
        """Give the cluster of that name, started now if it is not up.

        `real_node=True` means: when this machine can have one; `real_node_reason` says why not.
        Unless `detached`, it ends with this process, however that ends.
        """
        report = report or Report()
        all_pins = pins.load()
        kubernetes = kubernetes or all_pins.default_kubernetes
        if kubernetes not in all_pins.kubernetes():
            raise ClusterError(f"Kubernetes {kubernetes} is not pinned; these are: {', '.join(all_pins.kubernetes())}")
        reason = packages.why_no_real_node(wanted=real_node)
        folder = state.folder(name)
        with state.starting(name, report):
            if state.keeper(folder):
                return cls._as_asked(name, (kubernetes, fake_nodes, not reason))
            state.remove(folder)
            if reason:
                report.line(reason)
            else:
                packages.install(report, packages.REAL_NODE)
            programs = build.programs(kubernetes, report, real_node=not reason)
            folder.mkdir(mode=0o700)
            with state.choosing():
                spec = Spec(
                    name=name,
                    folder=folder,
                    kubernetes=kubernetes,
                    version=all_pins.families[f"kubernetes-{kubernetes}"].version,
                    fake_nodes=fake_nodes,
                    real_node=not reason,
                    real_node_reason=reason,
                    isolated=packages.may_isolate(),
                    ports=state.ports(),
                    pod_subnet=state.pod_subnet(),
                    programs=programs,
                )
                spec.save()
            return cls._started(spec, detached=detached, report=report)

    @classmethod
    def _as_asked(cls, name: str, asked: tuple[str, int, bool]) -> "Cluster":
        cluster = cls.attach(name)
        spec = cluster.spec
        found = (spec.kubernetes, spec.fake_nodes, spec.real_node)
        if found != asked:
            words = [f"Kubernetes {k}, {n} fake nodes, {'a' if r else 'no'} real node" for k, n, r in (found, asked)]
            raise ClusterError(f"the cluster {name} is up with {words[0]}, not {words[1]}: end it first, with `down`")
        return cluster

    @classmethod
    def _started(cls, spec: Spec, *, detached: bool, report: Report) -> "Cluster":
        spec.logs.mkdir()
        with (spec.logs / "keeper.log").open("wb") as log:
            starter = subprocess.Popen(
                [sys.executable, "-m", "e2e.cluster.keeper", str(spec.folder)],
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=_REPOSITORY,
                start_new_session=True,  # a Ctrl-C is this side's to handle
            )
        keeper = Process.of(starter.pid)
        if keeper is None:
            raise ClusterError(f"the keeper did not start; see {spec.logs / 'keeper.log'}")
        cluster = cls(spec, keeper, starter)
        try:
            cluster._wait_until_ready(report)
        except BaseException as error:
            failed = isinstance(error, ClusterError)
            cluster._end(keep_logs=failed)
            raise
        return cluster

    def _wait_until_ready(self, report: Report) -> None:
        shown = 0
        while True:
            done = (self.dir / "ready").exists()
            ended = not self._keeper.alive
            with contextlib.suppress(FileNotFoundError):
                lines = (self.dir / "progress").read_text().splitlines()
                for line in lines[shown:]:
                    report.line(line)
                shown = len(lines)
            if done:
                return
            if ended:
                raise ClusterError(f"the cluster {self.name} did not start: {self._why_it_failed()}")
            time.sleep(0.05)

    def _why_it_failed(self) -> str:
        for file in (self.dir / "failed", self.logs / "keeper.log"):
            if file.exists():
                return file.read_text().strip()
        return "its keeper was ended"

    def components(self) -> dict[str, Process]:
        """Give every component that runs now, by name; pids are those that this process sees."""
        inner = self.first_process()
        found = {}
        for child in inner.children() if inner else ():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                program = pathlib.Path(f"/proc/{child.pid}/exe").readlink().name
                found[program] = child
        return {name: found[name] for name in self.spec.components if name in found}

    def first_process(self) -> Process | None:
        """Give the process under which everything of the cluster runs, containers too."""
        if not self.spec.isolated:
            return self._keeper
        return next(iter(self._keeper.children()), None)

    def import_images(self, archive: pathlib.Path) -> None:
        """Hand the images of a docker-archive to the real node, which must be there; for `imagePullPolicy: Never`."""
        node.import_archive(self.spec, archive)

    def close(self) -> None:
        """End the cluster and everything it started, and remove its state folder."""
        self._end(keep_logs=False)

    def _end(self, *, keep_logs: bool) -> None:
        inner = self.first_process()
        if inner:
            inner.send(signal.SIGTERM)
        if not self._keeper.wait(_GRACE if inner else 0):
            self._keeper.send(signal.SIGKILL)
            self._keeper.wait(_GRACE)
        if self._starter:
            if self._starter.stdin:
                self._starter.stdin.close()
            self._starter.wait()
        if not keep_logs and state.keeper(self.dir) is None:  # a new one of that name may be up by now
            state.remove(self.dir)

    def leave(self) -> None:
        """Forget a detached cluster without ending it."""
        if self._starter:
            self._starter.returncode = 0  # its exit is not this process's to collect
            self._starter = None

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: types.TracebackType | None
    ) -> None:
        if self._starter:
            self.close()


def down(name: str, report: Report | None = None) -> bool:
    """End the cluster of that name, up or half up, and remove what it left; False when there was nothing."""
    folder = state.folder(name)
    if not folder.exists():
        return False
    keeper = state.keeper(folder)
    if keeper:
        Cluster(Spec.load(folder), keeper).close()
    with state.starting(name, report or Report()):
        if state.keeper(folder) is None:
            state.remove(folder)
            return True
    return bool(keeper) or down(name, report)  # it had just begun to start
