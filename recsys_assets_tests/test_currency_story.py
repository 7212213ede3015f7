"""The story of a day of wrong prices by the command `recsys`: let in, served, exported, recalled and replayed."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.release.answer_counts import read_answers
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.servers import running
from recsys_assets_tests.notices.servers import http_receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FIRST = date(2024, 1, 1)
GOOD, BAD, LAST = (FIRST + timedelta(days=n) for n in (48, 49, 50))
"""Last day of the untouched history, the day of prices in another currency, last day delivered."""
USERS, GROUPS, ITEMS, EVENTS = 60, 4, 40, 150
ANSWERS = 7
SETTINGS = """
[report]
days = 0

[training]
model = "ials"
embedding_size = 8
"""
WARN_ONLY = "\n[quality]\nmaterial_rows = 1000000\n"
WHY = "prices in roubles"


def write_source(source: Path, *, until: date, bad: bool) -> None:
    """Write 150 events a day, most of a user's own group of items; prices of the bad day are 75 times as high."""
    days, frames = (until - FIRST).days + 1, []
    for n in range(days):
        rng, day = np.random.default_rng([7, n]), FIRST + timedelta(days=n)
        users = rng.integers(USERS, size=EVENTS)
        groups = np.where(rng.random(EVENTS) < 0.9, users % GROUPS, rng.integers(GROUPS, size=EVENTS))
        items = groups + GROUPS * rng.integers(ITEMS // GROUPS, size=EVENTS)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        price = 75.0 if bad and day == BAD else 1.0
        frames.append(
            pl.DataFrame(
                {
                    "user_id": [f"u{u:02d}" for u in users],
                    "item_id": [f"i{i:02d}" for i in items],
                    "timestamp": [
                        start + timedelta(seconds=int(s))
                        for s in np.sort(rng.integers(30_000, 70_000, EVENTS))
                    ],
                    "quantity": rng.integers(1, 4, EVENTS).astype(float),
                    "value": price * (items % 17 + 1) * rng.uniform(1.0, 2.0, EVENTS),
                }
            )
        )
    pl.concat(frames).write_parquet(source)


@dataclass(kw_only=True)
class Story:
    """All that the people of the story saw."""

    home: Home
    clean: Home
    """A home that was built from the corrected source from the start."""
    export: Path
    good: str
    """The release before the bad day."""
    bad: str
    """The release built on it."""
    recalled: str
    """Output of the recall."""
    lineage: dict[str, Any]
    """`recsys lineage` of the bad day after the recall, as JSON."""
    lineage_words: str
    notices: list[dict[str, Any]]
    """Bodies that the webhook got."""
    between: httpx.Response
    """An answer after the recall, from the server that ran all the time."""
    recalls: dict[str, Any]
    """`GET /v1/recalls` then."""
    replay: dict[str, Any]
    """The report on the replay."""
    after: httpx.Response
    """An answer after the replay, from the same server."""


class Shop:
    """A folder with the source, and what is typed there."""

    def __init__(self, folder: Path, recsys: Callable[..., Any]) -> None:
        self.source, self._recsys = folder / "events.parquet", recsys

    def type(self, home: Home, *arguments: str | Path) -> str:
        done = self._recsys(*arguments, home=home.root)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def initialised(self, home: Home, *settings: str) -> Home:
        self.type(home, "init", "--force", "--source", f"tabular:{self.source}")
        with home.settings_file.open("a") as file:
            file.writelines(settings)
        return home


def current(home: Home) -> str | None:
    return ReleaseStore(home.releases).current_id()


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "it did not come about within a minute"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def story(recsys, tmp_path_factory) -> Story:
    folder = tmp_path_factory.mktemp("story")
    shop, export, found = Shop(folder, recsys), folder / "lists.csv", {}
    write_source(shop.source, until=GOOD, bad=False)
    with http_receiver() as receiver:
        notify = f'\n[notify]\nwebhooks = ["{receiver.url}"]\n'
        home = shop.initialised(Home(folder / "home"), SETTINGS, notify, WARN_ONLY)
        shop.type(home, "build")
        good = current(home)
        write_source(shop.source, until=LAST, bad=True)
        shop.type(home, "build")
        bad = current(home)

        with running(home) as server:

            def ask() -> httpx.Response:
                return httpx.get(f"{server.url}/v1/users/u01/recommendations", timeout=30)

            for _ in range(ANSWERS):
                assert ask().json()["release"] == bad
            wait_for(lambda: sum(one.answers for one in read_answers(home.answers_db)) == ANSWERS)
            shop.type(home, "export", "--to", export)

            found["recalled"] = shop.type(home, "releases", "recall", f"{BAD}", "--why", WHY)
            wait_for(lambda: ask().json()["release"] == good)
            found["between"] = ask()
            found["recalls"] = httpx.get(f"{server.url}/v1/recalls", timeout=30).json()
            found["lineage"] = json.loads(shop.type(home, "lineage", f"{BAD}", "--json"))
            found["lineage_words"] = shop.type(home, "lineage", f"{BAD}")

            home.settings_file.write_text(home.settings_file.read_text().replace(WARN_ONLY, ""))
            write_source(shop.source, until=LAST, bad=False)
            found["replay"] = json.loads(shop.type(home, "replay", f"{BAD}", "--full", "--json"))
            wait_for(lambda: ask().json()["release"] == current(home))
            found["after"] = ask()
        shop.type(home, "notices", "send")
        notices = list(receiver.bodies)
    clean = shop.initialised(Home(folder / "clean"), SETTINGS)
    shop.type(clean, "build")
    return Story(home=home, clean=clean, export=export, good=good, bad=bad, notices=notices, **found)


def test_the_bad_day_is_let_in_with_a_warning_and_its_release_is_served(story):
    assert story.bad != story.good
    assert any("drift_" in line for line in story.lineage["warned"])


def test_recall_and_replay_give_what_a_clean_history_gives(story):
    assert current(story.home) == current(story.clean) not in (story.good, story.bad)
    mended, clean = (Inputs(home, load_settings(home)) for home in (story.home, story.clean))
    assert mended.lineage == clean.lineage
    for table in ("raw", "interactions"):
        files = [
            {
                file.relative_to(home.root): file.read_bytes()
                for file in getattr(home, table).rglob("*.parquet")
            }
            for home in (story.home, story.clean)
        ]
        assert files[0] == files[1]
    assert len(mended.lineage) == (LAST - FIRST).days + 1


def test_nothing_is_left_to_build_after_the_replay(story, recsys):
    before = current(story.home)
    done = recsys("build", home=story.home.root)
    assert done.returncode == 0, done.stderr
    assert current(story.home) == before


def test_the_notice_names_releases_days_answers_and_exports(story):
    (notice,) = [body for body in story.notices if body["kind"] == "recall"]
    details = notice["details"]
    assert details["days"] == [str(BAD)]
    assert details["releases"] == [story.bad]
    assert (details["before"], details["current"]) == (story.bad, story.good)
    assert details["answers"] == {story.bad: ANSWERS}
    assert details["exports"] == [str(story.export)]
    for part in (str(BAD), WHY, story.bad, story.good, str(story.export), f"{story.bad} {ANSWERS}"):
        assert part in notice["text"]
        assert part in story.recalled


def test_the_lineage_of_the_day_says_it_too(story):
    (release,) = story.lineage["releases"]
    assert (release["release"], release["answers"]) == (story.bad, ANSWERS)
    assert release["exports"] == [str(story.export)]
    assert release["recalled"] == [str(BAD)]
    assert [one["why"] for one in story.lineage["recalled"]] == [WHY]
    for part in (WHY, f"{ANSWERS} answers", story.bad, str(story.export)):
        assert part in story.lineage_words


def test_the_running_server_goes_back_and_tells_its_consumers(story):
    assert story.between.headers["x-release-id"] == story.good
    assert f'days="{BAD}"' in story.between.headers["recall"]
    assert story.between.headers["recall"].endswith("built-on=?0")
    (recall,) = story.recalls["recalls"]
    assert (recall["days"], recall["releases"], recall["answers"]) == (
        [str(BAD)],
        [story.bad],
        {story.bad: ANSWERS},
    )
    assert story.after.headers["x-release-id"] == current(story.home)


def test_the_report_on_the_replay_compares_with_what_people_saw(story):
    (day,) = story.replay["days"]
    assert (day["day"], day["state"]) == (str(BAD), "changed")
    assert story.replay["compared_with"] == story.bad
    assert story.replay["release"] == story.replay["current"] == current(story.home)
    assert story.replay["diff"]["lists"]["users"] == USERS


def test_the_replay_is_a_notice_of_its_own(story):
    (notice,) = [body for body in story.notices if body["kind"] == "replay"]
    assert notice["details"]["release"] == current(story.home)
    assert {body["kind"] for body in story.notices} == {"recall", "replay"}
