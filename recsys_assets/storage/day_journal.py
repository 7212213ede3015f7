"""The journal of a daily table: size, checksum, rows and provenance of each day's file, checked against the file.

One JSON array a line, appended when a file is written; the newest line of a day counts. The file stays the truth: a
line holds only while the file's size, times and inode are those that it names, so the journal can be behind the
files but never wrong. Deleting it costs one pass over the files.
"""

import hashlib
import os
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.storage.atomic import replace_file

_SPARE_LINES: Final = 1_000
"""Lines of replaced files that are kept beyond one a file, before the journal is rewritten."""
_POLARS_KEY: Final = b"ARROW:schema"
"""Key that the writer itself puts into a Parquet file's metadata."""


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
        self._read, self._inode, self._lines = 0, 0, 0

    def find(self, day: date, file: str | Path) -> DayFile | None:
        """Return what is known of `day`'s file; None if there is no such file.

        A file that the journal does not know, or that was replaced by another hand, is read and noted.
        """
        try:
            state = state_of(os.stat(file))  # noqa: PTH116  half the time of a Path
        except FileNotFoundError:
            return None
        known = self._files.get(day)
        if known is None or known.state != state:
            self._catch_up()
            known = self._files.get(day)
        if known is None or known.state != state:
            known = _examine(day, Path(file))
            self.add(known)
        return known

    def add(self, file: DayFile) -> None:
        """Note a file that was just written or examined."""
        self._files[file.day] = file
        with suppress(OSError):  # a lake that may only be read is examined each time
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, msgspec.json.encode(file) + b"\n")
            finally:
                os.close(descriptor)

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
            replace_file(self._path, lines, durable=False)
            self._read, self._inode, self._lines = 0, 0, 0


def _examine(day: date, file: Path) -> DayFile:
    """Read a file's checksum, rows and metadata; a broken one was made from nothing known."""
    import pyarrow as pa  # noqa: PLC0415  0.2 s of import, for files that the journal does not know
    import pyarrow.parquet as pq  # noqa: PLC0415

    rows: int | None = None
    metadata: dict[bytes, bytes] = {}
    with file.open("rb") as opened:
        state = state_of(os.fstat(opened.fileno()))
        checksum = hashlib.file_digest(opened, "sha256").hexdigest()
        opened.seek(0)
        with suppress(pa.ArrowInvalid):
            footer = pq.read_metadata(opened)
            rows, metadata = footer.num_rows, footer.metadata or {}
    provenance = {key.decode(): value.decode() for key, value in metadata.items() if key != _POLARS_KEY}
    return DayFile(day=day, state=state, rows=rows, checksum=checksum, provenance=provenance)


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
