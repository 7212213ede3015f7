"""Text files, plain or gzip, as blocks of whole lines, in bounded memory; the next block is read ahead in a thread."""

import codecs
import gzip
import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeVar, cast

from isal import igzip, igzip_lib

from recsys_assets.errors import EmptySourceError, SourceFormatError, SourceNotFoundError

T = TypeVar("T")

BLOCK_BYTES: Final = 8 << 20
"""Size of a block, decompressed bytes."""
LONGEST_LINE_BYTES: Final = 64 << 20
"""Length beyond which a line shows that the file has no lines, bytes."""

_PEEK_BYTES: Final = 1 << 16
igzip.READ_BUFFER_SIZE = 4 << 20
"""Compressed bytes that isal reads at once. Between reads, the thread that unzips waits for the interpreter, which
the reader holds for long while it decodes a block in one call; so reads are few and large."""
_GZIP: Final = b"\x1f\x8b"
_OTHER_FORMATS: Final = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstandard file",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_GZIP_FAULTS: Final = (EOFError, gzip.BadGzipFile, zlib.error, cast("type[Exception]", igzip_lib.IsalError))


def read_ahead(items: Generator[T]) -> Iterator[T]:
    """Yield the same items; a thread computes the next one while the caller uses this one.

    It pays where both release the interpreter: gunzip, polars, files. At most one item waits. An error in an item
    is raised in its place. When the caller stops early, `items` is closed.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        try:
            pending = thread.submit(next, items, None)
            while (item := pending.result()) is not None:
                pending = thread.submit(next, items, None)
                yield item
        finally:
            thread.submit(items.close)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Consecutive whole lines of a file."""

    path: Path
    """The file."""
    data: memoryview
    """The lines with their newlines (the last line of the file may lack it)."""
    offset: int
    """Decompressed bytes before the first line."""

    def line(self, number: int) -> int:
        """Return the number in the file, from 1, of the block's line `number`, from 0.

        It is for messages, and slow: the file is read again to count the lines before this block.
        """
        return 1 + _newlines(self.path, before=self.offset) + number

    def records(self, *, quoted: bool = False) -> Iterator[tuple[int, bytes]]:
        """Yield each record that isn't blank, after the number of its first line in the block, from 0.

        Args:
            quoted: a newline between two `"` is part of a record, as in `line_blocks`.
        """
        number = start = open_quotes = 0
        record = b""
        for line in bytes(self.data).splitlines(keepends=True):
            record += line
            number += line.endswith(b"\n")
            open_quotes ^= quoted and line.count(b'"') % 2
            if not open_quotes:
                if record.strip():
                    yield start, record
                start, record = number, b""
        if record.strip():
            yield start, record


def line_blocks(path: Path, *, quoted: bool = False, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Read a file as blocks of whole lines; the next block is decompressed while this one is parsed.

    Args:
        path: a plain or gzip file, recognised by its first bytes, not by its name.
        quoted: a newline between two `"` belongs to a field (RFC 4180) and doesn't end the line.
        block_bytes: approximate size of a block, decompressed bytes.

    Raises:
        SourceNotFoundError: the file doesn't exist.
        EmptySourceError: the file is empty.
        SourceFormatError: the gzip is truncated or damaged, the compression is another one, or there are no lines.
    """
    yield from read_ahead(_cut(path, quoted=quoted, block_bytes=block_bytes))


def first_line(path: Path) -> bytes:
    """Return the first line that isn't blank, without its newline.

    Raises:
        EmptySourceError: every line is blank.
        SourceFormatError: the file is binary.
        InputError: as in `line_blocks`.
    """
    for block in line_blocks(path, block_bytes=_PEEK_BYTES):
        for line in bytes(block.data).splitlines():
            if b"\0" in line:
                raise SourceFormatError(
                    f"{path}: is a binary file, not text; give one of the source's formats"
                )
            if line.strip():
                return line
    raise EmptySourceError(f"{path}: the file holds only blank lines; give a file with at least one row")


def check_gzip(path: Path) -> None:
    """Read a gzip to its end, which compares its checksum; any other file is not read.

    Raises:
        SourceFormatError: the gzip is truncated or damaged.
    """
    with _open(path) as file:
        try:
            while isinstance(file, gzip.GzipFile) and file.read(BLOCK_BYTES):
                pass
        except _GZIP_FAULTS as error:
            raise SourceFormatError(f"{path.name}: the gzip is truncated or damaged ({error})") from None


def _cut(path: Path, *, quoted: bool, block_bytes: int) -> Generator[Block]:
    """Read the file in blocks, each cut after its last whole line."""
    offset, carry, empty = 0, b"", True
    with _open(path) as file:
        while chunk := _read(file, path, block_bytes):
            data = carry + chunk
            if not offset and data.startswith(codecs.BOM_UTF8):
                data = data[len(codecs.BOM_UTF8) :]
                offset = len(codecs.BOM_UTF8)
            end = _line_end(data, quoted=quoted)
            carry = data[end:]
            if end:
                yield Block(path=path, data=memoryview(data)[:end], offset=offset)
                offset, empty = offset + end, False
            elif len(data) > LONGEST_LINE_BYTES:
                raise _endless_line(path, offset, quoted=quoted)
    if carry:
        yield Block(path=path, data=memoryview(carry), offset=offset)
    elif empty:
        raise EmptySourceError(f"{path}: the file is empty; give a file with at least one row")


def _read(file: IO[bytes], path: Path, size: int) -> bytes:
    try:
        return file.read(size)
    except _GZIP_FAULTS as error:
        reason = f"the gzip is truncated or damaged after line {_newlines(path)} ({error})"
        raise SourceFormatError(f"{path}: {reason}; fetch the file again") from None


def _endless_line(path: Path, offset: int, *, quoted: bool) -> SourceFormatError:
    line = 1 + _newlines(path, before=offset)
    quote = " or has an unclosed quote" if quoted else ""
    return SourceFormatError(
        f"{path}: line {line} is longer than {LONGEST_LINE_BYTES >> 20} MiB{quote}; is this the right format?"
    )


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
        return igzip.open(path, "rb")  # type: ignore[no-any-return]
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            file.close()
            raise SourceFormatError(f"{path}: is {name}, not UTF-8 text or gzip; unpack or convert it first")
    return file


def _line_end(data: bytes, *, quoted: bool) -> int:
    """Return the end of the last whole line, 0 if there is none.

    With `quoted`, a newline after an odd number of quotes is inside a field.
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


def _newlines(path: Path, *, before: int | None = None) -> int:
    """Count the newlines in the first `before` bytes, or in everything that can be read."""
    found, left = 0, before
    with _open(path) as file:
        while left is None or left > 0:
            try:
                chunk = file.read(_PEEK_BYTES if left is None else min(_PEEK_BYTES, left))
            except _GZIP_FAULTS:
                break
            if not chunk:
                break
            found += chunk.count(b"\n")
            left = None if left is None else left - len(chunk)
    return found
