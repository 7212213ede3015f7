"""The files of a home that belong to its object store, each under its path in the home as key.

Left out are what each machine has for itself: locks, logs, downloads, Dagster's storage, the intake's databases, and
names that begin with a dot and are no record. The days of tables are objects of their own (`day_objects.py`).
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from recsys_assets.storage.copy_index import NO_FILE, CopyIndex, FileState, local_state
from recsys_assets.storage.current_form import CURRENT_KEY, LOCAL_FORMS, current_content
from recsys_assets.storage.day_folders import JOURNAL

DAY_TABLES: Final = ("raw", "interactions", "events", "impressions", "online_metrics")
"""Folders of `lake/` whose days are objects of their own."""
LEDGER: Final = "quality.sqlite"
"""The record of check results, whose copy is a backup of the open database."""
_FOLDERS: Final = (
    "artifacts",
    "experiment_results",
    "exports",
    "lake",
    "quarantine",
    "reports",
    "releases",
    "last_good_rules",
)
_DOCUMENTS: Final = (".toml", ".json", ".jsonl", ".parquet", ".csv", ".txt")
_OWN_DOCUMENTS: Final = frozenset({"init.json", "plan.json", "stream.json"})
"""Documents about commands of one machine."""
_LEFT_OUT: Final = (".lock", ".staged", ".old", ".tmp")
_LEFT_OUT_FOLDERS: Final = (
    ".verified",
    ".verifying",
    ".staging",
    ".pruned-",
    ".fetching",
    ".replaced-",
    ".copy",
)
_DAY: Final = "date="
_CHUNK: Final = 1 << 20


def files_of(root: Path) -> Iterator[str]:
    """Yield the keys of the files in the home `root` that belong to its store."""
    for entry in _entries(root):
        if entry.is_file(follow_symlinks=False) and _is_document(entry.name):
            yield entry.name
    for name in _FOLDERS:
        for key in _below(root / name, name):
            if key not in LOCAL_FORMS:
                yield key
    if (root / LEDGER).is_file():
        yield LEDGER
    if (root / CURRENT_KEY).is_file():
        yield CURRENT_KEY


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _below(folder: Path, key: str) -> Iterator[str]:
    table = key.removeprefix("lake/") in DAY_TABLES
    for entry in _entries(folder):
        name, inner = entry.name, f"{key}/{entry.name}"
        if entry.is_symlink() or (table and (name.startswith(_DAY) or name == JOURNAL)):
            continue
        if entry.is_dir():
            if not name.startswith(_LEFT_OUT_FOLDERS) and not name.endswith(_LEFT_OUT):
                yield from _below(folder / name, inner)
        elif not name.endswith(_LEFT_OUT) and not name.startswith(_LEFT_OUT_FOLDERS):
            yield inner


def _is_document(name: str) -> bool:
    return name.endswith(_DOCUMENTS) and not name.startswith(".") and name not in _OWN_DOCUMENTS


def table_of(key: str) -> str:
    """Return the table, `lake/raw`, that a key is a day or the provenance table of; empty for any other key."""
    lake, _, rest = key.partition("/")
    table, _, name = rest.partition("/")
    if lake == "lake" and table in DAY_TABLES and (name.startswith(_DAY) or name == JOURNAL):
        return f"lake/{table}"
    return ""


def belongs(key: str) -> bool:
    """Return whether an object of the store is a file of the home: no lease, no head, no day."""
    first, slash, _ = key.partition("/")
    if not slash:
        return _is_document(key) or key == LEDGER
    return first in _FOLDERS and not table_of(key) and not key.endswith(_LEFT_OUT)


def state_now(root: Path, key: str) -> FileState:
    """Return the state of a key's local file; of a database with its log, of `current` with the moves before."""
    file = root / key
    if key == LEDGER and (log := local_state(file.with_name(f"{LEDGER}-wal"))) != NO_FILE and log[0]:
        size, changed, _, inode = local_state(file)
        return size + log[0], max(changed, log[1]), log[2], inode
    if key == CURRENT_KEY:
        current, moves = (local_state(root / form) for form in LOCAL_FORMS)
        return current if moves == NO_FILE else (current[0] + moves[0], current[1], moves[1], current[3])
    return local_state(file)


def content_now(root: Path, key: str) -> bytes | Path:
    """Return what the object of a key is to hold: bytes, or the file itself.

    Raises:
        FileNotFoundError: the file is gone.
    """
    if key == LEDGER:
        return _backup(root / key)
    if key == CURRENT_KEY:
        return current_content(root)
    return root / key


def sha256_of(content: bytes | Path) -> str:
    """Return the SHA-256 of bytes or of a file, hexadecimal."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with content.open("rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()


def _backup(database: Path) -> bytes:
    """Return a whole database as it is now, while others may have it open."""
    with (
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened,
        closing(sqlite3.connect(":memory:")) as copy,
    ):
        opened.backup(copy)
        return copy.serialize()


def last_in_order(key: str) -> int:
    """Return the rank in which a key is put, and the last removed: files, then records of them, then manifests."""
    name = key.rpartition("/")[2]
    if key == CURRENT_KEY:
        return 3
    if key.startswith("releases/") and name == "manifest.json":
        return 2
    return 1 if name.endswith(".inputs") or (key.startswith("quarantine/") and name.endswith(".json")) else 0


def differs(index: CopyIndex, root: Path, key: str) -> bool:
    """Return whether a local file may not have the content that it had when it was the store's last."""
    known = index.files.get(key)
    return known is None or known.state != state_now(root, key)
