"""What has arrived of a download so far, and of which version of the file it is."""

import http.client
import os
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
from recsys_assets.lake.sources.text_blocks import check_gzip


@dataclass(frozen=True, kw_only=True)
class PartialFile:
    """Two hidden files beside the target: the bytes, and the address and version that they are of."""

    url: str
    """Where the bytes come from."""
    target: Path
    """Where the file goes when it is whole."""

    @property
    def bytes_file(self) -> Path:
        """The bytes that have arrived."""
        return self.target.with_name(f".{self.target.name}.part")

    @property
    def version_file(self) -> Path:
        """Their address and, on the second line, what the server tells versions apart by."""
        return self.target.with_name(f".{self.target.name}.version")

    def size(self) -> int:
        """Bytes that have arrived."""
        return self.bytes_file.stat().st_size if self.bytes_file.exists() else 0

    def version(self) -> str | None:
        """The version that the bytes are of, empty where the server gave none; None if of another file."""
        try:
            url, _, version = self.version_file.read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return None
        return version if url == self.url else None

    def begin(self, version: str) -> None:
        """Forget what has arrived; what comes now is of this version."""
        self.bytes_file.unlink(missing_ok=True)
        self.version_file.write_text(f"{self.url}\n{version}", encoding="utf-8")

    def append(self, chunk: bytes) -> None:
        """Keep what came next.

        Raises:
            DownloadError: the disk refuses.
        """
        try:
            with self.bytes_file.open("ab", buffering=0) as file:
                file.write(chunk)
        except OSError as error:
            raise DownloadError(
                f"{self.bytes_file}: cannot be written ({error.strerror}); free some space"
            ) from None

    def accept(self) -> None:
        """Move the file into place.

        Raises:
            DownloadError: it is a damaged gzip; it is deleted.
        """
        try:
            check_gzip(self.bytes_file)
        except SourceFormatError as error:
            self.discard()
            raise DownloadError(f"{self.url}: what arrived is damaged and was deleted ({error})") from None
        with self.bytes_file.open("rb") as file:
            os.fsync(file.fileno())
        self.bytes_file.replace(self.target)
        self.discard()

    def discard(self) -> None:
        """Leave nothing behind."""
        self.bytes_file.unlink(missing_ok=True)
        self.version_file.unlink(missing_ok=True)


Progress = Callable[[str, int, int | None], None]
"""Told the file's name, the bytes that are here, and the bytes that there will be where that is known."""

_CHUNK_BYTES: Final = 1 << 18
_FRUITLESS_ATTEMPTS: Final = 5
_LONGEST_WAIT_SECONDS: Final = 60.0
_TIMEOUT_SECONDS: Final = 60.0
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


def fetch(
    url: str, target: Path, *, progress: Progress | None = None, wait: Callable[[float], None] = time.sleep
) -> Path:
    """Download `url` to `target`, unless it is there already.

    What has arrived is kept beside it as `.NAME.part`. After a break, in this call or a later one, the rest
    is asked for by `Range`, on the condition (`If-Range`, RFC 9110) that the file is still the same; a server
    that ignores either sends all of it again. It is whole when it has the length that the server stated and,
    for a gzip, when its checksum is right.

    Args:
        url: `http` or `https`.
        target: where the file goes; its folder is made.
        progress: told about every chunk.
        wait: how to wait so many seconds before the next attempt.

    Returns:
        `target`.

    Raises:
        DownloadError: the server refuses, five attempts in a row bring nothing new, or what came is damaged.
    """
    if target.exists():
        return target
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: is not an http or https address; mend the base URL")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = PartialFile(url=url, target=target)
    most, fruitless = part.size(), 0
    while (broken := _attempt(part, progress)) is not None:
        fruitless = 0 if part.size() > most else fruitless + 1
        most = max(most, part.size())
        if fruitless == _FRUITLESS_ATTEMPTS:
            raise DownloadError(
                f"{url}: {fruitless} attempts in a row brought nothing new ({broken.reason}); "
                f"{part.size():,} bytes are kept, try again later"
            )
        wait(min(broken.wait_seconds or 2.0 ** (fruitless - 1), _LONGEST_WAIT_SECONDS))
    part.accept()
    return target


@dataclass(frozen=True, kw_only=True)
class _Broken:
    """Why an attempt ended early, where another may do better."""

    reason: str
    wait_seconds: float | None = None


def _attempt(part: PartialFile, progress: Progress | None) -> _Broken | None:
    """Ask for what is missing; None when the file has its whole length.

    Raises:
        DownloadError: the server refuses, or the disk does.
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
            return _refused(error, part, have)
    except (http.client.HTTPException, OSError) as error:
        return _Broken(reason=str(getattr(error, "reason", None) or error or type(error).__name__))


def _receive(
    response: http.client.HTTPResponse, part: PartialFile, have: int, progress: Progress | None
) -> _Broken | None:
    partial = response.status == HTTPStatus.PARTIAL_CONTENT
    start, total = _content_range(response.headers.get("Content-Range"))
    if partial and start != have:
        part.discard()
        return _Broken(reason="the server sent another range than it was asked for")
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
        return _Broken(reason=f"the connection ended after {have:,} of {total:,} bytes")
    return None


def _refused(error: urllib.error.HTTPError, part: PartialFile, have: int) -> _Broken | None:
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
        _, total = _content_range(error.headers.get("Content-Range"))
        if total == have:
            return None
        part.discard()
        return _Broken(reason="the file changed while it was fetched")
    reason = f"{error.code} {error.reason}"
    if error.code in _TRY_AGAIN:
        after = error.headers.get("Retry-After", "")
        return _Broken(reason=reason, wait_seconds=float(after) if after.isdecimal() else None)
    raise DownloadError(f"{part.url}: the server answered {reason}; check the name and the base URL")


def _content_range(header: str | None) -> tuple[int | None, int | None]:
    """Where the range starts, and the length of the whole file (RFC 9110, section 14.4)."""
    match = _CONTENT_RANGE.fullmatch(header or "")
    if match is None:
        return None, None
    return int(match[1]) if match[1] else None, int(match[2]) if match[2].isdecimal() else None


def _validator(response: http.client.HTTPResponse) -> str:
    """What `If-Range` may carry: a strong entity tag, else the date; empty where there is neither."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
