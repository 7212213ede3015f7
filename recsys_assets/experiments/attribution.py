"""Attribution: the answer that an event counts for. Pure functions on frames; nothing is read or written.

The rule. An event counts for one answer at most, within a window after the item was shown. An event that names its
answer counts for that answer, if this showed the item; else for none, since the client knows better than a guess. Any
other event counts for the last answer that showed its item to its user (last touch). Of answers shown at the same
time it is the one whose id sorts last. Events that only hide an item, and impressions, count for none.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import polars as pl

from recsys_assets.columns import ITEM_ID, KIND, TIMESTAMP, USER_ID, VALUE

ANSWER_ID: Final = "answer_id"
POSITION: Final = "position"
SHOWN_AT: Final = "shown_at"
UNIT: Final = "unit"
DAY: Final = "day"
NO_CLICK: Final = ("impression", "hide", "dislike")
"""Kinds that are no click: nothing was wanted."""
PURCHASE: Final = "purchase"
GROUPS: Final = ("release", "list", "experiment", "arm")
"""Columns of an impression that say where its answer is from."""
_CLICKED: Final = (USER_ID, ITEM_ID, KIND, TIMESTAMP, VALUE)


def attribute(impressions: pl.DataFrame, events: pl.DataFrame, *, window: timedelta) -> pl.DataFrame:
    """Return the clicks that count for an answer, by the rule above; in order of time.

    Args:
        impressions: `answer_id, item_id, position, user_id, timestamp`; an answer and an item are there once.
        events: `user_id, item_id, kind, timestamp, value, answer_id`; the last is null where none is named.
        window: longest time from being shown to the event, inclusive.

    Returns:
        The events' columns with the answer that each counts for, its `position` and `shown_at`.
    """
    clicks = events.filter(~pl.col(KIND).fill_null("").is_in(NO_CLICK))
    shown = impressions.select(ANSWER_ID, ITEM_ID, POSITION, USER_ID, pl.col(TIMESTAMP).alias(SHOWN_AT))
    named = clicks.filter(pl.col(ANSWER_ID).is_not_null()).join(
        shown.drop(USER_ID), on=[ANSWER_ID, ITEM_ID], how="inner"
    )
    unnamed = clicks.filter(pl.col(ANSWER_ID).is_null()).drop(ANSWER_ID).sort(TIMESTAMP)
    touched = unnamed.join_asof(
        shown.filter(pl.col(USER_ID).is_not_null()).sort(SHOWN_AT, ANSWER_ID),
        left_on=TIMESTAMP,
        right_on=SHOWN_AT,
        by=[USER_ID, ITEM_ID],
        strategy="backward",
        check_sortedness=False,
    ).filter(pl.col(ANSWER_ID).is_not_null())
    wanted = [*_CLICKED, ANSWER_ID, POSITION, SHOWN_AT]
    found = pl.concat([named.select(wanted), touched.select(wanted)])
    return found.filter(pl.col(TIMESTAMP) <= pl.col(SHOWN_AT) + window).sort(
        TIMESTAMP, USER_ID, ITEM_ID, ANSWER_ID
    )


def answers_shown(impressions: pl.DataFrame, attributed: pl.DataFrame) -> pl.DataFrame:
    """Return one row an answer that was shown, with what came of it.

    The day is the UTC day when its first item was shown. The unit is the user; of an answer without one the user of
    an event that counts for it, else the answer itself. A purchase is an event of that kind, or one without a kind
    that has an amount.

    Args:
        impressions: as of `attribute`, with the columns `GROUPS`.
        attributed: what `attribute` returned for them.

    Returns:
        `answer_id, unit, day, release, list, experiment, arm, clicks, purchases, value`.
    """
    bought = is_purchase()
    outcomes = attributed.group_by(ANSWER_ID).agg(
        pl.col(USER_ID).min().alias("by"),
        pl.len().alias("clicks"),
        bought.sum().alias("purchases"),
        pl.col(VALUE).filter(bought).sum().alias(VALUE),
    )
    shown = impressions.group_by(ANSWER_ID).agg(
        pl.col(USER_ID).min(), pl.col(TIMESTAMP).min().dt.date().alias(DAY), *(pl.col(GROUPS).first(),)
    )
    return (
        shown.join(outcomes, on=ANSWER_ID, how="left")
        .with_columns(
            pl.coalesce(USER_ID, "by", ANSWER_ID).alias(UNIT),
            pl.col("clicks", "purchases").fill_null(0).cast(pl.Int64),
            pl.col(VALUE).fill_null(0.0).cast(pl.Float64),
        )
        .select(ANSWER_ID, UNIT, DAY, *GROUPS, "clicks", "purchases", VALUE)
        .sort(DAY, ANSWER_ID)
    )


def items_shown(
    impressions: pl.DataFrame, attributed: pl.DataFrame, answers: pl.DataFrame, *, columns: Sequence[str]
) -> pl.DataFrame:
    """Return one row an impression with its answer's unit and day, and whether it was clicked.

    Args:
        impressions: as of `attribute`.
        attributed: what it returned.
        answers: what `answers_shown` returned.
        columns: more columns of `answers` to carry over.

    Returns:
        `answer_id, item_id, position, unit, day, clicked` and `columns`.
    """
    clicked = attributed.select(ANSWER_ID, ITEM_ID).unique().with_columns(pl.lit(1).alias("clicked"))
    return (
        impressions.select(ANSWER_ID, ITEM_ID, POSITION)
        .join(answers.select(ANSWER_ID, UNIT, DAY, *columns), on=ANSWER_ID, how="inner")
        .join(clicked, on=[ANSWER_ID, ITEM_ID], how="left")
        .with_columns(pl.col("clicked").fill_null(0))
    )


def is_purchase() -> pl.Expr:
    """Return whether an event is a purchase."""
    return pl.col(KIND).eq_missing(PURCHASE) | (pl.col(KIND).is_null() & pl.col(VALUE).is_not_null())
