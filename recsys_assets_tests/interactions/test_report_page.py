"""The increment report is one page for a day, works offline, and shows nothing later than the day."""

import re
from datetime import date

import msgspec
import pytest

from recsys_assets.errors import ReportError
from recsys_assets.interactions import day_in_window
from recsys_assets.interactions.report_page import execute_to_html, write_pdf, write_report
from recsys_assets.quality.quarantine import RejectedDay
from recsys_assets.storage.home import Home


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


def test_a_failing_notebook_is_an_error_with_its_own_message(tmp_path):
    notebook = tmp_path / "broken.py"
    notebook.write_text('# %% tags=["parameters"]\nday = ""\n# %%\nraise ValueError("no such " + day)\n')
    with pytest.raises(ReportError, match="no such 2017"):
        execute_to_html(notebook, {"day": "2017"})


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
