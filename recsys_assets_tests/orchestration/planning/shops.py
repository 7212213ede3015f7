"""A made-up shop with a file a day, built in the test's own process, for plans of prepared changes."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.build_outcome import BuildOutcome
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher

FIRST = date(2024, 1, 1)
DAYS = 12


def day(number: int) -> date:
    """Return day 0, 1, … of the shop."""
    return FIRST + timedelta(days=number)


def write_day(folder: Path, number: int, *, rows: int = 90, quantity: int = 1) -> Path:
    """Write the file of a day; other rows or quantities than usual make it a corrected or a bad one."""
    events = [
        {
            "user_id": f"u{(n * 3 + number) % 40}",
            "item_id": f"i{(n * n + 5 * number + n // 7) % 30}",
            "timestamp": f"{day(number)}T10:{n % 60:02d}:{number:02d}Z",
            "quantity": quantity,
            "title": f"Thing {(n * n + 5 * number + n // 7) % 30}",
        }
        for n in range(rows)
    ]
    file = folder / f"{number:02d}.csv"
    pl.DataFrame(events).write_csv(file)
    return file


def open_shop(root: Path, settings: str) -> Home:
    """Write the shop's files into `root/source`, and set up and build `root/home` with more settings."""
    source = root / "source"
    source.mkdir(parents=True)
    for number in range(DAYS):
        write_day(source, number)
    home = Home(root / "home")
    initialise(home, f"tabular:{source}")
    with home.settings_file.open("a") as file:
        file.write(settings)
    assert not build_again(home).failed
    return home


def build_again(home: Home) -> BuildOutcome:
    """Build the home."""
    return build(home, load_settings(home), SilentWatcher())
