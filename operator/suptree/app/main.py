"""The operator's process: kopf's start-up, the campaign to lead, and the end."""

import argparse
import asyncio
import dataclasses
import gc
import logging
import os
import socket
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kopf
import uvloop
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

import suptree
from suptree.app import logs, metrics, release
from suptree.app.election import Election, LostError
from suptree.app.frugal import NoDiffBase, NoProgress
from suptree.app.handlers import WATCHED, register
from suptree.app.health import Health
from suptree.app.hub import Hub
from suptree.app.listing import JOBS, wait_until_listed
from suptree.app.options import parser
from suptree.app.requests import counting
from suptree.app.watches import Watches, session
from suptree.cluster.client import PAGE
from suptree.cluster.objects import ObjectApi

logger = logging.getLogger(__name__)

USER_AGENT = f"suptree/{suptree.__version__}"
WATCH_AGENT = f"suptree-watch/{suptree.__version__}"
LOST_THE_LEASE = 3
"""Exit code of a leader that lost its Lease. Others: 0, asked to end; 1, no cluster or a defect; 2, a wrong argument."""
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CONNECT_SECONDS = 10
_LIST_SECONDS = 120
_END_SECONDS = 25
"""When the process is killed that was told to end: less than the 30 s that Kubernetes gives it."""
_LAST_SECONDS = 5.0
"""How long a process that has lost its Lease takes to end, whatever still hangs."""


