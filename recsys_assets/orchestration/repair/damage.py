"""Damage to the files of a home: named by `recsys doctor`, and mended by a build.

A damaged day or artifact is stale, so that its stage builds it again. Mended before the stages is what no stage makes:
databases (`damaged_databases`), `current`, releases of earlier builds, and notes.
"""

import os
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import BrokenReleaseError, QuarantineError, RecsysError
from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.intake.newest_catalogue import damaged_in
from recsys_assets.lake.source_days import SourceDays
from recsys_assets.orchestration.catalogue_in_force import write_again
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.repair.damaged_databases import (
    damaged_databases,
    mend_databases,
    mend_intake,
)
from recsys_assets.orchestration.repair.damaged_releases import (
    Damage,
    damaged_releases,
    days_in_current,
    move_away,
    release_folders,
)
from recsys_assets.orchestration.repair.made_artifacts import (
    RECORD_SUFFIX,
    damaged_files,
    record_of,
    take_from,
)
from recsys_assets.quality.quarantine import rejected_on
from recsys_assets.quality.row_account import HomeAccount, RowAccount
from recsys_assets.release.current import CURRENT_FILE
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import read_rules
from recsys_assets.settings import Settings
from recsys_assets.storage.day_folders import JOURNAL, PART, day_folder, day_name, days_under
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets.storage.table_copy import days_of_table

_MADE_AGAIN: Final = "what belongs there is made again"


def find_damage(home: Home, settings: Settings) -> Iterator[Damage]:
    """Yield every damage that can be found without reading whole what is as it was; nothing is changed."""
    inputs = Inputs(home, settings)
    wrong = list(_of_wrong_kind(home))
    yield from wrong
    for found in (
        (
            Damage(path=file, found=fault, remedy=loss)
            for file, fault, loss in damaged_databases(home, settings)
        ),
        damaged_releases(home),
        (damage for _, damage in _of_artifacts(home)),
        _of_days(inputs),
        _of_impressions(home),
        _of_newest_catalogue(home),
        _of_notes(home, settings),
        _of_own_files(home),
    ):
        try:
            yield from found
        except PermissionError as error:
            remedy = "give this user the right to read and write it"
            yield Damage(path=Path(error.filename), found=str(error.strerror), remedy=remedy, by_build=False)
        except (RecsysError, OSError):
            if not wrong:
                raise  # else it is looked at once what was named is moved away


def clear_places(home: Home, say: Callable[[str], None]) -> None:
    """Move away what lies in place of a file or folder, and an intake that cannot be read; under the build lock.

    Nothing could be written in their places, and events are read before anything else is mended.
    """
    for damage in _of_wrong_kind(home):
        say(f"Damaged: {damage.path}: {damage.found}; {move_away(damage.path, then=_MADE_AGAIN)}.")
    mend_intake(home, say)


def mend(home: Home, settings: Settings, say: Callable[[str], None]) -> None:
    """Mend what no stage of a build makes, and say a line on each."""
    mend_databases(home, settings, say)
    for artifact, damage in _of_artifacts(home):
        if damage.path.suffix != RECORD_SUFFIX:  # a killed build leaves none, and goes on from there
            taken = take_from(release_folders(home), artifact, damage.path)
            say(f"Damaged: {damage.path}: {damage.found}; {taken or damage.remedy}.")
    for damage in (
        *damaged_releases(home),
        *_of_impressions(home),
        *_of_newest_catalogue(home),
        *_of_notes(home, settings),
    ):
        if damage.mend is not None:
            say(f"Damaged: {damage.path}: {damage.found}; {damage.mend()}.")


def _of_wrong_kind(home: Home) -> Iterator[Damage]:
    """Yield each folder that lies in place of a file, and each file in place of a folder; links are followed."""
    names = ("choice", "embeddings", "evaluation", "features", "index")
    artifacts, marker = [home.artifact(name) for name in names], home.artifact("release")
    lake, tables, days = home.raw.parent, (home.raw, home.interactions), (home.quarantine, home.reports)
    folders = [lake, *tables, *days, home.artifacts, *artifacts, home.releases, home.exports, home.scratch]
    made = (home.catalogue, home.taken_off, *artifacts, marker)
    files = [home.catalogue, home.taken_off, marker, home.releases / CURRENT_FILE, home.dagster_yaml]
    files += [home.source_days, home.source_account, home.row_account]
    files += [record_of(artifact) for artifact in made]
    files += [table / JOURNAL for table in tables]
    for table in tables:
        for day in days_under(table):
            if not os.path.isfile(f"{table}/{day_name(day)}/{PART}"):  # noqa: PTH113  of thousands of days
                folders.append(day_folder(table, day))
                files.append(folders[-1] / PART)
    folders += [home.versions, home.replays, home.known_then]
    folders += [day_folder(root, day) for root in (*days, home.versions) for day in days_under(root)]
    expected = set(files)
    for path in (*folders, home.dagster, *files):
        wanted = Path.is_file if path in expected else Path.is_dir
        if path.exists() and not wanted(path):
            found = "a folder" if path.is_dir() else "a file" if path.is_file() else "no regular file"
            remedy = f"it is moved away; {_MADE_AGAIN}"
            yield Damage(path=path, found=f"{found} in its place", remedy=remedy)


