"""The way from a pod to the API server, which listens on loopback alone and has no kube-proxy before it.

The node's side of every pod's interface has the first address of the pod subnet. Connections to that address are passed
on to the API server, whose certificate names it, too. It is there before any pod is: binding does not wait for it.
"""

import contextlib
import socket
import socketserver
import threading
import types
import typing

from e2e.cluster import Cluster
from e2e.cluster.spec import HOST

_IP_FREEBIND = 15


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    behind: tuple[str, int]

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        super().server_bind()


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        with contextlib.suppress(OSError), socket.create_connection(self.server.behind) as behind:
            back = threading.Thread(target=_pass_on, args=(behind, self.request), daemon=True)
            back.start()
            _pass_on(self.request, behind)
            back.join()


class Door:
    """An address at which a local cluster's pods reach its API server, while it is entered."""

    def __init__(self, cluster: Cluster) -> None:
        self.host = cluster.spec.gateway
        self._server = _Server((self.host, 0), _Connection)
        self._server.behind = (HOST, cluster.spec.ports.api)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> typing.Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: types.TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
