"""The command line of the operator."""

import argparse

import suptree
from suptree.app.election import LEASE_SECONDS
from suptree.app.logs import FORMATS
from suptree.app.watches import SILENCE_SECONDS

NAME = "suptree"
MAX_RESTARTS = 10
"""What the operator allows when nothing is said; the chart's default is the same."""
_SHORTEST_LEASE_SECONDS = 2


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    it = argparse.ArgumentParser(prog=NAME, description="OTP supervision trees for Kubernetes workloads.")
    where = it.add_mutually_exclusive_group(required=True)
    where.add_argument("--all-namespaces", action="store_true", help="supervise the whole cluster")
    where.add_argument("--namespace", action="append", help="supervise this namespace only; may be given several times")
    it.add_argument(
        "--health-port", type=int, default=8080, help="port of /healthz and /readyz, 0 for none (default: 8080)"
    )
    it.add_argument("--metrics-port", type=int, default=0, help="port of /metrics, 0 for none (default: 0)")
    it.add_argument(
        "--max-simultaneous-restarts",
        type=_restarts,
        default=MAX_RESTARTS,
        metavar="N",
        help=f"how many group restarts may be under way in the cluster at once, 0 for any number (default: {MAX_RESTARTS})",
    )
    it.add_argument(
        "--recreate",
        action="store_true",
        help="let children be Jobs and bare Pods: they are created again in a restart (needs the right to create them)",
    )
    it.add_argument("--log-format", choices=FORMATS, default=FORMATS[0], help=f"how to log (default: {FORMATS[0]})")
    it.add_argument("--verbose", action="store_true", help="log what the framework does, too")
    it.add_argument("--version", action="version", version=f"{NAME} {suptree.__version__}")
    it.add_argument(
        "--watch-silence-seconds",
        type=float,
        default=SILENCE_SECONDS,
        help="a watch that is silent for so long is opened anew; a little later /healthz fails "
        f"(default: {SILENCE_SECONDS}; the API server sends something every minute)",
    )
    _add_election(it)
    return it


def _add_election(it: argparse.ArgumentParser) -> None:
    group = it.add_argument_group("leader election")
    group.add_argument(
        "--leader-elect",
        action="store_true",
        help="act only while holding the lease; the others wait, ready to take over",
    )
    group.add_argument("--lease-name", default=NAME, help=f"name of the Lease (default: {NAME})")
    group.add_argument(
        "--lease-namespace", help="namespace of the Lease (default: that of the service account, inside a cluster)"
    )
    group.add_argument(
        "--lease-seconds",
        type=_lease_seconds,
        default=LEASE_SECONDS,
        help=f"how long the others wait for a renewal before one of them takes over (default: {LEASE_SECONDS})",
    )


def _restarts(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of restarts: give 0 for any number, or more")
    return int(text)


def _lease_seconds(text: str) -> int:
    seconds = int(text)
    if seconds < _SHORTEST_LEASE_SECONDS:
        raise argparse.ArgumentTypeError(f"{seconds} is too short: use {_SHORTEST_LEASE_SECONDS} or more")
    return seconds
