"""`recsys init` reads a source once and writes the days that it covers."""

import threading
from datetime import date, timedelta

import msgspec
import pytest

from recsys_assets.errors import InputError, SettingsError, SourceFormatError
from recsys_assets.lake.follow import follow_source
from recsys_assets.lake.initialise import initialise, spec_as_written
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.source_days import SourceDays
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home


def rows_outside(home, source):
    counted = SourceDays.load(home, source)
    assert counted is not None
    return counted.rows.outside(source.first_day, source.last_day)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("who,item_id,timestamp\nu,i,2017-07-14\nu,i,2017-07-01\nu,i,2017-07-20T23:59:59.9\n")
    return path


COLUMNS = {"user_id": "who"}


def test_the_settings_name_source_days_and_mapping(home, events):
    settings = initialise(home, f"tabular:{events}", columns=COLUMNS)

    assert settings == load_settings(home)
    assert settings.source.spec == f"tabular:{events}"
    assert (settings.source.first_day, settings.source.last_day) == (date(2017, 7, 1), date(2017, 7, 20))
    assert settings.source.columns == COLUMNS
    assert settings.source.follow


def test_a_relative_path_is_made_absolute(home, events, monkeypatch):
    monkeypatch.chdir(events.parent)

    assert initialise(home, "tabular:events.csv", columns=COLUMNS).source.spec == f"tabular:{events}"


@pytest.mark.parametrize(
    ("spec", "written"),
    [
        ("completejourney", "completejourney"),
        ("amazon:r.gz,meta=m.gz", "amazon:{here}/r.gz,meta={here}/m.gz"),
        ("amazon-2023:Books", "amazon:{down}/Books.jsonl.gz,meta={down}/meta_Books.jsonl.gz"),
    ],
)
def test_a_spec_is_written_with_absolute_paths(home, tmp_path, monkeypatch, spec, written):
    monkeypatch.chdir(tmp_path)

    assert spec_as_written(home, spec) == written.format(here=tmp_path, down=home.root / "downloads")


@pytest.mark.parametrize(
    ("days", "last"), [(1, date(2017, 7, 1)), (5, date(2017, 7, 5)), (500, date(2017, 7, 20))]
)
def test_only_the_first_days_are_taken_on_request(home, events, days, last):
    settings = initialise(home, f"tabular:{events}", days=days, columns=COLUMNS)

    assert (settings.source.last_day, settings.source.follow) == (last, False)


def test_the_file_says_how_many_events_there_are(home, events):
    initialise(home, f"tabular:{events}", columns=COLUMNS)

    assert "# 3 events from 2017-07-01 to 2017-07-20" in home.settings_file.read_text()


def test_other_sections_survive_a_new_source(home, events):
    initialise(home, f"tabular:{events}", columns=COLUMNS)
    with home.settings_file.open("a") as file:
        file.write("\n[training]\nepochs = 3\n")

    settings = initialise(home, f"tabular:{events}", days=2, columns=COLUMNS)

    assert settings.training.epochs == 3
    assert settings.source.last_day == date(2017, 7, 2)


def test_a_reader_sees_the_old_settings_or_the_new(home, events):
    initialise(home, f"tabular:{events}", columns=COLUMNS)
    found, stop = set(), threading.Event()

    def read():
        while not stop.wait(0.001):
            found.add(load_settings(home).source.last_day)

    reader = threading.Thread(target=read)
    reader.start()
    for days in [1, 3] * 3:
        initialise(home, f"tabular:{events}", days=days, columns=COLUMNS)
    stop.set()
    reader.join()

    assert found <= {date(2017, 7, 1), date(2017, 7, 3), date(2017, 7, 20)}


def test_nothing_is_written_when_the_source_is_broken(home, events):
    events.write_text("who,item_id,timestamp\nu,i,2017-07-14\nu,i,never\n")

    with pytest.raises(SourceFormatError, match="line 3"):
        initialise(home, f"tabular:{events}", columns=COLUMNS)
    assert not home.root.exists()


def test_the_old_settings_stay_when_the_new_source_is_broken(home, events, tmp_path):
    initialise(home, f"tabular:{events}", columns=COLUMNS)
    before = home.settings_file.read_text()

    with pytest.raises(InputError):
        initialise(home, f"tabular:{tmp_path / 'none.csv'}")
    assert home.settings_file.read_text() == before
    assert sorted(path.name for path in home.root.glob("[!.]*")) == [
        "recsys.toml",
        "source_account.json",
        "source_days.parquet",
    ]


