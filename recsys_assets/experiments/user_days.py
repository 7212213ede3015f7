"""The clicks and purchases of an experiment, a row a user, arm and day: the frame that its test looks at every day."""

from datetime import date
from typing import Final

import polars as pl

from recsys_assets.columns import VALUE
from recsys_assets.experiments.attribution import DAY, UNIT
from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.experiments.shown_days import shown_days
from recsys_assets.storage.home import Home

_SCHEMA: Final = pl.Schema(
    {
        "arm": pl.String(),
        "user_id": pl.String(),
        DAY: pl.Date(),
        "shown": pl.Int64(),
        "clicks": pl.Int64(),
        "conversions": pl.Int64(),
        VALUE: pl.Float64(),
    }
)


def user_days(
    home: Home, experiment: str, *, through: date, attribution_days: float, since: date | None = None
) -> pl.DataFrame:
    """Return what came of the answers of an experiment, by arm, user and the UTC day when they were shown.

    Args:
        home: the home.
        experiment: its name.
        through: the last day of the answers; what came of them is as known by now.
        attribution_days: the window, days (`[events]`).
        since: the first day of the answers; None for the first that was shown.

    Returns:
        `arm, user_id, day, shown, clicks, conversions, value`, sorted by day, arm and user: answers shown, those of
        them that were clicked, 1 where the user bought something of them else 0, and the amount paid for it, in the
        source's currency. An answer without a user is a user of its own.
    """
    days = [day for day in impression_store(home).days() if (since or date.min) <= day <= through]
    of_experiment = [
        _by_user(found.answers.filter(pl.col("experiment") == experiment))
        for found in shown_days(home, days, attribution_days=attribution_days)
    ]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *of_experiment]).sort(DAY, "arm", "user_id")


def _by_user(answers: pl.DataFrame) -> pl.DataFrame:
    found = answers.group_by("arm", pl.col(UNIT).alias("user_id"), DAY).agg(
        pl.len().alias("shown"),
        (pl.col("clicks") > 0).sum().alias("clicks"),
        (pl.col("purchases") > 0).any().alias("conversions"),
        pl.col(VALUE).sum(),
    )
    return found.select(_SCHEMA.names()).cast(_SCHEMA)
