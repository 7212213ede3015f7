"""Every day of the settings is a partition, whatever day it is today."""

from datetime import UTC, date, datetime, timedelta

import pytest

from recsys_assets.orchestration.partitions import daily_partitions
from recsys_assets.source_settings import SourceSettings

TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2001, 1, 1), date(2001, 1, 3)),
        (TODAY, TODAY),
        (TODAY - timedelta(days=3), TODAY + timedelta(days=5)),
    ],
)
def test_each_day_is_a_partition(first, last):
    source = SourceSettings(spec="tabular:/x.csv", first_day=first, last_day=last)

    assert daily_partitions(source).get_partition_keys() == [day.isoformat() for day in source.days()]
