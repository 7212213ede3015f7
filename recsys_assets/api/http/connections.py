"""The TCP connections of a server process: who holds them, for how long, and which are cut where there are too many.

The HTTP server below accepts every connection. Linux tells of each of them by `TCP_INFO`; elsewhere nothing is watched,
and the HTTP server's own limits are all.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from recsys_assets.api_settings import ApiSettings

log = logging.getLogger("recsys.api.connections")

Peer = tuple[str, str]
"""A client's address and port; the port as a text, as the HTTP server has it."""

_TICK_SECONDS = 0.25
_CALM_SECONDS = 1.0
"""Time between two looks while there is room for more connections."""
_HEADER_SECONDS = 10.0
_QUEUE_SECONDS = 1.0
"""Time that a request may wait for the event loop, in which it looks like one that is not complete."""
_LEAST_RATE = 1_024
"""Bytes a second that a client has to read while it is sent an answer."""
_REPORT_SECONDS = 60.0
_SEND_BUFFER = 128 * 1024
"""Bytes of an answer that the kernel keeps for a client that does not read; it doubles the number."""

_INFO = struct.Struct("=B23xI24xI64xQQ8xI8xI")
"""Of `struct tcp_info`: state, unacked, last_data_recv in ms, bytes_acked, bytes_received, notsent_bytes,
data_segs_out."""
_ESTABLISHED, _CLOSE_WAIT, _LISTEN = 1, 8, 10
_COOKIE = getattr(socket, "SO_COOKIE", 57)
_DESCRIPTORS = "/proc/self/fd"
_RESET = struct.pack("ii", 1, 0)


def _cookie(probe: socket.socket) -> int:
    """Return the kernel's number of a socket, which no other socket of this boot has."""
    return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, _COOKIE, 8), "little")


def _is_visible() -> bool:
    """Return True where `TCP_INFO` has all that is read here, which sandboxes and old kernels leave out."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    try:
        os.listdir(_DESCRIPTORS)  # noqa: PTH208  as in `_tick`
        with socket.socket() as probe:
            _cookie(probe)
            _INFO.unpack(probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
    except (OSError, struct.error):
        return False
    return True


WATCHED: Final = _is_visible()
"""True where this system tells what its connections do."""


def peer_of(address: Sequence[Any] | None) -> Peer:
    """Return a client as `Peer` from what ASGI or a socket has; an IPv4 client is the same on an IPv6 socket."""
    if address is None:
        return "unknown", ""
    host = address[0]
    if ":" in host:
        host = host.partition("%")[0].removeprefix("::ffff:")
    return host, str(address[1])


class Connection:
    """One open connection, as the last look found it."""

    __slots__ = (
        "acked", "answers", "asking_since", "fd", "moved_at", "opened_at", "peer", "rested", "writing",
    )  # fmt: skip

    def __init__(self, peer: Peer, now: float, *, acked: int = 0) -> None:
        self.peer = peer
        self.fd = -1
        self.acked, self.answers = acked, 0
        self.opened_at, self.moved_at = now, 0.0
        """When it was first seen, and when bytes last went either way."""
        self.rested = 0
        """Bytes received when the last answer went out: more of them are a request's beginning."""
        self.asking_since: float | None = None
        """Since when a request's head is incomplete."""
        self.writing: tuple[float, int] | None = None
        """While an answer waits for the client to read: when it began to be measured, and `acked` then."""

    def overdue(self, info: tuple[int, ...], *, busy: bool, now: float, write_seconds: float) -> bool:
        """Take the newest figures; True where the client took too long to ask, or to read."""
        _, unacked, received_ago, acked, received, unsent, answers = info
        self.moved_at = now if acked != self.acked else max(self.moved_at, now - received_ago / 1_000)
        if busy or answers != self.answers:
            self.rested, self.asking_since = received, None
        elif received > self.rested and self.asking_since is None:
            self.asking_since = now
        self.acked, self.answers = acked, answers
        if not unacked and not unsent:
            self.writing = None
        elif self.writing is None:
            self.writing = now, acked
        elif now - self.writing[0] >= write_seconds:
            since, before = self.writing
            if acked - before < _LEAST_RATE * (now - since):
                return True
            self.writing = now, acked
        return self.asking_since is not None and now - self.asking_since >= _HEADER_SECONDS

    def is_idle(self, *, busy: bool, now: float) -> bool:
        """Return True where no request is under way, or one whose answer the client does not read now."""
        waits = self.asking_since is not None and now - self.asking_since < _QUEUE_SECONDS
        reads = self.writing is not None and self.moved_at == now
        return not (busy or waits or reads)


