"""Credit by team: the activity of users on interleaved lists, a row an arm, from the items that they were shown."""

from collections.abc import Iterable
from typing import Final

import polars as pl

from recsys_assets.experiments.teams import TeamRow

_KEYS: Final = ("answer_id", "item_id")


def teams_frame(rows: Iterable[TeamRow]) -> pl.DataFrame:
    """Return teams as a frame: `answer_id, item_id, arm`."""
    schema = dict.fromkeys(TeamRow._fields, pl.String)
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def team_days(items: pl.DataFrame, outcomes: pl.DataFrame, teams: pl.DataFrame) -> pl.DataFrame:
    """Return the activity of each user, arm and day; a user is in both arms, so the test compares within users.

    Args:
        items: `answer_id, item_id, user_id, day`, an item shown a row.
        outcomes: `answer_id, item_id, clicks, conversions, value`, an item with attributed events a row.
        teams: as of `teams_frame`; an item without a team counts for no arm.

    Returns:
        `arm, user_id, day, shown, clicks, conversions, value`: shown items of the arm's team, those clicked, purchases
        and value.
    """
    shown = items.join(teams, on=_KEYS, how="inner").join(outcomes, on=_KEYS, how="left")
    return (
        shown.group_by("arm", "user_id", "day")
        .agg(
            pl.len().cast(pl.Int64).alias("shown"),
            (pl.col("clicks").fill_null(0) > 0).sum().cast(pl.Int64).alias("clicks"),
            pl.col("conversions").fill_null(0).sum().cast(pl.Int64),
            pl.col("value").fill_null(0.0).sum().cast(pl.Float64),
        )
        .sort("arm", "user_id", "day")
    )
