"""A merge of two users, from the intake to the next release."""

from datetime import date

import polars as pl
import pytest

from recsys_assets.intake.merged_users import MergedUsers
from recsys_assets.intake.rows import MergeRow
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.instance import commit_without_waiting_for_the_disk
from recsys_assets.release.load import load_current
from recsys_assets.settings import load_settings
from recsys_assets_tests.orchestration.homes import SilentWatcher, small_home

FIRST = date(2024, 1, 1)


@pytest.mark.slow
def test_the_next_build_gives_the_rows_of_one_user_to_the_other_and_then_has_nothing_to_do(tmp_path):
    home, _ = small_home(tmp_path / "shop", first=FIRST)
    commit_without_waiting_for_the_disk()
    assert not build(home, load_settings(home), SilentWatcher()).failed
    before = load_current(home.releases)
    anonymous, account = before.users[0], before.users[1]
    rows = pl.read_parquet(home.interactions / "**" / "*.parquet", hive_partitioning=False)["user_id"]
    both = int(rows.is_in([anonymous, account]).sum())
    MergedUsers(home.events_db).add(MergeRow(anonymous, account, 1))
    assert not build(home, load_settings(home), SilentWatcher()).failed
    rows = pl.read_parquet(home.interactions / "**" / "*.parquet", hive_partitioning=False)["user_id"]
    assert anonymous not in set(rows)
    assert int((rows == account).sum()) == both
    after = load_current(home.releases)
    assert anonymous not in after.users
    assert account in after.users
    assert not build(home, load_settings(home), SilentWatcher()).built
    raw = pl.read_parquet(home.raw / "**" / "*.parquet", hive_partitioning=False)["user_id"]
    assert anonymous in set(raw)
