"""A TCP proxy on a port of its own that cuts at an exact byte, swallows, delays and keeps back."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress


# For how long bytes that are kept back outlive their sender, and the server may take to read them.
KEPT_S = 60.0
READ_S = 2.0


class _Link:
    """One connection through the proxy: both ends, and what is kept back in each direction."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.lock = threading.Lock()
        self.kept: dict[str, bytearray] = {}
        self.released = threading.Event()

    def towards(self, direction: str) -> socket.socket:
        return self.server if direction == "to_server" else self.client


class CuttingProxy:
    """
    Pass bytes on between clients and one server, and do to them what it is told to.

    A cut passes on exactly the bytes that come before it, in its direction, and then ends both
    sides of the connection. Only one cut is made; connections after it work.

    Directions are "to_server" and "to_client".

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
        self.swallowed = {"to_server": 0, "to_client": 0}
        self.released = 0
        self.cuts = 0
        self._swallows: set[str] = set()
        self._delay_s = 0.0
        self._stopped = False
        self._open = threading.Event()
        self._open.set()
        self._links: set[_Link] = set()
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
        """Cut once `count` more bytes went in `direction`."""
        with self._lock:
            self._cut_in[direction] = count

    def forget_cut(self) -> None:
        """Cut no more."""
        with self._lock:
            self._cut_in.clear()

    def hold(self) -> None:
        """Let new connections wait."""
        self._open.clear()

    def go_on(self) -> None:
        """Let them through."""
        self._open.set()

    def cut_now(self) -> None:
        """End all connections at once, and forget what is kept back."""
        for link in list(self._links):
            for end in (link.client, link.server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            link.released.set()

    def switch(self, target_port: int) -> None:
        """Lead new connections to another server."""
        self._target_port = target_port

    def swallow(self, *directions: str) -> None:
        """Let what goes in these directions, and in no others, vanish from now on."""
        self._swallows = set(directions)

    def delay(self, seconds: float) -> None:
        """Pass on everything that much later from now on."""
        self._delay_s = seconds

    def keep(self, direction: str) -> None:
        """
        Keep back what goes in `direction` on the connections that there are; new ones work.

        It is kept even if the client hangs up, as a network does that has packets under way.
        """
        for link in list(self._links):
            with link.lock:
                link.kept.setdefault(direction, bytearray())

    def kept(self) -> int:
        """Return how many bytes are kept back."""
        return sum(len(data) for link in list(self._links) for data in link.kept.values())

    def release(self) -> None:
        """Let what was kept back arrive."""
        for link in list(self._links):
            with link.lock:
                for direction, data in link.kept.items():
                    # Whom it was for may have hung up.
                    with suppress(OSError):
                        link.towards(direction).sendall(data)
                        self.released += len(data)
                link.kept.clear()
            link.released.set()

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
            threading.Thread(target=self._pass, args=(_Link(client, server),), daemon=True).start()

    def _pass(self, link: _Link) -> None:
        for end in (link.client, link.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links.add(link)
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(link.client, selectors.EVENT_READ, "to_server")
                ready.register(link.server, selectors.EVENT_READ, "to_client")
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65_536)
                        if not data or not self._forward(link, key.data, data):
                            return
        except OSError:
            return
        finally:
            self._deliver_late(link)
            self._links.discard(link)
            for end in (link.client, link.server):
                end.close()

    def _forward(self, link: _Link, direction: str, data: bytes) -> bool:
        with self._lock:
            left = self._cut_in.get(direction)
            cut = left is not None and left <= len(data)
            if cut:
                data = data[:left]
                self._cut_in.clear()
                self.cuts += 1
            elif left is not None:
                self._cut_in[direction] = left - len(data)
        if self._delay_s:
            time.sleep(self._delay_s)
        if direction in self._swallows:
            self.swallowed[direction] += len(data)
        elif data:
            with link.lock:
                if direction in link.kept:
                    link.kept[direction] += data
                else:
                    link.towards(direction).sendall(data)
                    self.passed[direction] += len(data)
        return not cut

    @staticmethod
    def _deliver_late(link: _Link) -> None:
        """Wait until what is kept back for the server may arrive, and until it has read it."""
        if "to_server" not in link.kept:
            return
        link.released.wait(KEPT_S)
        with suppress(OSError):
            link.server.shutdown(socket.SHUT_WR)
            link.server.settimeout(READ_S)
            while link.server.recv(65_536):
                pass