def _of_artifacts(home: Home) -> Iterator[tuple[Path, Damage]]:
    """Yield each damaged artifact, and a damage of it."""
    names = ("choice", "embeddings", "evaluation", "features", "index", "exported_lists", "online_metrics")
    reports = (file.name[1:].removesuffix(RECORD_SUFFIX) for file in home.reports.glob(f".*{RECORD_SUFFIX}"))
    for artifact, remedy in (
        (home.catalogue, "it is read again from the source"),
        (home.taken_off, "returns are matched again"),
        (home.artifact("release"), "the release is published again"),
        *((home.artifact(name), "it is taken from a release, or built again") for name in names),
        *((home.reports / name, "the report is written again") for name in reports),
    ):
        for file, fault in damaged_files(artifact):
            yield artifact, Damage(path=file, found=fault, remedy=remedy)


def _of_days(inputs: Inputs) -> Iterator[Damage]:
    home, counted = inputs.home, inputs.source_days
    raw, cleaned = inputs.raw_store.files(), inputs.interaction_store.files()
    in_release = days_in_current(home)

    def fault(store: PartitionStore, day: date) -> str:
        return "no Parquet file that can be read" if store.path(day).exists() else "missing"

    for day in sorted({*raw, *cleaned, *in_release}):
        file, clean = raw.get(day), cleaned.get(day)
        again = counted is None or counted.of_day(day).rows > 0 or not (clean and clean.rows)
        if (file is None and again) or (file is not None and file.rows is None):
            gone = "it is moved away: the source has no row of the day any more, and the cleaned day stays"
            yield Damage(
                path=inputs.raw_store.path(day),
                found=fault(inputs.raw_store, day),
                remedy="the day is landed again" if again else gone,
            )
    for day in sorted({*cleaned, *in_release}):
        file = cleaned.get(day)
        if file is None or file.rows is None:
            found = fault(inputs.interaction_store, day)
            yield Damage(
                path=inputs.interaction_store.path(day), found=found, remedy="the day is cleaned again"
            )


def _of_impressions(home: Home) -> Iterator[Damage]:
    """Yield each day of impressions that cannot be read; nothing has them again once they left the intake."""
    store, then = impression_store(home), "its impressions are lost, its metrics stay"
    for day, file in store.files().items():
        if file.rows is None:
            yield Damage(
                path=store.path(day),
                found="no Parquet file that can be read",
                remedy=f"it is moved away; {then}",
                mend=partial(move_away, store.path(day), then=then),
            )


def _of_newest_catalogue(home: Home) -> Iterator[Damage]:
    """Yield the damaged files of the catalogue as servers see it."""
    is_whole = next(iter(damaged_files(home.catalogue)), None) is None
    for file, fault in damaged_in(home.catalogue_now):
        yield Damage(
            path=file,
            found=fault,
            remedy="it is written again with the catalogue",
            mend=partial(write_again, home) if is_whole else None,  # else the catalogue lands again
        )


def _of_notes(home: Home, settings: Settings) -> Iterator[Damage]:
    """Yield the damaged notes on the source and on rejected days."""
    counted = SourceDays.load(home, settings.source)
    if counted is None and days_of_table(home.raw):
        found = "cannot be read, or is of other settings" if home.source_days.exists() else "missing"
        yield Damage(path=home.source_days, found=found, remedy="the source is counted again")
    if counted is not None and (fault := _not_a(RowAccount, home.source_account)):
        yield Damage(
            path=home.source_account,
            found=fault,
            remedy="it is written again",
            mend=partial(_write_account, home, settings, counted),
        )
    if days_of_table(home.raw) and (fault := _not_a(HomeAccount, home.row_account)):
        yield Damage(path=home.row_account, found=fault, remedy="it is written again")
    for day in days_under(home.quarantine):
        folder = day_folder(home.quarantine, day)
        if fault := _fault_of_rejected(home, day):
            yield Damage(
                path=folder,
                found=fault,
                remedy="it is moved away, and the day is landed again",
                mend=partial(move_away, folder, then="the day is landed again"),
            )


def _of_own_files(home: Home) -> Iterator[Damage]:
    """Yield what people write, and no build can make again: rules and keys."""
    from recsys_assets.api.http.auth import list_keys  # noqa: PLC0415  the web server's modules

    for file, read in (
        (home.rules_file, lambda: read_rules(home.rules_file, columns=columns_of(home.feature_database))),
        (home.api_keys, lambda: list_keys(home)),
    ):
        try:
            if file.exists():
                read()
        except BrokenReleaseError:
            continue  # of the features, which are named by themselves
        except (RecsysError, OSError, UnicodeDecodeError) as error:
            yield Damage(path=file, found=f"cannot be used ({error})", remedy="mend the file", by_build=False)


def _write_account(home: Home, settings: Settings, counted: SourceDays) -> str:
    counted.save(home, settings.source)
    return "it was written again"


def _not_a(kind: type[msgspec.Struct], file: Path) -> str:
    """Return why `file` does not hold a struct of the kind; empty where it does."""
    try:
        msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return "missing"
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"cannot be read ({error})"
    return ""


def _fault_of_rejected(home: Home, day: date) -> str:
    folder = day_folder(home.quarantine, day)
    try:
        found = rejected_on(home.quarantine, day)
    except QuarantineError as error:
        return str(error)
    tables = {one.table for one in found}
    files = {file.stem for file in folder.glob("*.parquet")}
    return "" if tables == files else f"rows of {sorted(files)}, reasons of {sorted(tables)}"
