"""Text files as blocks of whole lines, in bounded memory; the next block is read ahead in a thread."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from recsys_assets.errors import EmptySourceError, InputError, SourceFormatError
from recsys_assets.lake.files.compressed_files import DamagedStreamError
from recsys_assets.lake.files.text_form import TextFile, TextForm, recognise

S = TypeVar("S")
T = TypeVar("T")

BLOCK_BYTES: Final = 8 << 20
"""Size of a block, decompressed bytes."""
LONGEST_LINE_BYTES: Final = 64 << 20
"""Length beyond which a line shows that the file has no lines, bytes."""


_PEEK_BYTES: Final = 1 << 16
_THREADS: Final = 2
"""Items that are computed at the same time; each takes memory."""


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


def each_ahead(function: Callable[[S], T], items: Generator[S]) -> Iterator[T]:
    """Yield `function` of each item, in order; threads compute the next two while the caller uses this one.

    It pays as in `read_ahead`, where the items come fast and the function takes long. `items` is advanced in the
    caller's thread.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="each-ahead") as threads:
        futures = _submitted(threads, function, items)
        waiting = deque(islice(futures, _THREADS))
        try:
            while waiting:
                found = waiting.popleft().result()
                waiting.extend(islice(futures, 1))
                yield found
        finally:
            for future in waiting:
                future.cancel()
            items.close()


def _submitted(
    threads: ThreadPoolExecutor, function: Callable[[S], T], items: Generator[S]
) -> Iterator[Future[T]]:
    """Yield a future for each item; an error of `items` is that of the last one, after those before."""
    try:
        for item in items:
            yield threads.submit(function, item)
    except InputError as error:
        failed = Future[T]()
        failed.set_exception(error)
        yield failed


@dataclass(frozen=True, kw_only=True)
class Block:
    """Consecutive whole lines of a file."""

    text: TextFile
    """The file."""
    data: bytes
    """The lines with their newlines (the last line of the file may lack it)."""
    offset: int
    """Bytes of UTF-8 before the first line."""

    @property
    def path(self) -> Path:
        """The file's path."""
        return self.text.path

    def line(self, number: int) -> int:
        """Return the number in the file, from 1, of the block's line `number`, from 0.

        It is for messages, and slow: the file is read again to count the lines before this block.
        """
        return 1 + _newlines(self.text, before=self.offset) + number

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line that isn't blank, after its number in the block, from 0."""
        for number, line in enumerate(self.data.splitlines(keepends=True)):
            if line.strip():
                yield number, line


def line_blocks(
    path: Path,
    *,
    form: TextForm | None = None,
    cut: Callable[[bytes], int] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Generator[Block]:
    """Read a file as blocks of whole lines of UTF-8; the next block is decompressed while this one is parsed.

    Args:
        path: a file as `open_bytes` takes it.
        form: the way that its bytes are text; None recognises it.
        cut: returns the end of the last whole record in its bytes, 0 for none; None cuts after a newline.
        block_bytes: approximate size of a block, decompressed bytes.

    Raises:
        SourceNotFoundError: the file doesn't exist.
        EmptySourceError: the file is empty.
        SourceFormatError: the file is truncated or damaged, or has no lines.
    """
    text = TextFile(path=path, form=recognise(path)[0] if form is None else form)
    yield from read_ahead(_cut(text, cut or _line_end, block_bytes=block_bytes))


def text_fault(line: bytes) -> str | None:
    """Return the reason why a line is no text; None if it is."""
    if b"\0" in line:
        return "holds a NUL byte"
    try:
        line.decode()
    except UnicodeDecodeError as error:
        start = line[:40].decode(errors="replace").rstrip()
        return f"is not UTF-8 at {error.object[error.start : error.start + 1]!r}, it starts with {start!r}"
    return None


def first_line(path: Path, encoding: str | None = None) -> bytes:
    """Return the first line that isn't blank, as UTF-8 without its newline.

    Args:
        path: the file.
        encoding: its encoding; None recognises it.

    Raises:
        EmptySourceError: every line is blank.
        SourceFormatError: the file is binary.
        InputError: as in `line_blocks`.
    """
    _, sample = recognise(path, encoding)
    if not sample:
        raise EmptySourceError(f"{path}: the file is empty; give a file with at least one row")
    line = next((line for line in sample.split(b"\n") if line.strip()), None)
    if line is None:
        raise EmptySourceError(f"{path}: the file holds only blank lines; give a file with at least one row")
    if b"\0" in line:
        raise SourceFormatError(f"{path}: is a binary file, not text; give one of the source's formats")
    return line


def _cut(text: TextFile, last_end: Callable[[bytes], int], *, block_bytes: int) -> Generator[Block]:
    """Read the file in blocks, each cut after its last whole line."""
    offset, carry, empty = 0, b"", True
    with text:
        while chunk := _read(text, block_bytes):
            newline = _line_end(chunk)
            data = b"".join((carry, memoryview(chunk)[:newline]))  # one copy, where no record is cut
            end = last_end(data)
            carry = data[end:] + chunk[newline:]
            if end:
                yield Block(text=text, data=data[:end], offset=offset)
                offset, empty = offset + end, False
            elif len(carry) > LONGEST_LINE_BYTES:
                raise _endless_line(text, offset)
    if carry:
        yield Block(text=text, data=carry, offset=offset)
    elif empty:
        raise EmptySourceError(f"{text.path}: the file is empty; give a file with at least one row")


def _read(text: TextFile, size: int) -> bytes:
    try:
        return text.read(size)
    except DamagedStreamError as error:
        raise SourceFormatError(f"{error} after line {_newlines(text)}; fetch the file again") from None


def _endless_line(text: TextFile, offset: int) -> SourceFormatError:
    line = 1 + _newlines(text, before=offset)
    return SourceFormatError(
        f"{text.path}: line {line} is longer than {LONGEST_LINE_BYTES >> 20} MiB; is this the right format?"
    )


def _line_end(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def _newlines(text: TextFile, *, before: int | None = None) -> int:
    """Count the newlines in the first `before` bytes of UTF-8, or in everything that can be read."""
    found, left = 0, before
    with TextFile(path=text.path, form=text.form) as file:
        while left is None or left > 0:
            try:
                chunk = file.read(_PEEK_BYTES)
            except DamagedStreamError:
                break
            if not chunk:
                break
            found += chunk.count(b"\n") if left is None else chunk.count(b"\n", 0, left)
            left = None if left is None else left - len(chunk)
    return found
