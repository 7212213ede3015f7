"""A follower looks at one thing again and again, in a thread of its own, and remembers why it could not be read."""

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from recsys_assets.errors import RecsysError

log = logging.getLogger("recsys.api")

POLL_SECONDS = 0.25
"""Time between two looks at `current`, the rules, `events.sqlite`, the keys and the recalls."""
_STOPPING_SECONDS = 5.0
"""Longest wait for the threads of followers, at the end."""


class Follower:
    """Looks at one thing again and again, in a thread of its own."""

    def __init__(
        self, name: str, look: Callable[[], object], *, seconds: float = POLL_SECONDS, last_look: bool = False
    ) -> None:
        """Name the thing, and the function that takes up its changes or raises.

        Args:
            name: of the thing.
            look: takes up changes.
            seconds: time between two looks.
            last_look: look once more at the end.
        """
        self.name = name
        self._look = look
        self._seconds = seconds
        self._last_look = last_look
        self.problem: str | None = None
        """Why it could not be read, or written, at the last look; None where it could."""

    def follow(self, stopped: threading.Event) -> threading.Thread:
        """Start the thread; it ends after `stopped` is set."""

        def run() -> None:
            while not stopped.wait(self._seconds):
                self.look()
            if self._last_look:
                self.look()

        thread = threading.Thread(target=run, name=f"recsys-follow-{self.name}", daemon=True)
        thread.start()
        return thread

    def look(self) -> None:
        """Take up changes; a problem is kept, and logged once."""
        bug: Exception | None = None
        problem: str | None = None
        try:
            self._look()
        except RecsysError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the next look may go well
            problem, bug = f"{type(error).__name__}: {error}", error
        if problem != self.problem:
            self.problem = problem
            why = {"followed": self.name, "why": problem}
            if problem is None:
                log.info("can be read again", extra=why)
            else:
                log.warning("cannot be read; the state before stays", extra=why, exc_info=bug)


def join_all(threads: Sequence[threading.Thread]) -> None:
    """Wait for the threads of followers that are to end, for a few seconds."""
    end = monotonic() + _STOPPING_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - monotonic()))
