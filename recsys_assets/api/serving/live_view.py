"""Live views: one message a second for everyone who watches, as server-sent events (HTML standard, section 9.2).

One task makes the messages, only while somebody watches; a viewer is a coroutine, not a thread. Nothing is queued: a
viewer who reads slowly misses messages, and is dropped where one message takes too long.
"""

import asyncio
import logging
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final

from recsys_assets.api.http.bodies import NO_STORE, VARY_PRIVATE
from recsys_assets.api.http.edge import BODILESS_KEY, STARTED_KEY, STREAMED_KEY
from recsys_assets.api.serving.slow_work import SlowWork
from recsys_assets.errors import RecsysError, ServerBusyError

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

log = logging.getLogger("recsys.api")

SECONDS: Final = 1.0
"""Time between two messages."""
SLOW_SECONDS: Final = 10.0
"""Time that a message may take to be handed to a viewer's connection."""
EVENT_STREAM: Final = b"text/event-stream"
_HEADERS: Final = (
    (b"content-type", EVENT_STREAM),
    (b"cache-control", NO_STORE),
    (b"vary", VARY_PRIVATE),
    (b"x-accel-buffering", b"no"),
)
_FIRST: Final = b"retry: 2000\n\n"


class Viewer:
    """One connection that watches."""

    def __init__(self) -> None:
        self._newest: bytes | None = None
        self._changed = asyncio.Event()
        self._ended = False

    def offer(self, message: bytes) -> None:
        """Put a message in place of one that was not taken yet."""
        self._newest = message
        self._changed.set()

    def end(self) -> None:
        """Let the viewer's wait end without a message."""
        self._ended = True
        self._changed.set()

    async def take(self) -> bytes | None:
        """Wait for the next message; None at the end."""
        await self._changed.wait()
        self._changed.clear()
        message, self._newest = self._newest, None
        return None if self._ended else message


class LiveView:
    """The viewers of one process."""

    def __init__(
        self,
        look: Callable[[], bytes],
        *,
        slow: SlowWork,
        most: int,
        seconds: float = SECONDS,
        patience: float = SLOW_SECONDS,
    ) -> None:
        """Watch nothing yet.

        Args:
            look: makes a message; it takes milliseconds, and is called beside the event loop.
            slow: where it is called.
            most: viewers at a time.
            seconds: time between two messages.
            patience: time that a message may take to be handed to a viewer's connection, s.
        """
        self.patience = patience
        self._look = look
        self._slow = slow
        self._most = most
        self._seconds = seconds
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._viewers)

    def open(self) -> Viewer:
        """Add a viewer.

        Raises:
            ServerBusyError: there are too many, or the server ends.
        """
        if self._closed or len(self._viewers) >= self._most:
            why = (
                "the server ends"
                if self._closed
                else f"{self._most} live views are open, as many as are served"
            )
            raise ServerBusyError(f"{why}; try again later")
        viewer = Viewer()
        self._viewers.add(viewer)
        if self._task is None:
            self._task = asyncio.create_task(self._make())
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer."""
        self._viewers.discard(viewer)

    def close(self) -> None:
        """End all views."""
        self._closed = True
        for viewer in self._viewers:
            viewer.end()
        if self._task is not None:
            self._task.cancel()

    async def _make(self) -> None:
        failure = ""
        try:
            while self._viewers:
                try:
                    message = await self._slow.run("live", self._look)
                except Exception as error:  # whatever it is, the next message may be made
                    if repr(error) != failure:  # once, not every second
                        failure = repr(error)
                        expected = isinstance(error, RecsysError)
                        why = {"why": failure}
                        log.warning("no live message", extra=why, exc_info=None if expected else error)
                else:
                    failure = ""
                    for viewer in self._viewers:
                        viewer.offer(b"data: %s\n\n" % message)
                await asyncio.sleep(self._seconds)
        finally:
            self._task = None


class LiveStream:
    """The endless answer to one viewer."""

    def __init__(self, view: LiveView) -> None:
        """Take a place among the viewers.

        Raises:
            ServerBusyError: there is none.
        """
        self._view = view
        self._viewer = view.open()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send messages until the client goes, reads too slowly, or the server ends."""
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            scope["state"][STREAMED_KEY] = perf_counter() - scope["state"].get(STARTED_KEY, perf_counter())
            part: bytes | None = None if scope["state"].get(BODILESS_KEY) else _FIRST
            while part is not None:
                sent = send({"type": "http.response.body", "body": part, "more_body": True})
                await asyncio.wait_for(sent, self._view.patience)
                part = await self._viewer.take()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.info("a live view is read too slowly, and was dropped")
        finally:
            gone.cancel()
            self._view.leave(self._viewer)

    async def _until_gone(self, receive: "Receive") -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._viewer.end()
