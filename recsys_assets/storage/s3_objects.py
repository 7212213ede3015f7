"""Objects in a bucket of S3, or of a server that speaks its protocol, by the package `obstore`.

A conditional PUT can succeed while its answer is lost; the client then sends it again and finds its own object there.
So each one carries a mark of its own, by which it is recognised.
"""

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from recsys_assets.errors import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStoreError,
    SettingsError,
    StoreUnavailableError,
)
from recsys_assets.storage.object_store import (
    ObjectEntry,
    StoredObject,
    checked_key,
    decoded_metadata,
    encoded_metadata,
)
from recsys_assets.storage.s3_credentials import s3_credentials

_MARK: Final = "recsys-put"
"""Metadata that tells a conditional PUT of ours from another one with the same content."""
_PART_BYTES: Final = 8 << 20
"""One part of a large object."""
_READ_SECONDS: Final = 12.0
"""Longest wait for a server that took a request and says nothing, and for one part to be sent."""
_SERVER: Final = re.compile(r"https?://[^\s/]")
_HEADER: Final = re.compile(r"[A-Z]")
"""Names of attributes that the server sets itself, `Content-Type`; ours are in lower case."""
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", re.DOTALL)
_DOWN: Final = 500
"""Status of a server that cannot answer now; smaller ones reject the request."""


