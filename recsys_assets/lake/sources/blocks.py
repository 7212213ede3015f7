"""A text file, plain or gzip, as blocks of whole lines, decompressed in a thread ahead of the reader.

The only place that knows about compression and about bytes; what a line means is the callers' business.
"""

import gzip
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from isal import igzip, igzip_lib

from recsys_assets.errors import EmptySourceError, SourceFormatError, SourceNotFoundError

BLOCK_BYTES: Final = 16 << 20
"""Decompressed bytes a block."""
LONGEST_LINE_BYTES: Final = 64 << 20
"""A longer line than this is taken for a file that isn't made of lines."""

_GZIP: Final = b"\x1f\x8b"
_OTHER_FORMATS: Final = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstandard file",
    b"PAR1": "a Parquet file",
}
_GZIP_FAULTS = (EOFError, gzip.BadGzipFile, zlib.error, cast("type[Exception]", igzip_lib.IsalError))


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some whole lines of a file."""

    data: bytes
    """The lines, each with its newline (the file's last line may lack it)."""
    first_line: int
    """Number of the first line in the file, from 1."""


def line_blocks(path: Path, *, quoted: bool = False, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Read `path` as blocks of whole lines; the next block is decompressed while this one is parsed.

    Args:
        path: a plain or gzip file; which one is told by its first bytes, not by its name.
        quoted: a newline between two `"` belongs to a field (RFC 4180) and ends no line.
        block_bytes: decompressed bytes a block, about.

    Raises:
        SourceNotFoundError: no such file.
        EmptySourceError: not one byte.
        SourceFormatError: a truncated or damaged gzip, another compression, or no line ends.
    """
    with _open(path) as file, ThreadPoolExecutor(1, thread_name_prefix="line-blocks") as ahead:
        line, carry = 1, b""
        pending = ahead.submit(file.read, block_bytes)
        while True:
            try:
                chunk = pending.result()
            except _GZIP_FAULTS as error:
                last = line + carry.count(b"\n")
                raise SourceFormatError(
                    f"{path}: gzip is truncated or damaged after line {last} ({error}); fetch the file again"
                ) from None
            if not chunk:
                break
            pending = ahead.submit(file.read, block_bytes)
            data = carry + chunk
            end = _line_end(data, quoted=quoted)
            if not end and len(data) > LONGEST_LINE_BYTES:
                raise SourceFormatError(
                    f"{path}: line {line} is longer than {LONGEST_LINE_BYTES >> 20} MiB"
                    f"{' or has an unclosed quote' if quoted else ''}; is this the right format?"
                )
            whole, carry = data[:end], data[end:]
            if whole:
                yield Block(data=whole, first_line=line)
                line += whole.count(b"\n")
        if carry:
            yield Block(data=carry, first_line=line)
        elif line == 1:
            raise EmptySourceError(f"{path}: the file is empty; give a file with at least one row")


def first_line(path: Path) -> bytes:
    """The first line that isn't blank, without its end.

    Raises:
        InputError: as `line_blocks`.
    """
    for block in line_blocks(path, block_bytes=1 << 16):
        for line in block.data.splitlines():
            if line.strip():
                return line
    raise EmptySourceError(f"{path}: the file holds only blank lines; give a file with at least one row")


def _open(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: no such file; check the path in the source") from None
    except OSError as error:
        raise SourceNotFoundError(
            f"{path}: cannot be read ({error.strerror}); give a readable file"
        ) from None
    start = file.read(6)
    file.seek(0)
    if start.startswith(_GZIP):
        file.close()
        return igzip.open(path, "rb")  # type: ignore[no-any-return,no-untyped-call]
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            file.close()
            raise SourceFormatError(f"{path}: is {name}, not text or gzip; unpack or convert it first")
    return file


def _line_end(data: bytes, *, quoted: bool) -> int:
    """Where the last whole line ends, 0 where none does.

    With `quoted`, an odd number of quotes before a newline means that it lies inside a field.
    """
    end = data.rfind(b"\n") + 1
    if not quoted:
        return end
    open_quotes = data.count(b'"', 0, end) % 2
    while end and open_quotes:
        earlier = data.rfind(b"\n", 0, end - 1) + 1
        open_quotes ^= data.count(b'"', earlier, end) % 2
        end = earlier
    return end
