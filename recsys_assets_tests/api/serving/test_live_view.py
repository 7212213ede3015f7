"""The live view: messages of a real server, its places, and its end; readers that are slow or gone."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from recsys_assets.api.http.auth import add_key
from recsys_assets.api.serving.live_view import LiveStream, LiveView
from recsys_assets.api.serving.slow_work import SlowWork
from recsys_assets.api_settings import ApiSettings
from recsys_assets.errors import ServerBusyError
from recsys_assets.intake.rows import EventRow, ImpressionRow
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.servers import Server, running
from recsys_assets_tests.intake.stored_rows import store

SERIES = """
CREATE TABLE IF NOT EXISTS series (series TEXT PRIMARY KEY, release TEXT NOT NULL, list TEXT NOT NULL,
    experiment TEXT, arm TEXT, scenario TEXT, began INTEGER NOT NULL)
"""


@contextmanager
def watching(server: Server, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The messages of one viewer."""
    with httpx.stream("GET", f"{server.url}/v1/live", headers=headers, timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.iter_lines()
        yield (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))


def until(messages: Iterator[dict[str, Any]], name: str, *, seconds: float = 20) -> dict[str, Any]:
    """The first message that has something under a name."""
    end = monotonic() + seconds
    for message in messages:
        if message[name]:
            return message
        assert monotonic() < end, message
    raise AssertionError("the stream ended")


def status(server: Server) -> int:
    with httpx.stream("GET", f"{server.url}/v1/live", timeout=20) as answer:
        return answer.status_code


def event(number: int, item_id: str = "i5", answer_id: str | None = None) -> EventRow:
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    return EventRow(f"e{number}", "user-17", item_id, "purchase", now, now, answer_id=answer_id)


def test_an_event_is_seen_by_every_viewer_by_name_and_without_the_whole_id(own: Home) -> None:
    with running(own) as server, watching(server) as one, watching(server) as other:
        assert next(one)["newest"] == []
        store(own.events_db, [event(number) for number in range(3)])
        for messages in (one, other):
            message = until(messages, "newest")
            newest = message["newest"][0]
            assert (newest["user"], newest["kind"], newest["title"]) == (
                "use…",
                "purchase",
                "Coffee number 5",
            )
            assert message["problem"] is None
            assert "user-17" not in json.dumps(message)


def test_events_are_counted_a_second(own: Home) -> None:
    store(own.events_db, [event(number) for number in range(50)])
    with running(own) as server, watching(server) as messages:
        assert next(messages)["events_per_second"] == 0
        store(own.events_db, [event(number) for number in range(50, 90)])
        assert 0 < until(messages, "events_per_second")["events_per_second"] <= 60


