"""The drift monitor is quiet on ordinary days, alarms on broken ones, and uses only the days before."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.benchmarks.faults import FAULTS, Delivery
from recsys_assets.benchmarks.partial_faults import PARTIAL_FAULTS
from recsys_assets.drift.day_scores import DRIFT_CHECKS
from recsys_assets.drift.monitor import Monitor
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.raw_audit import RAW_CHECKS, RawAudit
from recsys_assets.quality.ledger import Ledger
from recsys_assets.settings import QualitySettings
from recsys_assets.storage.partition_store import PartitionStore

START = date(2020, 1, 6)
SCHEMA = RAW_INTERACTIONS.polars_schema()
ROWS = 600


def shop(rows: int, day: date, *, seed: int = 0) -> pl.DataFrame:
    """A day of a small shop: 300 users, 200 items of skewed popularity, prices by item."""
    rng = np.random.default_rng([seed, day.toordinal()])
    items = (200 * rng.random(rows) ** 2).astype(int)
    seconds = np.clip(rng.normal(14, 3, rows) * 3600, 0, 86_399).astype(int)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return pl.DataFrame(
        {
            "user_id": [f"u{n:03d}" for n in rng.integers(0, 300, rows)],
            "item_id": [f"i{n:03d}" for n in items],
            "timestamp": [start + timedelta(seconds=int(s)) for s in seconds],
            "rating": rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], rows, p=[0.05, 0.05, 0.1, 0.3, 0.5]),
            "quantity": rng.integers(1, 4, rows).astype(float),
            "value": (items % 17 + 1) * 1.5,
            "kind": None,
        },
        schema_overrides=SCHEMA,
    )


@pytest.fixture(scope="module")
def days():
    """Ninety days, with busier weekends."""
    rng = np.random.default_rng(5)
    found = {}
    for n in range(90):
        day = START + timedelta(days=n)
        mean = ROWS * (1.5 if day.weekday() >= 5 else 1.0) * rng.gamma(200, 1 / 200)
        found[day] = shop(int(rng.poisson(mean)), day)
    return found


@pytest.fixture(scope="module")
def audit(days):
    """An audit that has seen all days but the last."""
    audit = RawAudit(RAW_INTERACTIONS, monitor=Monitor("raw", QualitySettings()))
    for day in list(days)[:-1]:
        audit(day, days[day])
        audit.published(day, days[day])
    return audit


def worst(results):
    found = {r.verdict for r in results}
    return next(v for v in ("block", "warn", "ok") if v in found)


def test_every_declared_check_has_a_result_and_no_other(days, audit):
    day = list(days)[-1]
    assert [r.check for r in audit(day, days[day])] == list(RAW_CHECKS)


def test_ordinary_days_rarely_warn_and_never_block(days):
    monitor = Monitor("raw", QualitySettings())
    verdicts = []
    for day, frame in days.items():
        verdicts.append(worst(monitor.judge(frame, day=day)))
        monitor.published(day, frame)
    assert verdicts.count("block") == 0
    assert verdicts.count("warn") <= 1


TOO_REGULAR = {"category_missing", "guests_merged"}
"""Faults that do not change the small shop: it has no categories, and all its users come every week."""


@pytest.mark.parametrize("fault", sorted({*FAULTS, *PARTIAL_FAULTS} - TOO_REGULAR))
def test_an_injected_fault_is_noticed(days, audit, fault):
    yesterday, today = list(days)[-2:]
    delivery = Delivery(
        day=days[today],
        yesterday=days[yesterday],
        earlier=pl.concat(list(days.values())[-29:-1]),
        categories=pl.DataFrame(schema={"item_id": pl.String, "category": pl.String}),
        rng=np.random.default_rng(1),
    )
    assert worst(audit(today, {**FAULTS, **PARTIAL_FAULTS}[fault](delivery))) != "ok"


def test_an_alarm_shows_the_rows_behind_it(days, audit):
    today = list(days)[-1]
    bad = days[today].with_columns(
        pl.when(pl.int_range(pl.len()) < 40).then(None).otherwise(pl.col("user_id")).alias("user_id")
    )
    (result,) = (r for r in audit(today, bad) if r.check == "drift_null_users")
    assert (result.verdict, result.failing_rows, len(result.sample)) == ("warn", 40, 20)
    assert all(row["user_id"] is None for row in result.sample)


def test_yesterdays_content_with_todays_dates_is_recognised(days, audit):
    yesterday, today = list(days)[-2:]
    again = days[yesterday].with_columns(pl.col("timestamp") + pl.duration(days=1))
    (result,) = (r for r in audit(today, again) if r.check == "drift_redelivered_rows")
    assert result.verdict == "block"


def test_a_closed_day_may_be_empty(days):
    closed = [QualitySettings(closed_days=[f"{list(days)[-1]:{form}}"]) for form in ("%m-%d", "%Y-%m-%d")]
    for given, verdict in ((closed[0], "ok"), (closed[1], "ok"), (QualitySettings(), "block")):
        monitor = Monitor("raw", given)
        for day in list(days)[:-1]:
            monitor.judge(days[day], day=day)
            monitor.published(day, days[day])
        assert worst(monitor.judge(SCHEMA.to_frame(), day=list(days)[-1])) == verdict


def test_a_feast_that_was_accepted_is_known_a_year_later():
    monitor = Monitor("raw", QualitySettings())
    feasts = {START + timedelta(days=180), START + timedelta(days=180 + 364)}
    verdicts = {}
    for n in range(180 + 366):
        day = START + timedelta(days=n)
        frame = SCHEMA.to_frame() if day in feasts else shop(60, day)
        verdicts[day] = worst(monitor.judge(frame, day=day))
        monitor.published(day, frame)
    assert [verdicts[day] for day in sorted(feasts)] == ["block", "ok"]
    assert worst(monitor.judge(SCHEMA.to_frame(), day=START + timedelta(days=180 + 366))) == "block"


def test_an_empty_day_of_a_sparse_source_is_no_fault():
    monitor = Monitor("raw", QualitySettings())
    rng = np.random.default_rng(3)
    for n in range(150):
        day = START + timedelta(days=n)
        frame = shop(int(rng.poisson(2)), day)
        assert worst(monitor.judge(frame, day=day)) == "ok"
        monitor.published(day, frame)


def test_judging_a_day_adds_nothing_to_history(days, audit):
    today = list(days)[-1]
    before = audit(today, days[today])
    audit(today, days[today].clear())
    assert audit(today, days[today]) == before


def test_a_single_day_is_judged_as_in_a_range(tmp_path, days):
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    last = list(days)[-1]
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        ranged = Monitor("raw", QualitySettings(), store=store, ledger=ledger)
        for day, frame in days.items():
            in_range = ranged.judge(frame, day=day)
            store.write(day, frame)
            ranged.published(day, frame)
        alone = Monitor("raw", QualitySettings(), store=store, ledger=ledger)
        assert alone.judge(days[last], day=last) == in_range
    without_profiles = Monitor("raw", QualitySettings(), store=store)
    assert without_profiles.judge(days[last], day=last) == in_range


def test_later_days_do_not_matter(tmp_path, days):
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    early = list(days)[60]
    for day in list(days)[:60]:
        store.write(day, days[day])
    before = Monitor("raw", QualitySettings(), store=store).judge(days[early], day=early)
    for day in list(days)[60:]:
        store.write(day, days[day])
    assert Monitor("raw", QualitySettings(), store=store).judge(days[early], day=early) == before


def test_a_rejected_day_leaves_the_published_one_in_history(tmp_path, days):
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    *_, second, last = list(days)
    for day in list(days)[:-1]:
        store.write(day, days[day])
    plain = Monitor("raw", QualitySettings(), store=store).judge(days[last], day=last)
    monitor = Monitor("raw", QualitySettings(), store=store)
    monitor.judge(SCHEMA.to_frame(), day=second)
    monitor.rejected(second)
    assert monitor.judge(days[last], day=last) == plain


def test_a_fault_that_stays_is_rejected_while_it_stays(days):
    monitor = Monitor("raw", QualitySettings())
    for n, (day, frame) in enumerate(list(days.items()) + list(days.items())):
        judged = START + timedelta(days=n)
        moved = frame.with_columns(pl.col("timestamp") + (judged - day))
        bad = n >= len(days)
        found = worst(monitor.judge(moved.with_columns(pl.col("value") * 75) if bad else moved, day=judged))
        assert (found == "block") == bad
        if bad:
            monitor.rejected(judged)
        else:
            monitor.published(judged, moved)


def test_a_new_level_alarms_for_days_and_not_for_weeks(days):
    monitor = Monitor("raw", QualitySettings())
    verdicts = []
    for n, (day, frame) in enumerate(days.items()):
        dearer = frame.with_columns(pl.col("value") * 1.3) if n >= 60 else frame
        verdicts.append(worst(monitor.judge(dearer, day=day)))
        monitor.published(day, dearer)
    assert verdicts[60] != "ok"
    assert set(verdicts[63:]) == {"ok"}


def test_a_check_that_does_not_apply_is_ok():
    results = Monitor("raw", QualitySettings()).judge(SCHEMA.to_frame(), day=START)
    assert [r.check for r in results] == list(DRIFT_CHECKS)
    assert {r.verdict for r in results} == {"ok"}
