"""The sensor for landed days and the daily schedule."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from recsys_assets.lake.sources.registry import open_source
from recsys_assets.orchestration.jobs import land_yesterday, landed_day
from recsys_assets.orchestration.resources import Lake
from recsys_assets.settings import DEFAULT_SOURCE

LAST = DEFAULT_SOURCE.last_day


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(home_path=str(tmp_path))


def _land(lake: Lake, day) -> None:
    lake.raw().write(day, lake.raw().schema.to_frame())


def test_a_home_where_nothing_landed_starts_nothing(lake):
    said = landed_day(DEFAULT_SOURCE)(dg.build_sensor_context(), lake=lake)
    assert isinstance(said, dg.SkipReason)
    assert "recsys build" in said.skip_message


def test_the_days_after_the_last_landed_one_are_requested_in_one_run(lake):
    _land(lake, LAST - timedelta(days=2))
    (requested,) = landed_day(DEFAULT_SOURCE)(dg.build_sensor_context(), lake=lake)
    assert requested.tags["dagster/asset_partition_range_start"] == (LAST - timedelta(days=1)).isoformat()
    assert requested.tags["dagster/asset_partition_range_end"] == LAST.isoformat()


def test_once_the_last_day_has_landed_there_is_nothing_new(lake):
    _land(lake, LAST)
    assert isinstance(landed_day(DEFAULT_SOURCE)(dg.build_sensor_context(), lake=lake), dg.SkipReason)


@pytest.mark.parametrize(("after", "expected"), [(1, dg.RunRequest), (2, dg.SkipReason)])
def test_the_schedule_requests_yesterday_where_the_source_has_it(after, expected):
    at = datetime(LAST.year, LAST.month, LAST.day, 3, 30, tzinfo=UTC) + timedelta(days=after)
    said = land_yesterday(DEFAULT_SOURCE)(dg.build_schedule_context(scheduled_execution_time=at))
    assert isinstance(said, expected)


def test_the_default_days_are_those_of_the_default_source():
    found = open_source(DEFAULT_SOURCE.spec).date_range()
    assert (found.first_day, found.last_day) == (DEFAULT_SOURCE.first_day, DEFAULT_SOURCE.last_day)
