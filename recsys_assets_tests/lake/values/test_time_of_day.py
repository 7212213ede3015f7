"""A date in one column and the time of day in another are one time."""

from datetime import UTC, datetime, time

import polars as pl
import pytest

from recsys_assets.lake.proposal import propose
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.lake.values.time_of_day import joined, times_of_day
from recsys_assets.source_settings import Given


@pytest.mark.parametrize(
    ("header", "row", "found"),
    [
        ("user;item;Datum;Uhrzeit", "u;i;13.03.2024;08:05", "Datum + Uhrzeit"),
        ("user;item;date;time", "u;i;2024-03-13;08:05:00", "date + time"),
        ("user;item;date;time", "u;i;2024-03-13 00:00:00;08:05:00", "date + time"),
        ("user;item;Order Date;Order Time", "u;i;03/13/2024;8:05 AM", "Order Date + Order Time"),
        ("user;item;day;date;time", "u;i;x;20240313;08:05", "date + time"),
    ],
)
def test_both_columns_are_read_where_both_are_there(tmp_path, header, row, found):
    (tmp_path / "f.csv").write_text(f"{header}\n{row}\n")

    proposal = propose(tmp_path / "f.csv", Given())

    assert proposal.columns["timestamp"] == found
    assert proposal.sample["timestamp"].to_list() == [datetime(2024, 3, 13, 8, 5, tzinfo=UTC)]
    again = Tabular(tmp_path / "f.csv", columns=proposal.columns, reading=proposal.reading)
    assert pl.concat(again.batches())["timestamp"].equals(proposal.sample["timestamp"])


def test_two_times_of_day_are_not_read_and_said(tmp_path):
    (tmp_path / "f.csv").write_text("user,item,date,time,Uhrzeit\nu,i,2024-03-13,08:05,8:05\n")

    proposal = propose(tmp_path / "f.csv", Given())

    assert proposal.columns["timestamp"] == "date"
    assert "'time' is not read; to read it: --column 'timestamp=date + time'" in proposal.notes


@pytest.mark.parametrize("day", ["2024-03-13 08:05", "1710317100"])
def test_a_date_with_a_time_of_its_own_gets_no_other(day):
    assert times_of_day({"date": pl.Series([day]), "time": pl.Series(["09:00"])}, "date") == []


def test_a_day_without_a_time_stays_a_day():
    days = pl.Series([datetime(2024, 3, 13), datetime(2024, 3, 14), None])  # noqa: DTZ001  a spreadsheet's
    times = pl.Series([time(8, 5), None, time(1)])

    assert joined(days, times).to_list() == ["2024-03-13 08:05:00", "2024-03-14", None]
