"""A log of JSON that is only appended to, a line a record. Half a line, left by a crash, counts as none.

What a record means, and the lock under which it is written, are its callers'.
"""

import os
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from recsys_assets.storage.atomic import make_folder, named, read_file, sync

Record = TypeVar("Record")
_MOST_BYTES: Final = 1 << 30
"""Bytes of a log that are read at most."""


def append_record(file: Path, record: object) -> None:
    """Add a record; it is on the disk when this returns. The caller holds the log's lock.

    Raises:
        OSError: it could not be written; the file is named.
    """
    make_folder(file.parent)
    is_new = not file.exists()
    with named(file), file.open("ab+") as log:
        if log.tell() and os.pread(log.fileno(), 1, log.tell() - 1) != b"\n":
            log.write(b"\n")  # the last writer was killed within its line
        log.write(msgspec.json.encode(record) + b"\n")
        log.flush()
        os.fsync(log.fileno())
    if is_new:
        sync(file.parent)


def read_records(file: Path, record: type[Record]) -> list[Record]:
    """Return the records, oldest first; none where there is no log.

    Raises:
        OSError: it cannot be read.
    """
    try:
        lines = read_file(file, most=_MOST_BYTES).splitlines()
    except FileNotFoundError:
        return []
    decoder, found = msgspec.json.Decoder(record), []
    for line in lines:
        try:
            found.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # half a line, from a crash while it was written
    return found
