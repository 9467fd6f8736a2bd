"""A TCP proxy before the API server, through which a test lets a connection hang as a network does: without a word."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536


class Proxy:
    """Forwards bytes, in each direction as long as it is open; what comes meanwhile is kept and forwarded later."""

    def __init__(self, server: str) -> None:
        """Listen on loopback.

        Args:
            server: The API server's URL.
        """
        parts = urlsplit(server)
        self._to = (parts.hostname or "127.0.0.1", parts.port or 443)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._up, self._down = threading.Event(), threading.Event()
        self._sockets: list[socket.socket] = []
        self._forwards_goodbyes = True
        self.resume()

    @property
    def url(self) -> str:
        """The address for the client."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def hang(self, *, down: bool = True) -> None:
        """Forward nothing from the client to the server and, unless told otherwise, nothing back."""
        self._up.clear()
        if down:
            self._down.clear()

    def resume(self) -> None:
        """Forward again, first what was kept."""
        self._up.set()
        self._down.set()

    def deliver(self) -> None:
        """Forward what was kept, and nothing that the same client sent after it.

        A client that has ended meanwhile has said goodbye, and a server that hears that lets go of what it was asked before.
        """
        self._forwards_goodbyes = False
        self.resume()

    def __enter__(self) -> Self:
        """Begin to accept connections."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        self.resume()
        for it in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)
            it.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                self._sockets += [client, server]
                # A client that has gone leaves the server's side open: what it had sent still arrives.
                for pump in ((client, server, self._up), (server, client, self._down)):
                    threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_open: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                was_kept = not is_open.is_set()
                is_open.wait()
                sink.sendall(data)
                if was_kept and not self._forwards_goodbyes:
                    return
