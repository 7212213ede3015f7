"""Damage to the releases of a home, to `current` and to the records beside it, and the way back.

A release that is served no more, and is damaged, is moved away: it was built from days and settings that may be gone.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import msgspec

from recsys_assets.errors import OtherFormatError, ReleaseError
from recsys_assets.orchestration.repair.damaged_databases import moved_away
from recsys_assets.orchestration.repair.made_artifacts import forget_inputs
from recsys_assets.release.current import (
    CURRENT_FILE,
    PROMOTIONS_FILE,
    RECALLED_FILE,
    RecordedMove,
    earlier,
    read_current,
    read_promotions,
    read_recalled,
    record_move,
)
from recsys_assets.release.manifest import WAY_OUT, check_sums_once, read_manifest
from recsys_assets.release.release_store import MOVING, PUBLISHING, ReleaseStore
from recsys_assets.storage.atomic import remove_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked


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


def damaged_releases(home: Home) -> Iterator[Damage]:
    """Yield a `current` that points at no whole release, and other releases that are damaged."""
    root = home.releases
    folders = [f for f in root.glob("*") if f.is_dir() and not f.name.startswith(".")]
    faults = {folder.name: fault for folder in folders if (fault := _fault_of_release(folder))}
    current = _current(home)
    if current is None and (folders or home.artifact("release").exists()):
        found = "holds no id of a release" if (root / CURRENT_FILE).exists() else "missing"
        yield Damage(
            path=root / CURRENT_FILE,
            found=found,
            remedy="it points at the release that was served last",
            mend=partial(_serve_whole, home),
        )
    elif current is not None and (current in faults or not (root / current).is_dir()):
        path, found = faults.pop(current, (root / current, "missing, and it is the current release"))
        yield Damage(
            path=path,
            found=found,
            remedy="it is published again; till then `recsys serve --fallback-previous` serves another",
            mend=partial(_serve_whole, home),
        )
    for name, (path, found) in faults.items():
        yield Damage(
            path=path,
            found=found,
            remedy="it cannot be served any more, and is moved away",
            mend=partial(_move_release_away, root / name),
        )
    yield from _of_release_logs(home)


def _of_release_logs(home: Home) -> Iterator[Damage]:
    """Yield the damaged records of the moves of `current`, and of recalled days."""
    root = home.releases
    moves = root / PROMOTIONS_FILE
    lines = moves.read_bytes().splitlines() if moves.is_file() else []
    lost = len(lines) - len(read_promotions(root)) if moves.is_file() or not moves.exists() else 1
    current = _current(home)
    if lost or (current is not None and not lines):
        found = f"{lost:,} of {len(lines):,} lines cannot be read" if lines else "missing or empty"
        yield Damage(
            path=moves,
            found=found,
            remedy="the rest is kept; releases served before may not be rolled back to",
            mend=partial(_keep_moves, home, current),
        )
    try:
        read_recalled(root)
    except ReleaseError as error:
        yield Damage(
            path=root / RECALLED_FILE,
            found="cannot be read",
            remedy=str(error).rpartition("; ")[2],
            by_build=False,
        )


def _keep_moves(home: Home, current: str | None) -> str:
    """Write the moves that can be read into a new log; where there is none, one that ends at `current`."""
    file = home.releases / PROMOTIONS_FILE
    with locked(home.releases / MOVING):
        kept = list(read_promotions(home.releases)) if file.is_file() else []
        if not kept and current is not None:
            kept = [RecordedMove(at=datetime.now(UTC), move="promote", before=None, after=current)]
        moved = f"moved to {moved_away(file).name}; " if file.exists() else ""
        replace_file(file, b"".join(msgspec.json.encode(move) + b"\n" for move in kept))
    return f"{moved}written again with {len(kept):,} moves"


def _current(home: Home) -> str | None:
    """Return the id that `current` holds; None where it is missing or damaged."""
    try:
        return read_current(home.releases)
    except ReleaseError:
        return None


def release_folders(home: Home) -> list[Path]:
    """Return the folders of the releases, the newest first."""
    store = ReleaseStore(home.releases)
    return [home.releases / manifest.release_id for manifest in store.list()]


def _fault_of_release(folder: Path) -> tuple[Path, str] | None:
    """Return the file of a release that is not as it was published, and its fault; None where all are."""
    try:
        check_sums_once(folder, read_manifest(folder))
    except OtherFormatError:  # of another version, which can serve it
        return None
    except (ReleaseError, OSError) as error:
        path, colon, fault = str(error).partition("\n")[0].removesuffix(f"; {WAY_OUT}").partition(": ")
        if colon and Path(path).exists() and not os.access(path, os.R_OK):  # it may be whole
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path) from error
        return (Path(path), fault) if colon else (folder, path)
    return None


def _serve_whole(home: Home) -> str:
    """Make `current` point at a release that can be served, or have the newest one published again."""
    store, root, marker = ReleaseStore(home.releases), home.releases, home.artifact("release")
    with locked(root / MOVING):
        served = store.served_id()
        if served is not None and store.fault(served) is None:
            replace_file(root / CURRENT_FILE, f"{served}\n".encode())
            return f"it points at {served} again"
        target = None
        if served is not None and marker.is_file() and marker.read_text(errors="replace").strip() != served:
            others = [*earlier(store.promotions(), served), *(one.release_id for one in store.list())]
            target = next((name for name in others if store.fault(name) is None), None)
        if target is None:
            forget_inputs(marker)
            if _current(home) is None:
                remove_file(root / CURRENT_FILE)
            return "the newest release is published again"
        at = datetime.now(UTC)
        record_move(root, RecordedMove(at=at, move="rollback", before=served, after=target))
        return f"{target} is served instead, since what {served} was built from is gone"


def _move_release_away(folder: Path) -> str:
    with locked(folder.parent / PUBLISHING), locked(folder.parent / MOVING):
        return move_away(folder, then="remove it when you have looked at it")


def days_in_current(home: Home) -> Mapping[date, str]:
    """Return the days that the current release was built on, but recalled ones; none where none can be read."""
    try:
        store = ReleaseStore(home.releases)
        recalled = {(entry.day, entry.checksum) for entry in read_recalled(home.releases)}
        lineage = store.manifest(store.current_id() or "").lineage
        return {day: checksum for day, checksum in lineage.items() if (day, checksum) not in recalled}
    except ReleaseError:
        return {}


def move_away(path: Path, *, then: str) -> str:
    """Rename a damaged folder to a hidden name beside it, and return that in words."""
    moved = moved_away(path)
    hidden = moved.rename(moved.with_name(f".{moved.name}"))
    return f"moved to {hidden.name}; {then}"
