"""Our columns found among a table's: by name, if the values agree, and some of them by the values alone."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from recsys_assets import columns as names
from recsys_assets.lake.values.cell_values import decimal_mark, ids, is_missing, numbers, text_of
from recsys_assets.lake.values.column_mapping import OWN
from recsys_assets.lake.values.column_meanings import best_names, may_be
from recsys_assets.lake.values.event_kinds import kind_of
from recsys_assets.lake.values.time_recognition import recognise

REQUIRED: Final = (names.USER_ID, names.ITEM_ID, names.TIMESTAMP)
_ORDER: Final = (
    *REQUIRED, names.ORDER_ID, names.LINE, names.KIND, names.STATUS, names.RATING, names.QUANTITY, names.VALUE,
    names.PRICE, names.TITLE, names.CATEGORY, names.DEPARTMENT, names.BRAND,
)  # fmt: skip
NUMBERS: Final = (names.RATING, names.QUANTITY, names.VALUE, names.PRICE)
"""Our columns that hold numbers."""
_OF_ITEM: Final = (names.TITLE, names.CATEGORY, names.DEPARTMENT, names.BRAND)
_MOST: Final = 0.9
_LIST: Final = "[]"
_ROW_NUMBER: Final = re.compile(
    r"(?i)_?(id|uuid|guid|key|index|idx|row|row_?id|row_?(no|nr|num|number)|nr|no|#|unnamed: 0)"
)
"""Names of a column that numbers the rows, if no value comes again."""
_ROUNDED: Final = r"^\d[.,]\d+E\+\d+$"
_MOST_KINDS: Final = 50
_VALUES_AN_ITEM: Final = 1.5
"""A column that describes items has hardly more values than items; one of users has many."""
_OF_LINE: Final = (*_OF_ITEM, names.LINE, names.QUANTITY, names.VALUE, names.PRICE)
"""Columns of an item and not of its order: where items are in a list, these are read from the same list."""
_ENOUGH_ROWS: Final = 20
_NEARLY_ALL: Final = 0.98
"""Share of distinct values, in enough rows, that shows the number of a row or order: no user or item comes back."""
_RATINGS: Final = (11, 0.0, 10.0)
"""Most distinct values, least and greatest, of a column that is taken for a rating by its values alone."""
_STATUSES: Final = frozenset(
    {
        "paid", "pending", "delivered", "shipped", "completed", "complete", "processing", "cancelled", "canceled",
        "refunded", "fulfilled", "authorized", "voided", "failed", "approved", "invoiced", "created", "unavailable",
        "on-hold", "returned", "open", "closed", "wc-completed", "partially_refunded",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """Our columns found in a table."""

    by_name: dict[str, str] = field(default_factory=dict)
    """Our name -> theirs, where the name says it and the values agree; not those of our own names."""
    by_values: dict[str, str] = field(default_factory=dict)
    """Our name -> theirs, for required columns that no name shows: a proposal."""
    choices: tuple[str, ...] = ()
    """Columns that a required one could be, if it is none of the above."""
    not_read: dict[str, str] = field(default_factory=dict)
    """Our name of an optional column -> a value, where a column of that name holds something else."""
    any_time: bool = False
    """Some column has a name or values of a time."""


def guess(sample: Mapping[str, pl.Series], given: Collection[tuple[str, str]], *, timed: bool) -> Guesses:
    """Find our columns.

    Args:
        sample: each column of theirs and some of its values, in the file's order.
        given: our names and theirs that a person gave.
        timed: false where times are not read.
    """
    wanted = [name for name in _ORDER if timed or name != names.TIMESTAMP]
    mapped = {ours for ours, _ in given}
    own = [name for name in OWN if name in sample and name not in mapped]
    not_read = {
        name: _odd(sample[name]) for name in own if name in NUMBERS and not _agrees(name, sample[name], None)
    }
    used = {theirs for ours, theirs in given if ours in OWN} | set(own)
    by_name: dict[str, str] = {}
    for ours in wanted:
        if ours in mapped or ours in own:
            continue
        item = next(
            (theirs for name, theirs in [*given, *by_name.items()] if name == names.ITEM_ID), names.ITEM_ID
        )
        free = [name for name in best_names(ours, list(sample)) if name not in used]
        free = [name for name in free if _is_beside(ours, name, item)]
        if ours in REQUIRED:  # one of a list, not all of it
            free = [name for name in free if f"{name}{_LIST}" not in sample]
        fitting = [name for name in free if _agrees(ours, sample[name], sample.get(item))]
        if ours == names.ITEM_ID:
            fitting = [name for name in fitting if not _is_line(name, sample)]
        if not fitting and ours == names.ORDER_ID and _LIST in item:
            fitting = [name for name in ("id", "_id") if name in sample and name not in used]
        if fitting:
            by_name[ours] = fitting[0]
            used.add(fitting[0])
    open_ = [name for name in REQUIRED if name in wanted and name not in {*mapped, *own, *by_name}]
    left = {
        name: column for name, column in sample.items() if name not in used and f"{name}{_LIST}" not in sample
    }
    if names.LINE not in {*mapped, *own, *by_name} and (
        line := [name for name in left if _is_line(name, sample)]
    ):
        by_name[names.LINE] = line[0]
        left.pop(line[0])
    when = next(
        (theirs for ours, theirs in [*given, *by_name.items()] if ours == names.TIMESTAMP), names.TIMESTAMP
    )
    by_values = _by_values(open_, left, sample.get(when))
    if names.ITEM_ID in open_ and names.TITLE in by_name:
        by_values.setdefault(names.ITEM_ID, by_name[names.TITLE])
    if all(name.isdecimal() for name in sample):
        by_values |= _without_header({*mapped, *by_values}, left, set(by_values.values()))
    choices = tuple(
        name
        for name in sample
        if name in by_values.values() or (name in left and any(may_be(ours, name) for ours in open_))
    )
    any_time = any(best_names(names.TIMESTAMP, [name]) or _is_time(column) for name, column in left.items())
    return Guesses(
        by_name=by_name, by_values=by_values, choices=choices, not_read=not_read, any_time=any_time
    )


def _by_values(
    open_: Collection[str], left: Mapping[str, pl.Series], when: pl.Series | None
) -> dict[str, str]:
    """Return columns for the required ones that no name shows: the time by its values, then user before item.

    A column that numbers rows or orders is neither.
    """
    found: dict[str, str] = {}
    times = [name for name, column in left.items() if _is_time(column)]
    kinds = [name for name, column in left.items() if _agrees(names.KIND, column, None)]
    if names.TIMESTAMP in open_ and times:
        found[names.TIMESTAMP] = times[0]
    for ours in (names.USER_ID, names.ITEM_ID):
        if ours in open_:
            free = [
                name
                for name, column in left.items()
                if name not in {*times, *kinds, *found.values()} and may_be(ours, name) and _is_id(column)
            ]
            when = left.get(found.get(names.TIMESTAMP, ""), when)
            beside = when if when is not None and all(len(when) == len(left[name]) for name in free) else None
            again = [name for name in free if not _names_rows(left[name], beside)]
            usable = again or [name for name in free if not _ROW_NUMBER.fullmatch(name)]
            found |= {ours: usable[0]} if usable else {}
    return found


def _without_header(ours: set[str], left: Mapping[str, pl.Series], used: set[str]) -> dict[str, str]:
    """Return the kind and the rating among columns without names."""
    rest = {
        name: column for name, column in left.items() if name not in used and not is_missing(column).all()
    }
    kinds = [name for name, column in rest.items() if _agrees(names.KIND, column, None)]
    ratings = [name for name, column in rest.items() if _is_rating(column)]
    found = {names.KIND: kinds, names.RATING: ratings}
    return {name: columns[0] for name, columns in found.items() if columns and name not in ours}


def _is_beside(ours: str, theirs: str, item: str) -> bool:
    """Return false for a field of another list than the item's, and for one of the order where a line is meant."""
    one, other = (name[: name.rfind(_LIST) + len(_LIST)] if _LIST in name else "" for name in (theirs, item))
    in_one = one.startswith(other) or other.startswith(one)
    return in_one and (ours not in _OF_LINE or one.startswith(other))


