"""A TCP proxy on a port of its own that cuts its connection at an exact byte."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress


class CuttingProxy:
    """
    Pass bytes on between clients and one server, and cut where it is told to.

    A cut passes on exactly the bytes that come before it, in its direction, and then ends both
    sides of the connection. Only one cut is made; connections after it work.

    Parameters
    ----------
    target_port : int
        Port of the server, on this machine.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._cut_in: dict[str, int] = {}
        self.passed = {"to_server": 0, "to_client": 0}
        self.cuts = 0
        self._swallows = False
        self._stopped = False
        self._open = threading.Event()
        self._open.set()
        self._sockets: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._open.set()
        # `close` alone does not wake a thread that waits in `accept`.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_now()
        self._thread.join(5.0)

    def cut_after(self, direction: str, count: int) -> None:
        """Cut once `count` more bytes went in `direction`: "to_server" or "to_client"."""
        with self._lock:
            self._cut_in[direction] = count

    def forget_cut(self) -> None:
        """Cut no more."""
        with self._lock:
            self._cut_in.clear()

    def swallow_answers(self) -> None:
        """Pass on nothing to clients from now on; what they send still arrives."""
        self._swallows = True

    def hold(self) -> None:
        """Let new connections wait."""
        self._open.clear()

    def go_on(self) -> None:
        """Let them through."""
        self._open.set()

    def cut_now(self) -> None:
        """End all connections at once."""
        for end in list(self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.wait()
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port), 1.0)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.add(end)
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(client, selectors.EVENT_READ, ("to_server", server))
                ready.register(server, selectors.EVENT_READ, ("to_client", client))
                while True:
                    for key, _ in ready.select():
                        direction, other = key.data
                        data = key.fileobj.recv(65_536)
                        if not data or not self._forward(direction, other, data):
                            return
        except OSError:
            return
        finally:
            for end in (client, server):
                self._sockets.discard(end)
                end.close()

    def _forward(self, direction: str, other: socket.socket, data: bytes) -> bool:
        with self._lock:
            left = self._cut_in.get(direction)
            cut = left is not None and left <= len(data)
            if cut:
                data = data[:left]
                self._cut_in.clear()
                self.cuts += 1
            elif left is not None:
                self._cut_in[direction] = left - len(data)
        if self._swallows and direction == "to_client":
            return True
        if data:
            other.sendall(data)
            self.passed[direction] += len(data)
        return not cut
