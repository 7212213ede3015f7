"""The entries of a shared log, as bytes: rows with their places, and what happens to rows of entries before.

Every machine takes the entries over in their order by one rule (`copied_entries.py`), so all copies have the same rows
under the same numbers. A row's number is its entry's number times `PLACES`, plus its place in it.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.intake.group import IntakeRow
from recsys_assets.intake.rows import EventRow, ImpressionRow, MergeRow

PLACES: Final = 1 << 14
"""Row numbers of an entry: more than the rows that one request may have."""
_PACKED_FROM: Final = 4_096
"""Bytes from which on an entry is compressed."""
_ZLIB: Final = b"\x78"
"""First byte of what zlib compresses; msgpack begins an entry with another one."""
_MOST_BYTES: Final = 256 * 1024 * 1024


class Prune(msgspec.Struct, frozen=True, array_like=True):
    """Rows that every lake has, and that all copies let go of; arguments of `stored_events.prune`."""

    table: Literal["events", "impressions"]
    landed_through: int
    received_before: int
    stamped_before: int | None


class Landing(msgspec.Struct, frozen=True, array_like=True):
    """A lake's message that it has all rows of a table up to a number."""

    lake: str
    """The lake's own name, which outlives the machine that builds it."""
    table: Literal["events", "impressions"]
    through: int


Series = tuple[str, str, str, str | None, str | None, str | None, int]
"""A series of answers, with the fields of `release/answer_series.py`; impressions name it, wherever they arrive."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry. It is taken over as a whole, or not at all."""

    origin: int = 0
    """Number of the entry that this one replaces, whose row numbers it keeps; 0 for none."""
    events: list[tuple[int, EventRow]] = []
    """Place and row; as the next two."""
    impressions: list[tuple[int, ImpressionRow]] = []
    merges: list[tuple[int, MergeRow]] = []
    removed: list[int] = []
    """Numbers of rows that were taken out, of users who were forgotten. No id is kept."""
    prune: Prune | None = None
    landing: Landing | None = None
    series: list[Series] = []

    def rows(self, number: int) -> Iterator[tuple[int, IntakeRow]]:
        """Yield the rows with their numbers, in their order; `number` is the entry's."""
        first = (self.origin or number) * PLACES
        placed: list[tuple[int, IntakeRow]] = [*self.events, *self.impressions, *self.merges]
        for place, row in sorted(placed, key=lambda one: one[0]):
            yield first + place, row

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.events) + len(self.impressions) + len(self.merges)


def entry_of(rows: Sequence[IntakeRow]) -> Entry:
    """Return the entry of a sender's rows, in their order."""
    placed = list(enumerate(rows))
    return Entry(
        events=[(place, row) for place, row in placed if isinstance(row, EventRow)],
        impressions=[(place, row) for place, row in placed if isinstance(row, ImpressionRow)],
        merges=[(place, row) for place, row in placed if isinstance(row, MergeRow)],
    )


def entry_number(row_number: int) -> int:
    """Return the number of the entry that a row came with."""
    return row_number // PLACES


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Return an entry as bytes.

    Raises:
        UnicodeEncodeError: a text in it is none.
    """
    plain = _encoder.encode(entry)
    return zlib.compress(plain, 1) if len(plain) >= _PACKED_FROM else plain


def decode_entry(content: bytes, *, number: int, server: str) -> Entry:
    """Return the entry of bytes.

    Raises:
        EventsUnavailableError: they are none; the message names the server and the entry's number.
    """
    try:
        if content.startswith(_ZLIB):
            unpacker = zlib.decompressobj()
            content = unpacker.decompress(content, _MOST_BYTES)
        return _decoder.decode(content)
    except (msgspec.MsgspecError, zlib.error, UnicodeDecodeError) as error:
        raise EventsUnavailableError(
            f"{server}: entry {number} is not one of this version ({error}); update this machine, or see who else"
            " writes there"
        ) from error
