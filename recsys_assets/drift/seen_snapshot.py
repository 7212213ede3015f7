"""A snapshot of all that a table's published days have made known, so that a new day need not read them again.

One file beside the days: the keys of users, items and pairs, shapes of ids and ratings, the last day that it covers,
and a digest of the files up to that day. It holds only while those files are the same; else they are read.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.regulars import KEPT_VISITORS
from recsys_assets.drift.seen_before import Known, SeenBefore
from recsys_assets.storage.arrays import UInt64
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.day_journal import DayFile

SNAPSHOT_FILE: Final = ".seen.npz"
"""The file's name, in the folder of the table."""
_SPARE_DAYS: Final = 64
"""Days beyond the snapshot that are read again each time, before another one is written."""
_KEYS: Final = ("users", "items", "pairs")
_SETS: Final = ("user_shapes", "item_shapes", "ratings")


class SnapshotDays(Protocol):
    """The part of a partition store that a snapshot needs."""

    @property
    def root(self) -> Path:
        """Folder of the table."""

    def files(self) -> Mapping[date, DayFile]:
        """Each day's file, oldest first."""

    def scan(self, days: Iterable[date]) -> pl.LazyFrame:
        """The days' rows."""

    def read_chunks(self, days: Iterable[date]) -> Iterator[list[tuple[date, pl.DataFrame]]]:
        """The days' rows, a frame a day."""


class _Snapshot(NamedTuple):
    last_day: date
    known: Known


def load_seen(
    seen: SeenBefore,
    store: SnapshotDays,
    days: Sequence[date],
    sketches: Iterable[tuple[date, UInt64]],
    *,
    left_out: Collection[date] = (),
) -> None:
    """Add published days to `seen`, which has none yet: from the snapshot, and from the files that it lacks.

    Args:
        seen: the state to fill.
        store: the table; the snapshot is kept in its folder, and written where many days had to be read.
        days: the days from the first to some day, ascending, without those `left_out`; at least one.
        sketches: those of the last 28 days, oldest first.
        left_out: published days that teach nothing.
    """
    files = store.files().items()
    checksums = {day: file.checksum for day, file in files if day <= days[-1] and day not in left_out}
    place = store.root / SNAPSHOT_FILE
    snapshot = _read(place, checksums)
    if snapshot is not None:
        seen.add_known(snapshot.known)
    missed = days if snapshot is None else [day for day in days if day > snapshot.last_day]
    ids = store.scan(missed).select(columns.USER_ID, columns.ITEM_ID, columns.RATING)
    latest = chain.from_iterable(store.read_chunks(days[-KEPT_VISITORS:]))
    seen.load(ids, sketches, latest)
    if len(missed) > _SPARE_DAYS and list(checksums) == list(days):
        _write(place, seen.known(), last_day=days[-1], digest=_digest(checksums, days[-1]))


def _digest(checksums: Mapping[date, str], last_day: date) -> str:
    """Cover the files up to `last_day`, and the version of polars, which hashes ids to keys."""
    digest = hashlib.sha256(pl.__version__.encode())
    for day, checksum in checksums.items():
        if day <= last_day:
            digest.update(f"{day} {checksum}\n".encode())
    return digest.hexdigest()


def _write(place: Path, known: Known, *, last_day: date, digest: str) -> None:
    about = {name: sorted(getattr(known, name)) for name in _SETS}
    note = json.dumps({"last_day": last_day.isoformat(), "digest": digest, **about}).encode()
    content = io.BytesIO()
    arrays = {name: getattr(known, name) for name in _KEYS}
    np.savez(content, note=np.frombuffer(note, np.uint8), **arrays)
    replace_file(place, content.getbuffer())


def _read(place: Path, checksums: Mapping[date, str]) -> _Snapshot | None:
    """Return the snapshot if it is of these very files, or of the oldest of them."""
    try:
        with np.load(place, allow_pickle=False) as file:
            note = json.loads(file["note"].tobytes())
            last_day = date.fromisoformat(note["last_day"])
            if last_day not in checksums or note["digest"] != _digest(checksums, last_day):
                return None
            keys = {name: file[name] for name in _KEYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # none yet, or a damaged one
        return None
    known = Known(
        **keys,
        user_shapes=frozenset(note["user_shapes"]),
        item_shapes=frozenset(note["item_shapes"]),
        ratings=frozenset(note["ratings"]),
    )
    return _Snapshot(last_day, known)
