"""A source that goes wrong: bad days are rejected, good ones stay, and the summary and Dagster's UI say why."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
from dagster._core.event_api import PartitionKeyFilter

from recsys_assets.orchestration.instance import open_instance
from recsys_assets.quality.ledger import Ledger
from recsys_assets.storage.home import Home

FIRST = date(2024, 1, 1)
pytestmark = pytest.mark.slow

GOOD, BAD, LAST = (FIRST + timedelta(days=n) for n in (70, 75, 81))
"""Last day of the untouched history, first day of prices in another currency, last day delivered."""


def events(until: date, *, bad_from: date | None = None) -> pl.DataFrame:
    """A small shop's events, 150 a day; prices are 75 times as high from `bad_from` on."""
    rng = np.random.default_rng(7)
    days = (until - FIRST).days + 1
    rows = 150 * days
    items, day = (40 * rng.random(rows) ** 2).astype(int), np.repeat(np.arange(days), 150)
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "user_id": [f"u{n:02d}" for n in rng.integers(0, 60, rows)],
            "item_id": [f"i{n:02d}" for n in items],
            "timestamp": [
                start + timedelta(days=int(d), seconds=int(s))
                for d, s in zip(day, rng.integers(30_000, 70_000, rows), strict=True)
            ],
            "quantity": rng.integers(1, 4, rows).astype(float),
            "value": (items % 17 + 1) * rng.uniform(1.0, 2.0, rows),
        }
    )
    in_another_currency = pl.col("timestamp").dt.date() >= (bad_from or date.max)
    return frame.with_columns(
        value=pl.when(in_another_currency).then(75 * pl.col("value")).otherwise("value")
    )


@pytest.fixture(scope="module")
def built(recsys, tmp_path_factory):
    """Build a release from the good history, then the source gone wrong; home, release before, finished build."""
    folder = tmp_path_factory.mktemp("rejected")
    home, source = folder / "home", folder / "events.parquet"
    init = ("init", "--force", "--home", home, "--source", f"tabular:{source}")
    events(GOOD).write_parquet(source)
    assert recsys(*init, home=home).returncode == 0
    with (home / "recsys.toml").open("a") as settings:
        settings.write('\n[report]\ndays = 0\n\n[training]\nmodel = "ials"\n')
    first = recsys("build", home=home)
    assert first.returncode == 0, first.stdout + first.stderr
    before = (home / "releases" / "current").read_text()
    events(LAST, bad_from=BAD).write_parquet(source)
    assert recsys(*init, home=home).returncode == 0
    return home, before, recsys("build", home=home)


def days_in(folder: Path) -> list[date]:
    return sorted(date.fromisoformat(path.name.removeprefix("date=")) for path in folder.glob("date=*"))


def test_days_before_the_first_bad_one_are_published_and_later_ones_rejected(built):
    home, _, _ = built
    bad = [BAD + timedelta(days=n) for n in range((LAST - BAD).days + 1)]
    good = [FIRST + timedelta(days=n) for n in range((BAD - FIRST).days)]
    assert days_in(home / "quarantine") == bad
    assert days_in(home / "lake" / "raw") == days_in(home / "lake" / "interactions") == good


def test_the_build_fails_and_the_release_in_use_stays(built):
    home, before, done = built
    assert done.returncode == 1
    assert (home / "releases" / "current").read_text() == before
    assert len(list((home / "releases").glob("2024*"))) == 1


def test_the_summary_says_what_why_and_what_to_do_in_five_lines(built):
    home, _, done = built
    what, why, use, look, then = done.stdout.rpartition("\n\n")[2].splitlines()
    assert what == f"raw_interactions: 7 of 82 days rejected ({BAD} to {LAST}), 75 published."
    assert why.startswith(f"Why: {BAD}, check drift_")
    assert "typically" in why
    assert "stay in use" in use
    assert look == f"Look: recsys quarantine show {BAD} --home {home}"
    assert then.endswith(f"recsys quarantine accept {BAD}..{LAST} --home {home} --why TEXT")


def test_the_command_that_the_summary_names_works(built, recsys, tmp_path):
    _, _, done = built
    look = next(line for line in done.stdout.splitlines() if line.startswith("Look: recsys "))
    shown = recsys(*look.removeprefix("Look: recsys ").split(), home=tmp_path)
    assert f"{BAD} raw_interactions: 150 rows rejected" in shown.stdout


def test_dagster_shows_the_question_the_days_and_the_rows(built):
    home, _, _ = built
    found = answer(home)
    days = [row.data["day"] for row in found.metadata["worst"].records]
    assert (found.passed, found.severity, found.partition) == (False, dg.AssetCheckSeverity.ERROR, None)
    assert list(dict.fromkeys(days)) == [str(BAD + timedelta(days=n)) for n in range(7)]
    assert found.metadata["days_rejected"].value == 7
    assert found.metadata["failing_rows_of"].value.endswith(str(BAD))
    assert all(row.data["timestamp"].startswith(str(BAD)) for row in found.metadata["failing_rows"].records)


def test_a_rejected_day_has_its_own_answer_with_its_rows_and_reason(built):
    home, _, _ = built
    day = LAST - timedelta(days=1)
    found = answer(home, partition=day)
    assert (found.passed, found.partition) == (False, str(day))
    assert found.description.startswith(f"{day}, drift_")
    assert all(row.data["timestamp"].startswith(str(day)) for row in found.metadata["failing_rows"].records)
    assert f"recsys quarantine show {day}" in found.metadata["look"].value


def answer(home: Path, *, partition: date | None = None) -> dg.AssetCheckEvaluation:
    """The newest answer of the run, or under a day's partition."""
    key = dg.AssetCheckKey(dg.AssetKey("raw_interactions"), "how_much_at_what_price")
    of = PartitionKeyFilter(key=None if partition is None else partition.isoformat())
    with open_instance(Home(home)) as instance:
        (record,) = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=1, partition_filter=of
        )
    return record.event.dagster_event.event_specific_data


def test_two_days_are_accepted_by_one_command_and_become_normal_by_another(built, recsys, tmp_path):
    home, second = tmp_path / "home", BAD + timedelta(days=1)
    shutil.copytree(built[0], home, symlinks=True)
    done = recsys("quarantine", "accept", f"{BAD}..{second}", "--why", "true", "--who", "ada", home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accepted by ada: true") == 2
    assert days_in(home / "lake" / "raw")[-2:] == [BAD, second]
    assert days_in(home / "quarantine")[0] == second + timedelta(days=1)
    assert "recsys quarantine accept --as-normal" in done.stdout
    again = recsys("quarantine", "accept", f"{BAD}..{second}", "--as-normal", "--why", "it stays", home=home)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("the new normal") == 2
    with Ledger(home / "quality.sqlite") as ledger:
        assert [(one.day, one.as_normal) for one in ledger.acceptances()] == [(BAD, True), (second, True)]
