"""The raw audit warns only about news, and reads many days as it reads one."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.drift.monitor import Monitor
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.raw_audit import RAW_CHECKS, RawAudit
from recsys_assets.quality.ledger import Ledger
from recsys_assets.settings import QualitySettings
from recsys_assets.storage.partition_store import PartitionStore

START = date(2020, 1, 6)
SCHEMA = RAW_INTERACTIONS.polars_schema()


def raw_audit(**history):
    return RawAudit(RAW_INTERACTIONS, monitor=Monitor("raw", QualitySettings(), **history))


def untidy(day, *, rows=80, blanks=0.15, nulls=0.6, returns=0.3):
    """A day of a source whose ids have blanks, whose users are mostly unknown, and that has many returns."""
    rng = np.random.default_rng(day.toordinal())
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    items = rng.integers(0, 50, rows)
    return pl.DataFrame(
        {
            "user_id": [None if rng.random() < nulls else f"u{n}" for n in rng.integers(0, 40, rows)],
            "item_id": [f"item {n}" + (" " if rng.random() < blanks else "") for n in items],
            "timestamp": [start + timedelta(seconds=int(s)) for s in rng.integers(0, 86_400, rows)],
            "rating": None,
            "quantity": np.where(rng.random(rows) < returns, -1.0, 1.0),
            "value": items + 1.0,
            "kind": None,
        },
        schema=SCHEMA,
    )


def test_what_a_source_never_met_is_no_news_but_can_be_seen():
    audit = raw_audit()
    warned = {}
    for n in range(60):
        day = START + timedelta(days=n)
        results = audit(day, untidy(day))
        audit.published(day, untidy(day))
        warned[n] = {r.check for r in results if r.verdict == "warn"}
    (ids,) = (r for r in results if r.check == "item_id_matches")
    assert warned[0] == {"item_id_matches", "user_id_not_null", "quantity_positive"}
    assert not set().union(*(warned[n] for n in range(1, 60)))
    assert 0.7 < ids.passed_share < 0.95
    assert "fail usually" in ids.detail


def test_more_than_a_source_usually_has_is_news():
    audit = raw_audit()
    for n in range(60):
        day = START + timedelta(days=n)
        audit(day, untidy(day))
        audit.published(day, untidy(day))
    day = START + timedelta(days=60)
    verdicts = {r.check: r.verdict for r in audit(day, untidy(day, blanks=0.7))}
    assert verdicts["item_id_matches"] == verdicts["drift_untrimmed_item_ids"] == "warn"
    verdicts = {r.check: r.verdict for r in audit(day, untidy(day, nulls=1.0))}
    assert verdicts["user_id_not_null"] == "block"


ROW = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u1", "u2", " u3", "", None]),
        "item_id": st.sampled_from(["i1", "i2", "i2 ", None]),
        "second": st.integers(-100_000, 100_000),
        "rating": st.sampled_from([None, 1.0, -0.0, 0.0, float("nan")]),
        "quantity": st.sampled_from([None, 1.0, -2.0, float("inf")]),
        "value": st.sampled_from([None, 2.5, -1.0, 1e300]),
    }
)


def frames_of(days):
    """Return frames of the rows of days that follow each other; the seconds count from the day's start."""
    frames = []
    for n, rows in enumerate(days):
        day = START + timedelta(days=n)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        plain = [row | {"timestamp": start + timedelta(seconds=row["second"])} for row in rows]
        frames.append((day, pl.DataFrame(plain, schema=SCHEMA) if plain else SCHEMA.to_frame()))
    return frames


@settings(max_examples=40, deadline=None)
@given(days=st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=8))
def test_days_prepared_together_have_the_same_results(days):
    frames = frames_of(days)
    alone, prepared = raw_audit(), raw_audit()
    prepared.prepare(frames)
    for day, frame in frames:
        assert repr(prepared(day, frame)) == repr(alone(day, frame))
        prepared.published(day, frame)
        alone.published(day, frame)


def test_another_frame_than_the_prepared_one_is_read_anew():
    audit = raw_audit()
    audit.prepare([(START, untidy(START))])
    wrong = untidy(START).drop("value")
    assert [r.check for r in audit(START, wrong)] == ["schema"]
    (nulls,) = (r for r in audit(START, untidy(START, nulls=1.0)) if r.check == "user_id_not_null")
    assert nulls.failing_rows == 80


def test_a_day_of_other_columns_does_not_disturb_those_prepared_with_it():
    audit = raw_audit()
    second = START + timedelta(days=1)
    audit.prepare([(START, untidy(START).drop("value")), (second, untidy(second))])
    assert [r.check for r in audit(second, untidy(second))] == list(RAW_CHECKS)


OLD_PROFILE = msgspec.msgpack.encode([1, {"rows": 3}, {}, {}, {}, {}, [], None, b""])
"""As version 1 wrote it: with quantiles, best items and the lag."""


def test_a_home_of_older_profiles_is_read_again_from_its_files(tmp_path):
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    days = [START + timedelta(days=n) for n in range(40)]
    with Ledger(tmp_path / "quality.sqlite") as ledger:
        first = raw_audit(store=store, ledger=ledger)
        for day in days[:-1]:
            first(day, untidy(day))
            store.write(day, untidy(day))
            first.published(day, untidy(day))
        expected = first(days[-1], untidy(days[-1]))
        ledger.put_profiles("raw", dict.fromkeys(days[:-1], OLD_PROFILE))
        again = raw_audit(store=store, ledger=ledger)(days[-1], untidy(days[-1]))
        assert again == expected
        assert OLD_PROFILE not in ledger.profiles("raw", since=days[0], before=days[-1]).values()


def test_a_day_in_part_is_not_judged_by_amount_and_hours_and_drift_does_not_reject_it(tmp_path):
    store = PartitionStore(root=tmp_path, schema=SCHEMA)
    for n in range(40):
        store.write(START + timedelta(days=n), untidy(START + timedelta(days=n), rows=400))
    store.settle()
    day = START + timedelta(days=40)
    part = untidy(day, rows=60, nulls=0.0).with_columns(pl.lit(None, pl.Float32).alias("quantity"))

    def found(**more):
        monitor = Monitor("raw", QualitySettings(), store=store)
        audit = RawAudit(RAW_INTERACTIONS, monitor=monitor, **more)
        return {result.check: result.verdict for result in audit(day, part)}

    whole, in_part = found(), found(in_part={day})
    assert whole["drift_rows"] == "block"
    assert (in_part["drift_rows"], in_part["drift_missing_hours"]) == ("ok", "ok")
    assert "block" not in in_part.values()
    assert set(in_part) == set(RAW_CHECKS)
