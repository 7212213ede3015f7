"""The journal of a daily table: size, checksum, rows and provenance of each day's file, checked against the file.

One JSON array a line, appended when a file is on the disk; the newest line of a day counts. The file stays the truth:
a line holds only while the file's size, times and inode are those that it names, so the journal can be behind the
files but never wrong. A file that it does not know, as after a power cut, is read whole before it is trusted: each
has a checksum of itself in its metadata. Deleting the journal costs one pass over the files.
"""

import hashlib
import os
import stat
import zlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from recsys_assets.storage.atomic import Unsynced, replace_file

if TYPE_CHECKING:
    from recsys_assets.storage.day_versions import DayVersions

_SPARE_LINES: Final = 1_000
"""Lines of replaced files that are kept beyond one a file, before the journal is rewritten."""
_POLARS_KEY: Final = b"ARROW:schema"
"""Key that the writer itself puts into a Parquet file's metadata."""
_SEAL_KEY: Final = "recsys.seal"
_NO_SEAL: Final = b"crc32:00000000"
_ROWS_KEY: Final = "recsys.rows"
_NO_ROWS: Final = b"rows:" + 20 * b"0"
_FOOTER_END: Final = 8
"""Bytes at the end of a Parquet file, after its metadata: their length, and `PAR1`."""
UNSEALED: Final = {_ROWS_KEY: _NO_ROWS.decode(), _SEAL_KEY: _NO_SEAL.decode()}
"""Metadata that a day's file is made with; `DayJournal.write` puts both checksums in their places."""


class DayFile(msgspec.Struct, frozen=True, array_like=True):
    """One day's Parquet file."""

    day: date
    """The partition."""
    state: tuple[int, int, int, int]
    """`state_of` the file."""
    rows: int | None
    """Number of rows; None of a broken file."""
    checksum: str
    """SHA-256 of the file, hexadecimal."""
    provenance: dict[str, str]
    """The metadata that it was written with."""

    @property
    def content(self) -> str:
        """A checksum of the rows alone: the same rows from other inputs have the same.

        Of a file of an earlier version, which has none, that of the whole file.
        """
        return self.provenance.get(_ROWS_KEY, self.checksum)


_ENTRY: Final = msgspec.json.Decoder(DayFile)


def state_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return size in bytes, times of the last change of content and of attributes in ns, and inode of a file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class DayJournal:
    """The newest entry of each file of one table; several processes may read and append at the same time."""

    def __init__(self, path: Path) -> None:
        """Use the journal at `path`, which may not exist."""
        self._path = path
        self._files: dict[date, DayFile] = {}
        self._waiting: dict[date, DayFile] = {}
        self._unsynced = Unsynced(path.parent)
        self.examined = False
        """True where a file was read that the journal did not know: `settle` notes it."""
        self._read, self._inode, self._lines = 0, 0, 0

    def find(self, day: date, file: str | Path) -> DayFile | None:
        """Return what is known of `day`'s file; None if there is no such file.

        A file that the journal does not know, or that was replaced by another hand, is read whole.
        """
        try:
            status = os.stat(file)  # noqa: PTH116  half the time of a Path
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        state = state_of(status)
        known = self._files.get(day)
        if known is not None and known.state == state:
            return known
        known = self._waiting.get(day)
        if known is not None and known.state == state:
            return known
        self._catch_up()
        known = self._files.get(day)
        if known is None or known.state != state:
            known = self._waiting[day] = _examine(day, Path(file))
            self._unsynced.add(Path(file))
            self.examined = True
        return known

    def write(
        self,
        day: date,
        file: Path,
        content: bytes,
        *,
        rows: int,
        columns: str,
        provenance: dict[str, str],
        versions: "DayVersions | None" = None,
    ) -> tuple[bytes, DayFile]:
        """Replace a file, atomically, and return it and its entry; `settle` puts it on the disk, and notes it.

        Args:
            day: the partition.
            file: its path.
            content: a Parquet file with `UNSEALED` and `provenance` as metadata.
            rows: the number of its rows.
            columns: their names and types.
            provenance: the inputs of the file.
            versions: keeps the file before, where its content is another; None keeps none.
        """
        content, of_rows = sealed(content, columns)
        provenance = {**provenance, _ROWS_KEY: of_rows}
        checksum = hashlib.sha256(content).hexdigest()
        before = self.find(day, file) if versions is not None else None
        if versions is not None and before is not None and before.checksum != checksum:
            versions.keep(day, file, before)
        status = self._unsynced.replace_file(file, content)
        if versions is not None and (before is None or before.checksum != checksum):
            versions.landed(day, checksum)
        self._waiting[day] = written = DayFile(
            day=day, state=state_of(status), rows=rows, checksum=checksum, provenance=provenance
        )
        return content, written

    def settle(self) -> None:
        """Wait until the files that were written are on the disk, then note them in one write."""
        self._unsynced.settle()
        self.examined = False
        if not self._waiting:
            return
        lines = b"".join(msgspec.json.encode(file) + b"\n" for file in self._waiting.values())
        with suppress(OSError):  # a lake that may only be read is examined each time
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, lines)
            finally:
                os.close(descriptor)
        self._files |= self._waiting
        self._waiting.clear()

    def _catch_up(self) -> None:
        """Read the lines that were appended since, by this process or another; rewrite a journal that grew long."""
        try:
            with self._path.open("rb") as journal:
                status = os.fstat(journal.fileno())
                if status.st_ino != self._inode or status.st_size < self._read:
                    self._read, self._inode, self._lines = 0, status.st_ino, 0
                journal.seek(self._read)
                content = journal.read()
        except OSError:  # none yet, or not readable: the files count
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for file in _decode(whole):
            self._files[file.day] = file
            self._lines += 1
        if self._lines > 2 * len(self._files) + _SPARE_LINES:
            self._rewrite()

    def _rewrite(self) -> None:
        """Keep one line a day; what another process appends meanwhile is lost, and examined again."""
        lines = b"".join(msgspec.json.encode(file) + b"\n" for file in self._files.values())
        with suppress(OSError):
            replace_file(self._path, lines)
            self._read, self._inode, self._lines = 0, 0, 0