def main(argv: list[str] | None = None) -> None:
    """Run the operator until it is told to end; or, as `suptree release`, let go of everything (see `release`)."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["release"]:
        release.main(arguments[1:], _configuration)
        return
    args = parser().parse_args(arguments)
    logs.set_up(args.log_format, verbose=args.verbose)
    sys.exit(uvloop.run(_run(args)))


def _is_in_cluster() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"))


async def _configuration() -> Configuration:
    """Find the cluster: the service account inside one, the kubeconfig otherwise."""
    configuration = Configuration()
    if _is_in_cluster():
        load_incluster_config(client_configuration=configuration)
    else:
        await load_kube_config(client_configuration=configuration)
    return configuration


def _election(args: argparse.Namespace, api: ObjectApi) -> Election | None:
    if not args.leader_elect:
        return None
    namespace = args.lease_namespace
    if not namespace and _is_in_cluster():
        namespace = _OWN_NAMESPACE.read_text().strip()
    if not namespace:
        sys.exit("suptree: --leader-elect outside a cluster needs --lease-namespace: where is the Lease to be?")
    return Election(api, namespace, args.lease_name, f"{socket.gethostname()}_{uuid.uuid4()}", args.lease_seconds)


async def _run(args: argparse.Namespace) -> int:
    try:
        api = ObjectApi(await _configuration(), USER_AGENT, [counting()])
    except ConfigException as error:
        sys.exit(f"suptree: no cluster to work with: {error}; set KUBECONFIG")
    if args.metrics_port:
        metrics.serve(args.metrics_port)
    watched = (*WATCHED, "jobs") if args.recreate else WATCHED
    watches = Watches(watched, args.namespace or [], args.watch_silence_seconds)
    metrics.show_watch_ages(watched, watches.ages)
    restarts, namespaces = args.max_simultaneous_restarts, args.namespace or []
    operator = Operator(api, _election(args, api), restarts, namespaces, watches, recreates=args.recreate)
    registry = kopf.OperatorRegistry()
    register(registry, operator.hub)
    operator.register(registry)
    health = Health(watches, operator.hub.listed.is_set)
    if args.health_port:
        await health.serve(args.health_port)
    # kopf would make up one of the user's name, and a user in a container need not have a name.
    identity: Any = "suptree"
    await kopf.operator(
        registry=registry,
        identity=identity,
        standalone=True,
        clusterwide=args.all_namespaces,
        namespaces=args.namespace or [],
        stop_flag=operator.must_end,
    )
    await health.close()
    return operator.exit_code


class Operator:
    """The life of the process."""

    def __init__(
        self,
        api: ObjectApi,
        election: Election | None,
        max_restarts: int,
        namespaces: Sequence[str],
        watches: Watches,
        *,
        recreates: bool,
    ) -> None:
        self._api = api
        self._namespaces = namespaces
        self._watches = watches
        self._login: tuple[kopf.ConnectionInfo, kopf.AiohttpSession] | None = None
        self._listing: asyncio.Task[None] | None = None
        self._election = election
        may_call = (lambda: election.is_sure) if election is not None else lambda: True
        self.hub = Hub(api, may_call, max_restarts, recreates=recreates)
        self.must_end = asyncio.Event()
        self.exit_code = 0
        self._campaign: asyncio.Task[None] | None = None

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Register what kopf calls at the start and at the end."""
        kopf.on.startup(registry=registry)(self._start)
        kopf.on.login(registry=registry)(self._log_in)
        kopf.on.cleanup(registry=registry)(self._stop)

    async def _start(self, settings: kopf.OperatorSettings, **_: object) -> None:
        _configure(settings, self._watches.silence_seconds)
        await self.hub.start()
        # What is loaded by now stays: the collector need not look at it again and again while events come in.
        gc.collect()
        gc.freeze()
        self._campaign = asyncio.create_task(self._lead(), name="leader election")
        self._listing = asyncio.create_task(self._list(), name="first lists")
        logger.info("suptree %s has started", suptree.__version__)

    async def _list(self) -> None:
        more = [JOBS] if self.hub.recreates else []
        await wait_until_listed(self._api, self.hub.store, self._namespaces, more)
        self.hub.all_is_listed()
        logger.info("everything is listed")

    async def _log_in(self, **kwargs: Any) -> kopf.AiohttpSession | None:  # noqa: ANN401 - kopf's own contract
        found = _login(**kwargs)
        if found is None:
            return None
        # kopf asks again when it was refused; the same session tells it that there is nothing new to try.
        if self._login is None or self._login[0] != found:
            self._login = (found, session(found, self._watches, WATCH_AGENT, [counting()]))
        return self._login[1]

    async def _lead(self) -> None:
        try:
            if self._election is None:
                self.hub.lead()
                return
            # Who takes over is to act at once, so nobody is a candidate who has yet to list.
            await self.hub.listed.wait()
            await self._election.acquire()
            logger.info("this process acts: it holds %s", self._election)
            self.hub.lead()
            await self._election.hold()
        except LostError as error:
            logger.error("this process ends with exit code %d: %s", LOST_THE_LEASE, error)  # noqa: TRY400 - no defect
            await self._end(LOST_THE_LEASE)
        except Exception:
            logger.exception("this process ends with exit code 1: a defect of Suptree")
            await self._end(1)

    async def _end(self, exit_code: int) -> None:
        """Act no more, at once, and have the process end."""
        self.exit_code = exit_code
        if self._election is not None:
            self._election.drop()
        # Whatever hangs, for instance because the network does, does not keep it alive.
        asyncio.get_running_loop().call_later(_LAST_SECONDS, os._exit, exit_code)
        await self.hub.stop(at_once=True)
        self.must_end.set()

    async def _stop(self, **_: object) -> None:
        """End in order: decide nothing more, let the calls under way end, and only then let the next one lead."""
        for task in (self._campaign, self._listing):
            if task is not None:
                task.cancel()
        await self.hub.stop(at_once=self.exit_code != 0)
        if self._election is not None:
            await self._election.release()
        await self._api.close()
        # kopf has a task that waits for this, does not end it after a signal, and would give it five seconds to end.
        self.must_end.set()


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's own contract
    if not _is_in_cluster():
        return kopf.login_with_kubeconfig(**kwargs)
    found = kopf.login_with_service_account(**kwargs)
    # kopf asks the cluster's DNS for the API server; the environment names it, and both clients must use the same.
    configuration = Configuration()
    load_incluster_config(client_configuration=configuration)
    return found and dataclasses.replace(found, server=configuration.host)


def _configure(settings: kopf.OperatorSettings, silence_seconds: float) -> None:
    # Events about trees are ours to write; kopf would post its log lines as well.
    settings.posting.enabled = False
    # Namespaces and kinds are known from the start, so nobody needs the right to watch them.
    settings.scanning.disabled = True
    # kopf keeps an object's last event for as long as its worker idles: in a burst that is most of the memory.
    settings.queueing.idle_timeout = 0.1
    # A whole list of all pods of a large cluster, in one answer, is most of the memory that the process ever needs.
    settings.watching.chunk_size = PAGE
    settings.watching.inactivity_timeout = silence_seconds
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.networking.request_timeout = _LIST_SECONDS
    settings.process.ultimate_exiting_timeout = _END_SECONDS
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
