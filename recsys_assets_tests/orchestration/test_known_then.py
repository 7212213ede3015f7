"""Reports and features as known at an earlier time, with rows that came late."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.errors import InputError, ReportError, VersionGoneError
from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.features.feature_database import build_features, read_features
from recsys_assets.interactions.cleaned_days import publish_interactions
from recsys_assets.lake.initialise import initialise
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.orchestration.known_then import features_as_known, home_as_known, report_as_known
from recsys_assets.orchestration.landing_plan import follow
from recsys_assets.orchestration.resources import Lake
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import FEATURE_DATABASE, Home
from recsys_assets_tests.orchestration.growing_sources import land_stale
from recsys_assets_tests.orchestration.homes import SilentWatcher

DAY = date(2024, 1, 2)
HEADER = "user_id,item_id,timestamp,quantity\n"


def write(folder: Path, name: str, *rows: str) -> None:
    (folder / f"{name}.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))


def sold(day: int, user: str, quantity: int = 1) -> str:
    return f"{user},i{quantity},2024-01-{day:02d} 10:00:00,{quantity}"


def land(home: Home) -> datetime:
    """Follow, land and clean as a build does, without Dagster; return the time afterwards."""
    follow(home, load_settings(home), SilentWatcher())
    land_stale(home)
    inputs = Inputs(home, load_settings(home))
    publish_interactions(
        inputs.raw_files,
        raw=inputs.raw_store,
        store=Lake(home_path=str(home.root)).interactions(lambda day: {INPUTS_KEY: inputs.interactions(day)}),
        quarantine=home.quarantine,
        rule=inputs.wish_rule,
        rows=inputs.row_rule,
        taken_off=inputs.taken_off,
    )
    return datetime.now(UTC)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    write(folder, "1", *(sold(1, f"u{n}") for n in range(9)))
    write(folder, "2", sold(2, "early"))
    return folder


@pytest.fixture
def home(folder, tmp_path) -> Home:
    home = Home(tmp_path / "home")
    initialise(home, f"tabular:{folder}/*.csv")
    return home


@pytest.fixture
def times(home, folder) -> list[datetime]:
    """The times at which a day had landed, had a late row too, and another day had come."""
    first = land(home)
    write(folder, "2", sold(2, "early"), sold(2, "late"))
    second = land(home)
    write(folder, "3", sold(3, "next"))
    return [first, second, land(home)]


def users(home: Home, at: datetime, **given) -> set[str]:
    folder = home.root.parent / "features"
    features_as_known(home, load_settings(home), folder, at=at, **given)
    found = read_features(folder / FEATURE_DATABASE, USER_FEATURES)
    return {user for user in found["user_id"] if not user.startswith("u")}


def test_features_have_the_rows_that_had_landed_by_then(home, times):
    assert [users(home, at) for at in times] == [{"early"}, {"early", "late"}, {"early", "late", "next"}]


def test_features_are_cut_by_the_time_of_events_too(home, times):
    assert users(home, times[2], through=DAY) == {"early", "late"}
    assert users(home, times[0], through=date(2024, 1, 1)) == set()


def test_features_as_known_now_are_those_of_a_build(home, times, tmp_path):
    features_as_known(home, load_settings(home), tmp_path / "then", at=times[2])
    store = Inputs(home, load_settings(home)).interaction_store
    build_features(store.scan(store.days()), None, tmp_path / "now", as_of=date(2024, 1, 3))

    for contract in (USER_FEATURES, ITEM_FEATURES):
        then, now = (read_features(tmp_path / name / FEATURE_DATABASE, contract) for name in ("then", "now"))
        assert then.equals(now)


def test_days_whose_rows_are_the_same_are_not_cleaned_again(home, times):
    with home_as_known(home, load_settings(home), times[0]) as then:
        links = {path.parent.name: path.is_symlink() for path in then.interactions.glob("date=*/*.parquet")}
        assert links == {"date=2024-01-01": True, "date=2024-01-02": False}
    assert not then.root.exists()


def test_a_return_that_came_later_takes_nothing_off(home, folder, times):
    write(folder, "4", "early,i1,2024-01-04 10:00:00,-1")
    later = land(home)
    with home_as_known(home, load_settings(home), times[2]) as then:
        known = Inputs(then, load_settings(home)).interaction_store.read(DAY)
    now = Inputs(home, load_settings(home)).interaction_store.read(DAY)

    assert set(known["user_id"]) == {"early", "late"}
    assert set(now["user_id"]) == {"late"}
    assert "early" not in users(home, later)


@pytest.mark.usefixtures("times")
def test_nothing_is_known_before_the_first_landing(home):
    with pytest.raises(InputError, match="no day had landed by 2020-01-01"):
        users(home, datetime(2020, 1, 1, tzinfo=UTC))


def test_a_version_that_was_pruned_is_named(home, times):
    versions = Inputs(home, load_settings(home)).raw_store.versions
    for version in versions.every():
        versions.remove(version)

    with pytest.raises(VersionGoneError, match="the rows of 2024-01-02 that were known at"):
        users(home, times[0])
    assert users(home, times[1]) == {"early", "late"}


def test_a_report_has_the_rows_of_then_and_says_so(home, times):
    page = report_as_known(home, load_settings(home), DAY, at=times[0])

    text = page.read_text()
    assert page.parent == home.known_then
    assert "As known at" in text
    assert "<td>rows</td><td>1</td>" in text
    later = report_as_known(home, load_settings(home), DAY, at=times[1]).read_text()
    assert "<td>rows</td><td>2</td>" in later
    with pytest.raises(ReportError, match="2024-01-03 had not landed by"):
        report_as_known(home, load_settings(home), date(2024, 1, 3), at=times[1])


@pytest.mark.usefixtures("times")
def test_the_command_makes_features_and_takes_no_folder_with_other_files(home, tmp_path):
    arguments = ["features", "--home", str(home.root), "--known-at", "2199-01-01", "--to"]
    done = CliRunner().invoke(main, [*arguments, str(tmp_path / "then")])
    assert done.exit_code == 0, done.output
    assert "12 users, 1 items as of 2024-01-03, known at 2199-01-01 23:59:59 UTC" in done.output
    assert pl.read_csv(tmp_path / "log" / "1.csv").height == 9
    done = CliRunner().invoke(main, [*arguments, str(tmp_path / "log")])
    assert done.exit_code != 0
    assert "it holds 1.csv, which would be lost" in done.output
