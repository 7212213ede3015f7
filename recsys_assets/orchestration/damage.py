"""Damage to the files of a home: named by `recsys doctor`, and mended by a build.

A damaged day or artifact is stale, so that its stage builds it again. Mended before the stages is what no stage makes:
databases (`damaged_databases`), `current`, releases of earlier builds, and notes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import msgspec

from recsys_assets.errors import QuarantineError, RecsysError, ReleaseError
from recsys_assets.lake.source_days import SourceDays
from recsys_assets.orchestration.damaged_databases import damaged_databases, mend_databases, moved_away
from recsys_assets.orchestration.fingerprints import Inputs
from recsys_assets.orchestration.made_artifacts import RECORD_SUFFIX, damaged_files, forget_inputs, take_from
from recsys_assets.quality.quarantine import rejected_on
from recsys_assets.quality.row_account import HomeAccount, RowAccount
from recsys_assets.release.current import (
    CURRENT_FILE,
    RecordedMove,
    check_not_recalled,
    earlier,
    read_current,
    record_move,
)
from recsys_assets.release.manifest import MANIFEST_FILE, WAY_OUT, check_sums_once, read_manifest, release_id
from recsys_assets.release.release_store import MOVING, PUBLISHING, ReleaseStore
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import remove_file, replace_file
from recsys_assets.storage.home import Home, day_folder, days_under
from recsys_assets.storage.locks import locked
from recsys_assets.storage.partition_store import PartitionStore


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One file or folder that is missing, or not as it was written."""

    path: Path
    """The file or folder."""
    found: str
    """The fault."""
    remedy: str
    """The thing that will mend it, or the person's next step."""
    by_build: bool = True
    """True where `recsys build` mends it."""
    mend: Callable[[], str] | None = None
    """Mends it, and returns in words what was done; None where a stage of the build, or a person, does."""

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.path}: {self.found}; {self.remedy}"


def find_damage(home: Home, settings: Settings) -> Iterator[Damage]:
    """Yield every damage that can be found without reading whole what is as it was; nothing is changed."""
    inputs = Inputs(home, settings)
    for file, fault, loss in damaged_databases(home, settings):
        yield Damage(path=file, found=fault, remedy=loss)
    yield from _of_releases(home)
    yield from (damage for _, damage in _of_artifacts(home))
    yield from _of_days(inputs)
    yield from _of_notes(home, settings)


def mend(home: Home, settings: Settings, say: Callable[[str], None]) -> None:
    """Mend what no stage of a build makes, and say a line on each."""
    mend_databases(home, settings, say)
    for artifact, damage in _of_artifacts(home):
        if damage.path.suffix != RECORD_SUFFIX:  # a killed build leaves none, and goes on from there
            taken = take_from(_releases_of(home), artifact, damage.path)
            say(f"Damaged: {damage.path}: {damage.found}; {taken or damage.remedy}.")
    for damage in (*_of_releases(home), *_of_notes(home, settings)):
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
    in_release = _lineage(home)

    def fault(store: PartitionStore, day: date) -> str:
        return "no Parquet file that can be read" if store.path(day).exists() else "missing"

    for day in sorted({*raw, *cleaned, *in_release}):
        file = raw.get(day)
        if file is None or file.rows is None:
            again = counted is None or counted.of_day(day).rows > 0
            yield Damage(
                path=inputs.raw_store.path(day),
                found=fault(inputs.raw_store, day),
                remedy="the day is landed again" if again else "the source has no row of it any more",
                by_build=again,
            )
    for day in sorted({*cleaned, *in_release}):
        file = cleaned.get(day)
        if file is None or file.rows is None:
            found = fault(inputs.interaction_store, day)
            yield Damage(
                path=inputs.interaction_store.path(day), found=found, remedy="the day is cleaned again"
            )


def _lineage(home: Home) -> Mapping[date, str]:
    """Return the days that the current release was built on; none where there is none that can be read."""
    try:
        store = ReleaseStore(home.releases)
        return store.manifest(store.current_id() or "").lineage
    except ReleaseError:
        return {}


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
                mend=partial(_move_away, folder, then="the day is landed again"),
            )


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


