"""Faults that leave most of a day as it was: hours without rows, ids that collapse, missing regulars, repeated rows.

As in `faults`, each is a small pure function, and one that cannot happen to a day returns it unchanged.
"""

from typing import Any, Final

import polars as pl

from recsys_assets import columns
from recsys_assets.benchmarks.faults import HOUR_US, Delivery, Fault, random_rows, with_timestamps


def ends_at_14(delivery: Delivery) -> pl.DataFrame:
    """The export ran at 14:00: the rows after it are missing."""
    return _until(delivery, hour=14)


def ends_at_19(delivery: Delivery) -> pl.DataFrame:
    """The export ran at 19:00: the rows after it are missing."""
    return _until(delivery, hour=19)


def hours_missing(delivery: Delivery) -> pl.DataFrame:
    """Four hours in the middle of the day's events are missing."""
    middle = _hour().median().cast(pl.Int64)
    return delivery.day.filter(~_hour().is_between(middle - 2, middle + 1))


def busiest_hour_missing(delivery: Delivery) -> pl.DataFrame:
    """The hour that has most rows in four weeks is missing."""
    hours = delivery.earlier.select(_hour().alias("hour"))["hour"]
    return delivery.day.filter(_hour() != _most_frequent(hours, 1)[0])


def users_merged(delivery: Delivery) -> pl.DataFrame:
    """Three users of twenty have the id of one of them."""
    users = _users(delivery.day)
    merged = users.sample(fraction=0.15, seed=int(delivery.rng.integers(2**31)))
    return _renamed(delivery.day, dict.fromkeys(merged.to_list(), merged[0])) if len(merged) else delivery.day


def users_paired(delivery: Delivery) -> pl.DataFrame:
    """Every second user has the id of another one."""
    users = delivery.rng.permutation(_users(delivery.day).to_numpy())
    half = len(users) // 2
    return _renamed(delivery.day, dict(zip(users[:half], users[half : 2 * half], strict=True)))


def user_ids_cut(delivery: Delivery) -> pl.DataFrame:
    """The last quarter of the longest user ids is cut off: users of one beginning become one."""
    longest = delivery.day[columns.USER_ID].str.len_chars().max()
    return delivery.day.with_columns(pl.col(columns.USER_ID).str.slice(0, 3 * int(str(longest or 4)) // 4))


def guests_merged(delivery: Delivery) -> pl.DataFrame:
    """Everyone who was not there in the week before has the id of one user who was."""
    newest = delivery.earlier[columns.TIMESTAMP].max()
    week = delivery.earlier.filter(pl.col(columns.TIMESTAMP) > newest - pl.duration(days=7))
    known = week[columns.USER_ID].unique()
    users = _users(delivery.day)
    guests, others = users.filter(~users.is_in(known.implode())), users.filter(users.is_in(known.implode()))
    return _renamed(delivery.day, dict.fromkeys(guests.to_list(), others[0])) if len(others) else delivery.day


def bestsellers_missing(delivery: Delivery) -> pl.DataFrame:
    """The day's ten bestsellers are missing."""
    return _without(delivery.day, columns.ITEM_ID, _most_frequent(delivery.day[columns.ITEM_ID], 10))


def usual_bestsellers_missing(delivery: Delivery) -> pl.DataFrame:
    """The ten bestsellers of the last four weeks are missing."""
    return _without(delivery.day, columns.ITEM_ID, _most_frequent(delivery.earlier[columns.ITEM_ID], 10))


def regular_users_missing(delivery: Delivery) -> pl.DataFrame:
    """The hundred users who came on most days of the last four weeks are missing."""
    came = delivery.earlier.select(columns.USER_ID, pl.col(columns.TIMESTAMP).dt.date()).unique()
    return _without(delivery.day, columns.USER_ID, _most_frequent(came[columns.USER_ID], 100))


def rows_twice(delivery: Delivery) -> pl.DataFrame:
    """One row in twenty came twice."""
    return pl.concat([delivery.day, delivery.day.filter(random_rows(delivery, 0.05))])


def block_twice(delivery: Delivery) -> pl.DataFrame:
    """A stretch of a twentieth of the rows came twice."""
    rows = delivery.day.height // 20
    start = int(delivery.rng.integers(delivery.day.height - rows + 1))
    return pl.concat([delivery.day, delivery.day[start : start + rows]])


def half_at_midnight(delivery: Delivery) -> pl.DataFrame:
    """Half of the rows lost their time of day."""
    return _at_hour(delivery, 0, share=0.5)


def third_at_noon(delivery: Delivery) -> pl.DataFrame:
    """A third of the rows have noon for their time of day."""
    return _at_hour(delivery, 12, share=1 / 3)


PARTIAL_FAULTS: Final[dict[str, Fault]] = {
    fault.__name__: fault
    for fault in (
        ends_at_14,
        ends_at_19,
        hours_missing,
        busiest_hour_missing,
        users_merged,
        users_paired,
        user_ids_cut,
        guests_merged,
        bestsellers_missing,
        usual_bestsellers_missing,
        regular_users_missing,
        rows_twice,
        block_twice,
        half_at_midnight,
        third_at_noon,
    )
}
"""Name -> fault."""


def _hour() -> pl.Expr:
    return pl.col(columns.TIMESTAMP).dt.hour()


def _until(delivery: Delivery, *, hour: int) -> pl.DataFrame:
    return delivery.day.filter(_hour() < hour)


def _at_hour(delivery: Delivery, hour: int, *, share: float) -> pl.DataFrame:
    at = pl.col(columns.TIMESTAMP).dt.truncate("1d").to_physical() + hour * HOUR_US
    moved = pl.when(random_rows(delivery, share)).then(at).otherwise(pl.col(columns.TIMESTAMP).to_physical())
    return with_timestamps(delivery.day, moved)


def _users(day: pl.DataFrame) -> pl.Series:
    return day[columns.USER_ID].drop_nulls().unique().sort()


def _renamed(day: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    return day.with_columns(pl.col(columns.USER_ID).replace(names)) if names else day


def _most_frequent(ids: pl.Series, count: int) -> list[Any]:
    frequent = ids.drop_nulls().value_counts().sort(["count", ids.name], descending=[True, False])
    return frequent[ids.name].head(count).to_list()


def _without(day: pl.DataFrame, column: str, gone: list[Any]) -> pl.DataFrame:
    return day.filter(~pl.col(column).is_in(gone).fill_null(value=False))
