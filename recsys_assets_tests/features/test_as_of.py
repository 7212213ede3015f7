"""Point-in-time features: what they say of a day depends on nothing that happened after it."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.errors import EmptySourceError
from recsys_assets.features.as_of import as_of
from recsys_assets.interactions.contract import INTERACTIONS
from recsys_assets.storage.partition_store import PartitionStore
from recsys_assets_tests.features.rows import DAY, catalogue, events

CATALOGUE = catalogue(("a", "Apple", "FRUIT", None), ("b", "Bread", "BAKERY", 3.0))
EVENT = st.tuples(
    st.sampled_from("uvw"),
    st.sampled_from("abcd"),
    st.integers(-5, 100),
    st.sampled_from([None, 0.0, 1.5, 7.0]),
)


def lake(root, rows):
    store = PartitionStore(root=root, schema=INTERACTIONS.polars_schema())
    frame = events(*rows).collect().with_columns(pl.col("timestamp").dt.date().alias("day"))
    for (day,), part in frame.group_by(["day"], maintain_order=True):
        store.write(day, part.drop("day"))
    return store


@given(rows=st.lists(EVENT, min_size=1, max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_later_event_leaks(tmp_path_factory, rows):
    rows = [("u", "a", 3), *rows]
    everything = as_of(DAY, interactions=lake(tmp_path_factory.mktemp("all"), rows), catalogue=CATALOGUE)
    past = [row for row in rows if row[2] >= 0]
    only_past = as_of(DAY, interactions=lake(tmp_path_factory.mktemp("past"), past), catalogue=CATALOGUE)

    assert_frame_equal(everything.users, only_past.users)
    assert_frame_equal(everything.items, only_past.items)


def test_partitions_of_later_days_are_not_opened(tmp_path):
    store = lake(tmp_path, [("u", "a", 0), ("u", "b", -1)])
    store.path(DAY + timedelta(days=1)).write_bytes(b"not Parquet")

    assert as_of(DAY, interactions=store, catalogue=None).users["events_total"].to_list() == [1]


def test_the_last_microsecond_of_the_day_counts_and_the_first_of_the_next_does_not(tmp_path):
    rows = events(("u", "a", 0), ("v", "a", -1)).collect()
    midnight = pl.lit(DAY + timedelta(days=1)).cast(pl.Datetime("us", "UTC"))
    rows = rows.with_columns(
        pl.when(pl.col("user_id") == "u")
        .then(midnight - timedelta(microseconds=1))
        .otherwise(midnight)
        .alias("timestamp")
    )
    store = PartitionStore(root=tmp_path, schema=INTERACTIONS.polars_schema())
    store.write(DAY, rows)

    assert as_of(DAY, interactions=store, catalogue=None).users["user_id"].to_list() == ["u"]


def test_raises_when_the_lake_holds_nothing_so_early(tmp_path):
    store = lake(tmp_path, [("u", "a", 0)])

    with pytest.raises(EmptySourceError, match="no day up to 2024-03-30"):
        as_of(DAY - timedelta(days=1), interactions=store, catalogue=None)
