"""Logs as one JSON object a line on standard error, and text without control characters."""

import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request that is answered in this context."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = msgspec.json.Encoder(enc_hook=str).encode


# all that moves the cursor or colours, C1 too; overrides of direction; halves of characters, which no stream takes
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return the text with `\u001b` for each control character but tab and newline, in JSON the same text."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class JsonFormatter(logging.Formatter):
    """One line of JSON a record: time, level, logger, message, request id, and each `extra` as a field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        line.update(
            {key: value for key, value in vars(record).items() if key not in _STANDARD and key[0] != "_"}
        )
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return printable(_encode(line).decode())


def configure_logs(level: int = logging.INFO) -> None:
    """Send this package's and the server's logs to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    for name in ("recsys", "_granian", "litestar"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


class LineLimit:
    """Lets a number of log lines a second pass, so that a flood of rejected requests is no flood of lines."""

    def __init__(self, per_second: int) -> None:
        self._most = per_second
        self._second = self._lines = self._dropped = 0

    def dropped_before(self, now: float) -> int | None:
        """Return None where there were lines enough in this second, else the lines dropped before this one.

        Args:
            now: time on a monotonic clock, s.
        """
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        if self._lines >= self._most:
            self._dropped += 1
            return None
        self._lines += 1
        dropped, self._dropped = self._dropped, 0
        return dropped