def test_clicks_are_counted_by_arm(own: Home, release: Any) -> None:
    answers = {
        arm: f"{release.release_id}.19ac5d0f3a2.{digit * 8}1" for arm, digit in (("a", "1"), ("b", "2"))
    }
    with closing(sqlite3.connect(own.answers_db)) as connection, connection:
        connection.execute(SERIES)
        for arm, digit in (("a", "1"), ("b", "2")):
            row = (digit * 8, release.release_id, "plain", "prices", arm, None, 0)
            connection.execute("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    shown = [ImpressionRow(answer, "i5", 1, "user-17", 1, 1) for answer in answers.values()]
    store(own.events_db, [*shown, event(1, answer_id=answers["b"])])
    with running(own) as server, watching(server) as messages:
        assert until(messages, "ctr_by_arm")["ctr_by_arm"] == {
            "prices / a": {"experiment": "prices", "arm": "a", "shown": 1, "clicked": 0, "ctr": 0.0},
            "prices / b": {"experiment": "prices", "arm": "b", "shown": 1, "clicked": 1, "ctr": 1.0},
        }


def test_the_progress_of_a_stream_is_in_the_message(own: Home) -> None:
    state = {
        "source": "tabular:/secret",
        "day": "2017-03-04",
        "done": 4,
        "of": 30,
        "days_per_second": 0.5,
        "running": True,
    }
    (own.root / "stream.json").write_text(json.dumps(state))
    with running(own) as server, watching(server) as messages:
        shown = {name: value for name, value in state.items() if name != "source"}
        assert next(messages)["stream"] == {**shown, "events": 0}


def test_a_file_that_cannot_be_read_is_a_problem_in_words(own: Home) -> None:
    with running(own) as server, watching(server) as messages:
        own.events_db.write_bytes(b"no database " * 400)
        found = until(messages, "problem")["problem"]
        assert found.startswith("events.sqlite: events cannot be read")


def test_one_viewer_too_many_is_answered_503_and_a_place_is_free_again_after_one_left(own: Home) -> None:
    with running(own, settings=ApiSettings(max_live_views=2)) as server:
        with watching(server) as one, watching(server) as other:
            next(one), next(other)
            answer = httpx.get(f"{server.url}/v1/live")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["detail"] == "2 live views are open, as many as are served; try again later"
        end = monotonic() + 15
        while status(server) != 200:
            assert monotonic() < end
            sleep(0.1)


def test_the_view_ends_with_the_server(own: Home) -> None:
    with running(own) as server, watching(server) as messages:
        next(messages)
        server.process.terminate()
        with contextlib.suppress(httpx.TransportError):
            assert all(message["release"] for message in messages)
        server.process.wait(timeout=12)  # a worker that does not end by itself is killed after 15 s


def test_a_key_is_needed_where_reads_need_one(own: Home) -> None:
    secret = add_key(own, name="watcher", scopes=["read"], now=NOW)[1]
    with running(own, settings=ApiSettings(require_key_for_reads=True)) as server:
        assert status(server) == 401
        with watching(server, **{"X-API-Key": secret}) as messages:
            assert next(messages)["release"]


def test_a_head_request_ends_at_once(own: Home) -> None:
    with running(own) as server:
        answer = httpx.head(f"{server.url}/v1/live", timeout=20)
        assert (answer.status_code, answer.content) == (200, b"")


def scope() -> Any:
    return {"state": {}}


async def never(*_: Any) -> Any:
    await asyncio.Event().wait()


def test_a_reader_who_does_not_read_is_dropped_and_the_others_stay() -> None:
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def run() -> None:
        view = LiveView(lambda: b"{}", slow=SlowWork(), most=9, seconds=0.01, patience=0.2)
        reader = asyncio.create_task(LiveStream(view)(scope(), never, send))
        started = []

        async def stuck(message: Any) -> None:
            if started:
                await never()
            started.append(message)

        await LiveStream(view)(scope(), never, stuck)
        assert len(view) == 1
        view.close()
        await reader
        assert len(view) == 0

    asyncio.run(run())
    assert sent.count(b"data: {}\n\n") > 1
    assert sent[-1] == b""


def test_messages_are_made_only_while_somebody_watches_and_none_waits() -> None:
    made: list[int] = []

    def look() -> bytes:
        made.append(1)
        return b"%d" % len(made)

    async def run() -> None:
        view = LiveView(look, slow=SlowWork(), most=1, seconds=0.01)
        viewer = view.open()
        with pytest.raises(ServerBusyError):
            view.open()
        numbers = [int(found.split()[1]) for _ in range(5) if (found := await viewer.take())]
        assert numbers == sorted(set(numbers))
        view.leave(viewer)
        await asyncio.sleep(0.1)
        number = len(made)
        await asyncio.sleep(0.1)
        assert len(made) == number

    asyncio.run(run())


def test_a_failure_to_look_does_not_end_the_view() -> None:
    looks = iter([ValueError("a bug"), b"1"])

    def look() -> bytes:
        found = next(looks, b"2")
        if isinstance(found, Exception):
            raise found
        return found

    async def run() -> None:
        view = LiveView(look, slow=SlowWork(), most=1, seconds=0.01)
        assert await view.open().take() in {b"data: 1\n\n", b"data: 2\n\n"}
        view.close()

    asyncio.run(run())
