"""Publishing: artifacts become one immutable, checksummed folder, whole or not at all.

Everything is copied into a staging folder and seen onto the disk; one rename makes the release. Killed before
it, there is nothing but a staging folder, which the next publisher removes; killed after it, publishing again
finds the same release. A lock keeps two publishers apart and goes with the process that holds it.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.release.load import write_item_strings
from recsys_assets.release.manifest import (
    FileEntry,
    Manifest,
    check_sums,
    read_manifest,
    release_id,
    sha256,
    write_manifest,
)
from recsys_assets.release.release_store import PUBLISHING, ReleaseStore
from recsys_assets.settings import Settings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.string_table import Vocabulary

STAGING: Final = ".staging"
_PARTS: Final = ("embeddings", "features", "index")
"""Artifact folders without which there is no release."""
_CHUNK: Final = 1 << 20
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
    """Copy the artifacts into a new release under `home.releases` and point `current` at it.

    Content that was published before is the same release: it is verified, and mended where it is broken.

    Args:
        home: where the releases are.
        parts: `embeddings`, `features`, `index` and whatever else (`evaluation`, `rules`) -> its folder.
            No two may hold a file of the same name.
        settings: what everything was built with.
        lineage: day -> checksum of each partition of `interactions` that went in.
        created_at: now, UTC.
        counts: further counts beside `users` and `items`.
        metrics: held-out quality by name.
        index: the index report as plain values.
        accepted: day -> who let a refused delivery of it through, why and when.
        promote: whether `current` shall point at it afterwards.
        progress: told each step that has been done: the name of a file copied, `staged`, `moved`, `promoted`.

    Raises:
        ReleaseError: a part or a day is missing, two parts hold the same file, or a day was recalled.
    """
    _refuse_incomplete(parts, lineage)
    store = ReleaseStore(home.releases, clock=lambda: created_at)
    tell = progress or (lambda _: None)
    with locked(home.releases / PUBLISHING), _staging(home.releases) as staged:
        files = _copy_parts(parts, staged, tell)
        files |= _add_item_strings(staged)
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
        )
        store.refuse_recalled(manifest)
        write_manifest(staged, manifest)
        _sync_folders(staged)
        tell("staged")
        manifest = _move_into_place(staged, home.releases / manifest.release_id, manifest)
        tell("moved")
    if promote and store.current_id() != manifest.release_id:
        store.promote(manifest.release_id)
        tell("promoted")
    return manifest


def _refuse_incomplete(parts: Mapping[str, Path], lineage: Mapping[date, str]) -> None:
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
def _staging(releases: Path) -> Iterator[Path]:
    """An empty staging folder, the only one; gone afterwards unless it was moved."""
    for left_over in releases.glob(f"{STAGING}*"):
        shutil.rmtree(left_over)
    staged = releases / f"{STAGING}-{os.getpid()}"
    staged.mkdir()
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _copy_parts(parts: Mapping[str, Path], staged: Path, tell: Callable[[str], None]) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for part, folder in parts.items():
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = source.relative_to(folder).as_posix()
            if name in files:
                raise ReleaseError(
                    f"{source}: a second file named {name}; part {part} must name it otherwise"
                )
            files[name] = _copy(source, staged / name)
            tell(name)
    return files


def _copy(source: Path, target: Path) -> FileEntry:
    """Copy, checksum what is written, and see it onto the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            size += writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return FileEntry(sha256=digest.hexdigest(), bytes=size)


def _add_item_strings(staged: Path) -> dict[str, FileEntry]:
    files = {}
    for path in write_item_strings(staged):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        files[path.name] = FileEntry(sha256=sha256(path), bytes=path.stat().st_size)
    return files


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
) -> Manifest:
    # how the API answers and what is reported are no part of what a release is
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
    )


def _move_into_place(staged: Path, target: Path, manifest: Manifest) -> Manifest:
    """Rename the staging folder, or leave the sound release that is there already."""
    if target.exists():
        try:
            published = read_manifest(target)
            check_sums(target, published)
        except BrokenReleaseError:
            # a running API may have mapped its files: move them aside, never overwrite them
            broken = target.with_name(f"{STAGING}-broken-{target.name}")
            target.rename(broken)
            staged.rename(target)
            shutil.rmtree(broken)
        else:
            return published
    else:
        staged.rename(target)
    _sync_folder(target.parent)
    return manifest


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _sync_folder(Path(folder))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
