"""A small shop whose third day is bad: its log, its home with two releases, and a recall of the day."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from recsys_assets.notices.outbox import Notice, Outbox
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.recall_home import recall_days
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2020, 5, 1)
BAD = FIRST + timedelta(days=2)
WHY = "prices in roubles"
SETTINGS = '\n[report]\ndays = 0\n\n[training]\nmodel = "popular"\n\n[gate]\nenabled = false\n'


def write_log(file: Path, *, days: int, corrected: bool = False) -> None:
    """Write a log of some days, 90 events each; the corrected one lacks a user on the bad day."""
    rows = [
        {
            "user_id": f"u{n % 20}",
            "item_id": f"i{(n * 7 + day) % 30}",
            "timestamp": f"{at}T10:00:{n % 60:02d}Z",
        }
        for day in range(days)
        for n in range(90)
        if (at := FIRST + timedelta(days=day)) != BAD or not corrected or n % 20
    ]
    pl.DataFrame(rows).write_csv(file)


def build_shop(root: Path) -> Home:
    """A home with two releases: one built before the bad day came, and one with it."""
    home, _ = small_home(root, first=FIRST, days=2)
    with home.settings_file.open("a") as file:
        file.write(SETTINGS)
    assert not build(home, load_settings(home), SilentWatcher()).failed
    write_log(root / "events.csv", days=4)
    outcome = build(home, load_settings(home), SilentWatcher())
    assert not outcome.failed, outcome.rows
    assert len(ReleaseStore(home.releases).list()) == 2
    return home


def copy_of(built: Home, root: Path) -> Home:
    shutil.copytree(built.root, root, symlinks=True)
    return Home(root)


def recall(home: Home, *days: date) -> list[str]:
    said: list[str] = []
    recall_days(home, load_settings(home), days or [BAD], why=WHY, who="ann", say=said.append)
    return said


def notices(home: Home) -> list[Notice]:
    if not home.notices_db.exists():
        return []
    with Outbox(home.notices_db) as outbox:
        return outbox.notices()
