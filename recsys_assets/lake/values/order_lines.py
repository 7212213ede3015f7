"""The lines of one order: what only the first line of an order says is filled down to the others.

Exports of shop systems write the customer, the time and the status of an order once, in its first line, and leave
them empty in the lines below. A value is filled down only from a line above it with the same order id, without
another order in between.
"""

from typing import Final

import polars as pl

from recsys_assets import columns

FILLED: Final = (columns.USER_ID, columns.TIMESTAMP, columns.STATUS, columns.KIND)
"""Our columns that belong to an order as a whole."""


class OrderLines:
    """The orders of one file, seen so far; a chunk may end in the middle of an order."""

    def __init__(self) -> None:
        """Begin a file."""
        self._last: pl.DataFrame | None = None

    def filled(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the events with the empty values of an order's later lines filled.

        Args:
            events: consecutive rows of the file with an `order_id`, in order; every row, those to be rejected too.
        """
        order = columns.ORDER_ID
        carried = [name for name in FILLED if name in events.columns]
        empty = [
            pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)).alias(name)
            for name in carried
            if events.schema[name] == pl.String
        ]
        rows = events.select(order, *carried).with_columns(empty)
        start = 0
        if self._last is not None:
            rows, start = pl.concat([self._last, rows]), 1
        run = pl.col(order).rle_id()
        place = pl.int_range(pl.len())
        above = [
            pl.when(pl.col(name).is_not_null()).then(place).forward_fill().alias(f"{name} above")
            for name in carried
        ]
        found = rows.with_columns(run.alias("run"), *above)
        values = [
            pl.when(
                pl.col("run").gather(pl.col(f"{name} above")) == pl.col("run"), pl.col(order).is_not_null()
            )
            .then(pl.col(name).gather(pl.col(f"{name} above")))
            .otherwise(pl.col(name))
            .alias(name)
            for name in carried
        ]
        filled = found.select(order, *values)
        self._last = filled.tail(1)
        return events.with_columns(filled[name][start:] for name in carried)
