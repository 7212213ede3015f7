"""What has arrived of a download so far, and of which version of the file it is."""

import os
from dataclasses import dataclass
from pathlib import Path

from recsys_assets.errors import DownloadError, SourceFormatError
from recsys_assets.lake.sources.blocks import check_gzip


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
