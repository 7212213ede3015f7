"""A home to try a change in: links to the files of the real one, and copies of what is written to.

Days, the catalogue and settings may be replaced in it as a build does; nothing of the real home changes.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final

from recsys_assets.lake.event_days import taken_note
from recsys_assets.lake.landing import remove_left_overs
from recsys_assets.quality.ledger_place import ledger_place
from recsys_assets.quality.open_ledger import copy_ledger
from recsys_assets.rules.testing.cases import CASES_FILE
from recsys_assets.storage.day_folders import JOURNAL, PART, day_folder, days_under
from recsys_assets.storage.home import Home
from recsys_assets.storage.table_copy import bring_days

_PREFIX: Final = "plan-"


@contextmanager
def staged_home(home: Home, *, settings_file: Path | None, rules_file: Path | None) -> Iterator[Home]:
    """Yield a home that reads as `home` does; it is removed at the end.

    Args:
        home: the real one; the caller holds its build lock while days are staged.
        settings_file: a proposed `recsys.toml`; None takes the home's.
        rules_file: a proposed `rules.toml`; None takes the home's.
    """
    bring_days(home.root)
    home.scratch.mkdir(parents=True, exist_ok=True)
    remove_left_overs(home.scratch, _PREFIX)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=home.scratch) as folder:
        staged = Home(Path(folder))
        for given, target in (
            (settings_file or home.settings_file, staged.settings_file),
            (rules_file or home.rules_file, staged.rules_file),
            (home.golden_file, staged.golden_file),
            (home.rules_file.with_name(CASES_FILE), staged.rules_file.with_name(CASES_FILE)),
            (home.source_days, staged.source_days),
            (home.source_account, staged.source_account),
            (taken_note(home), taken_note(staged)),
        ):
            if given.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(given, target)
        for real, copy in (
            (home.raw, staged.raw),
            (home.interactions, staged.interactions),
            (home.impression_days, staged.impression_days),
        ):
            _link_entries(real, copy)
            if (copy / JOURNAL).exists():
                (copy / JOURNAL).unlink()  # it is appended to
                shutil.copyfile(real / JOURNAL, copy / JOURNAL)
        _link_entries(home.raw.parent, staged.raw.parent, folders=False)
        _link_entries(home.quarantine, staged.quarantine)
        _link_days(home.event_days, staged.event_days)
        for name in (home.artifacts, home.reports, home.releases):
            if name.is_dir():
                (staged.root / name.name).symlink_to(name)
        if home.events_db.is_file():
            staged.events_db.symlink_to(
                home.events_db
            )  # events are taken from it; impressions that wait are only looked at
        copy_ledger(ledger_place(home), staged.ledger_copy)
        yield staged


def open_days(staged: Home, real: Home, days: Iterable[date]) -> None:
    """Make the folders of days writable: a file that is written replaces the link, and the real file stays."""
    for day in days:
        for table, origin in ((staged.raw, real.raw), (staged.interactions, real.interactions)):
            folder, file = day_folder(table, day), day_folder(origin, day) / PART
            if folder.is_symlink():
                folder.unlink()
                folder.mkdir()
                if file.exists():
                    (folder / PART).symlink_to(file)
        rejected = day_folder(staged.quarantine, day)
        if rejected.is_symlink():
            rejected.unlink()
            shutil.copytree(day_folder(real.quarantine, day), rejected)


def drop_raw(staged: Home, days: Iterable[date]) -> None:
    """Leave the raw files of days out, as a build that moves them away."""
    for day in days:
        folder = day_folder(staged.raw, day)
        if folder.is_symlink():
            folder.unlink()


def bytes_staged(staged: Home) -> int:
    """Return the bytes of the day files that were written into the staged home."""
    files = (
        day_folder(table, day) / PART
        for table in (staged.raw, staged.interactions)
        for day in days_under(table)
        if not day_folder(table, day).is_symlink()
    )
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def _link_entries(real: Path, copy: Path, *, folders: bool = True) -> None:
    copy.mkdir(parents=True, exist_ok=True)
    if not real.is_dir():
        return
    for entry in real.iterdir():
        if folders or entry.is_file():
            (copy / entry.name).symlink_to(entry)


def _link_days(real: Path, copy: Path) -> None:
    """Link each day's file: one that is written replaces the link. The journal is copied."""
    for day in days_under(real):
        folder = day_folder(copy, day)
        folder.mkdir(parents=True)
        (folder / PART).symlink_to(day_folder(real, day) / PART)
    if (real / JOURNAL).exists():
        copy.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real / JOURNAL, copy / JOURNAL)
