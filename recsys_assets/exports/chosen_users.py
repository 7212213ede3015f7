"""The users whose lists are exported: all of a release, those of a file, or those active in its last days."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from recsys_assets import columns
from recsys_assets.errors import ExportError
from recsys_assets.release.load import Release
from recsys_assets.storage.arrays import EPOCH, Int32
from recsys_assets.storage.string_table import StringTable

ALL: Final = "all"
_ACTIVE: Final = re.compile(r"active:(\d{1,5})d?$")
_SEPARATORS: Final = re.compile(r"[,;\t]")
_GZIP: Final = b"\x1f\x8b"


class UserBatch(NamedTuple):
    """N users."""

    nums: Int32
    """(N,): their numbers in the release; -1 for one that it does not hold."""
    ids: pa.Array
    """Their ids."""


class ChosenUsers:
    """Users, each once, in a fixed order."""

    def __init__(self, nums: Int32, ids: pa.Array | None, known: pa.Array) -> None:
        """Take the users.

        Args:
            nums: as in `UserBatch`.
            ids: their ids; None where all are known.
            known: the ids of the release, by number.
        """
        self.nums = nums
        self._ids = ids
        self._known = known

    def __len__(self) -> int:
        return len(self.nums)

    def batches(self, size: int) -> Iterator[UserBatch]:
        """Yield them in batches of `size`."""
        for start in range(0, len(self), size):
            nums = self.nums[start : start + size]
            yield UserBatch(
                nums, self._known.take(nums) if self._ids is None else self._ids[start : start + size]
            )

    def ids(self) -> pl.Series:
        """Return all ids."""
        found = self._known.take(self.nums) if self._ids is None else self._ids
        return pl.Series(columns.USER_ID, found)


def choose_users(release: Release, wanted: str) -> ChosenUsers:
    """Return the users of an export.

    Args:
        release: the release that makes the lists.
        wanted: `all`; `active:30d`, those with a wish in the last 30 days up to the release's last one; else a file
            with one id a line, or a CSV file with a column `user_id`; each plain or gzip.

    Raises:
        ExportError: the file cannot be read, or has no id.
    """
    known = as_arrow(release.users)
    if wanted == ALL:
        return ChosenUsers(np.arange(len(release.users), dtype=np.int32), None, known)
    active = _ACTIVE.match(wanted)
    if active:
        return ChosenUsers(active_users(release, days=int(active[1])), None, known)
    if wanted.startswith("active:"):
        raise ExportError(f"--users {wanted}: give a number of days, such as active:30d")
    ids = _ids_in(Path(wanted))
    found = (release.users.num_of(one) for one in ids)
    nums = np.fromiter((-1 if num is None else num for num in found), np.int32, len(ids))
    return ChosenUsers(nums, pa.array(ids, pa.large_string()), known)


def active_users(release: Release, *, days: int) -> Int32:
    """Return the numbers of the users with a wish in the last `days` days up to the release's last, ascending."""
    first = (release.manifest.through_day - EPOCH).days - days + 1
    starts, ends = release.history_indptr[:-1], release.history_indptr[1:]
    with_wishes = np.flatnonzero(ends > starts)
    newest = release.history_days[starts[with_wishes]]  # most recent first within a user
    return with_wishes[newest >= first].astype(np.int32)


def as_arrow(strings: StringTable) -> pa.Array:
    """Return the strings as an Arrow array over the same mapped bytes."""
    buffers = (pa.py_buffer(strings.offsets), pa.py_buffer(strings.data))
    return pa.LargeStringArray.from_buffers(len(strings), *buffers)


def _ids_in(file: Path) -> list[str]:
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no UTF-8 text"
        raise ExportError(
            f"--users {file}: cannot be read ({reason}); give a file with one id a line, `all` or `active:30d`"
        ) from None
    lines = text.splitlines()
    names = [name.strip(' "') for name in _SEPARATORS.split(lines[0])] if lines else []
    if columns.USER_ID in names:
        separator = found[0] if (found := _SEPARATORS.search(lines[0])) else ","
        table = pl.read_csv(
            text.encode(), separator=separator, infer_schema=False, truncate_ragged_lines=True
        )
        table.columns = names
        lines = table[columns.USER_ID].drop_nulls().to_list()
    ids = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not ids:
        raise ExportError(f"--users {file}: has no id; give one a line, or a CSV file with a column user_id")
    return ids
