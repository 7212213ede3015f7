"""Times of tables: recognised formats, recorded ones, and zones."""

from datetime import date

import pytest

from recsys_assets.errors import SettingsError, SourceFormatError
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.source_settings import ReadingSettings
from recsys_assets_tests.lake.sources.test_tabular import events_of


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (
            "1/2/2020",
            r"column 'timestamp': '1/2/2020' .*--time-format '%d/%m/%Y' or --time-format '%m/%d/%Y'",
        ),
        ("20210199", r"'20210199' as seconds is 1970-.*--time-format"),
        ("2099-01-01", "as iso is 2099-01-01 00:00:00, .*after tomorrow; give the format by --time-format"),
        ("soon", "no time format that is known; .*--no-time"),
    ],
)
def test_raises_when_the_times_have_no_single_plausible_format(tmp_path, when, message):
    source = events_of(tmp_path, f"user_id,item_id,timestamp\nu,i,{when}\n")

    with pytest.raises(SourceFormatError, match=message):
        source.date_range()


def test_a_recorded_format_is_used_where_it_fits_and_another_file_has_its_own(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\nu,i,1/2/2020\n")
    (tmp_path / "b.csv").write_text("user_id,item_id,timestamp\nu,i,2020-03-04\n")

    source = Tabular(tmp_path / "*.csv", reading=ReadingSettings(time_format="%d/%m/%Y"))

    assert source.scan().collect()["timestamp"].dt.date().to_list() == [date(2020, 2, 1), date(2020, 3, 4)]


def test_times_without_an_offset_are_of_the_given_zone(tmp_path):
    text = "user_id,item_id,timestamp\nu,i,2020-07-01 12:00\nu,i,2020-07-01 12:00Z\n"
    source = events_of(tmp_path, text, reading=ReadingSettings(time_zone="Europe/Berlin"))

    assert [when.hour for when in source.scan().collect()["timestamp"]] == [10, 12]


def test_raises_when_there_is_no_such_zone(tmp_path):
    with pytest.raises(SettingsError, match="'Europe/Bärlin': no such zone"):
        events_of(tmp_path, "user_id,item_id,timestamp\n", reading=ReadingSettings(time_zone="Europe/Bärlin"))
