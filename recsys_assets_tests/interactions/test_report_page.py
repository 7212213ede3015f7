"""The increment report is one page for a day, works offline, and shows nothing later than the day."""

import re
import shutil
from datetime import date

import msgspec
import pytest

from recsys_assets.errors import ReportError
from recsys_assets.interactions import day_in_window
from recsys_assets.interactions.report_page import write_pdf, write_report
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.quality.quarantine import RejectedDay
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore


def test_the_page_has_figures_tables_and_checks_and_needs_no_network(built_home):
    page = next(built_home.glob("reports/date=*/increment_report.html")).read_text()
    assert page.count("<img") == 5
    for heading in ("The day beside its trailing window", "Drift", "Top items", "Checks", "Failing rows"):
        assert heading in page
    assert not re.findall(r"""src=["']https?://""", page)


def test_loading_a_day_that_never_landed_is_an_error_with_its_name(built_home):
    with pytest.raises(FileNotFoundError, match="2017-06-01"):
        day_in_window.load_day(Home(built_home), date(2017, 6, 1))


def test_the_window_holds_nothing_of_the_day_or_after_it(built_home):
    data = day_in_window.load_day(Home(built_home), date(2017, 1, 5))
    assert data.window["timestamp"].dt.date().max() < date(2017, 1, 5)
    assert set(data.interactions["timestamp"].dt.date()) == {date(2017, 1, 5)}


def test_new_users_and_items_are_those_that_no_earlier_day_has(built_home):
    home, day = Home(built_home), date(2017, 1, 5)
    store = PartitionStore(root=home.raw, schema=RAW_INTERACTIONS.polars_schema())
    earlier = store.scan([other for other in store.days() if other < day]).collect()
    own = store.read(day)
    new = [len(set(own[name]) - set(earlier[name])) for name in ("user_id", "item_id")]
    shown = dict(day_in_window.summary(day_in_window.load_day(home, day)).select("figure", "day").iter_rows())
    assert [shown["new users (raw)"], shown["new items (raw)"]] == new
    assert min(new) > 0


def test_only_the_files_of_the_window_are_opened(built_home, tmp_path):
    copy = Home(tmp_path / "home")
    shutil.copytree(built_home, copy.root, symlinks=True)
    day, older = date(2017, 1, 10), date(2016, 11, 30)
    for root in (copy.raw, copy.interactions):
        broken = day_folder(root, older) / "part-0.parquet"
        broken.parent.mkdir()
        broken.write_bytes(b"not a Parquet file")
    whole = day_in_window.load_day(Home(built_home), day)
    assert day_in_window.load_day(copy, day).window.equals(whole.window)


def test_without_a_browser_the_error_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReportError, match="install"):
        write_pdf(tmp_path / "page.html")


def test_a_day_that_has_not_landed_is_an_error_before_a_notebook_starts(tmp_path):
    home = Home(tmp_path)
    with pytest.raises(ReportError, match=r"2017-09-01 has not landed \(none has\)"):
        write_report(home, date(2017, 9, 1))
    folder = home.interactions / "date=2017-08-31"
    folder.mkdir(parents=True)
    (folder / "part-0.parquet").touch()
    with pytest.raises(ReportError, match="2017-08-31 to 2017-08-31 have"):
        write_report(home, date(2017, 9, 1))
    rejected = home.quarantine / "date=2017-09-01"
    rejected.mkdir(parents=True)
    note = RejectedDay(table="raw", day=date(2017, 9, 1), rows=1, fingerprint="", reasons=[])
    (rejected / "raw.json").write_bytes(msgspec.json.encode(note))
    with pytest.raises(ReportError, match="in quarantine: see `recsys quarantine show 2017-09-01`"):
        write_report(home, date(2017, 9, 1))
    assert not home.reports.exists()
