"""Files as streams of bytes: plain, gzip, bzip2, xz, zstandard, and members of a zip, recognised by first bytes."""

import bz2
import gzip
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from isal import igzip, igzip_lib

from recsys_assets.errors import SourceFormatError, SourceNotFoundError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

igzip.READ_BUFFER_SIZE = 4 << 20
"""Compressed bytes that isal reads at once. Between reads, the thread that unzips waits for the interpreter, which
the reader holds for long while it decodes a block in one call; so reads are few and large."""
_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ"
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
ZIP: Final = b"PK\x03\x04"
_NO_TEXT: Final = {
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"%PDF": "a PDF",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"SQLite format 3": "an SQLite database; give `sqlite:PATH?query=…`",
}
_FAULTS: Final = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    cast("type[Exception]", igzip_lib.IsalError),
    lzma.LZMAError,
    zstd.ZstdError,
    zipfile.BadZipFile,
    OSError,
)
_BOMB_RATIO: Final = 1_000
_BOMB_BYTES: Final = 1 << 30


class DamagedStreamError(SourceFormatError):
    """A compressed file ends early or is damaged."""


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed. `a.zip/b.csv` is a member of an archive; an archive of one file is that file.

    Raises:
        SourceNotFoundError: there is no such file or member, or it cannot be read.
        SourceFormatError: the file is of a kind that holds no text, or an archive that cannot be read.
    """
    archive = archive_of(path)
    if archive is not None:
        return _open_member(archive, path)
    try:
        file = path.open("rb")
        start = file.read(16)
        file.seek(0)
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: no such file; check the path in the source") from None
    except OSError as error:
        raise SourceNotFoundError(
            f"{path}: cannot be read ({error.strerror}); give a readable file"
        ) from None
    kind = _kind(start)
    if kind is not None:
        file.close()
        return kind(path)
    for magic, name in _NO_TEXT.items():
        if start.startswith(magic):
            file.close()
            raise SourceFormatError(f"{path}: is {name}, not text; export it as CSV first")
    if start.startswith(ZIP):
        file.close()
        return _open_only_member(path)
    return file


def _kind(start: bytes) -> Callable[[Path | IO[bytes]], IO[bytes]] | None:
    openers = {_GZIP: igzip.open, _BZIP2: bz2.open, _XZ: lzma.open, _ZSTANDARD: zstd.open}
    return next((opener for magic, opener in openers.items() if start.startswith(magic)), None)


def read_bytes(file: IO[bytes], path: Path, size: int) -> bytes:
    """Return up to `size` bytes of a file that `open_bytes` opened.

    Raises:
        DamagedStreamError: the file is truncated or damaged.
    """
    try:
        return file.read(size)
    except RuntimeError as error:  # zipfile's word for an encrypted member
        raise SourceFormatError(f"{path}: {error}; unpack the archive first") from None
    except _FAULTS as error:
        kind = "gzip" if isinstance(file, gzip.GzipFile) else "file"
        raise DamagedStreamError(f"{path}: the {kind} is truncated or damaged ({error})") from None


def check_gzip(path: Path) -> None:
    """Read a gzip to its end, which compares its checksum; any other file is not read.

    Raises:
        SourceFormatError: the gzip is truncated or damaged.
    """
    with open_bytes(path) as file:
        while isinstance(file, gzip.GzipFile) and read_bytes(file, Path(path.name), 8 << 20):
            pass


def archive_of(path: Path) -> Path | None:
    """Return the zip archive that `path` is a member of; None if it is a file of its own."""
    if path.exists():
        return None
    return next((parent for parent in path.parents if parent.is_file() and is_zip(parent)), None)


def is_zip(path: Path) -> bool:
    """Return True for an archive of files, also an empty one."""
    try:
        with path.open("rb") as file:
            return file.read(4) in {ZIP, b"PK\x05\x06"}
    except OSError:
        return False


def members(archive: Path) -> list[str]:
    """Return the names of an archive's files, sorted, without folders and what macOS adds.

    Raises:
        SourceFormatError: the archive is damaged, or a member is encrypted.
    """
    with _archive(archive) as content:
        found = [info for info in content.infolist() if not info.is_dir()]
    locked = next((info.filename for info in found if info.flag_bits & 1), None)
    if locked is not None:
        raise SourceFormatError(f"{archive}/{locked}: is encrypted; unpack the archive and give its files")
    return sorted(info.filename for info in found if not info.filename.startswith("__MACOSX/"))


def member_state(path: Path) -> str | None:
    """Return text that changes with the content of a member of an archive; None if `path` is none."""
    archive = archive_of(path)
    if archive is None:
        return None
    with _archive(archive) as content:
        info = content.getinfo(path.relative_to(archive).as_posix())
        return f"{info.file_size}\0{info.CRC}"


def _open_only_member(archive: Path) -> IO[bytes]:
    names = members(archive)
    if len(names) != 1:
        raise SourceFormatError(
            f"{archive}: is an archive of {len(names)} files ({', '.join(names[:3])}, …); give one as "
            f"{archive}/{names[0] if names else 'NAME'}"
        )
    return _open_member(archive, archive / names[0])


def _open_member(archive: Path, path: Path) -> IO[bytes]:
    name = path.relative_to(archive).as_posix()
    with _archive(archive) as content:
        try:
            info = content.getinfo(name)
        except KeyError:
            raise SourceNotFoundError(
                f"{path}: the archive has no such file, only {', '.join(content.namelist()[:5])}"
            ) from None
        if info.file_size > max(_BOMB_BYTES, _BOMB_RATIO * info.compress_size):
            raise SourceFormatError(
                f"{path}: unpacks to {info.file_size >> 20:,} MiB from {info.compress_size >> 10:,} KiB, which no "
                "table does; unpack it yourself if you trust it"
            )
        try:
            kind = _kind(content.open(info).read(16))
            return content.open(info) if kind is None else kind(content.open(info))
        except (RuntimeError, NotImplementedError) as error:
            raise SourceFormatError(f"{path}: {error}; unpack the archive first") from None


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; a member opened from it stays open."""
    try:
        with zipfile.ZipFile(path) as content:
            yield content
    except zipfile.BadZipFile as error:
        raise SourceFormatError(
            f"{path}: the zip is truncated or damaged ({error}); fetch the file again"
        ) from None
