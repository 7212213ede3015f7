"""Tables at a URL: `https://host/file.parquet`, `s3://bucket/path/*.parquet`, or a text file at either.

Parquet is scanned in place, the columns that are needed only. A text file is copied once a process and read as a local
one. Credentials of S3 come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, …).
"""

import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from shutil import copyfileobj
from typing import Any, Final
from urllib.parse import urlsplit

import polars as pl

from recsys_assets.errors import DownloadError, InputError, SourceFormatError
from recsys_assets.lake.download import fetch
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import FileFormat, TabularFile, open_tabular
from recsys_assets.lake.files.text_records import Chunk
from recsys_assets.source_settings import ReadingSettings

_ROWS: Final = 100_000
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_TIMEOUT_SECONDS: Final = 30.0
_VERSION_HEADERS: Final = ("ETag", "Last-Modified", "Content-Length")
_ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
    "AWS_REGION": "aws_region",
    "AWS_DEFAULT_REGION": "aws_region",
    "AWS_ENDPOINT_URL": "aws_endpoint_url",
}


def open_url(url: str, reading: ReadingSettings) -> TabularFile:
    """Open the table at a URL, without reading it yet.

    Raises:
        InputError: it is plain HTTP to another machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InputError(f"{_shown(url)}: http is for this machine only; give https://")
    return _ParquetUrl(url) if parts.path.endswith((".parquet", ".pq")) else _TextUrl(url, reading)


class _UrlTable(TabularFile):
    """A table at one URL."""

    def __init__(self, url: str) -> None:
        super().__init__(Path(_shown(url).replace("://", ":")))
        self._url = url

    def fingerprint(self) -> str:
        """Cover the entity tag, else time of change and size, else, of a server that names none, the hour."""
        if self._url.startswith("s3://"):
            return f"{self._url}\0{_objects(self._url)}"
        request = urllib.request.Request(self._url, method="HEAD")  # noqa: S310  checked by `open_url`
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                found = [answer.headers[name] for name in _VERSION_HEADERS]
        except urllib.error.HTTPError as error:
            raise self._unreadable(f"the server answers {error.code}") from None
        except OSError as error:
            raise self._unreadable(str(getattr(error, "reason", error))) from None
        known = found if any(found[:2]) else [*found, f"{datetime.now(UTC):%Y-%m-%d %H}"]
        return "\0".join([self._url, *map(str, known)])

    def _unreadable(self, why: str) -> SourceFormatError:
        return SourceFormatError(f"{_shown(self._url)}: cannot be read ({why}); check the address")


class _ParquetUrl(_UrlTable):
    @property
    def found(self) -> FileFormat:
        """Parquet, as the name says."""
        return FileFormat(kind="Parquet")

    def column_names(self) -> Sequence[str]:
        """Return the names of the first file's columns."""
        try:
            return self._scan().collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(_first_line(error)) from None

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:  # noqa: ARG002
        """Yield the rows in the files' types."""
        first = 0
        try:
            for frame in self._scan().select(columns).collect_batches(chunk_size=_ROWS, maintain_order=True):
                if frame.height:
                    yield _UrlChunk(frame=frame, path=self.path, first=first)
                first += frame.height
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(_first_line(error)) from None

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self._url, storage_options=_storage_options(self._url))


class _TextUrl(_UrlTable):
    def __init__(self, url: str, reading: ReadingSettings) -> None:
        super().__init__(url)
        self._reading = reading

    @property
    def found(self) -> FileFormat:
        """That of the copy."""
        return self._copy.found

    def column_names(self) -> Sequence[str]:
        """Return those of the copy."""
        return self._copy.column_names()

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        """Yield those of the copy."""
        return self._copy.chunks(columns, aside)

    @cached_property
    def _copy(self) -> TabularFile:
        """The table in a temporary folder, which is removed with this object."""
        self._folder = tempfile.TemporaryDirectory(prefix="recsys-url-")
        name = re.sub(r"[^\w.-]", "_", urlsplit(self._url).path.rpartition("/")[2]) or "table"
        target = Path(self._folder.name) / name
        if not self._url.startswith("s3://"):
            try:
                return open_tabular(fetch(self._url, target), self._reading)
            except DownloadError as error:
                raise DownloadError(str(error).replace(self._url, _shown(self._url))) from None
        system, path = _s3(self._url)
        try:
            with system.open_input_stream(path) as source, target.open("wb") as file:
                copyfileobj(source, file)
        except OSError as error:
            raise self._unreadable(_first_line(error)) from None
        return open_tabular(target, self._reading)


@dataclass(kw_only=True)
class _UrlChunk(Chunk):
    first: int

    def place(self, row: int) -> str:
        return f"row {self.first + row + 1}"


def _storage_options(url: str) -> dict[str, str] | None:
    """Return polars' options, from the environment only."""
    if not url.startswith("s3://"):
        return {"allow_http": "true"} if url.startswith("http://") else None
    found = {option: os.environ[name] for name, option in _ENVIRONMENT.items() if os.environ.get(name)}
    if found.get("aws_endpoint_url", "").startswith("http://"):
        found["aws_allow_http"] = "true"
    return found or None


def _s3(url: str) -> tuple[Any, str]:
    """Return the file system of S3, and the path of a URL in it."""
    from pyarrow import fs  # noqa: PLC0415  it loads the SDK of S3

    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    scheme, _, host = endpoint.rpartition("://")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    given = {"endpoint_override": host, "scheme": scheme} if host else {}
    return fs.S3FileSystem(region=region, **given), url.removeprefix("s3://")


def _objects(url: str) -> str:
    """Return size and time of change of each object that a URL of S3 names."""
    from pyarrow import fs  # noqa: PLC0415  as above

    system, pattern = _s3(url)
    folder = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]
    try:
        every = system.get_file_info(fs.FileSelector(folder, recursive="**" in pattern))
    except OSError as error:
        raise SourceFormatError(f"{url}: cannot be read ({_first_line(error)}); check the address") from None
    return str(sorted((one.path, one.size, one.mtime_ns) for one in every if fnmatch(one.path, pattern)))


def _shown(url: str) -> str:
    """Return a URL without a password and without what follows `?`, which may be a signature."""
    return re.sub(r"//[^/@]*@", "//", url).partition("?")[0]


def _first_line(error: BaseException) -> str:
    return re.sub(r"\?\S+", "", (str(error).strip() or type(error).__name__).splitlines()[0]).rstrip(".")
