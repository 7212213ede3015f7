"""`lake/events`: the events that came from the intake, one file a UTC day of the event, each event once.

The files are the truth. The note of the last row taken from the intake only saves reading it again: where the note is
behind, after a kill, the same rows are taken a second time and change nothing.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from recsys_assets import columns
from recsys_assets.intake.events_of_home import prune_landed
from recsys_assets.intake.rows import EventRow
from recsys_assets.intake.stored_events import read_events
from recsys_assets.lake.day_content import EventDay
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.storage.arrays import EPOCH
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.partition_store import PartitionStore

EVENT_DAY: Final = pl.Schema(
    {
        columns.EVENT_ID: pl.String(),
        columns.USER_ID: pl.String(),
        columns.ITEM_ID: pl.String(),
        columns.KIND: pl.String(),
        columns.TIMESTAMP: UTC_MICROSECONDS,
        columns.RECEIVED_AT: UTC_MICROSECONDS,
        columns.RATING: pl.Float64(),
        columns.QUANTITY: pl.Float64(),
        columns.VALUE: pl.Float64(),
        columns.ANSWER_ID: pl.String(),
    }
)
"""Columns of a day's file: those of `EventRow`, with times in UTC."""
_AS_ROWS: Final = pl.Schema(
    (name, pl.Int64() if name in (columns.TIMESTAMP, columns.RECEIVED_AT) else dtype)
    for name, dtype in zip(EventRow._fields, EVENT_DAY.dtypes(), strict=True)
)
"""The same with times as numbers, as the intake has them."""
CONTENT_NOTE: Final = "recsys.event_ids"
"""Key of the content of a day's file in its metadata: number and hash of its events' ids, as they were taken. It stays
where rows of forgotten users are taken out, so that the day need not land again."""
_DIGITS: Final = 16
_TAKEN: Final = ".taken.json"
"""Note of the last row taken, in the table's folder."""
_ROWS_AT_ONCE: Final = 100_000
_DAY_US: Final = 86_400_000_000


@dataclass(kw_only=True)
class TakenEvents:
    """Events that were taken into `lake/events`."""

    days: dict[date, int] = field(default_factory=dict)
    """Day -> events that are new in its file."""

    @property
    def rows(self) -> int:
        """The new events of all days."""
        return sum(self.days.values())


class _Taken(msgspec.Struct, frozen=True):
    seq: int
    """Every row of the intake up to this number is in the lake."""


def event_store(home: Home) -> PartitionStore:
    """Return the table `lake/events` of a home."""
    return PartitionStore(root=home.event_days, schema=EVENT_DAY, note=_note_of_ids)


def event_days(home: Home, *, today: date | None = None) -> dict[date, EventDay]:
    """Return the days that have events by HTTP, oldest first.

    Args:
        home: the home.
        today: the day that is not over, UTC, as later ones; None reads the clock.
    """
    if not home.event_days.exists():
        return {}
    today = today or datetime.now(UTC).date()
    return {
        day: EventDay(
            rows=file.rows,
            content=file.provenance.get(CONTENT_NOTE, f"{file.rows}:{file.content}"),
            is_open=day >= today,
        )
        for day, file in event_store(home).files().items()
        if file.rows
    }


def taken_note(home: Home) -> Path:
    """Return the path of the note of the last row taken."""
    return home.event_days / _TAKEN


def taken_through(home: Home) -> int:
    """Return the greatest number of the intake's rows up to which all are in `lake/events`; 0 for none.

    A note that cannot be read counts as none: all rows are taken again, and change nothing.
    """
    try:
        return msgspec.json.decode(taken_note(home).read_bytes(), type=_Taken).seq
    except (OSError, msgspec.MsgspecError):
        return 0


def take_events(home: Home, *, through: date) -> TakenEvents:
    """Take the intake's newer events into the files of their days, each event once by its id.

    A kill at any moment loses and doubles nothing: a day's file is replaced as one thing, and the intake's rows stay
    until `prune_events`.

    Args:
        home: the home.
        through: the last day to take; events of later days wait in the intake.

    Raises:
        EventsUnavailableError: the intake cannot be read.
    """
    if not home.events_db.exists():
        return TakenEvents()
    with locked(home.lock("events")):
        store, taken = event_store(home), TakenEvents()
        after = last = taken_through(home)
        end, waits = (through - EPOCH + timedelta(days=1)).days * _DAY_US, 0
        for batch in _batches(read_events(home.events_db, after_seq=after)):
            last = batch[-1][0]
            waits = waits or next((seq for seq, row in batch if row.timestamp >= end), 0)
            merge_events(store, [row for _, row in batch if row.timestamp < end], taken)
        store.settle()
        now = waits - 1 if waits else last
        if now != after:
            replace_file(taken_note(home), msgspec.json.encode(_Taken(now)))
        return taken


def merge_events(store: PartitionStore, rows: Iterable[EventRow], taken: TakenEvents) -> None:
    """Merge events into the files of their days, and count the new ones in `taken`; `store.settle` makes it durable.

    Of events of one id the one that is in the file stays. A file whose events are all there is not written. Rows are
    in the order of time and id, so that the file does not depend on the order of arrival.
    """
    frame = pl.DataFrame(list(rows), schema=_AS_ROWS, orient="row").cast(EVENT_DAY)
    by_day = frame.with_columns(pl.col(columns.TIMESTAMP).dt.date().alias(columns.PARTITION))
    for (day,), events in by_day.partition_by(columns.PARTITION, as_dict=True, include_key=False).items():
        _merge_day(store, day, events, taken)


def prune_events(home: Home, *, landed: Callable[[date], bool], received_before: datetime) -> int:
    """Remove events from the intake that have landed, and return their number.

    Args:
        home: the home.
        landed: whether a day's raw file holds all of its events. From the first day on that it does not, events stay.
        received_before: remove those that arrived earlier only.

    Raises:
        EventsUnavailableError: the intake cannot be written.
    """
    through = taken_through(home)
    if not home.events_db.exists() or not through:
        return 0
    waiting = next((day for day in event_store(home).days() if not landed(day)), None)
    return prune_landed(
        home,
        "events",
        landed_through=through,
        received_before=received_before,
        stamped_before=None if waiting is None else (waiting - EPOCH).days * _DAY_US,
    )


def _note_of_ids(frame: pl.DataFrame) -> dict[str, str]:
    digest = hashlib.sha256("\n".join(frame[columns.EVENT_ID].sort()).encode()).hexdigest()
    return {CONTENT_NOTE: f"{frame.height}:{digest[:_DIGITS]}"}


def _batches(rows: Iterator[tuple[int, EventRow]]) -> Iterator[list[tuple[int, EventRow]]]:
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        yield batch


def _merge_day(store: PartitionStore, day: date, events: pl.DataFrame, taken: TakenEvents) -> None:
    known = store.file(day)
    before = EVENT_DAY.to_frame() if known is None else store.read(day)
    merged = pl.concat([before, events]).unique(columns.EVENT_ID, keep="first", maintain_order=True)
    if merged.height > before.height:
        store.write(day, merged.sort(columns.TIMESTAMP, columns.EVENT_ID))
        taken.days[day] = taken.days.get(day, 0) + merged.height - before.height
