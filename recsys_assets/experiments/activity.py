"""The activity of an experiment's users, a row a user, arm and day: of one arm a user, or of both teams of a list."""

from datetime import date

import polars as pl

from recsys_assets.experiments.experiments_file import INTERLEAVED, Experiment
from recsys_assets.experiments.impression_days import impression_store
from recsys_assets.experiments.shown_days import shown_days
from recsys_assets.experiments.team_credit import clicks_by_team
from recsys_assets.experiments.user_days import user_days
from recsys_assets.storage.home import Home


def activity_of(
    home: Home, experiment: Experiment, through: date, *, attribution_days: float
) -> pl.DataFrame:
    """Return the activity that `judge` looks at.

    Args:
        home: the home.
        experiment: the experiment.
        through: last day of the answers.
        attribution_days: the window, days (`[events]`).

    Returns:
        `arm, user_id, day, shown, clicks, conversions, value`, as of `user_days` or `team_days`.
    """
    if experiment.kind == "split":
        return user_days(
            home,
            experiment.name,
            through=through,
            since=experiment.start,
            attribution_days=attribution_days,
        )
    days = [day for day in impression_store(home).days() if experiment.start <= day <= through]
    of_experiment = (pl.col("experiment") == experiment.name) & (pl.col("arm") == INTERLEAVED)
    frames = [
        found.items.filter(of_experiment).select("answer_id", "item_id", "unit", "day", "clicked")
        for found in shown_days(home, days, attribution_days=attribution_days)
    ]
    schema = pl.Schema(
        {
            "answer_id": pl.String(),
            "item_id": pl.String(),
            "unit": pl.String(),
            "day": pl.Date(),
            "clicked": pl.Int64(),
        }
    )
    items = pl.concat([pl.DataFrame(schema=schema), *(frame.cast(schema) for frame in frames)])
    return clicks_by_team(home, items)
