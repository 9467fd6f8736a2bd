"""The operator's process, forked from one that has imported it: tests start dozens, and half of a start is imports.

Its arguments, environment, output, signals and exit code are those of `python -m suptree`, which tests start, too, where
that is what they are about (test_health.py, test_install.py).
"""

import multiprocessing
import os
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from e2e.lib.operator import Operator, Process

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["suptree.app.main"])


class PreloadedOperator(Operator):
    """The same operator, quicker to start."""

    def _spawn(self) -> Process:
        process = _CONTEXT.Process(target=_run, args=(self.arguments, self.config, self.log), daemon=True)
        process.start()
        return _Forked(process)


def _run(arguments: tuple[str, ...], config: Path, log: Path) -> None:
    from kubernetes.aio.config import kube_config  # noqa: PLC0415 - in the process that is forked, which has it already

    from suptree.app.main import main  # noqa: PLC0415

    with log.open("ab") as file:
        for standard in (1, 2):
            os.dup2(file.fileno(), standard)
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = str(config)  # which is $KUBECONFIG as it was when that was imported
    os.environ["KUBECONFIG"] = str(config)
    main(list(arguments))


class _Forked:
    """A forked process, as `subprocess.Popen` has one."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, sig: int) -> None:
        os.kill(self.pid, sig)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, f"the operator has not ended in {timeout} s"
        return code
