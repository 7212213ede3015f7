"""Which rows of a day made a drift check alarm, and what its histogram bins are called."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import keys_of
from recsys_assets.drift.day_profile import BINS_PER_OCTAVE, bin_edges, log_bins
from recsys_assets.drift.scores import Score
from recsys_assets.drift.seen_before import Memory

_NULLS: Final = {
    "null_users": columns.USER_ID,
    "null_items": columns.ITEM_ID,
    "null_ratings": columns.RATING,
    "null_quantities": columns.QUANTITY,
    "null_values": columns.VALUE,
}
_NUMBERS: Final = {
    "rating": pl.col(columns.RATING),
    "value": pl.col(columns.VALUE),
    "quantity": pl.col(columns.QUANTITY),
    "price": pl.col(columns.VALUE) / pl.col(columns.QUANTITY),
}
_FILTERS: Final = {
    "quantities_not_positive": pl.col(columns.QUANTITY) <= 0,
    "negative_values": pl.col(columns.VALUE) < 0,
    "duplicate_rows": ~pl.struct(
        columns.USER_ID, columns.ITEM_ID, columns.TIMESTAMP, columns.RATING, columns.QUANTITY, columns.VALUE
    ).is_first_distinct(),
}
_TOP: Final = {"top_user_rows": columns.USER_ID, "top_item_rows": columns.ITEM_ID}


def rows_behind(name: str, score: Score, frame: pl.DataFrame, *, day: date, memory: Memory) -> pl.DataFrame:
    """The rows of `frame` that the check `name` (without prefix) alarms about; none for what is fewer."""
    if name in _TOP:
        counts = frame[_TOP[name]].drop_nulls().value_counts(sort=True)
        return frame.filter(pl.col(_TOP[name]) == counts.item(0, 0)) if counts.height else frame.clear()
    if score.where is not None:
        return frame.clear() if score.surplus is None else _rows_in_bin(name, score.surplus, frame, memory)
    if score.found <= score.expected:
        return frame.clear()
    filters = {
        **_FILTERS,
        **{share: pl.col(column).is_null() for share, column in _NULLS.items()},
        "rows_outside_day": (pl.col(columns.TIMESTAMP).dt.date() != day).fill_null(value=True),
    }
    if name in filters:
        return frame.filter(filters[name])
    strangers = memory.strangers(name, frame, day=day)
    return frame.filter(strangers) if strangers is not None else frame.clear()


def bin_name(check: str, where: int, categories: Mapping[str, Sequence[str]]) -> str:
    """What a person calls the bin `where` of the histogram behind `check`."""
    histogram = check.removesuffix("_shape").removesuffix("_mix")
    if histogram == "hour":
        return f"hour {where:02d}"
    if histogram in categories:
        names = categories[histogram]
        return f"{histogram} {names[where] if where < len(names) else 'other'}"
    low, high = bin_edges(where, per_octave=BINS_PER_OCTAVE[histogram])
    return f"{histogram} {low:.3g}" if low == high else f"{histogram} {low:.3g} to {high:.3g}"


def _rows_in_bin(check: str, where: int, frame: pl.DataFrame, memory: Memory) -> pl.DataFrame:
    histogram = check.removesuffix("_shape").removesuffix("_mix")
    if histogram == "hour":
        return frame.filter(pl.col(columns.TIMESTAMP).dt.hour() == where)
    if histogram not in _NUMBERS:
        if memory.categories is None:
            return frame.clear()
        keys = frame.select(keys_of(pl.col(columns.ITEM_ID))).to_series().to_numpy()
        return frame.filter(memory.categories.are(histogram, where, keys))
    numbers = (
        frame.select(_NUMBERS[histogram].cast(pl.Float64).fill_null(float("nan"))).to_series().to_numpy()
    )
    finite = np.isfinite(numbers)
    bins = np.full(len(numbers), np.iinfo(np.int64).min)
    bins[finite] = log_bins(numbers[finite], per_octave=BINS_PER_OCTAVE[histogram])
    return frame.filter(pl.Series(bins == where))
