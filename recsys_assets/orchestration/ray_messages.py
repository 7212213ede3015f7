"""The reports of a Ray job's driver to a step: Dagster's Pipes messages in the job's log, read as it grows."""

import base64
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster._core.pipes.context import PipesLaunchedData
from dagster_pipes import PIPES_PROTOCOL_VERSION_FIELD, PipesDefaultMessageWriter, PipesParams

from recsys_assets.errors import RecsysError
from recsys_assets.launching.ray_jobs import error_of, job_client

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_POLL_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 60.0
DONE, OUTCOME, FAILED, SAID = "recsys_done", "recsys_outcome", "recsys_failed", "recsys_said"
"""Keys of the driver's own messages: days done; the result; class and text of the error that it met; a line on what it
waits for, or did again."""


def packed(content: bytes) -> str:
    """Return bytes as text for a message."""
    return base64.b85encode(zlib.compress(content)).decode()


class RayJobMessages(dg.PipesMessageReader):
    """Reads one job's log until the job has ended.

    dagster-ray's own reader has no hook for progress, and prints all else on the caller's screen.
    """

    def __init__(
        self,
        on_done: Callable[[int], None],
        *,
        say: Callable[[str], None],
        printed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin.

        Args:
            on_done: called with the number of days done, at each look; where it raises, the job is stopped.
            say: takes a line on what the driver waits for, or did again.
            printed: takes the lines that are no messages.
        """
        self._on_done, self._say, self._printed = on_done, say, printed
        self._closed = threading.Event()
        self._client: JobSubmissionClient | None = None
        self._job, self._read, self._done = "", 0, 0
        self.outcome: bytes | None = None
        """The result, once the driver sent it."""
        self.failure: BaseException | None = None
        """The error that the driver met, or that `on_done` raised."""

    @property
    def expected_writer_count(self) -> int:
        """The driver alone writes messages; workers do not."""
        return 1

    def on_launched(self, launched_payload: PipesLaunchedData) -> None:
        """Take the job's id, and begin to read."""
        self._job = launched_payload["extras"]["ray_job_id"]  # before the client, which the thread waits for
        self._client = job_client(launched_payload["extras"]["ray_address"])

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[PipesParams]:
        """Read in a thread while the block runs, and all that is left after it."""
        thread = threading.Thread(target=self._follow, args=(handler,), daemon=True)
        thread.start()
        try:
            yield {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDOUT}
        finally:
            self._closed.set()
            thread.join(_JOIN_SECONDS)
            if self._client is not None:
                self._look(self._client, handler, is_last=True)

    def no_messages_debug_text(self) -> str:
        """Return the place where messages were looked for."""
        return f"The log of the Ray job {self._job or 'that was never sent'} has no message of its driver."

    def _follow(self, handler: dg.PipesMessageHandler) -> None:
        while not self._closed.wait(_POLL_SECONDS):
            if self._client is None:
                continue
            try:
                self._look(self._client, handler)
                self._on_done(self._done)
            except (ConnectionError, RuntimeError):  # the step's own look at the job says it, if it stays so
                continue
            except BaseException as error:  # noqa: BLE001  the step raises it: an interrupt among them
                self.failure = error
                self._client.stop_job(self._job)
                return

    def _look(
        self, client: "JobSubmissionClient", handler: dg.PipesMessageHandler, *, is_last: bool = False
    ) -> None:
        """Take the log's new lines; the last one only once it is whole."""
        log = client.get_job_logs(self._job)
        lines = log.splitlines() if is_last else log.splitlines()[: log.count("\n")]
        for line in lines[self._read :]:
            self._take(line, handler)
        self._read = max(self._read, len(lines))

    def _take(self, line: str, handler: dg.PipesMessageHandler) -> None:
        message = _message(line)
        if message is None:
            self._printed(line)
            return
        payload = (message.get("params") or {}).get("payload") or {}
        if message.get("method") != "report_custom_message" or not isinstance(payload, dict):
            handler.handle_message(message)
        elif DONE in payload:
            self._done = payload[DONE]
        elif SAID in payload:
            self._say(payload[SAID])
        elif OUTCOME in payload:
            self.outcome = zlib.decompress(base64.b85decode(payload[OUTCOME]))
        elif FAILED in payload:
            self.failure = self.failure or _failure(*payload[FAILED])


def _message(line: str) -> Any:
    """Return a line's Pipes message; None where it is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and PIPES_PROTOCOL_VERSION_FIELD in found else None


def _failure(name: str, message: str) -> RecsysError:
    return error_of(name, message)
