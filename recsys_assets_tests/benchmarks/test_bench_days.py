"""The peer of `recsys bench days` does the work that it is compared with."""

from datetime import UTC, date, datetime, timedelta

import polars as pl

from recsys_assets.benchmarks.bench_days import floor
from recsys_assets.interactions.cleaning import clean
from recsys_assets.interactions.wish_rule import WishRule
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.storage.day_folders import day_folder

DAY = date(2017, 3, 5)


def raw(day: date, rows: int) -> pl.DataFrame:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return pl.DataFrame(
        [
            {
                "user_id": None if n == 7 else f"u{n % 3}",
                "item_id": f"i{n // 2}",
                "timestamp": noon + timedelta(days=n == 5, minutes=n % 4 // 2),
                "rating": 4.0,
                "quantity": float(n % 5) - (n == 3),
                "value": 2.0,
            }
            for n in [*range(rows), *range(rows // 2)]
        ],
        schema=RAW_INTERACTIONS.polars_schema(),
    )


def test_the_floor_cleans_and_writes_each_day(tmp_path):
    frames = [(DAY, raw(DAY, 40)), (DAY + timedelta(days=1), raw(DAY, 0))]
    assert floor(frames, tmp_path) > 0
    for day, frame in frames:
        written = {
            table: pl.read_parquet(
                day_folder(tmp_path / table, day) / "part-0.parquet", hive_partitioning=False
            )
            for table in ("raw", "interactions")
        }
        assert written["raw"].equals(frame)
        ours = clean(frame, day=day, rule=WishRule()).frame
        assert written["interactions"].select(ours.columns).equals(ours)
