"""A stand-in for systemd-logind: it tells the kubelet that its machine shuts down, and the machine does not.

A real logind cannot be had here: it would be the machine's own, whose shutdown is meant for everybody. This one says
so while a file is there, and that the shutdown was cancelled when the file has gone.
It is the system bus, too: the kubelet is the only one who talks to it, and takes the socket that its environment names.
What the kubelet asks stands in Kubernetes' pkg/kubelet/nodeshutdown/systemd.

`python logind.py SOCKET FILE`; it imports nothing of this package, because the keeper runs it as it runs a program.
"""

import array
import itertools
import os
import pathlib
import socket
import socketserver
import sys
import typing

from jeepney import DBusAddress, HeaderFields, Message, new_error, new_method_return, new_signal
from jeepney.low_level import Parser

_MANAGER = DBusAddress("/org/freedesktop/login1", interface="org.freedesktop.login1.Manager")
_DELAY_MAX_MICROSECONDS = 3600 * 10**6  # as long as any kubelet wants: one that wants longer edits logind's files
_GREETINGS = {
    b"AUTH": b"REJECTED EXTERNAL",  # the client asks what there is
    b"AUTH EXTERNAL": b"OK 00000000000000000000000000000000",  # who may open the socket is let in
    b"NEGOTIATE_UNIX_FD": b"AGREE_UNIX_FD",
}
_ANSWERS: dict[str, tuple[str | None, tuple[object, ...]]] = {
    "Hello": ("s", (":1.1",)),
    "AddMatch": (None, ()),
    "Get": ("v", (("t", _DELAY_MAX_MICROSECONDS),)),  # the one property that a kubelet asks for
}
"""Method -> signature and values of the answer."""


class _Connection(socketserver.StreamRequestHandler):
    """One client: it is greeted, and then each of its calls is answered."""

    server: "Logind"
    rbufsize = 0  # the greeting is read as lines, and not a byte of what follows

    def setup(self) -> None:
        super().setup()
        self._serials = itertools.count(1)

    def handle(self) -> None:
        self.rfile.read(1)
        while (words := self.rfile.readline().split()) not in ([b"BEGIN"], []):
            self.wfile.write(_GREETINGS.get(b" ".join(words[:2]), b"ERROR") + b"\r\n")
        self.server.connections.add(self)
        parser = Parser()
        while data := self.connection.recv(4096):
            for call in parser.feed(data):
                self._answer(call)

    def finish(self) -> None:
        self.server.connections.discard(self)
        super().finish()

    def _answer(self, call: Message) -> None:
        method = call.header.fields[HeaderFields.member]
        if method == "Inhibit":
            # Whoever closes the descriptor lets the shutdown go on; nobody waits for that here.
            with pathlib.Path(os.devnull).open("rb") as lock:
                self.send(new_method_return(call, "h", (lock,)))
        elif method in _ANSWERS:
            self.send(new_method_return(call, *_ANSWERS[method]))
        else:
            self.send(new_error(call, "org.freedesktop.DBus.Error.UnknownMethod"))

    def send(self, message: Message) -> None:
        descriptors = array.array("i")
        data = message.serialise(next(self._serials), descriptors)
        socket.send_fds(self.connection, [data], list(descriptors))


class Logind(socketserver.ThreadingUnixStreamServer):
    """Serves the socket, and watches the file."""

    daemon_threads = True

    def __init__(self, address: pathlib.Path, shutdown: pathlib.Path) -> None:
        self.connections: set[_Connection] = set()
        self._shutdown = shutdown
        self._is_shutting_down = False
        super().__init__(str(address), _Connection)

    def service_actions(self) -> None:
        """Say what has changed; the server calls this with each of its rounds."""
        now = self._shutdown.exists()
        if now != self._is_shutting_down:
            self._is_shutting_down = now
            print("PrepareForShutdown", now, flush=True)
            for connection in list(self.connections):
                connection.send(new_signal(_MANAGER, "PrepareForShutdown", "b", (now,)))


def main(address: str, shutdown: str) -> typing.NoReturn:
    """Serve for ever."""
    pathlib.Path(address).unlink(missing_ok=True)  # of one that ended
    with Logind(pathlib.Path(address), pathlib.Path(shutdown)) as logind:
        logind.serve_forever(poll_interval=0.1)
    raise AssertionError


if __name__ == "__main__":
    main(*sys.argv[1:])
