"""Counts the requests to the API server, those of kopf's watches and those of our own."""

from types import SimpleNamespace

import aiohttp
from yarl import URL

from suptree.app.metrics import REQUESTS
from suptree.app.paths import about

_NO_ANSWER = "0"


def counting() -> aiohttp.TraceConfig:
    """Return what an HTTP session is to be told, for its requests to be counted."""
    it = aiohttp.TraceConfig()
    it.on_request_end.append(_answered)
    it.on_request_exception.append(_failed)
    return it


async def _answered(_: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
    _count(params.method, params.url, str(params.response.status))


async def _failed(_: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
    _count(params.method, params.url, _NO_ANSWER)


def _count(method: str, url: URL, code: str) -> None:
    it = about(method, url.path, url.query)
    REQUESTS.labels(it.verb, it.resource, code).inc()
