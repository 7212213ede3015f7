"""Features as they were at the end of a past day, from the lake, for training without leaks."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_assets.errors import EmptySourceError
from recsys_assets.features.compute import feature_tables
from recsys_assets.storage.partition_store import PartitionStore


@dataclass(frozen=True, kw_only=True)
class FeatureFrames:
    """Both tables as of one day."""

    day: date
    """The day at whose end the values hold."""
    users: pl.DataFrame
    """USER_FEATURES rows."""
    items: pl.DataFrame
    """ITEM_FEATURES rows."""


def as_of(day: date, *, interactions: PartitionStore, catalogue: pl.DataFrame | None) -> FeatureFrames:
    """Both tables at the end of `day` (UTC): partitions of later days are not opened.

    Titles, categories and catalogue prices carry no time in the sources and are today's.

    Raises:
        EmptySourceError: the lake holds no day up to `day`.
    """
    days = [landed for landed in interactions.days() if landed <= day]
    if not days:
        raise EmptySourceError(
            f"{interactions.root}: no day up to {day}; land earlier days or ask for a later one"
        )
    users, items = feature_tables(interactions.scan(days), catalogue, as_of=day)
    return FeatureFrames(day=day, users=users, items=items)
