"""Bodies of answers: JSON pieces, entity tags and compression. Nothing here loads the web framework.

Statuses and cache times of a route are decided by its controller; error bodies are in `problems`.
"""

import gzip
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import brotli
import msgspec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

SMALLEST_COMPRESSED: Final = 1_400
"""Bytes. A smaller body fits one network packet, so compressing it wins nothing."""
_OFFERED: Final = ("zstd", "br", "gzip")
"""Encodings, best first; the order decides between those that the client weights equally."""
_BROTLI_QUALITY: Final = 4
"""Chosen for speed, as the levels of the others: 100 items take about 0.1 ms in each."""

JSON: Final = b"application/json"
PRIVATE: Final = b"private, no-cache"
"""For an answer about one user: no shared cache stores it, and the client's own revalidates by its entity tag."""
PUBLIC: Final = b"public, max-age=60, stale-while-revalidate=600"
"""For an answer that is the same for everyone: a shared cache may store it."""
NO_STORE: Final = b"no-store"
"""For an answer that is only true now."""
VARY_PRIVATE: Final = b"Accept-Encoding, Authorization, X-API-Key"
VARY_PUBLIC: Final = b"Accept-Encoding"

SOURCE_KEY: Final = "recsys.source"
"""Key of the scope's state under which the metrics find the source that answered."""
_CACHED_ITEMS: Final = 32_768
"""Items whose JSON is cached, at most; about 200 bytes each."""

encode: Final = msgspec.json.Encoder().encode


Headers = tuple[tuple[bytes, bytes], ...]
"""Names and values of headers."""


class Strings(Protocol):
    """Strings by position."""

    def __getitem__(self, num: int, /) -> str: ...


def quoted(text: str | None) -> str:
    """JSON of a string, or `null`."""
    return encode(text).decode()


class ItemJson:
    """JSON of items by number, cached, because the same items are in most answers."""

    def __init__(self, ids: Strings, titles: Strings, categories: Strings) -> None:
        self._ids, self._titles, self._categories = ids, titles, categories
        self._cached: dict[int, str] = {}

    def open(self, num: int) -> str:
        """Return the item's object without its closing brace, so that fields can follow."""
        found = self._cached.get(num)
        if found is None:
            if len(self._cached) >= _CACHED_ITEMS:
                self._cached.clear()
            found = self._cached[num] = (
                f'{{"item_id":{quoted(self._ids[num])},"title":{quoted(self._titles[num] or None)}'
                f',"category":{quoted(self._categories[num] or None)}'
            )
        return found

    def scored(self, nums: Sequence[int], scores: Sequence[float]) -> str:
        """Return a JSON array of scored items, six significant digits a score."""
        cached = self._cached
        try:
            rows = [f'{cached[num]},"score":{score:.6g}}}' for num, score in zip(nums, scores, strict=True)]
        except KeyError:
            rows = [
                f'{self.open(num)},"score":{score:.6g}}}' for num, score in zip(nums, scores, strict=True)
            ]
        return f"[{','.join(rows)}]"

    def because(self, nums: Sequence[int], scores: Sequence[float], reasons: Sequence[int | None]) -> str:
        """Like `scored`; each item also names the nearest item of the history."""
        rows = []
        for num, score, reason in zip(nums, scores, reasons, strict=True):
            because = "null" if reason is None else self.open(reason) + "}"
            rows.append(f'{self.open(num)},"score":{score:.6g},"because":{because}}}')
        return f"[{','.join(rows)}]"


class Reply:
    """One answer. `etag` is without quotes; an answer without one is never 304.

    A 304 says that the client's answer still holds, with the id that it has. The tag of answers with ids is weak: equal
    ones differ in their ids.
    """

    __slots__ = (
        "_packed", "body", "cache", "content_type", "etag", "extra", "release", "source", "status", "weak",
    )  # fmt: skip

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        release: Headers = (),
        etag: str | None = None,
        weak: bool = False,
        cache: bytes = NO_STORE,
        content_type: bytes = JSON,
        source: str = "",
        extra: Headers = (),
    ) -> None:
        self.body = body
        self.status = status
        self.release = release
        self.etag = etag
        self.weak = weak
        self.cache = cache
        self.content_type = content_type
        self.source = source
        self.extra = extra
        self._packed: dict[str, bytes] | None = None

    def pack(self, accept_encoding: bytes | None) -> None:
        """Compress the body ahead, as `__call__` would for this `Accept-Encoding`."""
        encoding = choose_encoding(accept_encoding, len(self.body))
        if encoding and not self.is_packed(accept_encoding):
            self._packed = {**(self._packed or {}), encoding: compress(encoding, self.body)}

    def is_packed(self, accept_encoding: bytes | None) -> bool:
        """Return True where nothing is left to compress for this `Accept-Encoding`."""
        encoding = choose_encoding(accept_encoding, len(self.body))
        return not encoding or (self._packed is not None and encoding in self._packed)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:  # noqa: ARG002  ASGI's signature
        """Send the answer, compressed where the client accepts that and it saves packets, or 304."""
        if self.source:
            scope["state"][SOURCE_KEY] = self.source
        given = dict(scope["headers"])
        encoding = choose_encoding(given.get(b"accept-encoding"), len(self.body))
        headers = [
            (b"cache-control", self.cache),
            (b"vary", VARY_PUBLIC if self.cache is PUBLIC else VARY_PRIVATE),
            *self.extra,
            *self.release,
        ]
        if self.etag is not None:
            tag = f'"{self.etag}-{encoding}"' if encoding else f'"{self.etag}"'
            encoded = tag.encode("latin-1")
            headers.append((b"etag", b"W/" + encoded if self.weak else encoded))
            known = given.get(b"if-none-match")
            if known is not None and matches(known.decode("latin-1"), tag):
                await send({"type": "http.response.start", "status": 304, "headers": headers})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
        body = self.body
        if encoding:
            packed = None if self._packed is None else self._packed.get(encoding)
            body = compress(encoding, body) if packed is None else packed
            headers.append((b"content-encoding", encoding.encode()))
        headers.append((b"content-type", self.content_type))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def matches(if_none_match: str, tag: str) -> bool:
    """Compare an `If-None-Match` header with an entity tag without `W/`, weakly (RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == tag for candidate in if_none_match.split(","))


def choose_encoding(accept_encoding: bytes | None, size: int) -> str:
    """Choose the content encoding: `zstd`, `br`, `gzip`, or `` for none.

    Args:
        accept_encoding: the request's `Accept-Encoding`, if any.
        size: bytes of the body.
    """
    if accept_encoding is None or size < SMALLEST_COMPRESSED:
        return ""
    weights = _weights(accept_encoding.decode("latin-1"))
    allowed = [(weights.get(name, weights.get("*", 0.0)), name) for name in _OFFERED]
    weight, name = max(allowed, key=lambda pair: pair[0])
    return name if weight > 0 else ""


def compress(encoding: str, body: bytes) -> bytes:
    """Compress `body` by `zstd`, `br` or `gzip`; equal bodies give equal bytes."""
    if encoding == "zstd":
        return zstd.compress(body, level=1)
    if encoding == "br":
        packed: bytes = brotli.compress(body, quality=_BROTLI_QUALITY)
        return packed
    return gzip.compress(body, compresslevel=1, mtime=0)


def _weights(header: str) -> dict[str, float]:
    weights = {}
    for part in header.lower().split(","):
        name, _, parameter = part.strip().partition(";")
        try:
            weights[name.strip()] = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    return weights
