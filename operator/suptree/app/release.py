"""`python -m suptree release`: lets go of everything before Suptree goes, so that nothing stays held and nothing is left.

`helm uninstall` deletes the operator before the gate policy; a pod created in between would be held, and nobody would be
left to release it. The chart's pre-delete job runs this first. Every step may be repeated, so what fails is begun again:

1. The gate policy's binding goes: no new pod is held.
2. The operator goes, and is waited for: nobody deletes a pod or writes an index any more. Its leader's Lease goes with it.
3. The indexes go: where the policy belongs to another release, it holds nothing here any more.
4. Every pod that is held is released, until none has been held for a while.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException

import suptree
from suptree.app.calls import pause
from suptree.cluster.client import POLICY_NAME, Api, ApiError
from suptree.cluster.situation import Release
from suptree.cluster.views import Pod, pod_of

logger = logging.getLogger(__name__)

T = TypeVar("T")

QUIET_SECONDS = 3.0
"""A policy that is gone is enforced for about a second more: for as long as this no pod must have been held."""
GONE_SECONDS = 60.0
"""How long the operator's pods are waited for. One on a node that is lost stays for ever, and has no rights soon."""
_ASK_AGAIN_SECONDS = 0.5
_PAGE = 500
_AT_ONCE = 16


class LeavingApi(Api):
    """The calls that are made only on the way out."""

    async def delete_binding(self) -> None:
        """Remove the binding that puts the gate policy in force."""
        await self._if_there("DELETE", _binding_path())

    async def delete_deployment(self, namespace: str, name: str) -> None:
        """Delete a Deployment; it is gone when its last pod is."""
        await self._if_there("DELETE", _deployment_path(namespace, name), {"propagationPolicy": "Foreground"})

    async def has_deployment(self, namespace: str, name: str) -> bool:
        """Tell whether a Deployment, or any pod of it, is still there."""
        return await self._if_there("GET", _deployment_path(namespace, name))

    async def delete_lease(self, namespace: str, name: str) -> None:
        """Remove the Lease of the operator's leader."""
        await self._if_there(
            "DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace)}/leases/{quote(name)}"
        )

    async def list_namespaces(self) -> list[str]:
        """List the names of all namespaces."""
        items = (await self._ask("GET", "/api/v1/namespaces")).get("items") or []
        return [str(it["metadata"]["name"]) for it in items]

    async def held_pods(self, namespace: str | None) -> list[Pod]:
        """List the pods of a namespace, or of all, that our gate holds; a held pod is Pending and has no node."""
        where = f"/api/v1/namespaces/{quote(namespace)}/pods" if namespace else "/api/v1/pods"
        query = {"fieldSelector": "status.phase=Pending,spec.nodeName=", "limit": str(_PAGE)}
        return [pod async for raw in self._pages(where, query) if (pod := pod_of(raw)).is_held]


def _binding_path() -> str:
    return f"/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/{POLICY_NAME}"


def _deployment_path(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{quote(namespace)}/deployments/{quote(name)}"


@dataclass(frozen=True)
class Leaving:
    """What is to be let go of."""

    namespaces: tuple[str, ...] = ()
    """Empty: all."""
    operator: tuple[str, str] | None = None
    """Namespace and name of the operator's Deployment, and of its leader's Lease; None: leave it."""
    is_policy_ours: bool = False
    """Whether the gate policy belongs to the release that goes."""


async def leave(api: LeavingApi, what: Leaving) -> int:
    """Let go of everything; return how many pods were released.

    Raises:
        ApiError: The API server said no, or nothing; all of it may be done again.
    """
    if what.is_policy_ours:
        await api.delete_binding()
        logger.info("no new pod is held any more: the binding %s of the gate policy is gone", POLICY_NAME)
    if what.operator is not None:
        await _end_operator(api, *what.operator)
        await api.delete_lease(*what.operator)
    await _each(what.namespaces or await api.list_namespaces(), api.delete_index)
    return await _release_all(api, what.namespaces or (None,))


async def _end_operator(api: LeavingApi, namespace: str, name: str) -> None:
    await api.delete_deployment(namespace, name)
    end = time.monotonic() + GONE_SECONDS
    while await api.has_deployment(namespace, name):
        if time.monotonic() > end:
            logger.warning("a pod of the operator %s/%s does not go; going on without waiting for it", namespace, name)
            return
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    logger.info("the operator %s/%s is gone", namespace, name)


async def _release_all(api: LeavingApi, namespaces: Iterable[str | None]) -> int:
    released: set[str] = set()
    last = time.monotonic()
    while time.monotonic() - last < QUIET_SECONDS:
        for namespace in namespaces:
            if held := await api.held_pods(namespace):
                last = time.monotonic()
                await _each(held, lambda pod: api.release_pod(Release(pod, None), ""))
                released |= {pod.uid for pod in held}
                logger.info("released %d pods in %s", len(held), namespace or "all namespaces")
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    return len(released)


async def _each(items: Iterable[T], call: Callable[[T], Awaitable[object]]) -> None:
    """Make a call for each item, a few at once; the first error ends it."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> None:
        async with limit:
            await call(item)

    await asyncio.gather(*map(one, items))


async def insist(api: LeavingApi, what: Leaving, seconds: float) -> int:
    """Let go of everything, again and again until it has succeeded.

    Raises:
        ApiError: It has not within that many seconds; the last error.
        TimeoutError: Likewise, but no call has failed: new pods are held again and again.
    """
    last: ApiError | None = None
    failures = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await leave(api, what)
                except ApiError as error:
                    last = error
                    logger.warning("tried again in %.1f s: %s", pause(failures), error)
                    await asyncio.sleep(pause(failures))
                    failures += 1
    except TimeoutError:
        if last is None:
            raise
        raise last from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="suptree release", description="Let every held pod go, and remove what Suptree keeps in namespaces."
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--all-namespaces", action="store_true", help="release the pods of the whole cluster")
    where.add_argument("--namespace", action="append", help="release this namespace's; may be given several times")
    parser.add_argument(
        "--operator",
        metavar="NAMESPACE/NAME",
        type=_operator,
        help="Deployment of the operator, which is deleted first",
    )
    parser.add_argument("--policy", action="store_true", help="take the gate policy out of force first")
    parser.add_argument("--timeout-seconds", type=float, default=240, help="give up after that long (default: 240)")
    return parser


def _operator(text: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not namespace or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAMESPACE/NAME")
    return namespace, name


def main(argv: list[str], configuration: Callable[[], Awaitable[Configuration]]) -> None:
    """Let go of everything, or say why it could not be done, and end with 1."""
    args = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    what = Leaving(tuple(args.namespace or ()), args.operator, args.policy)
    try:
        released = asyncio.run(_run(what, args.timeout_seconds, configuration))
    except ConfigException as error:
        sys.exit(f"suptree release: no cluster to work with: {error}; set KUBECONFIG")
    except ApiError as error:
        sys.exit(f"suptree release: not done within {args.timeout_seconds:.0f} s: {error}")
    except TimeoutError:
        sys.exit(
            f"suptree release: not done within {args.timeout_seconds:.0f} s: new pods are held again and again; "
            "does another release's operator look after these namespaces?"
        )
    logger.info("nothing is held any more; %d pods were released", released)


async def _run(what: Leaving, seconds: float, configuration: Callable[[], Awaitable[Configuration]]) -> int:
    api = LeavingApi(await configuration(), f"suptree-release/{suptree.__version__}")
    try:
        return await insist(api, what, seconds)
    finally:
        await api.close()
