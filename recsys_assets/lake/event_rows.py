"""The rows of a raw day: those of the source, and beside them the events by HTTP that the source has not.

A shop sends a purchase as an event at once, and its nightly export has it again: the two are one. They are compared by
user, item, kind and time. The time is compared at the coarser precision of both, since an export may keep times to the
second, to the minute, or the day alone:

- the precision of a side is `day` where all of its times on this day are midnight, `minute` where all have 0 seconds,
  and else `second`;
- two rows with the same user, item, kind and time, cut to the coarser of both, are one event: the row of the source
  stays, which has the source's own columns, and the event is left out, and counted;
- kinds are compared in our words (`kind_of`). A row of a source without kinds is a purchase or a rating.

Two events with different ids are two events, however alike.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

import polars as pl

from recsys_assets import columns
from recsys_assets.lake.values.event_kinds import translations
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.partition_store import PartitionStore

ADDED_KEY: Final = "recsys.events"
"""Key of the number of events by HTTP among a raw day's rows, in its Parquet file's metadata."""
IN_SOURCE_KEY: Final = "recsys.events_in_source"
"""Key of the number of those left out, since the source has them."""
_PRECISIONS: Final = ("1s", "1m", "1d")
"""Units of time, finest first."""
_WITHOUT_KIND: Final = ("purchase", "rating")
"""Kinds of which a row without a kind may be."""


class EventCounts(NamedTuple):
    """The events by HTTP of one day."""

    added: int
    """Rows of the raw day that are events by HTTP."""
    in_source: int
    """Events left out, since the source has them."""


@dataclass(frozen=True, kw_only=True)
class EventRows:
    """Adds the events of `lake/events` to the days of a source, and counts them."""

    store: PartitionStore
    """The table `lake/events`."""
    last_day: date
    """The last day whose rows in the source count."""
    users_now: Mapping[str, str] = field(default_factory=dict)
    """User who was merged -> the one whom the id means now (`last_users`): of both sides, where they are compared."""
    counts: dict[date, EventCounts] = field(default_factory=dict)
    """Day -> its events, once it was joined."""

    def joined(self, days: Iterable[tuple[date, pl.DataFrame]]) -> Iterator[tuple[date, pl.DataFrame]]:
        """Yield each day with its rows of the source, then its events in the order of time."""
        for day, rows in days:
            of_source = rows if day <= self.last_day else rows.clear()
            if self.store.file(day) is None:
                yield day, of_source
                continue
            events = self.store.read(day)
            new_ids = events_not_in(self._known(of_source), self._known(events))[columns.EVENT_ID]
            new = events.filter(pl.col(columns.EVENT_ID).is_in(new_ids.implode()))
            self.counts[day] = EventCounts(new.height, events.height - new.height)
            yield day, pl.concat([of_source, as_rows_of(of_source.schema, new)])

    def _known(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.col(columns.USER_ID).replace(self.users_now)) if self.users_now else rows

    def provenance(self, day: date) -> dict[str, str]:
        """Return the numbers of a joined day's events, for its file; empty without any."""
        counts = self.counts.get(day)
        if counts is None:
            return {}
        return {ADDED_KEY: str(counts.added), IN_SOURCE_KEY: str(counts.in_source)}


def events_of(file: DayFile) -> EventCounts:
    """Return the events by HTTP of a landed raw day."""
    return events_in(file.provenance)


def events_in(found: Mapping[str, str]) -> EventCounts:
    """Return the events by HTTP that the metadata of a raw day's file say."""
    return EventCounts(int(found.get(ADDED_KEY, "0")), int(found.get(IN_SOURCE_KEY, "0")))


def events_not_in(of_source: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the events of a day that the source has not, by the rule on top; their order stays.

    Args:
        of_source: the day's rows in the source, RAW_INTERACTIONS' columns among them.
        events: the day's events, `EVENT_DAY`'s columns.
    """
    if of_source.is_empty() or events.is_empty():
        return events
    unit = max(map(precision_of, (of_source[columns.TIMESTAMP], events[columns.TIMESTAMP])), key=_rank)
    in_source, mine = _keyed(of_source, unit), _keyed(events, unit)
    key = [columns.USER_ID, columns.ITEM_ID, columns.KIND, columns.TIMESTAMP]
    left = mine.join(in_source.drop_nulls(columns.KIND), on=key, how="anti", maintain_order="left")
    without_kind = in_source.filter(pl.col(columns.KIND).is_null())
    same = left.filter(pl.col(columns.KIND).is_in(_WITHOUT_KIND)).join(
        without_kind, on=[name for name in key if name != columns.KIND], how="semi"
    )
    left_ids = left.join(same, on=columns.EVENT_ID, how="anti")[columns.EVENT_ID]
    return events.filter(pl.col(columns.EVENT_ID).is_in(left_ids.implode()))


def precision_of(times: pl.Series) -> str:
    """Return the precision of times, not empty: `1s`, `1m` or `1d`, as polars names them."""
    exact = (unit for unit in reversed(_PRECISIONS) if (times.dt.truncate(unit) == times).all())
    return next(exact, _PRECISIONS[0])


def as_rows_of(schema: pl.Schema, events: pl.DataFrame) -> pl.DataFrame:
    """Return events as rows of a source; the source's own columns are null."""
    return events.select(
        pl.col(name).cast(dtype, strict=False) if name in events.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def _rank(unit: str) -> int:
    return _PRECISIONS.index(unit)


def _keyed(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Return the rows' columns that are compared, with kinds in our words and times cut to the unit."""
    kinds = rows[columns.KIND].str.strip_chars().str.to_lowercase()
    ours = translations(kinds.drop_nulls().unique().to_list())
    known = [columns.EVENT_ID] if columns.EVENT_ID in rows.columns else []
    return rows.select(
        *known,
        columns.USER_ID,
        columns.ITEM_ID,
        kinds.replace(ours).alias(columns.KIND),
        pl.col(columns.TIMESTAMP).dt.truncate(unit),
    )