def _is_line(theirs: str, sample: Mapping[str, pl.Series]) -> bool:
    """Return true for numbers from 1 up that begin again with each order."""
    order = next((sample[name] for name in best_names(names.ORDER_ID, list(sample)) if name != theirs), None)
    column = sample[theirs]
    if order is None or len(order) != len(column):
        return False
    number = numbers(column, pl.Int64, mark=".")
    lengths = ids(order).rle().struct.field("len")
    place = np.arange(len(column)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    fits = (number == pl.Series(place)).fill_null(value=False).mean()
    return bool(fits >= _MOST and lengths.max() > 1)  # type: ignore[operator]


def _names_rows(column: pl.Series, times: pl.Series | None) -> bool:
    """Return true for values that hardly come again, but in rows that follow one another and have one time."""
    pair = pl.DataFrame(
        [ids(column).alias("id"), (column if times is None else text_of(times)).alias("time")]
    )
    known = pair.drop_nulls("id")
    runs = known.with_columns(pl.col("id").rle_id().alias("run")).unique(["run", *known.columns])
    if known["id"].n_unique() < _ENOUGH_ROWS or times is None:
        runs = known
    return runs.height >= _ENOUGH_ROWS and runs["id"].n_unique() >= _NEARLY_ALL * runs.height


def _odd(column: pl.Series) -> str:
    values = numbers(column, pl.Float64, mark=decimal_mark(column)[0] or ".")
    return str(column.filter(~is_missing(column) & values.is_null())[0])


def _agrees(ours: str, column: pl.Series, items: pl.Series | None) -> bool:
    """Return whether values can be what the column's name says."""
    known = column.filter(~is_missing(column))
    if not len(known):
        return ours not in REQUIRED
    if ours == names.TIMESTAMP:
        found = recognise(known)
        return found.format is not None or bool(found.rivals) or found.implausible is not None
    if ours in NUMBERS:
        return _is_number(known)
    if ours in {names.KIND, names.STATUS}:
        words = text_of(known).str.strip_chars().str.to_lowercase().unique().drop_nulls().to_list()
        known_words = [word for word in words if (kind_of(word) if ours == names.KIND else word in _STATUSES)]
        return bool(known_words) and len(words) <= _MOST_KINDS
    if ours in _OF_ITEM and items is not None and len(items) == len(column):
        pairs = pl.DataFrame([ids(items).alias("item"), text_of(column).alias("value")]).drop_nulls()
        return pairs.unique().height <= _VALUES_AN_ITEM * max(1, pairs["item"].n_unique())
    return True


def _is_number(known: pl.Series) -> bool:
    mark = decimal_mark(known)[0] or "."
    return numbers(known, pl.Float64, mark=mark).count() >= _MOST * len(known)


def _is_time(column: pl.Series) -> bool:
    found = recognise(column)
    if found.format is None:
        return bool(found.rivals)
    return found.format.name != "excel"


def _is_id(column: pl.Series) -> bool:
    """Return true of text and whole numbers."""
    if column.dtype.is_float() and not (column.drop_nulls().round() == column.drop_nulls()).all():
        return False
    known = ids(column).drop_nulls()
    return len(known) > 0 and not known.str.contains(r"^-?\d+[.,]\d+$").all()


def _is_rating(column: pl.Series) -> bool:
    most, least, greatest = _RATINGS
    known = column.filter(~is_missing(column))
    values = numbers(known, pl.Float64, mark=decimal_mark(known)[0] or ".")
    few = 1 < values.n_unique() <= min(most, max(2, len(known) // 2))
    return few and values.null_count() == 0 and bool(values.is_between(least, greatest).all())


def odd_ids(ours: str, column: pl.Series) -> list[str]:
    """Return sentences about ids that may have lost something before they came here, or that differ by case alone.

    Args:
        ours: our name of the column.
        column: ids in their one form.
    """
    known, notes = column.drop_nulls().unique(maintain_order=True), []
    rounded = known.filter(known.str.contains(_ROUNDED))
    if len(rounded):
        notes.append(
            f"{ours} {rounded[0]!r} was rounded by a spreadsheet, so several ids may be one: export the column as text"
        )
    addresses = known.filter(known.str.contains("@", literal=True))
    lower = addresses.str.to_lowercase()
    twice = addresses.filter(lower.is_duplicated())
    if len(twice):
        notes.append(
            f"{len(twice)} values of {ours} differ by upper and lower case alone and stay apart, such as {twice[0]!r}"
        )
    return notes
