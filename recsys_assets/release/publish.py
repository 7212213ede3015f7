"""Publishing: artifacts become one immutable folder with checksums, whole or not at all.

Everything is copied into a staging folder and synced to disk, then one rename makes the release. A process killed
before the rename leaves a staging folder, which the next publisher removes; after the rename, publishing again
finds the same release. A file lock lets only one process publish at a time.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.current import check_not_recalled
from recsys_assets.release.load import CATEGORIES, TITLES
from recsys_assets.release.manifest import (
    FileEntry,
    Manifest,
    check_identity,
    check_sums,
    read_manifest,
    release_id,
    sha256,
    write_manifest,
)
from recsys_assets.release.release_store import MOVING, PUBLISHING, ReleaseStore
from recsys_assets.settings import Settings
from recsys_assets.storage.atomic import named, put_folder_in_place, remove_folder, staging_folder
from recsys_assets.storage.home import FEATURE_DATABASE, Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.string_table import StringTable, Vocabulary

_STAGING: Final = ".staging"
_PARTS: Final = ("embeddings", "features", "index")
"""Artifacts that every release has."""
_CHUNK_BYTES: Final = 1 << 20
"""Bytes copied at a time."""


def publish(
    home: Home,
    *,
    parts: Mapping[str, Path],
    settings: Settings,
    lineage: Mapping[date, str],
    created_at: datetime,
    counts: Mapping[str, int] | None = None,
    metrics: Mapping[str, float] | None = None,
    index: Mapping[str, Any] | None = None,
    accepted: Mapping[date, list[str]] | None = None,
    promote: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Manifest:
    """Copy the artifacts into a new release under `home.releases`, and point `current` at it.

    The same content published again is the same release; a broken one is replaced. `promote` checks it.

    Args:
        home: where the releases are.
        parts: `embeddings`, `features`, `index` and any others -> its folder. No two have a file of one name.
        settings: the settings of the build.
        lineage: UTC day -> checksum of each partition of `interactions` that was used.
        created_at: now, UTC.
        counts: more counts beside `users` and `items`.
        metrics: metrics on held-out days, by name.
        index: the index report as plain values.
        accepted: rejected day that was accepted all the same -> by whom, why and when.
        promote: point `current` at the release.
        progress: called after each step, with the name of a copied file, `staged`, `moved` or `promoted`.

    Raises:
        ReleaseError: a part or all days are missing, two parts hold the same file, or a day was recalled.
    """
    _check_complete(parts, lineage)
    store = ReleaseStore(home.releases, clock=lambda: created_at)
    report = progress or (lambda _: None)
    with locked(home.releases / PUBLISHING), _staged_release(home.releases) as staged:
        files = _copy_parts(parts, staged, report) | _write_item_strings(staged)
        manifest = _manifest(
            staged,
            files=files,
            settings=settings,
            lineage=lineage,
            created_at=created_at,
            counts=counts or {},
            metrics=metrics or {},
            index=index or {},
            accepted=accepted or {},
            sequence=1 + max((kept.sequence for kept in store.list()), default=0),
        )
        check_not_recalled(home.releases, manifest)
        manifest = write_manifest(staged, manifest)
        report("staged")
        manifest = _put_in_place(staged, home.releases / manifest.release_id, manifest)
        report("moved")
    if promote and not store.is_current(manifest.release_id):
        store.promote(manifest.release_id)
        report("promoted")
    return manifest


def _check_complete(parts: Mapping[str, Path], lineage: Mapping[date, str]) -> None:
    missing = [
        f"{name} ({parts.get(name, 'not given')})"
        for name in _PARTS
        if not (name in parts and parts[name].is_dir())
    ]
    if missing:
        raise ReleaseError(f"nothing to publish: no folder for {', '.join(missing)}; run `recsys build`")
    if not lineage:
        raise ReleaseError("nothing to publish: no day of interactions is named; run `recsys build`")


@contextmanager
def _staged_release(releases: Path) -> Iterator[Path]:
    """Yield the only staging folder, after removing those that killed publishers left."""
    for left_over in releases.glob(f"{_STAGING}*"):
        remove_folder(left_over)
    with staging_folder(releases / _STAGING) as staged:
        yield staged


def _copy_parts(
    parts: Mapping[str, Path], staged: Path, report: Callable[[str], None]
) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for part, folder in parts.items():
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = source.relative_to(folder).as_posix()
            if name in files:
                raise ReleaseError(f"{source}: a second file named {name}; rename it in the part {part}")
            files[name] = _copy(source, staged / name)
            report(name)
    return files


def _copy(source: Path, target: Path) -> FileEntry:
    """Copy a file, and compute its checksum on the way."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, named(target), target.open("wb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += writer.write(chunk)
    return FileEntry(sha256=digest.hexdigest(), bytes=size)


def _manifest(
    staged: Path,
    *,
    files: Mapping[str, FileEntry],
    settings: Settings,
    lineage: Mapping[date, str],
    created_at: datetime,
    counts: Mapping[str, int],
    metrics: Mapping[str, float],
    index: Mapping[str, Any],
    accepted: Mapping[date, list[str]],
    sequence: int,
) -> Manifest:
    # the settings of the API and the reports don't change a release's content
    plain = {part: msgspec.to_builtins(getattr(settings, part)) for part in ("source", "training", "index")}
    return Manifest(
        release_id=release_id(max(lineage), files, plain, lineage),
        created_at=created_at,
        first_day=min(lineage),
        through_day=max(lineage),
        counts={
            "users": len(Vocabulary.load(staged, "users")),
            "items": len(Vocabulary.load(staged, "items")),
            **counts,
        },
        settings=plain,
        metrics=dict(metrics),
        index=dict(index),
        lineage=dict(sorted(lineage.items())),
        files=dict(sorted(files.items())),
        accepted={day: notes for day, notes in sorted(accepted.items()) if day in lineage},
        sequence=sequence,
    )


def _put_in_place(staged: Path, target: Path, manifest: Manifest) -> Manifest:
    """Rename the staging folder, unless a sound release of the same content is there; return the manifest."""
    if target.exists():
        try:
            published = read_manifest(target)
            check_identity(target, published)
            check_sums(target, published)
        except BrokenReleaseError:
            pass  # it is replaced below
        else:
            return published
    with locked(target.parent / MOVING):  # `current` moves to a release that is there
        put_folder_in_place(staged, target, old=target.with_name(f"{_STAGING}-broken-{target.name}"))
    return manifest


_COLUMNS: Final = {TITLES: "title", CATEGORIES: "category"}


def _write_item_strings(folder: Path) -> dict[str, FileEntry]:
    """Write `titles.*` and `categories.*` for the items of `folder`'s vocabulary; return the files by name.

    An item without title or category has the empty string.

    Raises:
        ReleaseError: an item of the vocabulary has no row in `item_features`.
    """
    items = Vocabulary.load(folder, "items")
    database = folder / FEATURE_DATABASE
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
        rows = {
            row[0]: row[1:]
            for row in connection.execute("SELECT item_id, title, category FROM item_features")
        }
    missing = next((item for item in items if item not in rows), None)
    if missing is not None:
        raise ReleaseError(
            f"{database}: no row for item {missing!r}, which has an embedding; build features and embeddings"
            " from the same interactions"
        )
    written: list[Path] = []
    for place, name in enumerate(_COLUMNS):
        StringTable.from_strings(rows[item][place] for item in items).save(folder, name)
        written += sorted(folder.glob(f"{name}.*.npy"))
    return {path.name: FileEntry(sha256=sha256(path), bytes=path.stat().st_size) for path in written}
