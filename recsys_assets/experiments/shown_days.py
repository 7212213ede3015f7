"""Days of the lake as answers with what came of them: impressions joined with the events that count for them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from recsys_assets.columns import ITEM_ID, KIND, TIMESTAMP, USER_ID, VALUE
from recsys_assets.experiments.attribution import (
    ANSWER_ID,
    DAY,
    GROUPS,
    answers_shown,
    attribute,
    items_shown,
)
from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.intake.merged_users import last_users, stored_merges
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.event_days import event_store
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

DAYS_AT_ONCE: Final = 7
"""Most days that are in memory together, beside those of the window after them."""
_EVENT: Final = (USER_ID, ITEM_ID, KIND, TIMESTAMP)
_SECOND: Final = "second"


@dataclass(frozen=True, kw_only=True)
class ShownDays:
    """The answers that were shown first on some days."""

    days: Sequence[date]
    """The days, oldest first."""
    answers: pl.DataFrame
    """As `answers_shown` returns them."""
    items: pl.DataFrame
    """As `items_shown` returns them, with the columns `GROUPS`."""
    named: int
    """Events on these days that name an answer."""
    named_unshown: int
    """Those of them whose answer never showed the item."""


def days_around(first: date, last: date, *, attribution_days: float) -> tuple[date, date]:
    """Return the first and last day whose rows the answers of `first` to `last` depend on."""
    after = math.ceil(attribution_days) + 1
    return first - timedelta(days=1), last + timedelta(days=after)


def shown_days(home: Home, days: Sequence[date], *, attribution_days: float) -> Iterator[ShownDays]:
    """Yield the answers of days, in stretches of at most `DAYS_AT_ONCE`.

    Args:
        home: the home.
        days: days with impressions, oldest first.
        attribution_days: the window, days.
    """
    left = list(days)
    while left:
        last = left[0] + timedelta(days=DAYS_AT_ONCE - 1)
        chunk = [day for day in left if day <= last]
        left = left[len(chunk) :]
        yield _shown(home, chunk, attribution_days=attribution_days)


def _shown(home: Home, days: Sequence[date], *, attribution_days: float) -> ShownDays:
    span = days_around(days[0], days[-1], attribution_days=attribution_days)
    impressions = _by_newest_users(_rows(impression_store(home), *span), home)
    events = events_with_answers(home, *span)
    attributed = attribute(impressions, events, window=timedelta(days=attribution_days))
    answers = answers_shown(impressions, attributed).filter(pl.col(DAY).is_in(list(days)))
    named = events.filter(pl.col(ANSWER_ID).is_not_null(), pl.col(TIMESTAMP).dt.date().is_in(list(days)))
    first = days[0] - timedelta(days=math.ceil(attribution_days) + 1)
    earlier = impression_store(home).scan(_days(impression_store(home), first, span[0]))
    unshown = named.lazy()
    for shown in (earlier, impressions.lazy()):
        unshown = unshown.join(shown.select(ANSWER_ID, ITEM_ID), on=[ANSWER_ID, ITEM_ID], how="anti")
    return ShownDays(
        days=days,
        answers=answers,
        items=items_shown(impressions, attributed, answers, columns=GROUPS),
        named=named.height,
        named_unshown=unshown.collect().height,
    )


def events_with_answers(home: Home, first: date, last: date) -> pl.DataFrame:
    """Return the interactions of days, each with the answer that it names where it came by HTTP.

    Rows of both tables are the same event where user, item, kind and second are: what the source delivers later may
    have no finer times.
    """
    interactions = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    rows = _by_newest_users(_rows(interactions, first, last).select(*_EVENT, VALUE), home)
    landed = _rows(event_store(home), first, last).select(*_EVENT, ANSWER_ID)
    named = _by_newest_users(landed.filter(pl.col(ANSWER_ID).is_not_null()), home)
    second = pl.col(TIMESTAMP).dt.truncate("1s").alias(_SECOND)
    key = [USER_ID, ITEM_ID, KIND, _SECOND]
    answers = named.with_columns(second).group_by(key).agg(pl.col(ANSWER_ID).max())
    return rows.with_columns(second).join(answers, on=key, how="left", nulls_equal=True).drop(_SECOND)


def _by_newest_users(rows: pl.DataFrame, home: Home) -> pl.DataFrame:
    """Return the rows with the user whom each id means now: a stranger who saw a list may have logged in since."""
    users = last_users(stored_merges(home.events_db))
    return rows.with_columns(pl.col(USER_ID).replace(users)) if users else rows


def _rows(store: PartitionStore, first: date, last: date) -> pl.DataFrame:
    return store.scan(_days(store, first, last)).collect()


def _days(store: PartitionStore, first: date, last: date) -> list[date]:
    return [day for day in store.days() if first <= day <= last]
