"""Log lines as JSON objects."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_assets.api.http.logs import JsonFormatter, LineLimit, request_id


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger and the stream of its lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("recsys.test_logs")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers[:] = [handler]
    yield logger, stream
    logger.handlers.clear()


def test_a_line_has_time_level_logger_message_and_the_extra_fields(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = lines
    logger.info("hello %s", "☕", extra={"ms": 1.5, "source": None, "file": Path("a")})
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info", "logger": "recsys.test_logs", "message": "hello ☕",
        "ms": 1.5, "source": None, "file": "a",
    }  # fmt: skip


def test_a_line_of_a_request_has_its_id(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    token = request_id.set("abc-1")
    logger.info("request")
    request_id.reset(token)
    logger.info("elsewhere")
    one, other = map(json.loads, stream.getvalue().splitlines())
    assert one["request_id"] == "abc-1"
    assert "request_id" not in other


def test_an_exception_is_in_the_same_line(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    logger.error("unhandled error", exc_info=ValueError("no such\nthing"))
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["traceback"].endswith("ValueError: no such\nthing")


def test_a_number_that_json_lacks_is_null(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    logger.info("rate", extra={"share": float("nan")})
    assert json.loads(stream.getvalue(), parse_constant=pytest.fail)["share"] is None


def test_a_flood_is_a_few_lines_a_second_and_the_next_one_counts_the_others() -> None:
    limit = LineLimit(2)
    assert [limit.dropped_before(1.0 + place / 10) for place in range(5)] == [0, 0, None, None, None]
    assert [limit.dropped_before(2.5), limit.dropped_before(2.6)] == [3, 0]
