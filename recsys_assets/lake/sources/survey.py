"""One reading of a source from end to end: its rows a day, its scale of ratings, and its kinds of events."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.lake.sources.date_range import RowsByDay

_STRAY: Final = 1_000
"""One rating in this many may lie beyond the end of the scale: the share of a log's rows that broken dates have at
most, too. So a 99 for "not rated" widens no scale of five stars."""
_MOST_RATINGS: Final = 10_000
"""Distinct ratings that are kept exactly; of more, three digits are."""
_DIGITS: Final = 3
_MOST_KINDS: Final = 1_000
"""Distinct kinds that are counted; of more, the most frequent so far are."""


@dataclass(frozen=True, kw_only=True)
class RatingScale:
    """The ratings that occur, and how often."""

    values: tuple[float, ...]
    """The finite ratings, ascending."""
    events: tuple[int, ...]
    """Events of each, > 0."""

    @property
    def total(self) -> int:
        """The rated events."""
        return sum(self.events)

    def ends(self) -> tuple[float, float] | None:
        """Return the least and the greatest rating, without a few strays beyond; None where there is none."""
        if not self.values:
            return None
        upwards = np.cumsum(self.events)
        few = self.total / _STRAY
        low = int(np.argmax(upwards > few))
        high = int(np.flatnonzero(self.total - np.concatenate([[0], upwards[:-1]]) > few)[-1])
        return self.values[low], self.values[high]

    def positive(self) -> float | None:
        """Return the least rating above the middle of the scale; None where a single rating or none occurs."""
        ends = self.ends()
        if ends is None or ends[0] == ends[1]:
            return None
        middle = (ends[0] + ends[1]) / 2
        return next(value for value in self.values if value > middle)

    def events_from(self, least: float) -> int:
        """Return the events rated at least `least`."""
        return sum(n for value, n in zip(self.values, self.events, strict=True) if value >= least)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Counts of all events of a source."""

    rows: RowsByDay
    """Events by UTC day."""
    ratings: RatingScale
    """Events by rating."""
    kinds: dict[str, int]
    """Kind, stripped and in lower case -> its events, most frequent first."""

    @classmethod
    def of(cls, batches: Iterable[pl.DataFrame]) -> Self:
        """Count the events of batches with RAW_INTERACTIONS' columns."""
        days = [pl.DataFrame(schema={"day": pl.Date, "rows": pl.UInt32})]
        ratings = pl.DataFrame(schema={columns.RATING: pl.Float32, "len": pl.UInt32})
        kinds = pl.DataFrame(schema={columns.KIND: pl.String, "len": pl.UInt32})
        for batch in batches:
            of_day = batch.select(pl.col(columns.TIMESTAMP).dt.date().alias("day"))
            days.append(of_day.group_by("day").agg(pl.len().alias("rows")).drop_nulls())
            rating, kind = batch[columns.RATING], batch[columns.KIND]
            if rating.null_count() < batch.height:
                ratings = _added(ratings, rating.filter(rating.is_finite()))
                if ratings.height > _MOST_RATINGS:
                    rounded = ratings.with_columns(pl.col(columns.RATING).round_sig_figs(_DIGITS))
                    ratings = rounded.group_by(columns.RATING).agg(pl.col("len").sum())
            if kind.null_count() < batch.height:
                lower = kind.str.strip_chars().str.to_lowercase()
                kinds = _added(kinds, lower.filter(lower != "")).top_k(_MOST_KINDS, by="len")
        scale = ratings.sort(columns.RATING)
        named = kinds.sort("len", columns.KIND, descending=[True, False])
        return cls(
            rows=RowsByDay.from_frame(pl.concat(days)),
            ratings=RatingScale(
                values=tuple(_shortest(value) for value in scale[columns.RATING].to_numpy()),
                events=tuple(scale["len"].to_list()),
            ),
            kinds=dict(named.iter_rows()),
        )


def _added(counts: pl.DataFrame, values: pl.Series) -> pl.DataFrame:
    """Return value -> `len` with the values counted in."""
    (name, _) = counts.columns
    of_batch = values.to_frame().group_by(name).len()
    return pl.concat([counts, of_batch]).group_by(name).agg(pl.col("len").sum())


def _shortest(value: np.float32) -> float:
    """Return the decimal number that a person would write for a float32: 0.7 instead of 0.699999988."""
    return float(str(value))
