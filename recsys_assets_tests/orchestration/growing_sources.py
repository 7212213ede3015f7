"""Logs of daily files that grow and change, followed and landed without Dagster."""

from datetime import date
from pathlib import Path

from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.registry import source_of
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.landing_plan import (
    follow,
    kept_days,
)
from recsys_assets.orchestration.resources import Lake
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher

FIRST = date(2024, 1, 1)
HEADER = "user_id,item_id,timestamp\n"


class Listener(SilentWatcher):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def write(folder: Path, name: str, rows: list[tuple[int, int]]) -> None:
    """Write a file of rows, each a day of January and a number."""
    lines = [f"u{n % 11},i{n % 7},2024-01-{day:02d} 10:{n % 60:02d}:00\n" for day, n in rows]
    (folder / f"{name}.csv").write_text(HEADER + "".join(lines))


def land_stale(home: Home) -> list[date]:
    """Land as the asset does, without Dagster, the days that a build would land; return them."""
    now = load_settings(home)
    inputs = Inputs(home, now)
    written = {day: file.provenance.get(INPUTS_KEY) for day, file in inputs.raw_store.files().items()}
    kept = kept_days(inputs)
    days = [
        day
        for day in now.source.days()
        if written.get(day) != inputs.raw_interactions(day) and day not in kept
    ]
    source = source_of(now.source).only(inputs.source_days.files_with(days))
    store = Lake(home_path=str(home.root)).raw(inputs.landing)
    for day, frame in iter_days(source, days, scratch=home.scratch):
        store.write(day, frame)
    return days


def build(home: Home) -> tuple[list[date], list[str]]:
    """Follow and land; return the days that landed and the lines that were said."""
    listener = Listener()
    follow(home, load_settings(home), listener)
    return land_stale(home), listener.said


def rows_landed(home: Home) -> dict[int, int]:
    return {day.day: file.rows for day, file in Lake(home_path=str(home.root)).raw().files().items()}


def set_rule(home: Home, rule: str, *, lookback_days: int = 0) -> None:
    text = home.settings_file.read_text().replace('# changed_past = "land"', f'changed_past = "{rule}"')
    home.settings_file.write_text(text.replace("# lookback_days = 3", f"lookback_days = {lookback_days}"))
