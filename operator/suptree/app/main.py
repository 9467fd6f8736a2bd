"""The command line of the operator, and kopf's start-up."""

import argparse
import gc
import logging
import os
import sys
from typing import Any

import kopf
import uvloop
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

import suptree
from suptree.app import metrics
from suptree.app.frugal import NoDiffBase, NoProgress
from suptree.app.handlers import register
from suptree.app.hub import Hub
from suptree.cluster.client import Api

logger = logging.getLogger(__name__)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="suptree", description="OTP supervision trees for Kubernetes workloads.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--all-namespaces", action="store_true", help="supervise the whole cluster")
    where.add_argument("--namespace", action="append", help="supervise this namespace only; may be given several times")
    parser.add_argument("--health-port", type=int, default=8080, help="port of /healthz, 0 for none (default: 8080)")
    parser.add_argument("--metrics-port", type=int, default=0, help="port of /metrics, 0 for none (default: 0)")
    parser.add_argument("--verbose", action="store_true", help="log what the framework does, too")
    parser.add_argument("--version", action="version", version=f"suptree {suptree.__version__}")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Run the operator until it is told to end."""
    args = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("kopf").setLevel(logging.INFO if args.verbose else logging.WARNING)
    uvloop.run(_run(args))


async def _configuration() -> Configuration:
    """Find the cluster: the service account inside one, the kubeconfig otherwise."""
    configuration = Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        load_incluster_config(client_configuration=configuration)
    else:
        await load_kube_config(client_configuration=configuration)
    return configuration


async def _run(args: argparse.Namespace) -> None:
    try:
        api = Api(await _configuration(), f"suptree/{suptree.__version__}")
    except ConfigException as error:
        sys.exit(f"suptree: no cluster to work with: {error}; set KUBECONFIG")
    if args.metrics_port:
        metrics.serve(args.metrics_port)
    hub = Hub(api)
    registry = kopf.OperatorRegistry()
    register(registry, hub)
    _register_activities(registry, hub)
    await kopf.operator(
        registry=registry,
        standalone=True,
        clusterwide=args.all_namespaces,
        namespaces=args.namespace or [],
        liveness_endpoint=f"http://0.0.0.0:{args.health_port}/healthz" if args.health_port else None,
    )


def _register_activities(registry: kopf.OperatorRegistry, hub: Hub) -> None:
    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: object) -> None:
        # Events about trees are ours to write; kopf would post its log lines as well.
        settings.posting.enabled = False
        # Namespaces and kinds are known from the start, so nobody needs the right to watch them.
        settings.scanning.disabled = True
        # kopf keeps an object's last event for as long as its worker idles: in a burst that is most of the memory.
        settings.queueing.idle_timeout = 0.1
        settings.persistence.diffbase_storage = NoDiffBase()
        settings.persistence.progress_storage = NoProgress()
        await hub.start()
        # What is loaded by now stays: the collector need not look at it again and again while events come in.
        gc.collect()
        gc.freeze()
        logger.info("suptree %s has started", suptree.__version__)

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's own contract
        in_cluster = os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG")
        return kopf.login_with_service_account(**kwargs) if in_cluster else kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: object) -> None:
        await hub.stop()
