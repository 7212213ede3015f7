"""Download of a file by HTTP, continued after interruptions.

Bytes that have arrived are kept beside the target as `.NAME.part`, with their address and version.
"""

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from recsys_assets.errors import DownloadError, SourceFormatError
from recsys_assets.lake.files.compressed_files import check_gzip
from recsys_assets.storage.atomic import make_folder, put_in_place

_CHUNK_BYTES: Final = 1 << 18
_FRUITLESS_ATTEMPTS: Final = 5
_LONGEST_WAIT_SECONDS: Final = 60.0
_TIMEOUT_SECONDS: Final = 60.0
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which another attempt may succeed."""
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")

Progress = Callable[[str, int, int | None], None]
"""Called with the name of the file, the bytes present, and the size of the file if it is known."""


def fetch(
    url: str, target: Path, *, progress: Progress | None = None, wait: Callable[[float], None] = time.sleep
) -> Path:
    """Download `url` to `target`, unless `target` exists.

    After an interruption, in this call or a later one, the remaining bytes are requested by `Range`, on the
    condition (`If-Range`, RFC 9110) that the file is unchanged; a server that ignores either header sends the
    whole file again. The download is complete when it has the length that the server stated and, for a gzip,
    the right checksum.

    Args:
        url: an `http` or `https` address.
        target: the file to write; its folder is created if missing.
        progress: called after every chunk.
        wait: waits a number of seconds before the next attempt.

    Returns:
        `target`.

    Raises:
        DownloadError: the server rejects the request, five attempts in a row bring no new bytes, the disk can't be
            written, or the file is damaged.
    """
    if target.exists():
        return target
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: is not an http or https address; correct the base URL")
    make_folder(target.parent)
    part = _PartialFile(url=url, target=target)
    most, fruitless = part.size(), 0
    while (interrupted := _attempt(part, progress)) is not None:
        fruitless = 0 if part.size() > most else fruitless + 1
        most = max(most, part.size())
        if fruitless == _FRUITLESS_ATTEMPTS:
            raise DownloadError(
                f"{url}: {fruitless} attempts in a row brought nothing new ({interrupted.reason}); "
                f"{part.size():,} bytes are kept, try again later"
            )
        wait(min(interrupted.wait_seconds or 2.0 ** (fruitless - 1), _LONGEST_WAIT_SECONDS))
    part.accept()
    return target


@dataclass(frozen=True, kw_only=True)
class _PartialFile:
    """Two hidden files beside the target: the bytes that have arrived, and their address and version."""

    url: str
    """Address of the file."""
    target: Path
    """Path of the complete file."""

    @property
    def bytes_file(self) -> Path:
        """File of the bytes that have arrived."""
        return self.target.with_name(f".{self.target.name}.part")

    @property
    def version_file(self) -> Path:
        """File of the address and, on the second line, the server's mark of the version."""
        return self.target.with_name(f".{self.target.name}.version")

    def size(self) -> int:
        """Return the number of bytes that have arrived."""
        return self.bytes_file.stat().st_size if self.bytes_file.exists() else 0

    def version(self) -> str | None:
        """Return the version of the bytes, empty if the server gave none; None if they have another address."""
        try:
            url, _, version = self.version_file.read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return None
        return version if url == self.url else None

    def begin(self, version: str) -> None:
        """Delete the bytes that have arrived, and note the version of those that follow."""
        self.bytes_file.unlink(missing_ok=True)
        self.version_file.write_text(f"{self.url}\n{version}", encoding="utf-8")

    def append(self, chunk: bytes) -> None:
        """Add the next bytes.

        Raises:
            DownloadError: the disk can't be written.
        """
        try:
            with self.bytes_file.open("ab", buffering=0) as file:
                file.write(chunk)
        except OSError as error:
            raise DownloadError(
                f"{self.bytes_file}: cannot be written ({error.strerror}); free some space"
            ) from None

    def accept(self) -> None:
        """Move the complete file into place.

        Raises:
            DownloadError: the file is a damaged gzip; it is deleted.
        """
        try:
            check_gzip(self.bytes_file)
        except SourceFormatError as error:
            self.discard()
            raise DownloadError(f"{self.url}: what arrived is damaged and was deleted ({error})") from None
        put_in_place(self.bytes_file, self.target)
        self.discard()

    def discard(self) -> None:
        """Delete both files."""
        self.bytes_file.unlink(missing_ok=True)
        self.version_file.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class _Interrupted:
    """An attempt that ended early, so that another may succeed."""

    reason: str
    """Cause, for messages."""
    wait_seconds: float | None = None
    """Wait that the server requests, s."""


def _attempt(part: _PartialFile, progress: Progress | None) -> _Interrupted | None:
    """Request the missing bytes; return None when the file has its full length.

    Raises:
        DownloadError: the server rejects the request, or the disk can't be written.
    """
    version = part.version()
    have = part.size() if version is not None else 0
    headers = {"User-Agent": "recsys-assets", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    if have and version:
        headers["If-Range"] = version
    request = urllib.request.Request(part.url, headers=headers)  # noqa: S310  fetch() checks the scheme
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            return _receive(response, part, have, progress)
    except urllib.error.HTTPError as error:
        with error:
            return _failed(error, part, have)
    except (http.client.HTTPException, OSError) as error:
        return _Interrupted(reason=str(getattr(error, "reason", None) or error or type(error).__name__))


def _receive(
    response: http.client.HTTPResponse, part: _PartialFile, have: int, progress: Progress | None
) -> _Interrupted | None:
    partial = response.status == HTTPStatus.PARTIAL_CONTENT
    start, total = _content_range(response.headers.get("Content-Range"))
    if partial and start != have:
        part.discard()
        return _Interrupted(reason="the server sent another range than requested")
    if not partial:
        length = response.headers.get("Content-Length")
        have, total = 0, int(length) if length else None
        part.begin(_validator(response))
    while chunk := response.read(_CHUNK_BYTES):
        part.append(chunk)
        have += len(chunk)
        if progress is not None:
            progress(part.target.name, have, total)
    if total is not None and have != total:
        return _Interrupted(reason=f"the connection ended after {have:,} of {total:,} bytes")
    return None


def _failed(error: urllib.error.HTTPError, part: _PartialFile, have: int) -> _Interrupted | None:
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
        _, total = _content_range(error.headers.get("Content-Range"))
        if total == have:
            return None
        part.discard()
        return _Interrupted(reason="the file changed while it was fetched")
    reason = f"{error.code} {error.reason}"
    if error.code in _TEMPORARY:
        after = error.headers.get("Retry-After", "")
        return _Interrupted(reason=reason, wait_seconds=float(after) if after.isdecimal() else None)
    raise DownloadError(f"{part.url}: the server answered {reason}; check the name and the base URL")


def _content_range(header: str | None) -> tuple[int | None, int | None]:
    """Return the start of the range and the length of the whole file (RFC 9110, section 14.4)."""
    match = _CONTENT_RANGE.fullmatch(header or "")
    if match is None:
        return None, None
    return int(match[1]) if match[1] else None, int(match[2]) if match[2].isdecimal() else None


def _validator(response: http.client.HTTPResponse) -> str:
    """Return the value for `If-Range`: a strong entity tag, else the date, else empty."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
