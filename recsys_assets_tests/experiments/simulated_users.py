"""Made activity of users for tests: frames as `user_days` gives them, with a planted difference between the arms."""

from datetime import date, timedelta

import numpy as np
import polars as pl


def user_days(
    *,
    seed: int,
    users: int = 600,
    days: int = 10,
    lift: float = 0.0,
    start: date = date(2026, 11, 1),
    arms: tuple[str, str] = ("now", "popular"),
    conversion_lift: float | None = None,
) -> pl.DataFrame:
    """Users come back, differ for good, and spend very different amounts; those of the second arm click more by `lift`.

    `conversion_lift` is of purchases a click, by default none.
    """
    rng = np.random.default_rng(seed)
    of_second = rng.random(users) < 0.5
    activity, wish = rng.beta(1, 2, users), rng.beta(2, 10, users)
    wish = np.minimum(1.0, wish * (1 + lift * of_second))
    bought = 0.3 * (1 + (conversion_lift or 0.0) * of_second)
    frames = []
    for day in range(days):
        there = np.flatnonzero(rng.random(users) < activity)
        shown = 1 + rng.poisson(2, len(there))
        clicks = rng.binomial(shown, wish[there])
        conversions = rng.binomial(clicks, bought[there])
        frames.append(
            pl.DataFrame(
                {
                    "arm": np.array(arms)[of_second[there].astype(int)],
                    "user_id": [f"u{user}" for user in there],
                    "day": [start + timedelta(days=day)] * len(there),
                    "shown": shown,
                    "clicks": clicks,
                    "conversions": conversions,
                    "value": conversions * rng.lognormal(2, 1, len(there)),
                }
            )
        )
    return pl.concat(frames)
