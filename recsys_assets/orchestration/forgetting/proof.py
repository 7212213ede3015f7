"""The proof of a forget: a scan of the whole home for the ids, whose findings and limits name no id."""

import json
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec
import pyarrow as pa

from recsys_assets.orchestration.forgetting.scanned_databases import (
    BESIDE,
    SHORTEST_IN_BYTES,
    is_database,
    places_in_database,
)
from recsys_assets.orchestration.forgetting.scanned_files import Place, places_in_file
from recsys_assets.orchestration.forgetting.wanted_ids import WantedIds, is_distinctive
from recsys_assets.storage.forgotten import FoundAgain
from recsys_assets.storage.home import Home

_UNREADABLE: Final = (
    OSError,
    ValueError,
    EOFError,
    sqlite3.Error,
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
    json.JSONDecodeError,
)
_NAME_PARTS: Final = re.compile(r"[^/]+")
_PRINTED: Final = ".pdf"
_INDEX: Final = "-shm"


class HomeScan(msgspec.Struct, frozen=True, kw_only=True):
    """One scan of a whole home."""

    files: int
    """Files read."""
    bytes: int
    """Their size."""
    found: tuple[FoundAgain, ...]
    """Places that hold an id, by file; none where the users are forgotten. An id in a file's name is blanked."""
    limits: tuple[str, ...] = ()
    """Sentences on what the scan cannot prove for these ids, or could not read."""


def scan(home: Home, ids: frozenset[str]) -> tuple[int, list[FoundAgain]]:
    """Return the number of files read, and every place of a home that names one of the users; see `scan_home`."""
    found = scan_home(home, ids)
    return found.files, list(found.found)


def scan_home(home: Home, ids: Collection[str], *, besides: Collection[Path] = ()) -> HomeScan:
    """Read every file of a home for ids of users.

    Proved, where nothing is found: no cell of a Parquet or Arrow file, of an SQLite database, of a CSV or JSON file,
    no string of a release, no text, and no member of a gzip, zstd, bzip2, xz or zip archive names the user, by the
    rule of `wanted_ids`; nor do freed bytes of a database. Not proved: see the scan's `limits`. Downloaded files are
    the source's and are not read; `rows_in_source` of the landing says what is there.

    Args:
        home: the home.
        ids: their ids, as the lake has them.
        besides: files that are not read, beside the request itself, which has the ids while it is unfinished.
    """
    wanted = WantedIds(ids)
    findings, unread, printed, files, size = [], [], 0, 0, 0
    for path in _files_of(home, besides):
        shown = _shown(home, path, wanted)
        try:
            size += path.stat().st_size
            files += 1
            printed += path.suffix == _PRINTED
            found = list(_places(path, wanted))
        except FileNotFoundError:
            continue  # removed since the folder was listed
        except _UNREADABLE as error:
            unread.append(f"{shown} cannot be read ({type(error).__name__}), and may hold anything")
            continue
        findings += [
            FoundAgain(file=shown, where=where, count=number)
            for where, number in [*_in_name(home, path, wanted), *found]
        ]
    if printed:
        unread.append(
            f"{printed:,} printed reports (PDF) are packed and were not read; `recsys report` prints them again"
        )
    limits = (*unread, *_limits(wanted))
    return HomeScan(files=files, bytes=size, found=tuple(findings), limits=limits)


def scan_in_words(found: HomeScan) -> list[str]:
    """Return the lines that say what a scan found, without an id."""
    read = f"{found.files:,} files, {found.bytes / 1e6:,.1f} MB read"
    if not found.found:
        return [
            f"Proof: {read}; the id is in none of them.",
            *(f"  Not proved: {one}." for one in found.limits),
        ]
    lines = [f"  {one.file}: {one.where}: {one.count:,} times" for one in found.found]
    return [f"Not forgotten yet: {read}; {len(lines)} places hold the id:", *lines]


def _files_of(home: Home, besides: Collection[Path]) -> Iterator[Path]:
    skipped = {home.unfinished_forgets, *besides}
    for path in sorted(home.root.rglob("*")):
        if path.is_symlink() or not path.is_file() or home.downloads in path.parents or path in skipped:
            continue
        if path.name.endswith(_INDEX) or _is_beside(path):
            continue
        yield path


def _is_beside(path: Path) -> bool:
    """Return True of a journal, which is read with its database."""
    for ending in BESIDE:
        if path.name.endswith(ending):
            database = path.with_name(path.name.removesuffix(ending))
            return database.is_file() and is_database(database)
    return False


def _places(path: Path, wanted: WantedIds) -> Iterator[Place]:
    yield from places_in_database(path, wanted) if is_database(path) else places_in_file(path, wanted)


def _in_name(home: Home, path: Path, wanted: WantedIds) -> Iterator[Place]:
    """Yield `name` where a part of a file's path is an id, alone or before its ending."""
    parts = [unquote(part) for part in _NAME_PARTS.findall(path.relative_to(home.root).as_posix())]
    found = sum(
        wanted.is_cell(form, "user") for part in parts for form in {part, Path(part).stem} if _named(form)
    )
    if found:
        yield "name", found


def _named(part: str) -> bool:
    return is_distinctive(part)


def _shown(home: Home, path: Path, wanted: WantedIds) -> str:
    name = path.relative_to(home.root).as_posix()
    for one in sorted(filter(is_distinctive, wanted.spellings), key=len, reverse=True):
        name = name.replace(one, "(id)")
    return name


def _limits(wanted: WantedIds) -> Iterator[str]:
    if any(not is_distinctive(one) for one in wanted.ids):
        yield (
            "an id of digits or letters alone was looked for in fields, columns and keys of users, and in text behind "
            "a word such as `user`; the same signs elsewhere mean something else and were left alone"
        )
    if any(len(one.encode()) < SHORTEST_IN_BYTES for one in wanted.ids):
        yield (
            f"bytes that deleted rows leave within a database were not searched for an id below {SHORTEST_IN_BYTES} "
            "bytes; every database that held the user was written again without free pages"
        )
