"""The feature registry: what each feature is, whose it is and how fresh, generated from the contracts."""

from dataclasses import dataclass
from typing import Any, Final

from recsys_assets.features.contract import ITEM_FEATURES, USER_FEATURES
from recsys_assets.quality.contract import Contract

REGISTRY_FILE: Final = "features.json"
"""The registry beside the database, for readers without SQLite."""


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """What holds for all features of one table."""

    contract: Contract
    """The table's columns."""
    entity: str
    """What one row describes: `user` or `item`."""
    owner: str
    """Who answers questions about it."""
    source_assets: tuple[str, ...]
    """The assets that the values are computed from."""
    freshness: str
    """How old a value may be, in words."""
    version: int
    """Raised whenever a feature's meaning changes."""


FEATURE_TABLES: Final = (
    FeatureTable(
        contract=USER_FEATURES,
        entity="user",
        owner="team:recommendations",
        source_assets=("interactions", "item_catalogue"),
        freshness="end of the release's last day; renewed with every release",
        version=1,
    ),
    FeatureTable(
        contract=ITEM_FEATURES,
        entity="item",
        owner="team:recommendations",
        source_assets=("interactions", "item_catalogue"),
        freshness="end of the release's last day; renewed with every release",
        version=1,
    ),
)
"""The tables in a release's `features.sqlite`."""


def registry_rows() -> list[dict[str, Any]]:
    """One row a feature: what it is, its bounds, whose it is and how fresh."""
    return [
        {
            "entity": table.entity,
            "name": name,
            "type": str(column.dtype).lower(),
            "unit": column.unit,
            "description": column.description,
            "nullable": column.nullable,
            "least": column.ge,
            "greatest": column.le,
            "owner": table.owner,
            "source_assets": ", ".join(table.source_assets),
            "freshness": table.freshness,
            "version": table.version,
        }
        for table in FEATURE_TABLES
        for name, column in table.contract.columns.items()
        if name not in table.contract.key
    ]
