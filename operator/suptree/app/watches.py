"""Whether the watches live: when the API server was last heard on each.

kopf opens a watch anew that has been silent for longer than the server's bookmarks are apart, but tells nobody. So it is
given an HTTP session that takes note of what arrives, bookmarks included. A watch that stays silent all the same is why
the process should be restarted, and says so in `/healthz`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import aiohttp
import kopf

from suptree.app.paths import about

SILENCE_SECONDS = 70
"""How long a watch may be silent before it is opened anew: the API server sends a bookmark every minute."""
_LIMIT = 9 / 7
"""How much longer until it counts as dead: 90 s. A new one needs time to connect."""
_OK = 200
_LAST_WORDS, _LISTEN_AGAIN_SECONDS = 40, 0.05
"""How often, and how far apart, it is looked whether a watch tells of an end that a read shows already: for two seconds."""

Key = tuple[str, str]
"""Resource (plural) and namespace; an empty namespace: all."""


async def last_words(are_heard: Callable[[], bool]) -> None:
    """Wait until a watch has told of an end that a read shows already, but not for ever: it alone shows how it came."""
    for _ in range(_LAST_WORDS):
        if are_heard():
            return
        await asyncio.sleep(_LISTEN_AGAIN_SECONDS)


class Watches:
    """The watches that there are to be, and when each was last heard."""

    def __init__(self, resources: Iterable[str], namespaces: Iterable[str], silence_seconds: float) -> None:
        """Expect a watch for each resource in each namespace.

        Args:
            resources: Plurals.
            namespaces: None given: the whole cluster.
            silence_seconds: How long a watch may be silent before it is opened anew.
        """
        self.silence_seconds = silence_seconds
        now = time.monotonic()
        places = list(namespaces) or [""]
        self._heard: dict[Key, float] = {(resource, place): now for resource in resources for place in places}

    def heard(self, key: Key) -> None:
        """Take note that something has arrived."""
        if key in self._heard:
            self._heard[key] = time.monotonic()

    def ages(self) -> Mapping[str, float]:
        """Return for each resource how long its most silent watch has been silent, in seconds."""
        now = time.monotonic()
        found: dict[str, float] = {}
        for (resource, _), at in self._heard.items():
            found[resource] = max(found.get(resource, 0.0), now - at)
        return found

    def dead(self) -> str:
        """Say which watches are dead; empty: none."""
        limit = self.silence_seconds * _LIMIT
        late = {resource: age for resource, age in self.ages().items() if age > limit}
        said = ", ".join(f"{resource} for {age:.0f} s" for resource, age in sorted(late.items()))
        return f"nothing heard of {said} (limit {limit:.0f} s): the API server cannot be reached" if late else ""


def session(
    info: kopf.ConnectionInfo, watches: Watches, user_agent: str, traces: Sequence[aiohttp.TraceConfig]
) -> kopf.AiohttpSession:
    """Return a session for kopf that takes note of what its watches hear."""
    # Without a limit, as kopf's own: each watch holds a connection.
    connector = aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context())
    response_class = type("HeardResponse", (_Response,), {"watches": watches})
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        expiration=info.expiration,
        aiohttp_session=aiohttp.ClientSession(
            connector=connector,
            headers={**info.as_http_headers(), "User-Agent": user_agent},
            proxy=info.proxy_url,
            trust_env=info.trust_env,
            response_class=response_class,
            trace_configs=list(traces),
        ),
    )


class _Response(aiohttp.ClientResponse):
    watches: Watches

    async def start(self, connection: "aiohttp.connector.Connection") -> aiohttp.ClientResponse:
        await super().start(connection)
        it = about(self.method, self.url.path, self.url.query)
        key = (it.resource, it.namespace)
        if self.status != _OK:
            return self
        if it.verb in {"list", "watch"}:
            self.watches.heard(key)
        if it.verb == "watch":
            self.content = cast("aiohttp.StreamReader", _Stream(self.content, lambda: self.watches.heard(key)))
        return self


class _Stream:
    """A response's content that says when a part of it arrives."""

    def __init__(self, content: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._content = content
        self._heard = heard

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the content has
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for part in self._content.iter_chunked(size):
            self._heard()
            yield part