def test_raises_when_the_days_are_more_than_anyone_has(home, events):
    events.write_text("who,item_id,timestamp\nu,i,0001-01-01\nu,i,2017-07-14\n")

    with pytest.raises(
        SourceFormatError, match=r"from 0001-01-01 to 2017-07-14 would be 736,\d{3} daily partitions"
    ):
        initialise(home, f"tabular:{events}", columns=COLUMNS)


@pytest.fixture
def broken_dates(tmp_path):
    """A month of events, 20 a day, one at the Unix epoch and two in the future."""
    days = [date(2023, 6, 1) + timedelta(days=n // 20) for n in range(600)]
    path = tmp_path / "broken.csv"
    lines = [f"u,i{n},{day}" for n, day in enumerate([date(1970, 1, 1), *days, *[date(2099, 12, 31)] * 2])]
    path.write_text("\n".join(["user_id,item_id,timestamp", *lines]) + "\n")
    return path


def test_a_few_broken_dates_make_no_partition_and_are_counted(home, broken_dates):
    source = initialise(home, f"tabular:{broken_dates}").source

    assert (source.first_day, source.last_day) == (date(2023, 6, 1), date(2023, 6, 30))
    left_out = rows_outside(home, source)
    assert str(left_out) == "1 on 1970-01-01, 2 on 2099-12-31"
    assert f"(outside_range): {left_out}." in home.settings_file.read_text()
    landed = sum(frame.height for _, frame in iter_days(_open(source), source.days(), scratch=home.scratch))
    assert landed + left_out.total == 603


def test_the_days_that_a_person_gives_are_taken(home, broken_dates):
    given = {"first": date(1970, 1, 1), "last": date(2023, 6, 10)}
    source = initialise(home, f"tabular:{broken_dates}", **given).source

    assert (source.first_day, source.last_day, source.follow) == (*given.values(), False)
    assert rows_outside(home, source).total == 20 * 20 + 2


@pytest.mark.parametrize(("day", "last"), [("2023-07-02", 2), ("2023-07-03", 2), ("2023-07-04", None)])
def test_the_last_day_follows_no_later_than_a_day_after_the_reading(home, broken_dates, day, last):
    settings = initialise(home, f"tabular:{broken_dates}")
    with broken_dates.open("a") as file:
        file.write(f"u,i,2023-07-02\nu,j,{day}\n" if last else f"u,j,{day}\n")

    moved = follow_source(home, settings, read_on=date(2023, 7, 1)).settings

    assert moved.source.last_day == (date(2023, 7, last) if last else date(2023, 6, 30))


def test_following_keeps_the_first_day_and_the_rest_of_the_section(home, broken_dates):
    settings = initialise(home, f"tabular:{broken_dates}", first=date(1970, 1, 1))
    with broken_dates.open("a") as file:
        file.write("u,i,2023-07-02\n")

    moved = follow_source(home, settings).settings.source

    assert moved == msgspec.structs.replace(settings.source, last_day=date(2023, 7, 2))
    assert rows_outside(home, moved).total == 2


def _open(source):
    return open_source(source.spec, columns=source.columns)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"days": 3, "last": date(2023, 6, 3)}, "give one of them"),
        ({"first": date(2023, 6, 3), "last": date(2023, 6, 2)}, "is before the first"),
    ],
)
def test_raises_when_the_days_given_contradict_each_other(home, broken_dates, given, message):
    with pytest.raises(SettingsError, match=message):
        initialise(home, f"tabular:{broken_dates}", **given)


@pytest.mark.parametrize("days", [0, -1])
def test_raises_when_less_than_a_day_is_requested(home, events, days):
    with pytest.raises(SettingsError, match="give at least 1"):
        initialise(home, f"tabular:{events}", days=days)


def test_raises_when_the_old_settings_are_broken(home, events):
    home.root.mkdir()
    home.settings_file.write_text("[source\n")

    with pytest.raises(SettingsError, match=r"recsys\.toml, line 1: not valid TOML"):
        initialise(home, f"tabular:{events}", columns=COLUMNS)
