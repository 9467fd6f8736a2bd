"""The keeper: the one process that owns everything a cluster runs, so that nothing outlives it.

As root it is the first process of a PID namespace and a mount namespace of its own: when it ends, however it ends, the
kernel ends everything in it, containers too, and their mounts and network interfaces go with them.
Otherwise the kernel is asked to end each component with its keeper, and there are no containers.

`python -m e2e.cluster.keeper FOLDER` writes down who it is, and becomes `unshare`, whose child is the keeper proper.
Its standard input tells it when it is no longer wanted: a starter that dies without a word closes that pipe.
"""

import contextlib
import ctypes
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Callable

from e2e.cluster import bootstrap, state
from e2e.cluster.components import Component
from e2e.cluster.processes import Process
from e2e.cluster.spec import Spec

_PR_SET_PDEATHSIG = 1
_MNT_DETACH = 2
_RESTART_AFTER = 1.0
_THRIFTY = {"GOGC": "400"}
"""Memory for time: all components are written in Go, and collect their garbage a quarter as often."""
_LIBC = ctypes.CDLL(None, use_errno=True)


class Unwanted(BaseException):
    """The keeper was told to end: by a signal, or because its starter is gone."""


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Keeper:
    """Starts components, starts them again when they end, and ends them all."""

    def __init__(self, spec: Spec, *, inside: bool) -> None:
        self.spec = spec
        self.inside = inside
        self.ready = False
        self._running: dict[int, Component] = {}
        self._due: dict[str, tuple[float, Component]] = {}
        self._began = time.monotonic()
        self._input = selectors.DefaultSelector()
        with contextlib.suppress(PermissionError):  # /dev/null cannot be waited for, and never ends
            self._input.register(sys.stdin.fileno(), selectors.EVENT_READ)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_end)

    @staticmethod
    def _told_to_end(number: int, _frame: object) -> None:
        raise Unwanted(signal.Signals(number).name)

    def say(self, text: str) -> None:
        """Write a line of progress, which the starter shows."""
        with (self.spec.folder / "progress").open("a") as file:
            file.write(f"{time.monotonic() - self._began:5.1f} s  {text}\n")

    def start(self, component: Component) -> None:
        """Start a component, its output appended to its log."""
        with (self.spec.logs / f"{component.name}.log").open("ab") as log:
            child = subprocess.Popen(
                component.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.spec.folder,
                env={**os.environ, **_THRIFTY, **component.environment},
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # this process has one thread
            )
        self._running[child.pid] = component
        child.returncode = 0  # collected below with everybody else's orphans, not by this object

    def tend(self) -> None:
        """Collect what ended, start again what has to be, and notice when nobody wants the cluster any more."""
        if any(not os.read(key.fd, 1) for key, _ in self._input.select(0.05)):
            raise Unwanted("the process that started the cluster is gone")
        if not self._input.get_map():
            time.sleep(0.05)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended(*ended)
        for name, (when, component) in list(self._due.items()):
            if time.monotonic() >= when:
                del self._due[name]
                self.start(component)

    def _ended(self, pid: int, status: int) -> None:
        component = self._running.pop(pid, None)
        if component is None:
            return  # an orphan, such as a containerd shim
        code = os.waitstatus_to_exitcode(status)
        if not self.ready:
            raise RuntimeError(
                f"{component.name} ended with exit code {code}\n{bootstrap.tail(self.spec, component.name)}"
            )
        self.say(f"{component.name} ended with exit code {code}; starting it again")
        self._due[component.name] = (time.monotonic() + _RESTART_AFTER, component)

    def wait(self, what: str, good: Callable[[], bool], seconds: float, component: str) -> None:
        """Tend until something is so; name the component to blame when it does not become so."""
        deadline = time.monotonic() + seconds
        while not good():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}: not within {seconds:.0f} s\n{bootstrap.tail(self.spec, component)}")
            self.tend()
        self.say(what)

    def end_all(self) -> None:
        """End everything that was started; as the first process of a namespace, everything in it."""
        targets = [-1] if self.inside else list(self._running)
        for target in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


def _mounts_below(folder: pathlib.Path) -> list[str]:
    targets = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    return [target for target in reversed(targets) if pathlib.Path(target).is_relative_to(folder)]


def _remove(folder: pathlib.Path) -> None:
    for target in _mounts_below(folder):
        _LIBC.umount2(target.encode(), _MNT_DETACH)
    if not _mounts_below(folder):  # never remove through a mount: what lies behind may be someone else's
        state.remove(folder)


def keep(spec: Spec, *, inside: bool) -> int:
    """Run the cluster until it is no longer wanted; leave nothing, or the logs when it could not start."""
    keeper = Keeper(spec, inside=inside)
    try:
        bootstrap.run(keeper)
        keeper.ready = True
        (spec.folder / "ready").touch()
        while True:
            keeper.tend()
    except Unwanted as reason:
        keeper.say(f"Ending: {reason}")
    except Exception as error:
        keeper.end_all()
        (spec.folder / "failed").write_text(str(error))
        raise
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keeper.end_all()
    _remove(spec.folder)
    return 0


def _unshare(folder: str) -> typing.NoReturn:
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--propagation", "private"]
    command += [sys.executable, "-m", "e2e.cluster.keeper", folder, "--inside"]
    os.execvp(command[0], command)  # noqa: S606  # the process must stay the one that was written down


def main(folder: str, *inside: str) -> int:
    """Be the outer or the inner process, by what the command line says."""
    spec = Spec.load(pathlib.Path(folder))
    if inside:
        if os.getpid() != 1:  # it ends every process that it can see
            raise RuntimeError("--inside is for the first process of a PID namespace")
        return keep(spec, inside=True)
    me = Process.of(os.getpid())
    if me:
        me.save(spec.folder / "keeper.json")
    if spec.isolated:
        _unshare(folder)
    return keep(spec, inside=False)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