def sealed(content: bytes, columns: str) -> tuple[bytes, str]:
    """Return a Parquet file with both checksums in the places of `UNSEALED`, and that of its rows.

    Args:
        content: the file, with `UNSEALED` among its metadata.
        columns: names and types of its columns.
    """
    of_rows = _checksum_of_rows(content, columns)
    content = _with_seal(content, _NO_ROWS, of_rows)
    return _with_seal(content, _NO_SEAL, _seal_of(content)), of_rows.decode()


def without_checksums(provenance: Mapping[str, str]) -> dict[str, str]:
    """Return a file's provenance as it was given to `DayJournal.write`."""
    return {key: value for key, value in provenance.items() if key not in UNSEALED}


def _examine(day: date, file: Path) -> DayFile:
    """Read a file whole: its checksum, rows and metadata; a broken one was made from nothing known."""
    with file.open("rb") as opened:
        state = state_of(os.fstat(opened.fileno()))
        content = opened.read()
    rows, provenance = examined(content)
    checksum = hashlib.sha256(content).hexdigest()
    return DayFile(day=day, state=state, rows=rows, checksum=checksum, provenance=provenance)


def examined(content: bytes) -> tuple[int | None, dict[str, str]]:
    """Return the rows and the metadata of a Parquet file; None and nothing of a broken one."""
    # 0.2 s, by name: the API's processes reach this module, but never a file that the journal does not know
    pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    with suppress(pa.ArrowException, OSError, ValueError):
        table = pq.ParquetFile(pa.BufferReader(content))
        found = dict(table.metadata.metadata or {})
        if _is_whole(content, found.pop(_SEAL_KEY.encode(), None), table):
            found.pop(_POLARS_KEY, None)
            return table.metadata.num_rows, {key.decode(): value.decode() for key, value in found.items()}
    return None, {}


def _is_whole(content: bytes, seal: bytes | None, table: Any) -> bool:
    """Return True where nothing of a file is missing; one of an earlier version, without a seal, is decoded."""
    if seal is not None:
        return seal == _seal_of(_with_seal(content, seal, _NO_SEAL))
    for group in range(table.num_row_groups):
        table.read_row_group(group)
    return True


def _seal_of(unsealed: bytes) -> bytes:
    return b"crc32:%08x" % zlib.crc32(unsealed)


def _with_seal(content: bytes, before: bytes, after: bytes) -> bytes:
    """Return the file with another text of the same length in its metadata, which are at the end, after all rows."""
    start, end = content.rsplit(before, 1)
    return start + after + end


def _checksum_of_rows(content: bytes, columns: str) -> bytes:
    """Return a checksum of a Parquet file's columns and rows: of all that is before its metadata."""
    metadata = int.from_bytes(content[-_FOOTER_END:][:4], "little")
    rows = memoryview(content)[: -_FOOTER_END - metadata]
    digest = hashlib.sha256(rows)
    digest.update(columns.encode())
    return b"rows:" + digest.hexdigest()[:20].encode()


def _decode(lines: bytes) -> list[DayFile]:
    """Return the entries; a line that a killed process left unfinished is skipped."""
    try:
        return _ENTRY.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = []
        for line in lines.splitlines():
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                found.append(_ENTRY.decode(line))
        return found
