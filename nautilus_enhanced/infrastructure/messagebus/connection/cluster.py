"""
A connection to a cluster: one to each node that is needed, used together.

A batch is split by stream, since a transaction must not leave its slot, and each part goes to
the node that serves it. All nodes are written to before the first answer is read, so that they
work at the same time. Whatever breaks, the whole connection counts as broken: the writer asks
for what has arrived, wherever it is served then, and sends the rest. What a node answers with a
redirection was not run there, so that it is sent on under its old ID.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import hiredis
from redis.cluster import parse_cluster_slots
from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from redis.crc import key_slot

from nautilus_enhanced.infrastructure.messagebus.connection.connection import read_last_ids
from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import first_error
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.connection.connection import Identity
    from nautilus_enhanced.infrastructure.messagebus.connection.connection import ServerConnection


Address = tuple[str, int]

MAX_REDIRECTIONS: Final = 8
_ASKING: Final = command(b"ASKING")
_NOT_HERE: Final = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")


class SlotMap:
    """
    Know which node serves which slot, as far as it was told.

    Parameters
    ----------
    seed : tuple[str, int]
        The node to ask first.
    """

    def __init__(self, seed: Address) -> None:
        self._seed = seed
        self._nodes: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._seeds = deque([seed])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.masters)} masters)"

    @property
    def masters(self) -> set[Address]:
        """Return the nodes that serve a slot."""
        return {node for node in self._nodes if node is not None}

    def seeds(self) -> list[Address]:
        """Return the nodes to ask for the map, another one first each time."""
        seeds = list(self._seeds)
        # Whose view is an old one, because it is cut off, is not asked again at once.
        self._seeds.rotate(-1)
        return seeds

    def learn(self, answer: Any, host: str) -> None:
        """Take over the answer of the node at `host` to CLUSTER SLOTS."""
        nodes: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        ranges = parse_cluster_slots(answer, current_host=host)
        for (first, last), of in ranges.items():
            nodes[first : last + 1] = [(of["primary"][0], int(of["primary"][1]))] * (
                last + 1 - first
            )
        self._nodes = nodes
        known = self.masters | {self._seed}
        if known != set(self._seeds):
            self._seeds = deque([self._seed, *sorted(known - {self._seed})])

    def move(self, slot: int, node: Address) -> None:
        """Take over that `node` serves `slot` now."""
        self._nodes[slot] = node

    def node_of(self, key: bytes) -> Address | None:
        """Return the node that serves `key`, or None if nobody does."""
        return self._nodes[key_slot(key)]


def parse_redirection(error: str, host: str) -> tuple[str, int, Address] | None:
    """
    Return kind, slot and node of a redirection, or None if the error is none.

    Parameters
    ----------
    error : str
        The text of the error.
    host : str
        The host of the node that answered; a node that leaves out the host means its own.
    """
    kind, *rest = error.split(" ")
    if kind not in ("MOVED", "ASK") or len(rest) < 2:  # noqa: PLR2004 (slot and node)
        return None
    name, _, port = rest[1].rpartition(":")
    return kind, int(rest[0]), (name or host, int(port))


class _Request:
    """Commands about one key, and their answers."""

    __slots__ = ("answers", "commands", "count", "key", "node")

    def __init__(self, key: bytes, commands: bytes, count: int) -> None:
        self.key = key
        self.commands = commands
        self.count = count
        self.node: Address | None = None
        """The node that a redirection asks to try, this time only."""
        self.answers: list[Any] = []


class ClusterConnection:
    """
    A connection to a cluster; `open` it before anything else.

    Parameters
    ----------
    name : str
        The cluster's URL as it may be shown.
    slots : SlotMap
        The map, which outlives this connection.
    make_node : Callable[[tuple[str, int]], ServerConnection]
        Makes a connection to a node, not yet opened.
    """

    def __init__(
        self, name: str, slots: SlotMap, make_node: Callable[[Address], ServerConnection]
    ) -> None:
        self.name = name
        self._slots = slots
        self._make_node = make_node
        self._nodes: dict[Address, ServerConnection] = {}
        # Where the last batch went: not where the map says, which a slot that moves is ahead of.
        self._delivered_to: set[Address] = set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {len(self._nodes)} nodes)"

    @property
    def bytes_sent(self) -> int:
        """Return the bytes written to all nodes."""
        return sum(node.bytes_sent for node in list(self._nodes.values()))

    @property
    def identity(self) -> Identity:
        """Return which connections to which nodes this is: for `end_previous`."""
        return tuple((address, node.identity) for address, node in self._nodes.items())

    def open(self) -> None:
        """
        Connect to the first node that can be reached, and learn from it about the others.

        Raises
        ------
        LoginRefusedError
            If a node refused user or password.
        ServerError
            If no node told about the others.
        """
        reasons = []
        for address in self._slots.seeds():
            try:
                node = self._node(address)
                self._slots.learn(node.execute(b"CLUSTER", b"SLOTS"), address[0])
            except LoginRefusedError:
                raise
            except ServerError as error:
                reasons.append(str(error))
                self._forget(address)
                continue
            if address not in self._slots.masters:
                # A replica, or a node under another name.
                self._forget(address)
            return
        raise ServerUnreachableError("; ".join(reasons))

    def end_previous(self, identity: Identity) -> bool:
        """
        Make sure that nothing sent on an earlier connection is run any more.

        Returns
        -------
        bool
            Whether it is sure.
        """
        sure = True
        for address, of_node in identity:
            if address not in self._slots.masters:
                # What it still reads from the old connection it redirects, or, if it does not
                # know yet that it was replaced, loses when it becomes a replica.
                continue
            try:
                sure = self._node(address).end_previous(of_node) and sure
            except LoginRefusedError:
                raise
            except ServerUnreachableError:
                self._forget(address)
                sure = False
        return sure

    def make_ready(self, batch: Batch) -> None:
        """Encode a numbered batch, without I/O."""
        for _, part, _ in batch.by_stream():
            part.encode()

    def deliver(self, batch: Batch, meanwhile: Callable[[], None]) -> tuple[list[Fate], str]:
        """
        Send a numbered batch.

        Parameters
        ----------
        batch : Batch
            The batch.
        meanwhile : Callable[[], None]
            Called when it is sent, before the first answer is read.

        Returns
        -------
        tuple[list[Fate], str]
            The fate of each message, and the text of the first error.

        Raises
        ------
        ServerUnreachableError
            If a connection broke or a time limit passed; any message may be in its stream.
        """
        parts = batch.by_stream()
        requests = [_Request(key, *part.encode()) for key, part, _ in parts]
        self._delivered_to.clear()
        self._run(requests, meanwhile)
        fates = [Fate.LATER] * len(batch)
        for request, (_, part, positions) in zip(requests, parts, strict=True):
            for position, fate in zip(positions, part.fates(request.answers), strict=True):
                fates[position] = fate
        errors = (first_error(request.answers) for request in requests)
        return fates, next(filter(None, errors), "")

    def ask(self, queries: Iterable[tuple[bytes, bytes]]) -> list[Any]:
        """
        Run one command for each key, where the key is served.

        Raises
        ------
        ServerUnreachableError
            If a connection broke, or nobody serves a key.
        """
        requests = [_Request(key, query, 1) for key, query in queries]
        self._run(requests)
        answers = [request.answers[0] for request in requests]
        for answer in answers:
            if isinstance(answer, Exception) and str(answer).startswith(_NOT_HERE):
                raise ServerUnreachableError(f"{self.name} answered: {answer}")
        return answers

    def each_master(self) -> list[ServerConnection]:
        """
        Return a connection to every server that has keys, in the order of their addresses.

        Raises
        ------
        ServerUnreachableError
            If one of them cannot be reached.
        """
        return [self._node(address) for address in sorted(self._slots.masters)]

    def confirm(self, commands: bytes, answers: int) -> list[list[Any]]:
        """
        Ask every node that took part of the last batch; before the first batch, every master.

        Raises
        ------
        ServerUnreachableError
            If a connection broke.
        """
        nodes = [self._node(address) for address in self._delivered_to or self._slots.masters]
        for node in nodes:
            node.send(commands)
        return [node.receive(answers) for node in nodes]

    def last_ids(self, keys: list[bytes]) -> list[bytes]:
        """Return the last entry ID of each stream, ``0-0`` for one that does not exist."""
        return read_last_ids(self.ask, keys)

    def ping(self) -> None:
        """
        Find out whether the nodes are there; any answer will do.

        Raises
        ------
        ServerUnreachableError
            If a connection broke.
        """
        for node in self._nodes.values():
            node.ping()

    def shutdown(self) -> None:
        """Wake a thread that waits for an answer; it gets a `ServerUnreachableError`."""
        for node in list(self._nodes.values()):
            node.shutdown()

    def close(self) -> None:
        """Close all connections; calling it twice is harmless."""
        for node in self._nodes.values():
            node.close()

    def _run(self, requests: list[_Request], meanwhile: Callable[[], None] | None = None) -> None:
        """Have each request answered by the node that serves its key, redirections followed."""
        waiting = requests
        for _ in range(MAX_REDIRECTIONS):
            groups: dict[Address, list[_Request]] = {}
            for request in waiting:
                address = request.node or self._slots.node_of(request.key)
                if address is None:
                    error = hiredis.ReplyError("CLUSTERDOWN the slot of a stream is not served")
                    request.answers = [error] * request.count
                else:
                    groups.setdefault(address, []).append(request)
            # Open all before anything is sent: a node that is down costs nobody an answer.
            nodes = {address: self._node(address) for address in groups}
            for address, group in groups.items():
                nodes[address].send(b"".join(map(_commands, group)))
            if meanwhile is not None:
                meanwhile()
                meanwhile = None
            waiting = []
            for address, group in groups.items():
                for request in group:
                    if request.node is not None:
                        nodes[address].receive(1)
                    request.answers = nodes[address].receive(request.count)
                    if self._is_redirected(request, address[0]):
                        waiting.append(request)
                    else:
                        self._delivered_to.add(address)
            if not waiting:
                return

    def _is_redirected(self, request: _Request, host: str) -> bool:
        """Note where a request is to go instead; return False if it was answered."""
        request.node = None
        redirection = parse_redirection(first_error(request.answers), host)
        if redirection is None:
            return False
        kind, slot, node = redirection
        if kind == "ASK":
            request.node = node
        else:
            self._slots.move(slot, node)
        return True

    def _node(self, address: Address) -> ServerConnection:
        """Return the connection to a node, opened if it is new."""
        node = self._nodes.get(address)
        if node is None:
            # Known before it is open, so that closing can cut off the wait for an answer.
            node = self._nodes[address] = self._make_node(address)
            node.open(replica_allowed=True)
        return node

    def _forget(self, address: Address) -> None:
        node = self._nodes.pop(address, None)
        if node is not None:
            node.close()


def _commands(request: _Request) -> bytes:
    # Within a transaction ASKING holds until its end.
    return request.commands if request.node is None else _ASKING + request.commands
