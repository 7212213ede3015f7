"""A server delivers the notices of its home, across restarts, and one of its workers at a time does."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from recsys_assets.notices.delivery import send_notice
from recsys_assets.notices.outbox import Notice, Outbox
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.servers import running
from recsys_assets_tests.api.world import publish_release
from recsys_assets_tests.notices.servers import http_receiver

LONG_ENOUGH = 60.0
"""Seconds after which nothing will come any more."""


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path)
    publish_release(home, prefix="a", seed=1)
    return home


def notify(home: Home, url: str) -> None:
    home.settings_file.write_text(
        '[source]\nspec = "tabular:events.csv"\nfirst_day = 2024-01-01\nlast_day = 2024-01-31\n'
        f'[notify]\nwebhooks = ["{url}"]\nretry_seconds = 0.1\ntimeout_seconds = 2\n'
    )


def notice(number: int) -> Notice:
    return Notice(id=f"n{number}", at=datetime.now(UTC), kind="failed_gate", subject="a", text="b")


def attempts(home: Home) -> list[int]:
    with Outbox(home.notices_db) as outbox:
        return [one.attempts for one in outbox.deliveries("waiting")]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG_ENOUGH
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_notice_is_delivered_by_the_server_that_runs_when_its_target_is_back(home):
    with http_receiver() as gone:
        notify(home, gone.url)
    kept = notice(1)
    send_notice(home, load_settings(home).notify, kept)
    with running(home):
        wait_for(lambda: attempts(home) >= [2])
    with http_receiver(gone.port) as back, running(home):
        wait_for(lambda: attempts(home) == [])
        assert back.bodies == [msgspec.to_builtins(kept)]


def test_several_workers_send_each_notice_once(home):
    with http_receiver() as receiver, running(home, workers=2):
        notify(home, receiver.url)
        for number in range(20):
            send_notice(home, load_settings(home).notify, notice(number))
        wait_for(lambda: attempts(home) == [])
        assert sorted(body["id"] for body in receiver.bodies) == sorted(f"n{n}" for n in range(20))
