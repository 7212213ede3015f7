"""A home as it was known at an earlier time: of each raw day the version that had landed by then, cleaned now.

Reports and features are made from it as from any home. Days are cleaned by the rules of today, without the returns
that landed later. The catalogue has no versions, so titles and prices are today's.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from recsys_assets.errors import InputError
from recsys_assets.features.feature_database import FeatureReport, build_features
from recsys_assets.interactions.cleaned_days import audit_days
from recsys_assets.interactions.cleaning import clean_days
from recsys_assets.interactions.report_page import write_report_as_known
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.item_catalogue import read_catalogue
from recsys_assets.lake.raw_audit import RAW_EXPECTATIONS
from recsys_assets.orchestration.fingerprints import INPUTS_KEY, Inputs
from recsys_assets.quality.check_ledger import CheckLedger
from recsys_assets.quality.ledger import Ledger
from recsys_assets.quality.open_ledger import open_ledger
from recsys_assets.quality.run_expectations import evaluate
from recsys_assets.settings import Settings
from recsys_assets.storage.day_folders import JOURNAL
from recsys_assets.storage.day_versions import DayVersions
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore


@contextmanager
def home_as_known(home: Home, settings: Settings, at: datetime) -> Iterator[Home]:
    """Yield a home for reading only, with the days as they were known at a time; it is removed afterwards.

    Days whose rows then are those now are links. The others are cleaned again, by the rules of today, without the
    returns that landed later. A day whose cleaned rows were rejected, and are not in use, is left out.

    Args:
        home: the home.
        settings: its settings.
        at: the time, UTC.

    Raises:
        VersionGoneError: the version of a day is not kept any more.
        InputError: no day had landed by then.
    """
    now = Inputs(home, settings)
    known = DayVersions(root=home.versions).known_at(at, dict(now.raw_files), now.raw_store.path)
    if not known:
        raise InputError(f"{home.root}: no day had landed by {at:%Y-%m-%d %H:%M:%S} UTC")
    with tempfile.TemporaryDirectory(prefix="recsys-known-then-") as folder:
        then = Home(Path(folder))
        _link_raw(then, home, known)
        if home.catalogue.exists():
            then.catalogue.symlink_to(home.catalogue)
        if home.events_db.exists():  # users are merged as they are today
            then.events_db.symlink_to(home.events_db)
        _clean(then, now, settings)
        yield then


def _link_raw(then: Home, home: Home, known: Mapping[date, Path]) -> None:
    store = PartitionStore(root=then.raw, schema=RAW_INTERACTIONS.polars_schema())
    for day, file in known.items():
        link = store.path(day)
        link.parent.mkdir(parents=True)
        link.symlink_to(file)
    journal = home.raw / JOURNAL
    if journal.exists():  # what it knows of a file holds for a link to it, too
        shutil.copyfile(journal, then.raw / JOURNAL)


def _clean(then: Home, now: Inputs, settings: Settings) -> None:
    """Link the cleaned days that would be the same, and clean the others."""
    inputs, stale = Inputs(then, settings), []
    store = inputs.interaction_store
    for day, raw in inputs.raw_files.items():
        cleaned, raw_now = now.interaction_files.get(day), now.raw_files.get(day)
        if cleaned is not None and cleaned.provenance.get(INPUTS_KEY) == inputs.interactions(day):
            link = store.path(day)
            link.parent.mkdir(parents=True)
            link.symlink_to(now.interaction_store.path(day))
        elif cleaned is not None or raw_now is None or raw_now.checksum != raw.checksum:
            stale.append(day)
    for chunk in inputs.raw_store.read_chunks(stale, every_column=True):
        found = clean_days(chunk, rule=inputs.wish_rule, rows=inputs.row_rule, taken_off=inputs.taken_off)
        for (day, _), one in zip(chunk, found, strict=True):
            store.write(day, one.frame)
    store.settle()


def features_as_known(
    home: Home, settings: Settings, folder: Path, *, at: datetime, through: date | None = None
) -> FeatureReport:
    """Build the feature tables as they were known at a time, into a folder.

    Args:
        home: the home.
        settings: its settings.
        folder: replaced by one with `features.sqlite` and `features.json`.
        at: arrival time: rows that landed later are left out, UTC.
        through: event time: the last day whose events count; None: the last one known.

    Raises:
        VersionGoneError: the version of a day is not kept any more.
        InputError: no day had landed by then, or none until `through`.
    """
    with home_as_known(home, settings, at) as then:
        store = Inputs(then, settings).interaction_store
        days = [day for day in store.days() if through is None or day <= through]
        if not days:
            raise InputError(f"{home.root}: no day until {through} had landed by {at:%Y-%m-%d %H:%M:%S} UTC")
        catalogue = read_catalogue(then.catalogue) if then.catalogue.exists() else None
        return build_features(store.scan(days), catalogue, folder, as_of=through or days[-1])


def report_as_known(home: Home, settings: Settings, day: date, *, at: datetime) -> Path:
    """Write the increment report on a day as it was known at a time, and return its path.

    Results of the audit are those that were recorded where the day's rows are the same now. Else the rows known then
    are checked by the rules about single rows: drift against the history then is not judged.

    Args:
        home: the home.
        settings: its settings.
        day: the day.
        at: the time, UTC.

    Raises:
        VersionGoneError: the version of a day is not kept any more.
        InputError: no day had landed by then.
        ReportError: the day had not landed by then.
    """
    with home_as_known(home, settings, at) as then:
        with open_ledger(home) as ledger, Ledger(then.ledger_copy) as known:
            _copy_results(Inputs(then, settings), Inputs(home, settings), day, ledger, known, at=at)
        return write_report_as_known(home, then, day, at=at)


def _copy_results(
    then: Inputs, now: Inputs, day: date, ledger: CheckLedger, known: CheckLedger, *, at: datetime
) -> None:
    """Record the profiles and results of days whose rows are the same now, and check the day where they are not."""
    same = {
        one
        for one, raw in then.raw_files.items()
        if one in now.raw_files and raw.checksum == now.raw_files[one].checksum
    }
    profiles = ledger.profiles(RAW_INTERACTIONS.name, since=date.min, before=date.max)
    known.put_profiles(RAW_INTERACTIONS.name, {one: found for one, found in profiles.items() if one in same})
    if day in same:
        known.record(ledger.results(day=day), at=at)
        account = ledger.accounts(since=day).get(day)
        if account is not None:
            known.put_account(day, account)
    elif day in then.raw_files:
        _audit(then, day, known, at)


def _audit(inputs: Inputs, day: date, ledger: CheckLedger, at: datetime) -> None:
    """Check the rows of a day that others have replaced, and record results and account."""
    raw = inputs.raw_store.read(day)
    (cleaned,) = clean_days(
        [(day, raw)], rule=inputs.wish_rule, rows=inputs.row_rule, taken_off=inputs.taken_off
    )
    (results,) = audit_days([(day, cleaned)], rule=inputs.wish_rule)
    of_rows = evaluate(RAW_EXPECTATIONS, raw, table=RAW_INTERACTIONS.name, day=day)
    ledger.record([*of_rows, *results], at=at)
    ledger.put_account(day, cleaned.account)
