"""A source counted by file and day: only what changed is read, and the accounts add up."""

from datetime import date
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.source_days import DaysReading, SourceDays, files_as_counted
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.home import Home

FIRST = date(2024, 1, 1)
HEADER = "user_id,item_id,timestamp\n"


def rows_of(day: int, *numbers: int) -> str:
    return "".join(f"u{n % 11},i{n % 7},2024-01-{day:02d} 10:{n:02d}:00\n" for n in numbers)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    for day in (1, 2):
        (folder / f"{day}.csv").write_text(HEADER + rows_of(day, *range(20)))
    return folder


def opened(folder: Path) -> Tabular:
    return Tabular(folder / "*.csv")


def counted(folder: Path, before: SourceDays | None = None) -> SourceDays:
    reading = DaysReading(opened(folder), before=before)
    for _ in reading.batches():
        pass
    return reading.result()


def settings_of(folder: Path, *, last: int = 31) -> SourceSettings:
    return SourceSettings(spec=f"tabular:{folder}/*.csv", first_day=FIRST, last_day=date(2024, 1, last))


def by_day(found: SourceDays) -> dict[int, int]:
    return {day.day: found.of_day(day).rows for day in found.counts["day"].unique()}


def test_only_files_that_changed_are_read(folder):
    before = counted(folder)
    (folder / "3.csv").write_text(HEADER + rows_of(3, 1))
    with (folder / "1.csv").open("a") as file:
        file.write(rows_of(1, 20))

    reading = DaysReading(opened(folder), before=before)

    assert [Path(name).name for name in reading.changed] == ["1.csv", "3.csv"]
    assert by_day(counted(folder, before)) == {1: 21, 2: 20, 3: 1}


def test_a_source_that_is_as_it_was_is_not_new(folder):
    reading = DaysReading(opened(folder), before=counted(folder))

    assert (reading.is_new, reading.changed) == (False, [])


def test_a_file_under_another_name_changes_no_day(folder):
    before = counted(folder)
    (folder / "1.csv").rename(folder / "0.csv")
    after = counted(folder, before)

    assert [after.of_day(day) for day in after.counts["day"]] == [
        before.of_day(day) for day in after.counts["day"]
    ]


def test_rows_of_a_file_that_is_gone_are_gone(folder):
    before = counted(folder)
    (folder / "1.csv").unlink()

    assert by_day(counted(folder, before)) == {2: 20}


def test_a_file_with_the_rows_of_an_earlier_one_is_left_out_and_counted(folder):
    (folder / "1 (1).csv").write_text(HEADER + rows_of(1, *reversed(range(20))))
    found = counted(folder)
    account = found.account(settings_of(folder))

    assert by_day(found) == {1: 20, 2: 20}
    assert (account.kept, account.reasons["duplicate"].rows, account.rows) == (40, 20, 60)
    assert (
        account.reasons["duplicate"].example == f"{folder / '1.csv'}: has the rows of {folder / '1 (1).csv'}"
    )
    assert found.files_with([FIRST]) == [str(folder / "1 (1).csv")]


def test_counts_and_accounts_are_saved_and_read(folder, tmp_path):
    home, source = Home(tmp_path), settings_of(folder, last=1)
    found = counted(folder)
    found.save(home, source)
    read = SourceDays.load(home, source)

    assert read is not None
    assert read.files == found.files
    assert read.counts.equals(found.counts)
    assert read.rows.outside(source.first_day, source.last_day).total == 20
    account = msgspec.json.decode(home.source_account.read_bytes(), type=RowAccount)
    assert (account.kept, account.reasons["outside_range"].example) == (20, "20 on 2024-01-02")


@pytest.mark.parametrize("damage", ["truncated", "other columns", "older"])
def test_a_damaged_or_older_file_is_counted_again(folder, tmp_path, damage):
    home, source = Home(tmp_path), settings_of(folder)
    counted(folder).save(home, source)
    if damage == "truncated":
        home.source_days.write_bytes(home.source_days.read_bytes()[:-20])
    else:
        pl.DataFrame({"day": [FIRST], "rows": [20]}).write_parquet(home.source_days)

    assert SourceDays.load(home, source) is None


def test_counts_are_those_of_one_spec_mapping_and_reading(folder, tmp_path):
    home, source = Home(tmp_path), settings_of(folder)
    counted(folder).save(home, source)

    assert SourceDays.load(home, msgspec.structs.replace(source, columns={"user_id": "u"})) is None
    assert SourceDays.load(home, msgspec.structs.replace(source, last_day=FIRST)) is not None


def test_bad_rows_are_limited_in_all_files_together(folder):
    before = counted(folder)
    bad = HEADER + rows_of(3, 1) + "u,i,never\n"
    (folder / "3.csv").write_text(bad)
    with pytest.raises(SourceFormatError, match=r"line 3.*never"):
        counted(folder, before)

    reading = DaysReading(opened(folder), before=before)
    reading._source.bad_rows = 0.03
    for _ in reading.batches():
        pass
    found = reading.result()
    assert found.account(settings_of(folder)).reasons["bad_row"].rows == 1
    read = opened(folder).only(found.files_with([date(2024, 1, 3)])).batches()
    assert sum(batch.height for batch in read) == 1


class Growing(Tabular):
    """Its first file gets a line while it is read."""

    late = rows_of(1, 33)

    def read(self, aside):
        for batch in super().read(aside):
            with self._files[0].path.open("a") as file:
                file.write(self.late)
            yield batch


def test_a_file_that_is_written_to_while_it_is_read_is_read_again_next_time(folder):
    reading = DaysReading(Growing(folder / "1.csv"))
    for _ in reading.batches():
        pass
    found = reading.result()

    assert reading.busy == [str(folder / "1.csv")]
    assert by_day(found) == {1: 20}
    assert not files_as_counted(opened(folder).only(found.files), found)
    assert by_day(counted(folder, found)) == {1: 21, 2: 20}


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.dictionaries(
            st.sampled_from("abc"),
            st.none() | st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), max_size=6),
            min_size=1,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_counts_after_any_changes_are_those_of_a_first_reading(tmp_path_factory, steps):
    """A step maps a file to its new rows (day and number), or to none where it goes."""
    folder, found = tmp_path_factory.mktemp("log"), None
    (folder / "z.csv").write_text(HEADER + rows_of(6, 1))
    for step in steps:
        for name, content in step.items():
            path = folder / f"{name}.csv"
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(HEADER + "".join(rows_of(day, number) for day, number in content))
        found = counted(folder, found)

    fresh, source = counted(folder), settings_of(folder, last=4)
    assert list(found.files) == list(fresh.files)
    assert found.counts.sort("file", "day").equals(fresh.counts.sort("file", "day"))
    account = found.account(source)
    assert account == fresh.account(source)
    lines = sum(len(path.read_text().splitlines()) - 1 for path in folder.glob("*.csv"))
    assert account.rows == lines
    assert account.kept == found.rows.inside(source.first_day, source.last_day).total
