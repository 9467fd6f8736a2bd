"""What the kubelet asks: /healthz, whether the process should be restarted; /readyz, whether it knows all it must know."""

from collections.abc import Callable

from aiohttp import web

from suptree.app.watches import Watches

_NOT_WELL = 503
_END_SECONDS = 1.0


class Health:
    """The HTTP server for both."""

    def __init__(self, watches: Watches, is_listed: Callable[[], bool]) -> None:
        """Prepare it.

        Args:
            watches: What is watched.
            is_listed: Whether everything was listed whole.
        """
        self._watches = watches
        self._is_listed = is_listed
        app = web.Application()
        app.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=_END_SECONDS)

    async def serve(self, port: int) -> None:
        """Begin to answer.

        Raises:
            OSError: The port is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, port=port).start()

    async def close(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _answer(self._watches.dead())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._watches.dead() or ("" if self._is_listed() else "not everything was listed yet"))


def _answer(trouble: str) -> web.Response:
    return web.Response(text=f"{trouble or 'ok'}\n", status=_NOT_WELL if trouble else 200)
