"""A made-up shop whose users have tastes, so that a worse model is measurably worse; and builds of its home."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.build_outcome import BuildOutcome, StageRow
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher

FIRST = date(2024, 1, 1)
USERS, ITEMS, TASTES, EVENTS_A_DAY = 300, 160, 8, 500
GOOD = '[training]\nmodel = "ials"\nembedding_size = 16\n'
WORSE = '[training]\nmodel = "ials"\nembedding_size = 1\nepochs = 2\nregularization = 0.9\n'
FAST = "[report]\ndays = 0\n\n[gate]\nsmoke_test = false\n"


def write_events(source: Path, *, days: int, seed: int = 0) -> None:
    """Write `days` days; those before are the same however many there are."""
    frames = []
    for day in range(days):
        rng = np.random.default_rng([seed, day])
        users = rng.integers(USERS, size=EVENTS_A_DAY)
        taste = np.where(
            rng.random(EVENTS_A_DAY) < 0.9, users % TASTES, rng.integers(TASTES, size=EVENTS_A_DAY)
        )
        items = taste + TASTES * rng.integers(ITEMS // TASTES, size=EVENTS_A_DAY)
        seconds = np.sort(rng.integers(86_400, size=EVENTS_A_DAY))
        moments = [
            f"{FIRST + timedelta(days=day)}T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z" for s in seconds
        ]
        frames.append(
            pl.DataFrame(
                {
                    "user_id": [f"u{n}" for n in users],
                    "item_id": [f"i{n}" for n in items],
                    "timestamp": moments,
                }
            )
        )
    pl.concat(frames).write_csv(source)


def taste_home(root: Path, *, days: int = 20) -> Home:
    """Set up a home for the first days of such a source, without any training setting; the source has a day more."""
    root.mkdir(parents=True)
    write_events(root / "events.csv", days=days + 1)
    home = Home(root / "home")
    initialise(home, f"tabular:{root / 'events.csv'}", days=days)
    return home


def with_next_day(home: Home) -> Home:
    """Take the source's last day in too."""
    text = home.settings_file.read_text()
    last = load_settings(home).source.last_day
    home.settings_file.write_text(
        text.replace(f"last_day = {last}", f"last_day = {last + timedelta(days=1)}")
    )
    return home


def configured(home: Home, *sections: str) -> Home:
    """Write sections in place of those that were written here before."""
    text = home.settings_file.read_text().partition("# Of the test")[0]
    home.settings_file.write_text("\n".join([text, "# Of the test", *sections]))
    return home


def built(home: Home) -> BuildOutcome:
    """Build it as it is set now."""
    return build(home, load_settings(home), SilentWatcher())


def release_row(outcome: BuildOutcome) -> StageRow:
    """The row of the stage `release`."""
    (row,) = (row for row in outcome.rows if row.stage == "release")
    return row
