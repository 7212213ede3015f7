"""A snapshot changes nothing but the time: what is known is what the published files say."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_assets.drift import seen_snapshot
from recsys_assets.drift.seen_before import SeenBefore
from recsys_assets.drift.seen_snapshot import load_seen
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.storage.partition_store import PartitionStore

SCHEMA = RAW_INTERACTIONS.polars_schema()
DAYS = [date(2017, 3, 1) + timedelta(days=n) for n in range(12)]


def raw(day: date, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return pl.DataFrame(
        [
            {
                "user_id": None if n == 3 else f"u{rng.integers(90)}",
                "item_id": f"i-{rng.integers(500)}",
                "timestamp": noon,
                "rating": float(rng.integers(5)) if n else float("nan"),
                "quantity": 1.0,
                "value": None,
            }
            for n in range(6)
        ],
        schema=SCHEMA,
    )


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(seen_snapshot, "_SPARE_DAYS", 3)
    store = PartitionStore(root=tmp_path / "raw", schema=SCHEMA)
    for seed, day in enumerate(DAYS):
        store.write(day, raw(day, seed))
    return store


def known_from(store, days):
    """All that is known, by the snapshot; and all that is known by reading every file, to compare with."""
    seen, plain = SeenBefore(), SeenBefore()
    load_seen(seen, store, days, [])
    plain.load(store.scan(days), [], [])
    return tuple(
        {
            name: np.asarray(value).tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(k).items()
        }
        for k in (seen.known(), plain.known())
    )


def opened(monkeypatch):
    """Days whose ids are read from now on."""
    days: list[date] = []
    scan = PartitionStore.scan

    def noting(self, wanted):
        days.extend(wanted)
        return scan(self, wanted)

    monkeypatch.setattr(PartitionStore, "scan", noting)
    return days


def test_what_is_known_is_the_same_with_and_without_a_snapshot(store):
    for stop in (5, 6, 11, 12, 12, 4):
        with_snapshot, without = known_from(store, DAYS[:stop])
        assert with_snapshot == without


def test_only_days_after_the_snapshot_are_read(store, monkeypatch):
    load_seen(SeenBefore(), store, DAYS[:10], [])
    read = opened(monkeypatch)
    load_seen(SeenBefore(), store, DAYS, [])
    assert read == DAYS[10:]


def test_a_day_that_was_published_again_is_read_with_all_others(store, monkeypatch):
    load_seen(SeenBefore(), store, DAYS[:10], [])
    store.write(DAYS[2], raw(DAYS[2], 99))
    with_snapshot, without = known_from(store, DAYS)
    assert with_snapshot == without
    read = opened(monkeypatch)
    load_seen(SeenBefore(), store, DAYS, [])
    assert read == []  # another snapshot was written


@pytest.mark.parametrize("change", ["removed", "added", "damaged", "other polars"])
def test_a_snapshot_of_other_files_does_not_count(store, monkeypatch, change):
    if change == "added":
        store.remove(DAYS[1])
    days = [day for day in DAYS[:10] if change != "added" or day != DAYS[1]]
    load_seen(SeenBefore(), store, days, [])
    if change == "removed":
        store.remove(DAYS[1])
    elif change == "added":
        store.write(DAYS[1], raw(DAYS[1], 1))
    elif change == "damaged":
        (store.root / ".seen.npz").write_bytes(b"PK half")
    else:
        monkeypatch.setattr(pl, "__version__", "0")
    published = store.days()
    read = opened(monkeypatch)
    load_seen(SeenBefore(), store, published, [])
    assert read == published
    with_snapshot, without = known_from(store, published)
    assert with_snapshot == without