class S3Objects:
    """A bucket's objects under a prefix; a tag is the server's ETag."""

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None,
        region: str,
        environ: Mapping[str, str],
        patience: float = 8.0,
    ) -> None:
        """Take `s3://bucket/prefix`; `patience` is the time in seconds over which a request is sent again.

        Raises:
            SettingsError: the package `obstore` is missing, or the credentials' file cannot be used.
        """
        try:
            import obstore  # noqa: PLC0415 - an optional package, needed by this form of a store alone
            from obstore.store import S3Store  # noqa: PLC0415 - see above
        except ImportError as error:
            raise SettingsError(
                f"{url}: the package obstore is missing; pip install 'recsys-assets[scale]'"
            ) from error
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._url = f"s3://{bucket}/{prefix.strip('/')}".rstrip("/")
        endpoint = server_of(endpoint, environ)
        self._obstore = obstore
        self._server = endpoint or "AWS"
        config: dict[str, Any] = {"region": region, **s3_credentials(environ)}
        if endpoint:
            config["endpoint"] = endpoint
        self._store = S3Store(
            bucket,
            prefix=prefix.strip("/") or None,
            config=config,
            client_options={
                "allow_http": True,
                "connect_timeout": timedelta(seconds=min(3.0, patience)),
                "read_timeout": timedelta(seconds=min(_READ_SECONDS, 4 * patience)),
                "timeout": timedelta(seconds=60),
            },
            retry_config={
                "max_retries": 1_000,  # the time is the bound
                "retry_timeout": timedelta(seconds=patience),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`."""
        return self._url

    def get(self, key: str) -> StoredObject:
        """Return an object."""
        found = self._get(key)
        assert found is not None  # noqa: S101 - only a condition makes it None
        return found

    def get_changed(self, key: str, *, tag: str | None) -> StoredObject | None:
        """Return an object unless it has this tag; its content is not sent then."""
        return self._get(key, {} if tag is None else {"if_none_match": tag})

    def _get(self, key: str, options: Mapping[str, Any] | None = None) -> StoredObject | None:
        with self._named(key):
            try:
                found = self._obstore.get(self._store, checked_key(key), options=dict(options or {}))
                content = bytes(found.bytes())
            except self._obstore.exceptions.NotModifiedError:
                return None
            return StoredObject(content, found.meta["e_tag"], _own(found.attributes))

    def put(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object; return its tag."""
        with self._named(key):
            return self._put(key, content, encoded_metadata(metadata), mode="overwrite")

    def create(self, key: str, content: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Make an object that was not there; return its tag."""
        there = ObjectExistsError(f"{self._url}/{key}: is there already")
        return self._conditional(key, content, metadata, mode="create", lost=there)

    def swap(self, key: str, content: bytes, *, tag: str, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object that still has this tag; return the new one."""
        gone = ObjectChangedError(f"{self._url}/{key}: another writer replaced it meanwhile; read it again")
        return self._conditional(key, content, metadata, mode={"e_tag": tag}, lost=gone)

    def _conditional(
        self,
        key: str,
        content: bytes,
        metadata: Mapping[str, str] | None,
        *,
        mode: Any,
        lost: ObjectStoreError,
    ) -> str:
        mark = uuid.uuid4().hex
        marked = {**encoded_metadata(metadata), _MARK: mark}
        failed = self._obstore.exceptions
        with self._named(key):
            try:
                return self._put(key, content, marked, mode=mode)
            except (failed.AlreadyExistsError, failed.PreconditionError, FileNotFoundError) as error:
                if self._is_bucket_missing(error):
                    raise
                try:
                    found = self._head(key)
                except FileNotFoundError:
                    raise lost from error
                if found.attributes.get(_MARK) != mark:
                    raise lost from error
                return str(found.meta["e_tag"])  # an earlier try of this very request had succeeded

    def _put(self, key: str, content: bytes | Path, attributes: Mapping[str, str], *, mode: Any) -> str:
        put = self._obstore.put(
            self._store,
            checked_key(key),
            content,
            attributes=dict(attributes),
            mode=mode,
            chunk_size=_PART_BYTES,
        )
        return str(put["e_tag"])

    def _head(self, key: str) -> Any:
        return self._obstore.get(self._store, checked_key(key), options={"head": True})

    def put_file(self, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        """Replace an object by the content of a file, in parts; return its tag."""
        with self._named(key):
            try:
                return self._put(key, path, encoded_metadata(metadata), mode="overwrite")
            except FileNotFoundError:
                path.stat()  # raises where the file itself is missing
                raise

    def get_file(self, key: str, path: Path) -> str:
        """Write an object into a new file, in parts of one version; return its SHA-256."""
        checksum = hashlib.sha256()
        with path.open("wb") as file, self._named(key):
            found = self._head(key)
            size, tag = found.meta["size"], found.meta["e_tag"]
            for start in range(0, size, _PART_BYTES):
                wanted = {"range": (start, min(start + _PART_BYTES, size)), "if_match": tag}
                part = self._obstore.get(self._store, key, options=wanted).bytes()
                checksum.update(part)
                file.write(part)
        return checksum.hexdigest()

    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what was put with an object, without its content."""
        with self._named(key):
            return _own(self._head(key).attributes)

    def list(self, prefix: str = "") -> Iterator[ObjectEntry]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys."""
        folder = prefix.rpartition("/")[0]
        with self._named(prefix or "*"):
            found = [
                ObjectEntry(one["path"], one["size"], one["e_tag"])
                for chunk in self._obstore.list(self._store, folder or None)
                for one in chunk
                if one["path"].startswith(prefix)
            ]
        yield from sorted(found)  # some servers list by folder, not by key

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are left out."""
        wanted = [checked_key(key) for key in keys]
        if wanted:
            with self._named(wanted[0] if len(wanted) == 1 else f"{wanted[0]} and {len(wanted) - 1:,} more"):
                self._obstore.delete(self._store, wanted)

    @contextmanager
    def _named(self, key: str, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
        """Turn an error of the client into one of `errors.py` that names the object."""
        start = clock()
        where = f"{self._url}/{key}"
        try:
            yield
        except FileNotFoundError as error:
            if error.filename is not None:  # a file of this machine
                raise
            if self._is_bucket_missing(error):
                raise ObjectStoreError(
                    f"{where}: the bucket does not exist at {self._server}; make it"
                ) from error
            raise ObjectMissingError(f"{where}: no such object") from error
        except self._obstore.exceptions.PreconditionError as error:
            raise ObjectChangedError(f"{where}: was replaced while it was read; read it again") from error
        except self._obstore.exceptions.BaseError as error:
            text = str(error)
            reason = _reason(text)
            status = _STATUS.search(text)
            if "169.254.169.254" in text:
                raise ObjectStoreError(
                    f"{where}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials"
                ) from error
            if status is not None and int(status[1]) < _DOWN:
                raise ObjectStoreError(f"{where}: {self._server} rejected the request: {reason}") from error
            seconds = clock() - start
            raise StoreUnavailableError(
                f"{where}: no answer from {self._server} for {seconds:.0f} s ({reason})"
            ) from error

    @staticmethod
    def _is_bucket_missing(error: BaseException) -> bool:
        return "NoSuchBucket" in str(error)


def server_of(endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the server that is given, else named by the environment; None for AWS itself.

    Raises:
        SettingsError: it is no URL.
    """
    found = endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if found and not _SERVER.match(found):
        raise SettingsError(
            f"{found!r} is no URL of an S3 server; set AWS_ENDPOINT_URL or [storage] endpoint to http://host:port"
        )
    return found.rstrip("/") if found else None


def _own(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """Return the metadata that a caller gave."""
    return decoded_metadata({n: v for n, v in attributes.items() if n != _MARK and not _HEADER.search(n)})


def _reason(text: str) -> str:
    """Return the server's own words, or the last part of the client's first line."""
    words = _CODE.search(text)
    return f"{words[1]}, {words[2]}" if words else text.split("\n", 1)[0].rpartition(" - ")[2][:200]