class Connections:
    """Watches the connections of one process, and cuts those that are overdue or too many.

    A request that is under way and moves is never cut. Where the idle ones are not enough to make room, requests on
    the youngest connections are to be rejected.

    Args:
        settings: the limits.
        port: the port that the process listens on; None where it does not listen itself, and nothing is watched.
    """

    def __init__(self, settings: ApiSettings, port: int | None) -> None:
        self.busy: set[Peer] = set()
        """Clients that a request is being answered of."""
        self._settings = settings
        self._port = port
        self._uncounted = frozenset(("127.0.0.1", "::1", *settings.trusted_proxies))
        self._known: dict[int, Connection] = {}
        self._kept: frozenset[Peer] = frozenset()
        self._crowded: frozenset[str] = frozenset()
        self._full = False
        self._looked_at = self._reported_at = 0.0
        self._cut = 0
        """Connections cut since the last report of it."""

    def rejects(self, client: Peer) -> bool:
        """Return True where there are too many connections for a request of `client` to be answered."""
        return (self._full or client[0] in self._crowded) and client not in self._kept

    async def watch(self) -> None:
        """Look at the connections every quarter of a second, for good."""
        if not WATCHED or self._port is None:
            return
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                self._tick(monotonic())
            except OSError:
                log.exception("could not look at the connections; trying again")

    def _tick(self, now: float) -> None:
        descriptors = os.listdir(_DESCRIPTORS)  # noqa: PTH208  thousands of names, no paths
        calm = len(descriptors) < self._settings.max_connections and not (self._full or self._crowded)
        if calm and now - self._looked_at < _CALM_SECONDS:
            return
        self._looked_at = now
        found: dict[int, Connection] = {}
        for name in descriptors:
            self._look(int(name), found, now)
        self._known = found
        self._make_room(now)
        if self._cut and now - self._reported_at >= _REPORT_SECONDS:
            log.info(
                "connections cut", extra={"cut": self._cut, "open": len(self._known), "full": self._full}
            )
            self._cut, self._reported_at = 0, now

    def _look(self, fd: int, found: dict[int, Connection], now: float) -> None:
        """Add the connection behind a descriptor to `found`, unless it is overdue, or no connection of ours."""
        try:
            probe = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, fileno=fd)
        except OSError:
            return
        try:
            info = _INFO.unpack(probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
            if info[0] == _LISTEN:
                self._bound_memory(probe)
            if info[0] not in (_ESTABLISHED, _CLOSE_WAIT):
                return
            cookie = _cookie(probe)
            connection = self._known.get(cookie)
            if connection is None:
                if probe.getsockname()[1] != self._port:
                    return
                connection = Connection(peer_of(probe.getpeername()), now, acked=info[3])
        except (OSError, struct.error):
            return  # no TCP socket, or closed meanwhile
        finally:
            probe.detach()
        connection.fd = fd
        busy = connection.peer in self.busy
        if connection.overdue(info, busy=busy, now=now, write_seconds=self._settings.write_timeout_seconds):
            self._end(connection, cookie)
        else:
            found[cookie] = connection

    def _bound_memory(self, listener: socket.socket) -> None:
        """Have connections that are accepted from now on inherit a bounded send buffer."""
        if (
            listener.getsockname()[1] == self._port
            and listener.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) != 2 * _SEND_BUFFER
        ):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def _make_room(self, now: float) -> None:
        """Cut idle connections, the oldest first, until each address and all together are within their limits."""
        most, most_each = self._settings.max_connections, self._settings.max_connections_per_address
        held = Counter(connection.peer[0] for connection in self._known.values())
        over = {
            address: count - most_each
            for address, count in held.items()
            if count > most_each and address not in self._uncounted
        }
        too_many = len(self._known) - most
        if too_many > 0 or over:
            for cookie, connection in sorted(self._known.items(), key=lambda item: item[1].moved_at):
                address = connection.peer[0]
                if too_many <= 0 and over.get(address, 0) <= 0:
                    continue
                if connection.is_idle(busy=connection.peer in self.busy, now=now):
                    self._end(connection, cookie)
                    del self._known[cookie]
                    too_many -= 1
                    over[address] = over.get(address, 0) - 1
        self._full = too_many > 0
        self._crowded = frozenset(address for address, count in over.items() if count > 0)
        self._kept = self._oldest(most, most_each) if self._full or self._crowded else frozenset()

    def _oldest(self, most: int, most_each: int) -> frozenset[Peer]:
        """Return the clients within the limits, where those that came first stay."""
        kept: list[Peer] = []
        counts: Counter[str] = Counter()
        for connection in sorted(self._known.values(), key=lambda one: one.opened_at):
            address = connection.peer[0]
            if len(kept) < most and (counts[address] < most_each or address in self._uncounted):
                counts[address] += 1
                kept.append(connection.peer)
        return frozenset(kept)

    def _end(self, connection: Connection, cookie: int) -> None:
        """Close both ways of a connection; the HTTP server notices, and lets go of it.

        A descriptor may have passed to another file since it was looked at, so its copy is compared first.
        """
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as copy:
            if _cookie(copy) == cookie:
                self._cut += 1
                if connection.writing is not None:
                    # nobody reads what is still to be sent: the kernel need not keep it
                    copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                copy.shutdown(socket.SHUT_RDWR)
