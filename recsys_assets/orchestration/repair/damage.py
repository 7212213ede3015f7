"""Damage to the files of a home: named by `recsys doctor`, and mended by a build.

A damaged day or artifact is stale, so that its stage builds it again. Mended before the stages is what no stage makes:
databases (`damaged_databases`), `current`, releases of earlier builds, and notes.
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import msgspec

from recsys_assets.errors import BrokenReleaseError, QuarantineError, RecsysError
from recsys_assets.lake.source_days import SourceDays
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.repair.damaged_databases import damaged_databases, mend_databases
from recsys_assets.orchestration.repair.damaged_releases import (
    Damage,
    damaged_releases,
    days_in_current,
    move_away,
    release_folders,
)
from recsys_assets.orchestration.repair.made_artifacts import RECORD_SUFFIX, damaged_files, take_from
from recsys_assets.quality.quarantine import rejected_on
from recsys_assets.quality.row_account import HomeAccount, RowAccount
from recsys_assets.rules.language.expression_tree import columns_of
from recsys_assets.rules.language.reading import read_rules
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home, day_folder, days_under
from recsys_assets.storage.partition_store import PartitionStore


def find_damage(home: Home, settings: Settings) -> Iterator[Damage]:
    """Yield every damage that can be found without reading whole what is as it was; nothing is changed."""
    inputs = Inputs(home, settings)
    for file, fault, loss in damaged_databases(home, settings):
        yield Damage(path=file, found=fault, remedy=loss)
    yield from damaged_releases(home)
    yield from (damage for _, damage in _of_artifacts(home))
    yield from _of_days(inputs)
    yield from _of_notes(home, settings)
    yield from _of_own_files(home)


def mend(home: Home, settings: Settings, say: Callable[[str], None]) -> None:
    """Mend what no stage of a build makes, and say a line on each."""
    mend_databases(home, settings, say)
    for artifact, damage in _of_artifacts(home):
        if damage.path.suffix != RECORD_SUFFIX:  # a killed build leaves none, and goes on from there
            taken = take_from(release_folders(home), artifact, damage.path)
            say(f"Damaged: {damage.path}: {damage.found}; {taken or damage.remedy}.")
    for damage in (*damaged_releases(home), *_of_notes(home, settings)):
        if damage.mend is not None:
            say(f"Damaged: {damage.path}: {damage.found}; {damage.mend()}.")


def _of_artifacts(home: Home) -> Iterator[tuple[Path, Damage]]:
    """Yield each damaged artifact, and a damage of it."""
    names = ("choice", "embeddings", "evaluation", "features", "index", "exported_lists")
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


def _of_notes(home: Home, settings: Settings) -> Iterator[Damage]:
    """Yield the damaged notes on the source and on rejected days."""
    counted = SourceDays.load(home, settings.source)
    if counted is None and days_under(home.raw):
        found = "cannot be read, or is of other settings" if home.source_days.exists() else "missing"
        yield Damage(path=home.source_days, found=found, remedy="the source is counted again")
    if counted is not None and (fault := _not_a(RowAccount, home.source_account)):
        yield Damage(
            path=home.source_account,
            found=fault,
            remedy="it is written again",
            mend=partial(_write_account, home, settings, counted),
        )
    if days_under(home.raw) and (fault := _not_a(HomeAccount, home.row_account)):
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
