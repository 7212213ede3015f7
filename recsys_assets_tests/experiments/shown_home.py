"""A home whose lists people saw, without a model: made answers, clicks by the cascade model, landed by day."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from recsys_assets.experiments.impression_days import land_impressions
from recsys_assets.intake.stored_events import read_events
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.lake.event_days import EVENT_DAY, event_store
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.release.answer_counts import AnswerCounts
from recsys_assets.release.answer_series import ArmName
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets_tests.clicking import Visit, planted, store, visit

RELEASE = "20260101-3f9a1c0b7e"
FIRST_DAY = date(2026, 1, 1)
ITEMS = [f"i{number}" for number in range(50)]


def land_events(home: Home) -> None:
    """Put the intake's events into the lake: the interactions of their days, and the answers that they name."""
    rows = [row._asdict() for _, row in read_events(home.events_db)]
    if not rows:
        return
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.from_epoch(pl.col("timestamp", "received_at"), "us")
        .dt.replace_time_zone("UTC")
        .cast(UTC_MICROSECONDS)
    )
    interactions = PartitionStore(root=home.interactions, schema=INTERACTIONS.polars_schema())
    for (day,), of_day in frame.group_by(pl.col("timestamp").dt.date()):
        weighted = of_day.with_columns(pl.lit(1.0).alias("weight"))
        interactions.write(day, weighted.select(*INTERACTIONS.columns).cast(INTERACTIONS.polars_schema()))
        event_store(home).write(day, of_day.select(*EVENT_DAY).cast(dict(EVENT_DAY)))
    interactions.settle()


def day_of_visits(
    home: Home,
    day: date,
    *,
    users: int = 40,
    arms: tuple[str | None, ...] = (None,),
    liked: float = 0.3,
    seed: int = 0,
    names_answer: bool = True,
) -> list[Visit]:
    """Have users see one list of ten items each on a day, arms in turn, and store what they did in the intake."""
    answers, rng = AnswerCounts(home.answers_db), np.random.default_rng([seed, day.toordinal()])
    attracts, visits = planted(seed=seed, share=0.2, liked=liked), []
    for number in range(users):
        arm = arms[number % len(arms)]
        named = None if arm is None else ArmName("prices", arm)
        visits.append(
            visit(
                answers.give(RELEASE, "plain", named),
                rng.permutation(ITEMS)[:10].tolist(),
                f"u{number}",
                at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(minutes=number),
                attracts=attracts,
                rng=rng,
                names_answer=names_answer,
            )
        )
    answers.flush()
    store(home, visits)
    return visits


def land_all(home: Home, *, keep_days: int = 30) -> None:
    """Land the events and the impressions of the intake."""
    land_events(home)
    land_impressions(home, keep_days=keep_days, now=datetime.now(UTC))