def _move_away(path: Path, *, then: str) -> str:
    """Rename a damaged folder to a hidden name beside it, and return that in words."""
    moved = moved_away(path)
    hidden = moved.rename(moved.with_name(f".{moved.name}"))
    return f"moved to {hidden.name}; {then}"


def _of_releases(home: Home) -> Iterator[Damage]:
    """Yield a `current` that points at no whole release, and other releases that are damaged."""
    root = home.releases
    folders = [f for f in root.glob("*") if f.is_dir() and not f.name.startswith(".")]
    faults = {folder.name: fault for folder in folders if (fault := _fault_of_release(folder))}
    whole = {folder.name for folder in folders} - faults.keys()
    current = _current(home)
    if current is None and (folders or home.artifact("release").exists()):
        found = "holds no id of a release" if (root / CURRENT_FILE).exists() else "missing"
        yield Damage(
            path=root / CURRENT_FILE,
            found=found,
            remedy="it points at the release that was served last",
            mend=partial(_serve_whole, home, whole),
        )
    elif current is not None and current not in whole:
        path, found = faults.pop(current, (root / current, "missing, and it is the current release"))
        yield Damage(
            path=path,
            found=found,
            remedy="it is published again; till then `recsys serve --fallback-previous` serves another",
            mend=partial(_serve_whole, home, whole),
        )
    for name, (path, found) in faults.items():
        yield Damage(
            path=path,
            found=found,
            remedy="it cannot be served any more, and is moved away",
            mend=partial(_move_release_away, root / name),
        )


def _current(home: Home) -> str | None:
    """Return the id that `current` holds; None where it is missing or damaged."""
    try:
        return read_current(home.releases)
    except ReleaseError:
        return None


def _releases_of(home: Home) -> list[Path]:
    """Return the folders of the releases, the newest first."""
    store = ReleaseStore(home.releases)
    return [home.releases / manifest.release_id for manifest in store.list()]


def _fault_of_release(folder: Path) -> tuple[Path, str] | None:
    """Return the file of a release that is not as it was published, and its fault; None where all are."""
    try:
        manifest = read_manifest(folder)
        check_sums_once(folder, manifest)
    except (ReleaseError, OSError) as error:
        path, colon, fault = str(error).partition("\n")[0].removesuffix(f"; {WAY_OUT}").partition(": ")
        return (Path(path), fault) if colon else (folder, path)
    expected = release_id(manifest.through_day, manifest.files, manifest.settings, manifest.lineage)
    return None if expected == folder.name else (folder / MANIFEST_FILE, f"its content is that of {expected}")


def _serve_whole(home: Home, whole: set[str]) -> str:
    """Make `current` point at a release that can be served, or have the newest one published again."""
    store, root, marker = ReleaseStore(home.releases), home.releases, home.artifact("release")
    with locked(root / MOVING):
        moves = store.promotions()
        served = _current(home) or (moves[-1].after if moves else None)
        clean = {name for name in whole if _is_clean(store, name)}
        if served in clean:
            replace_file(root / CURRENT_FILE, f"{served}\n".encode())
            return f"it points at {served} again"
        if served is None or not marker.is_file() or marker.read_text(errors="replace").strip() == served:
            target = None
        else:
            others = [*earlier(moves, served), *(manifest.release_id for manifest in store.list())]
            target = next((name for name in others if name in clean), None)
        if target is None:
            forget_inputs(marker)
            if _current(home) is None:
                remove_file(root / CURRENT_FILE)
            return "the newest release is published again"
        at = datetime.now(UTC)
        record_move(root, RecordedMove(at=at, move="rollback", before=served, after=target))
        return f"{target} is served instead, since what {served} was built from is gone"


def _is_clean(store: ReleaseStore, name: str) -> bool:
    try:
        check_not_recalled(store.root, store.manifest(name))
    except RecsysError:
        return False
    return True


def _move_release_away(folder: Path) -> str:
    with locked(folder.parent / PUBLISHING), locked(folder.parent / MOVING):
        return _move_away(folder, then="remove it when you have looked at it")
