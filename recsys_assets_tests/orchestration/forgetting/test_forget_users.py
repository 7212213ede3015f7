"""A user is forgotten in a whole home: nothing is left of them, nothing else changes, and nothing is stale after it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from recsys_assets.errors import ForgetError
from recsys_assets.lake.raw_returns import raw_store
from recsys_assets.orchestration.build import build, land
from recsys_assets.orchestration.forgetting.forget_users import forget_users
from recsys_assets.orchestration.forgetting.proof import scan_home
from recsys_assets.orchestration.lineage import lineage_of
from recsys_assets.orchestration.repair.made_artifacts import damaged_files
from recsys_assets.quality.row_account import HomeAccount
from recsys_assets.release.load import load_current
from recsys_assets.release.publish import publish
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.settings import load_settings
from recsys_assets.storage.day_folders import day_folder, days_under
from recsys_assets.storage.day_versions import DayVersions
from recsys_assets.storage.forgotten import read_forgets, read_unfinished_forgets, request_forget
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher
from recsys_assets_tests.orchestration.recalls import BAD, FIRST, build_shop, copy_of, recall, write_log

USER = "u3"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Home:
    return build_shop(tmp_path_factory.mktemp("forget") / "shop")


@pytest.fixture
def home(built, tmp_path) -> Home:
    return copy_of(built, tmp_path / "home")


def forget(home: Home, *users: str) -> list[str]:
    said: list[str] = []
    forget_users(home, users or [USER], why="a letter", who="ann", say=said.append)
    return said


def rows(root: Path) -> dict[str, pl.DataFrame]:
    """Day -> its rows."""
    return {
        str(day): pl.read_parquet(day_folder(root, day) / "part-0.parquet", hive_partitioning=False)
        for day in days_under(root)
    }


def stages(home: Home) -> dict[str, str]:
    """Stage -> how the next build ends it."""
    outcome = build(home, load_settings(home), SilentWatcher())
    return {row.stage: row.status for row in outcome.rows}


def test_nothing_of_the_user_is_left_and_nobody_else_changes(home):
    before = {root: rows(root) for root in (home.raw, home.interactions)}
    assert scan_home(home, {USER}).found

    said = forget(home)

    assert any(line.startswith("Proof:") for line in said)
    assert scan_home(home, {USER}).found == ()
    for root, of_days in before.items():
        others = {day: frame.filter(pl.col("user_id") != USER) for day, frame in of_days.items()}
        now = rows(root)
        assert now.keys() == others.keys()
        assert all(now[day].equals(others[day]) for day in now)
    release = load_current(home.releases, verify=True)
    assert USER not in release.users
    assert len(release.users) == 19


def test_the_next_build_has_nothing_to_do(home):
    forget(home)
    assert set(stages(home).values()) == {"fresh"}


def test_days_that_land_again_have_the_same_rows(home):
    forget(home)
    before, account = rows(home.raw), home.row_account.read_bytes()
    land(home, load_settings(home), SilentWatcher(), [FIRST])
    assert all(frame.equals(before[day]) for day, frame in rows(home.raw).items())
    assert home.row_account.read_bytes() == account


def test_the_account_of_rows_names_those_of_forgotten_users(home):
    forget(home)
    found = msgspec.json.decode(home.row_account.read_bytes(), type=HomeAccount)
    assert found.account.reasons["forgotten"].rows == 20
    assert found.account.rows == found.source_rows
    assert found.differences == ""


def test_a_second_forget_says_so_and_reads_the_home_again(home):
    forget(home)
    said = forget(home)
    assert said[0].startswith("Forgotten before")
    assert said[-1].startswith("Proof:") or said[-1].startswith("  Not proved")
    assert len(read_forgets(home)) == 2


def test_an_id_that_the_home_does_not_have_is_said_to_be_nowhere(home):
    said = forget(home, "u333")
    assert said[0] == "Nothing of them was here. An id is found only as the source has it."


def test_the_record_has_no_id(home):
    forget(home)
    assert USER.encode() not in home.forgotten.read_bytes()
    assert not home.unfinished_forgets.exists()
    assert not home.forget_changes.exists()


def test_the_next_build_carries_out_what_was_requested(home):
    request_forget(home, [USER], at=datetime.now(UTC), who="shop", why="")
    found = stages(home)
    assert set(found.values()) == {"fresh"}
    assert read_unfinished_forgets(home) == ()
    assert scan_home(home, {USER}).found == ()


def test_what_was_stale_before_stays_stale(home):
    with home.settings_file.open("a") as file:
        file.write("\n[index]\nneighbours_per_item = 3\n")
    forget(home)
    assert not list(damaged_files(home.artifact("index")))
    assert not list(damaged_files(home.artifact("release")))
    found = stages(home)
    assert (found["item_index"], found["release"]) == ("built", "built")
    assert found["interactions"] == "fresh"


def test_earlier_versions_of_days_are_rewritten_and_still_found_by_time(home, tmp_path):
    shared, own = load_settings(home).source.spec.removeprefix("tabular:"), tmp_path / "events.csv"
    home.settings_file.write_text(home.settings_file.read_text().replace(shared, str(own)))
    write_log(own, days=4, corrected=True)
    then = datetime.now(UTC)
    land(home, load_settings(home), SilentWatcher(), [BAD])
    assert DayVersions(root=home.versions).of_day(BAD)

    forget(home)

    store = raw_store(home)
    found = DayVersions(root=home.versions).known_at(then, store.files(), store.path)
    users = pl.read_parquet(found[BAD], hive_partitioning=False)["user_id"]
    assert USER not in users
    assert "u0" in users, "the corrected day lacks this user, the earlier version has it"


def test_ids_of_before_lead_to_the_release_of_now(home):
    old = ReleaseStore(home.releases).current_id()
    forget(home)
    found = lineage_of(home, old)
    assert (found.release, found.former) == (ReleaseStore(home.releases).current_id(), [old])
    assert found.kept
    assert found.current
    assert found.replaced == []


def test_a_text_that_is_no_id_is_rejected(home):
    with pytest.raises(ForgetError, match="no id of a user"):
        forget(home, "NaN")


@pytest.mark.slow
def test_ten_releases_a_quarantined_day_and_a_report_that_shows_the_user(home):
    settings, newest = load_settings(home), ReleaseStore(home.releases).list()[0]
    parts = {
        name: home.artifact(name) for name in ("choice", "embeddings", "features", "index", "evaluation")
    }
    for number in range(8):
        publish(
            home, parts=parts, settings=settings, promote=False, created_at=datetime.now(UTC),
            lineage={**newest.lineage, FIRST + timedelta(days=number): "0" * 64},
        )  # fmt: skip
    recall(home)
    page = day_folder(home.reports, FIRST) / "increment_report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"<table><tr><th>user_id</th></tr><tr><td>{USER}</td></tr></table>")
    assert len(ReleaseStore(home.releases).list()) == 10
    found = {one.file.split("/")[0] for one in scan_home(home, {USER}).found}
    assert {"releases", "quarantine", "reports", "lake", "artifacts"} <= found

    forget(home)

    assert scan_home(home, {USER}).found == ()
    store = ReleaseStore(home.releases)
    assert len(store.list()) == 10
    assert all(one.forgets == [1] for one in store.list())
