"""Rows of merged users, under the users whom their ids mean now."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys_assets.intake.merged_users import MergedUsers
from recsys_assets.intake.rows import MergeRow
from recsys_assets.interactions.cleaning import clean
from recsys_assets.interactions.returns import taken_off
from recsys_assets.interactions.row_rule import RowRule
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.merged_rows import merge_users, merged_users, touched_days
from recsys_assets.lake.raw_returns import raw_store
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.settings import Settings, load_or_default_settings
from recsys_assets.storage.home import Home

FIRST, SECOND = date(2017, 1, 1), date(2017, 1, 2)
MERGED = {"anon-7": "u1", "anon-8": "u1"}


def rows(day: date, *events: tuple[str, str, float | None]) -> pl.DataFrame:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    frame = pl.DataFrame(
        [{"user_id": u, "item_id": i, "timestamp": at, "quantity": q} for u, i, q in events],
        schema_overrides={"quantity": pl.Float32},
    )
    schema = RAW_INTERACTIONS.polars_schema()
    return frame.with_columns(
        pl.lit(None, t).alias(n) for n, t in schema.items() if n not in frame.columns
    ).select(*(pl.col(name).cast(dtype) for name, dtype in schema.items()))


@pytest.fixture
def home(tmp_path) -> Home:
    found = Home(tmp_path)
    store = raw_store(found)
    store.write(FIRST, rows(FIRST, (" anon-7 ", "i1", 1.0), ("u2", "i1", 1.0)))
    store.write(SECOND, rows(SECOND, ("u1", "i2", 1.0), ("u1", "i1", -1.0)))
    store.settle()
    return found


def stale_days(home: Home, settings: Settings, before: dict[date, str]) -> set[date]:
    inputs = Inputs(home, settings)
    return {day for day in inputs.raw_files if inputs.interactions(day) != before[day]}


def test_rows_come_under_the_last_user_in_their_order():
    frame = rows(FIRST, ("anon-7", "i1", None), ("u2", "i1", None), (" anon-8", "i2", None))
    assert merge_users(frame, MERGED)["user_id"].to_list() == ["u1", "u2", "u1"]
    assert merge_users(frame, {}) is frame


def test_a_cleaned_day_has_the_users_of_now():
    cleaned = clean(
        rows(FIRST, ("anon-7", "i1", None), ("u1", "i1", None)),
        day=FIRST,
        rule=WishRule(),
        rows=RowRule(merged=MERGED),
    )
    assert cleaned.frame["user_id"].unique().to_list() == ["u1"]


def test_a_return_by_the_account_takes_the_piece_off_what_the_anonymous_user_bought(home):
    found = taken_off(raw_store(home), RowRule(merged=MERGED)).frame
    assert found.select("user_id", "item_id", "had", "left").rows() == [("u1", "i1", 1.0, 0.0)]


def test_only_days_with_rows_of_a_merged_user_are_stale(home):
    settings = load_or_default_settings(home)
    before = {day: Inputs(home, settings).interactions(day) for day in (FIRST, SECOND)}
    merges = MergedUsers(home.events_db)
    merges.add(MergeRow("nobody", "u1", 1))
    assert stale_days(home, settings, before) == set()
    merges.add(MergeRow("anon-7", "u9", 2))
    assert stale_days(home, settings, before) == {FIRST}


def test_a_day_is_searched_once_and_again_with_other_rows(home):
    merged = {"anon-7": "u9"}
    store = raw_store(home)
    assert set(touched_days(home, store, store.files(), merged)) == {FIRST}
    kept = home.merged_days.read_bytes()
    assert b"anon-7" not in kept
    touched_days(home, store, store.files(), merged)
    assert home.merged_days.read_bytes() == kept
    store.write(SECOND, rows(SECOND, ("anon-7", "i2", 1.0)))
    store.settle()
    assert set(touched_days(home, store, store.files(), merged)) == {FIRST, SECOND}


def test_chains_end_at_the_last_user(home):
    merges = MergedUsers(home.events_db)
    merges.add(MergeRow("anon-7", "anon-8", 1))
    merges.add(MergeRow("anon-8", "u1", 2))
    assert merged_users(home) == MERGED
