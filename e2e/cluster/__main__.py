"""The command line of the local cluster: `python -m e2e.cluster build|up|down|status|kubeconfig`."""

import argparse
import signal
import subprocess
import sys
import time

from e2e.cluster import build, packages, pins, state
from e2e.cluster.cluster import Cluster, ClusterError, down
from e2e.cluster.processes import Process
from e2e.cluster.report import Report
from e2e.cluster.spec import Spec


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description="A real Kubernetes on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "build": "build what is not built, and start nothing",
        "up": "start it, building what is not built; instant when it is up",
        "down": "end it and remove everything it made",
        "status": "show each component, versions and ports",
        "kubeconfig": "print the path of the administrator's kubeconfig",
    }
    found = {name: commands.add_parser(name, help=text, description=text) for name, text in helps.items()}
    for command in found.values():
        command.add_argument("--name", default="local", help="which cluster, when there are several (%(default)s)")
    all_pins = pins.load()
    up = found["up"]
    for command in (found["build"], up):
        command.add_argument("--kubernetes", choices=all_pins.kubernetes(), default=all_pins.default_kubernetes)
    up.add_argument("--fake-nodes", type=int, default=4, help="how many nodes kwok plays (%(default)s)")
    up.add_argument("--no-real-node", action="store_true", help="leave out containerd and the kubelet")
    up.add_argument("--foreground", action="store_true", help="stay, and end the cluster on Ctrl-C")
    found["kubeconfig"].add_argument("--raw", action="store_true", help="print its content")
    return parser.parse_args()


def _build(arguments: argparse.Namespace) -> int:
    report = Report()
    reason = packages.why_no_real_node(wanted=True)
    if not reason:
        packages.install(report, packages.REAL_NODE)
    build.programs(arguments.kubernetes, report, real_node=not reason)
    return 0


def _up(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    cluster = Cluster.start(
        arguments.name,
        kubernetes=arguments.kubernetes,
        fake_nodes=arguments.fake_nodes,
        real_node=not arguments.no_real_node,
        detached=not arguments.foreground,
        report=Report(),
    )
    Report().line(
        f"The cluster {cluster.name} is up, Kubernetes {cluster.kubernetes_version} ({time.monotonic() - began:.1f} s)"
    )
    print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
    if not arguments.foreground:
        cluster.leave()
        return 0
    with cluster:
        Report().line("Ctrl-C ends it")
        while state.keeper(cluster.dir):
            time.sleep(0.2)
    Report().line(f"The cluster {cluster.name} has ended")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    if down(arguments.name):
        Report().line(f"The cluster {arguments.name} has ended ({time.monotonic() - began:.1f} s)")
    else:
        Report().line(f"There is no cluster {arguments.name}")
    return 0


def _describe(spec: Spec, components: dict[str, Process]) -> list[str]:
    all_pins = pins.load()
    versions = {
        program: family.version
        for family in all_pins.needed(spec.kubernetes, real_node=True)
        for program in family.programs
    }
    ports = {
        "etcd": spec.ports.etcd,
        "kube-apiserver": spec.ports.api,
        "kube-controller-manager": spec.ports.controllers,
        "kube-scheduler": spec.ports.scheduler,
        "kubelet": spec.ports.kubelet,
    }
    lines = [f"{'COMPONENT':24} {'STATE':6} {'PID':>8} {'PORT':>6}  VERSION"]
    for name in spec.components:
        process = components.get(name)
        up, pid = ("up", str(process.pid)) if process else ("down", "-")
        lines.append(f"{name:24} {up:6} {pid:>8} {ports.get(name, '-')!s:>6}  {versions[name]}")
    lines.append(f"fake nodes: {spec.fake_nodes}; real node: {'yes' if spec.real_node else spec.real_node_reason}")
    lines.append(f"logs: {spec.logs}")
    lines.append(f"export KUBECONFIG={spec.kubeconfig}")
    return lines


def _status(arguments: argparse.Namespace) -> int:
    others = [name for name in state.names() if name != arguments.name]
    if others:
        Report().line(f"Other clusters here: {', '.join(others)}")
    cluster = Cluster.attach(arguments.name)
    components = cluster.components()
    lines = _describe(cluster.spec, components)
    print("\n".join(lines))
    return 1 if any(" down " in line for line in lines) else 0


def _kubeconfig(arguments: argparse.Namespace) -> int:
    cluster = Cluster.attach(arguments.name)
    print(cluster.kubeconfig.read_text() if arguments.raw else cluster.kubeconfig)
    return 0


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run one command."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a background job of a shell starts with SIGINT ignored
        signal.signal(number, _stop)
    arguments = _arguments()
    commands = {"build": _build, "up": _up, "down": _down, "status": _status, "kubeconfig": _kubeconfig}
    try:
        return commands[arguments.command](arguments)
    except (ClusterError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} failed with exit code {error.returncode}; see above", file=sys.stderr)
    except KeyboardInterrupt:
        print("Ended", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
