"""The command line: `kubectl suptree status [NAME]`, `kubectl suptree reset NAME`."""

import argparse
import asyncio
import sys
import time

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.kube_config import list_kube_config_contexts

import suptree
from suptree.api.model import to_time
from suptree.cli.show import describe, table
from suptree.cluster.client import NOT_FOUND, Api, ApiError
from suptree.cluster.trees import Tree, tree_of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubectl suptree", description="Supervision trees, and what they are doing.")
    parser.add_argument("--version", action="version", version=f"suptree {suptree.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    status = commands.add_parser(
        "status", help="say what a tree is doing, and why; without a name: all trees, a line each"
    )
    status.add_argument("name", nargs="?")
    reset = commands.add_parser("reset", help="empty a tree's budget; one that has parked goes on")
    reset.add_argument("name")
    for command in (status, reset):
        command.add_argument("-n", "--namespace", help="namespace of the tree (default: the kubeconfig's)")
        command.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Run one command."""
    args = _parser().parse_args(argv)
    try:
        asyncio.run(_run(args))
    except ConfigException as error:
        sys.exit(f"kubectl suptree: no cluster to talk to: {error}; set KUBECONFIG")
    except ApiError as error:
        known = f"there is no tree {args.name!r} in that namespace; see `kubectl suptree status`"
        sys.exit(f"kubectl suptree: {known if error.status == NOT_FOUND and args.name else error}")


async def _run(args: argparse.Namespace) -> None:
    configuration = Configuration()
    await load_kube_config(client_configuration=configuration, context=args.context)
    namespace = args.namespace or _namespace_of(args.context)
    api = Api(configuration, f"kubectl-suptree/{suptree.__version__}")
    try:
        if args.command == "reset":
            await _reset(api, namespace, args.name)
        elif args.name:
            print(describe(await _read(api, namespace, args.name)))
        else:
            print(table([tree_of(raw) for raw in await api.list_trees(namespace)]))
    finally:
        await api.close()


async def _read(api: Api, namespace: str, name: str) -> Tree:
    return tree_of(await api.get_tree(namespace, name))


async def _reset(api: Api, namespace: str, name: str) -> None:
    await api.annotate_reset(namespace, name, to_time(time.time()))
    print(f"supervisiontree {name}: the budget is emptied; see `kubectl suptree status {name}`")


def _namespace_of(context: str | None) -> str:
    contexts, active = list_kube_config_contexts()
    chosen = next((it for it in contexts if it["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")
