"""The contracts of `user_features` and `item_features`: every feature once, with type, unit and meaning.

Where the source has kinds of events, the counts of events are there by kind, too (`kind_columns.py`). A feature that
says what somebody did counts every event; one that says what is liked counts wishes, the events with a weight above 0.

The SQLite DDL, the pandera schema and the feature registry that the API shows are derived from them. All values
are as of the end of one UTC day; windows of n days include it.
"""

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from recsys_assets import columns
from recsys_assets.features.kind_columns import with_kinds
from recsys_assets.quality.contract import Column, Contract

_EVENTS: Final = "events"
_DAYS: Final = "days"
_MONEY: Final = "source's currency"
_SHARE: Final = "share 0-1"


def _count(description: str, unit: str = _EVENTS) -> Column:
    return Column(dtype=pl.Int64, ge=0, unit=unit, description=description)


def _age(description: str, *, nullable: bool = False) -> Column:
    return Column(dtype=pl.Int32, ge=0, unit=_DAYS, nullable=nullable, description=description)


def _money(description: str) -> Column:
    return Column(dtype=pl.Float64, ge=0, unit=_MONEY, nullable=True, description=description)


def _share(description: str, *, nullable: bool = False) -> Column:
    return Column(dtype=pl.Float64, ge=0, le=1, unit=_SHARE, nullable=nullable, description=description)


def _label(description: str) -> Column:
    return Column(dtype=pl.String, nullable=True, description=description)


def _trend(description: str) -> Column:
    return Column(dtype=pl.Float64, ge=0, unit="ratio", description=description)


def _rating(description: str) -> Column:
    return Column(dtype=pl.Float64, nullable=True, unit="source's rating scale", description=description)


USER_FEATURES = Contract(
    name="user_features",
    description="One user with at least one event, as of the end of a day.",
    columns={
        columns.USER_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the user."),
        "events_total": _count("Events of any kind in the whole history."),
        "events_7d": _count("Events of any kind in the last 7 days."),
        "events_28d": _count("Events of any kind in the last 28 days."),
        "events_90d": _count("Events of any kind in the last 90 days."),
        "activity_trend": _trend("(events in the last 28 days + 1) / (events in the 28 days before + 1)."),
        "items_distinct": _count("Different items touched.", "items"),
        "categories_distinct": _count(
            "Different categories touched; 0 where categories are unknown.", "categories"
        ),
        "active_days": _count("Days with at least one event.", _DAYS),
        "active_days_28d": _count("Days with at least one event among the last 28.", _DAYS),
        "days_since_first": _age("Age of the first event."),
        "days_since_last": _age("Age of the last event."),
        "days_between_visits": Column(
            dtype=pl.Float64,
            ge=0,
            unit=_DAYS,
            nullable=True,
            description="Mean gap between active days; null with one active day.",
        ),
        "repeat_share": _share("Share of events on an item that the user had touched before."),
        "mean_popularity": _share(
            "Mean popularity percentile of the items wished for, by wish, 1 the most popular; null without a wish.",
            nullable=True,
        ),
        "spend_total": _money(
            "Paid in the whole history: values of all events but views, carts and opinions; null where none."
        ),
        "spend_28d": _money("Paid in the last 28 days, as in `spend_total`."),
        "median_price": _money(
            "Median price of a piece wished for: what the user paid, else the item's price; null if unknown."
        ),
        "price_level": _share(
            "Mean price percentile, within their category, of the items wished for; null if unknown.",
            nullable=True,
        ),
        "mean_rating": _rating("Mean rating given, low ones included; null where none."),
        "favourite_department": _label("Department of most wishes."),
        "favourite_category": _label("Category of most wishes."),
        "favourite_category_share": _share("Share of all wishes in the favourite category.", nullable=True),
        "favourite_brand": _label("Brand of most wishes."),
    },
    key=(columns.USER_ID,),
)

ITEM_FEATURES = Contract(
    name="item_features",
    description="One item, of the catalogue or with at least one event, as of the end of a day.",
    columns={
        columns.ITEM_ID: Column(dtype=pl.String, min_length=1, description="The source's id of the item."),
        columns.TITLE: _label("What a person calls the item."),
        columns.DEPARTMENT: _label("Coarse category."),
        columns.CATEGORY: _label("Fine category."),
        columns.BRAND: _label("Brand or maker."),
        columns.PRICE: _money("Price of a piece: the catalogue's, else the median paid; null where unknown."),
        "price_percentile": _share(
            "Rank of the price among the items of its category, 1 the dearest.", nullable=True
        ),
        "events_total": _count(
            "Events of any kind in the whole history; 0 for an item that nobody touched yet."
        ),
        "events_7d": _count("Events of any kind in the last 7 days."),
        "events_28d": _count("Events of any kind in the last 28 days."),
        "events_90d": _count("Events of any kind in the last 90 days."),
        "popularity_trend": _trend("(wishes in the last 28 days + 1) / (wishes in the 28 days before + 1)."),
        "popularity_rank": Column(
            dtype=pl.Int64,
            ge=1,
            unit="rank",
            nullable=True,
            description="1 is most wishes in the last 90 days (then in all); null for an item never wished for.",
        ),
        "popularity_percentile": _share("1 for the most popular item, 0 for one never wished for."),
        "users_distinct": _count("Different users who touched it.", "users"),
        "users_28d": _count("Different users in the last 28 days.", "users"),
        "repeat_share": _share(
            "Share of its events by a user who had touched it before; null if none.", nullable=True
        ),
        "copurchase_degree": _count(
            "Other items that a user wished for on the same day, in the last 90 days.", "items"
        ),
        "days_since_first": _age("Age of its first event; null if none.", nullable=True),
        "days_since_last": _age("Age of its last event; null if none.", nullable=True),
        "mean_rating": _rating("Mean rating received, low ones included; null where none."),
    },
    key=(columns.ITEM_ID,),
)

REGISTRY_FILE: Final = "features.json"
"""The registry as a file beside the database, for readers without SQLite."""


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Properties that all features of one table share."""

    contract: Contract
    """The table's columns."""
    entity: str
    """Subject of a row: `user` or `item`."""
    owner: str
    """Team that answers questions about the table."""
    source_assets: tuple[str, ...]
    """Assets that the values are computed from."""
    freshness: str
    """Greatest age of a value, in words."""
    version: int
    """Number raised whenever the meaning of a feature changes."""


_FEATURE_TABLES: Final = (
    FeatureTable(
        contract=USER_FEATURES,
        entity="user",
        owner="team:recommendations",
        source_assets=("interactions", "item_catalogue"),
        freshness="end of the release's last day; renewed with every release",
        version=2,
    ),
    FeatureTable(
        contract=ITEM_FEATURES,
        entity="item",
        owner="team:recommendations",
        source_assets=("interactions", "item_catalogue"),
        freshness="end of the release's last day; renewed with every release",
        version=2,
    ),
)
"""The tables of `features.sqlite`."""


def registry_rows(kinds: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return one row a feature: its type, unit, meaning, bounds, owner and freshness.

    Args:
        kinds: names of the kinds that have columns.
    """
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
        for table in _FEATURE_TABLES
        for name, column in with_kinds(table.contract, kinds).columns.items()
        if name not in table.contract.key
    ]
