"""Days of a source as events by HTTP: each row with an id of its own, the same whenever the day is played."""

import hashlib
from collections import Counter
from datetime import datetime
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.rows import EventRow

_PREFIX: Final = "stream-"
_ID_LENGTH: Final = 32
_SEPARATOR: Final = "\x1f"
_COLUMNS: Final = (
    columns.USER_ID,
    columns.ITEM_ID,
    columns.KIND,
    columns.TIMESTAMP,
    columns.RATING,
    columns.QUANTITY,
    columns.VALUE,
)


def events_of_rows(frame: pl.DataFrame, *, received_at: datetime) -> list[EventRow]:
    """Return the rows of a day as events, in their order; rows without a user or an item are left out.

    An id is a hash of all that the row says, and of its place among rows alike, so that a day that is played twice has
    the same ids. A row without a kind is a rating where it has one, else a purchase.

    Args:
        frame: rows with RAW_INTERACTIONS' columns.
        received_at: the time of arrival, UTC.
    """
    given = frame.select(_COLUMNS).drop_nulls([columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP])
    rows = given.with_columns(
        pl.col(columns.KIND)
        .str.strip_chars()
        .str.to_lowercase()
        .fill_null(
            pl.when(pl.col(columns.RATING).is_null()).then(pl.lit("purchase")).otherwise(pl.lit("rating"))
        ),
        pl.col(columns.TIMESTAMP).to_physical(),
        pl.col(columns.RATING, columns.QUANTITY).cast(pl.Float64),
    )
    arrived, alike, events = microseconds(received_at), Counter[str](), list[EventRow]()
    for user_id, item_id, kind, timestamp, rating, quantity, value in rows.iter_rows():
        said = (user_id, item_id, kind, timestamp, rating, quantity, value)
        text = _SEPARATOR.join(map(str, said))
        alike[text] += 1
        digest = hashlib.sha256(f"{text}{_SEPARATOR}{alike[text]}".encode()).hexdigest()
        events.append(
            EventRow(
                event_id=f"{_PREFIX}{digest[:_ID_LENGTH]}",
                user_id=user_id,
                item_id=item_id,
                kind=kind,
                timestamp=timestamp,
                received_at=arrived,
                rating=rating,
                quantity=quantity,
                value=value,
            )
        )
    return events
