"""Real servers count what they answer: workers and restarts add up, and a kill or a bad disk harms little."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from recsys_assets.release.answer_counts import FLUSH_SECONDS, read_answers
from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.servers import Server, running

LISTS = {
    "plain": "/v1/users/u1/recommendations",
    "scenario:home": "/v1/users/u1/recommendations?scenario=home",
    "similar": "/v1/items/i5/similar",
    "popular": "/v1/popular",
    "why": "/v1/users/u1/recommendations/why?item_id=i5",
}
ROUNDS = 8


@pytest.fixture
def own(tmp_path: Path, home: Home) -> Home:
    found = Home(tmp_path / "home")
    found.root.mkdir()
    found.releases.symlink_to(home.releases)
    return found


def counted(home: Home) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in read_answers(home.answers_db):
        found[one.list] = found.get(one.list, 0) + one.answers
    return found


def ask_all(server: Server) -> list[str]:
    """Ids of the answers to each question, each on a connection of its own, so that all workers answer."""
    found = [
        httpx.get(server.url + path, timeout=30).json()["id"]
        for _ in range(ROUNDS)
        for path in LISTS.values()
    ]
    session = {"item_ids": ["i1", "i2"]}
    found += [
        httpx.post(f"{server.url}/v1/recommendations", json=session, timeout=30).json()["id"]
        for _ in range(ROUNDS)
    ]
    return found


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "it did not come about within a minute"
        time.sleep(0.05)


def test_two_workers_and_two_starts_add_up_and_no_id_comes_twice(own: Home) -> None:
    ids: list[str] = []
    for _ in range(2):
        with running(own, workers=2) as server:
            ids += ask_all(server)
        # the end of `running` is a SIGTERM
    assert counted(own) == dict.fromkeys([*LISTS, "session"], 2 * ROUNDS)
    assert len(set(ids)) == len(ids)
    parts = [parse_answer_id(answer) for answer in ids]
    assert {part.release for part in parts if part} == {current(own)}
    assert all(abs(part.ms / 1000 - time.time()) < 600 for part in parts if part)


def current(home: Home) -> str:
    return (home.releases / "current").read_text().strip()


def test_a_killed_worker_loses_the_answers_of_the_last_seconds_and_no_others(own: Home) -> None:
    with running(own, workers=2) as server:
        ask_all(server)
        wait_for(lambda: counted(own) == dict.fromkeys([*LISTS, "session"], ROUNDS))
        workers = psutil.Process(server.process.pid).children(recursive=True)
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
        psutil.wait_procs(workers, timeout=30)
        wait_for(lambda: is_ready(server))
        ask_all(server)
    assert counted(own) == dict.fromkeys([*LISTS, "session"], 2 * ROUNDS)
    assert FLUSH_SECONDS <= 5


def is_ready(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_counts_that_cannot_be_written_harm_no_answer_are_named_and_come_later(own: Home) -> None:
    own.answers_db.mkdir()  # nothing can be stored there, as on a full or read-only disk
    with running(own) as server:
        ask_all(server)
        wait_for(lambda: "answers" in (httpx.get(f"{server.url}/health/ready").json()["problems"] or {}))
        ready = httpx.get(f"{server.url}/health/ready")
        assert ready.status_code == 200
        assert ready.json()["problems"]["answers"].startswith("answers.sqlite: answers cannot be counted")
        assert httpx.get(server.url + LISTS["plain"]).status_code == 200
        own.answers_db.rmdir()
        wait_for(lambda: not httpx.get(f"{server.url}/health/ready").json()["problems"])
    assert counted(own)["plain"] == ROUNDS + 1
