"""The sentence and the rows behind an alarm of drift."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns
from recsys_assets.drift.day_events import TOP_ITEMS, DayEvents, is_untrimmed
from recsys_assets.drift.day_profile import BINS_PER_OCTAVE, COUNTS, SHARES, bin_edges, log_bins
from recsys_assets.drift.day_scores import DayScores
from recsys_assets.drift.distinct_keys import keys_of
from recsys_assets.drift.scores import Score
from recsys_assets.drift.seen_before import SeenBefore
from recsys_assets.storage.arrays import Bools

_NULLS: Final = {
    "null_users": columns.USER_ID,
    "null_items": columns.ITEM_ID,
    "null_ratings": columns.RATING,
    "null_quantities": columns.QUANTITY,
    "null_values": columns.VALUE,
}
_BLANKS: Final = {"untrimmed_user_ids": columns.USER_ID, "untrimmed_item_ids": columns.ITEM_ID}
_NUMBERS: Final = {
    "rating": pl.col(columns.RATING),
    "value": pl.col(columns.VALUE),
    "quantity": pl.col(columns.QUANTITY),
    "price": pl.col(columns.VALUE) / pl.col(columns.QUANTITY),
}
_FILTERS: Final = {
    **{share: pl.col(column).is_null() for share, column in _NULLS.items()},
    "quantities_not_positive": pl.col(columns.QUANTITY) <= 0,
    "negative_values": pl.col(columns.VALUE) < 0,
    **{share: is_untrimmed(pl.col(column)) for share, column in _BLANKS.items()},
    "numbers_not_finite": pl.any_horizontal(
        ~pl.col(columns.RATING, columns.QUANTITY, columns.VALUE).is_finite()
    ),
}


def describe(name: str, scored: DayScores, *, categories: Mapping[str, Sequence[str]]) -> str:
    """Return one sentence on the score `name`: the value found and the expected one.

    Args:
        name: one of `scored.scores`.
        scored: the day.
        categories: `department`, `category` -> names by number.
    """
    score = scored.scores[name]
    title = name.replace("_", " ")
    if name in COUNTS:
        return f"{title}: {score.found:,.0f}, about {score.expected:,.0f} expected"
    if name in SHARES:
        return f"{title}: {score.found:.2%}, about {score.expected:.2%} expected"
    if name.startswith("mean_"):
        return f"{title.replace('mean log', 'typical')}: {_typical(name, score)}"
    if name == "missing_hours":
        hours = f"hours {score.where:02d} to {score.until:02d} have"
        return f"{title}: {hours} {score.found:.2%} of the visits, about {score.expected:.2%} expected"
    typical = f"mean_log_{name.removesuffix('_shape')}"
    mostly = f" (typically {_typical(typical, scored.scores[typical])})" if typical in scored.alarming else ""
    label = "" if score.where is None else _bin_label(name, score.where, categories)
    events = "visits" if name == "hour_shape" else "rows"
    return (
        f"{title}: {score.affected:.0%} of the {events} lie elsewhere than usual{mostly}; "
        f"{label} has {score.found:.2%} instead of {score.expected:.2%}"
    )


def rows_behind(name: str, score: Score, events: DayEvents, *, day: date, seen: SeenBefore) -> pl.DataFrame:
    """Return the rows of `events` that the score `name` alarms about; none where rows are missing."""
    frame = events.frame
    if score.where is not None:
        return frame.clear() if score.surplus is None else _rows_in_bin(name, score.surplus, frame, seen)
    if score.found <= score.expected:
        return frame.clear()
    if name == "rows_outside_day":
        return frame.filter((pl.col(columns.TIMESTAMP).dt.date() != day).fill_null(value=True))
    if name in _FILTERS:
        return frame.filter(_FILTERS[name])
    mask = _mask(name, events)
    if mask is None:
        mask = seen.mask_of(name, events, day=day)
    return frame.filter(mask) if mask is not None else frame.clear()


def _mask(name: str, events: DayEvents) -> Bools | None:
    """Mark the rows that count for a share of the day alone; None for another score."""
    users, items, visits = events.users, events.items, events.visits
    if name == "top_user_rows":
        return users.rows_of(users.rows == users.rows.max(initial=0))
    if name == "top_items_rows":
        return items.rows_of(np.argsort(np.argsort(-items.rows, kind="stable")) < TOP_ITEMS)
    if name in {"duplicate_rows", "visits_with_duplicates"}:
        repeated = np.ones(events.frame.height, dtype=bool)
        repeated[events.content.first] = False
        return repeated
    if name in {"top_user_visits", "repeat_visits"}:
        visitor = users.codes[visits.first]
        made = np.bincount(visitor[visitor >= 0], minlength=len(users.keys))
        return users.rows_of(made == made.max(initial=0) if name == "top_user_visits" else made > 1)
    return None


def _typical(name: str, score: Score) -> str:
    """Return the mean found and expected; of logarithms the geometric mean, in the unit of the column."""
    found, expected = (np.exp(value) if "_log_" in name else value for value in (score.found, score.expected))
    return f"{_short(found)}, about {_short(expected)} expected"


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"  # noqa: PLR2004  no exponent


def _bin_label(name: str, where: int, categories: Mapping[str, Sequence[str]]) -> str:
    histogram = _histogram_of(name)
    if histogram == "hour":
        return f"hour {where:02d}"
    if histogram in categories:
        names = categories[histogram]
        return f"{histogram} {names[where] if where < len(names) else 'other'}"
    low, high = bin_edges(where, per_octave=BINS_PER_OCTAVE[histogram])
    return f"{histogram} {low:.3g}" if low == high else f"{histogram} {low:.3g} to {high:.3g}"


def _rows_in_bin(name: str, where: int, frame: pl.DataFrame, seen: SeenBefore) -> pl.DataFrame:
    histogram = _histogram_of(name)
    if histogram == "hour":
        return frame.filter(pl.col(columns.TIMESTAMP).dt.hour() == where)
    if histogram not in _NUMBERS:
        if seen.categories is None:
            return frame.clear()
        keys = frame.select(keys_of(pl.col(columns.ITEM_ID))).to_series().to_numpy()
        return frame.filter(seen.categories.has_category(histogram, where, keys))
    numbers = (
        frame.select(_NUMBERS[histogram].cast(pl.Float64).fill_null(float("nan"))).to_series().to_numpy()
    )
    finite = np.isfinite(numbers)
    bins = np.full(len(numbers), np.iinfo(np.int64).min)
    bins[finite] = log_bins(numbers[finite], per_octave=BINS_PER_OCTAVE[histogram])
    return frame.filter(pl.Series(bins == where))


def _histogram_of(name: str) -> str:
    return name.removesuffix("_shape").removesuffix("_mix")
