"""The increment report as a file: the days that get one, the notebook executed to HTML, and printed to PDF."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

from recsys_assets.errors import ReportError
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.interactions.executed_notebook import execute_to_html
from recsys_assets.quality.ledger_place import LedgerPlace
from recsys_assets.quality.open_ledger import open_at
from recsys_assets.quality.quarantine import rejected_days
from recsys_assets.settings import ReportSettings
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.day_folders import day_folder
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.partition_store import PartitionStore

NOTEBOOK: Final = Path(__file__).parents[1] / "notebooks" / "increment_report.py"
HTML_FILE: Final = "increment_report.html"
PDF_FILE: Final = "increment_report.pdf"
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_BROWSER_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
)
_PDF_SECONDS: Final = 60


def reported_days(days: Sequence[date], settings: ReportSettings, *, ledger: LedgerPlace) -> list[date]:
    """Return those of `days` that `[report] when` asks a report for, oldest first.

    A day is to be looked at where any of its checks, on raw or cleaned events, is not ok: one that warned, or one
    that was rejected and then accepted by hand.

    Args:
        days: landed days.
        settings: `when`; the number of days is not used.
        ledger: place of the ledger with the audits' results.
    """
    if settings.when == "never":
        return []
    if settings.when == "always":
        return sorted(days)
    with open_at(ledger) as opened:
        return [
            day for day in sorted(days) if any(found.verdict != "ok" for found in opened.results(day=day))
        ]


def last_reported_days(days: Iterable[date], settings: ReportSettings, *, ledger: LedgerPlace) -> list[date]:
    """Return those of the last `[report] days` of `days` that get a report, oldest first."""
    last = sorted(days)[-settings.days :] if settings.days else []
    return reported_days(last, settings, ledger=ledger)


def write_report(home: Home, day: date) -> Path:
    """Execute the notebook for `day`, and replace its page among the home's reports.

    Raises:
        ReportError: the day has not landed or was rejected, or the notebook failed.
    """
    _require_landed(home, day)
    target = day_folder(home.reports, day) / HTML_FILE
    page = execute_to_html(NOTEBOOK, {"home": str(home.root), "day": day.isoformat()})
    with locked(home.lock("reports")):
        replace_file(target, page.encode())
    return target


def write_report_as_known(home: Home, then: Home, day: date, *, at: datetime) -> Path:
    """Execute the notebook for `day` on a home as it was known at a time, and write its page among the home's reports.

    Args:
        home: the home.
        then: the same as known at the time.
        day: the day.
        at: the time, UTC.

    Raises:
        ReportError: the day had not landed by then, or the notebook failed.
    """
    if not PartitionStore(root=then.interactions, schema=INTERACTIONS.polars_schema()).path(day).is_file():
        raise ReportError(f"{day} had not landed by {at:%Y-%m-%d %H:%M:%S} UTC; give a later time")
    target = home.known_then / f"{day}_{at:%Y%m%dT%H%M%SZ}.html"
    known_at = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    page = execute_to_html(NOTEBOOK, {"home": str(then.root), "day": day.isoformat(), "known_at": known_at})
    with locked(home.lock("reports")):
        replace_file(target, page.encode())
    return target


def _require_landed(home: Home, day: date) -> None:
    store = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    if store.path(day).is_file():
        return
    if any(rejected.day == day for rejected in rejected_days(home.quarantine)):
        raise ReportError(f"{day} was rejected and is in quarantine: see `recsys quarantine show {day}`")
    days = store.days()
    landed = f"{days[0]} to {days[-1]} have" if days else "none has"
    raise ReportError(f"{day} has not landed ({landed}): run `recsys build`, or choose another day")


def write_pdf(page: Path) -> Path:
    """Print an HTML report to a PDF beside it, with headless Chromium.

    Raises:
        ReportError: Chromium is missing, or failed.
    """
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise ReportError(
            f"no Chromium was found to print {page}; install one (Debian: apt install chromium)"
        )
    target = page.with_name(PDF_FILE)
    with tempfile.TemporaryDirectory(prefix="recsys-browser-") as profile:
        where = (f"--user-data-dir={profile}", f"--print-to-pdf={target}")
        command = [browser, *_BROWSER_FLAGS, *where, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PDF_SECONDS, check=False)  # noqa: S603
    if done.returncode or not target.exists():
        raise ReportError(f"{browser} could not print {page}: {done.stderr.strip().splitlines()[-1:]}")
    return target
