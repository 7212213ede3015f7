"""Credit by team: the activity of users on interleaved lists, a row an arm, from the items that they were shown."""

from collections.abc import Iterable

import polars as pl

from recsys_assets.experiments.teams import TeamRow, read_teams
from recsys_assets.storage.home import Home


def teams_frame(rows: Iterable[TeamRow]) -> pl.DataFrame:
    """Return teams as a frame: `answer_id, item_id, arm`."""
    schema = dict.fromkeys(TeamRow._fields, pl.String)
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def team_days(items: pl.DataFrame, teams: pl.DataFrame) -> pl.DataFrame:
    """Return the clicks of each user, arm and day; a user is in both arms, so the test compares within users.

    Args:
        items: `answer_id, item_id, unit, day, clicked`, an item shown a row: the unit is the user, `clicked` 0 or 1.
        teams: as of `teams_frame`; an item without a team counts for no arm.

    Returns:
        `arm, user_id, day, shown, clicks, conversions, value`: shown items of the arm's team, and those clicked;
        purchases and value have no team, and are 0.
    """
    return (
        items.join(teams, on=["answer_id", "item_id"], how="inner")
        .group_by("arm", pl.col("unit").alias("user_id"), "day")
        .agg(
            pl.len().cast(pl.Int64).alias("shown"),
            pl.col("clicked").sum().cast(pl.Int64).alias("clicks"),
            pl.lit(0, pl.Int64).alias("conversions"),
            pl.lit(0.0, pl.Float64).alias("value"),
        )
        .sort("arm", "user_id", "day")
    )


def clicks_by_team(home: Home, items: pl.DataFrame) -> pl.DataFrame:
    """Return `team_days` of items, with the teams that the home's servers kept.

    Raises:
        AnswersUnavailableError: the teams cannot be read.
    """
    return team_days(items, teams_frame(read_teams(home.answers_db)))
