"""The lake of a home: the path of each daily table, and of what lies beside them."""

from pathlib import Path

import msgspec


class LakePaths(msgspec.Struct, frozen=True):
    """The part of a home that holds events, from the source to cleaned interactions."""

    root: Path
    """Absolute path of the home's folder."""

    @property
    def raw(self) -> Path:
        """`raw_interactions`, a folder a day."""
        return self.root / "lake" / "raw"

    @property
    def versions(self) -> Path:
        """Earlier versions of raw days, a folder a day, and when each landed."""
        return self.root / "lake" / "versions"

    @property
    def interactions(self) -> Path:
        """`interactions`, a folder a day."""
        return self.root / "lake" / "interactions"

    @property
    def taken_off(self) -> Path:
        """The pieces that returns took off purchases when interactions were built last: one Parquet file."""
        return self.root / "lake" / "taken_off.parquet"

    @property
    def catalogue(self) -> Path:
        """`item_catalogue`: one Parquet file."""
        return self.root / "lake" / "item_catalogue.parquet"

    @property
    def catalogue_now(self) -> Path:
        """The categories and prices of the newest catalogue, as arrays that servers read."""
        return self.root / "lake" / "catalogue_now"

    @property
    def event_days(self) -> Path:
        """Events that landed from the intake, a folder a day of the event."""
        return self.root / "lake" / "events"

    @property
    def impression_days(self) -> Path:
        """Impressions that landed from the intake, a folder a day."""
        return self.root / "lake" / "impressions"

    @property
    def online_metrics(self) -> Path:
        """`online_metrics`, a folder a day."""
        return self.root / "lake" / "online_metrics"

    @property
    def merged_days(self) -> Path:
        """The raw days that have rows of merged users: JSON without their ids; made again where it is missing."""
        return self.root / "lake" / "merged_days.json"
