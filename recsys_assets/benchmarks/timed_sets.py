"""The sets whose later days are held out: their events as the product cleans them, wishes and what else was seen."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets.benchmarks.datasets import TEST_DATA, data_file
from recsys_assets.embeddings.recency import Categories, categories_in
from recsys_assets.interactions.cleaning import clean_days
from recsys_assets.interactions.wish_rule import WishRule, hides_item
from recsys_assets.lake.item_catalogue import catalogue_of
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.settings import InteractionsSettings, Settings
from recsys_assets.source_settings import SourceSettings

_DAYS_AT_ONCE: Final = 256


@dataclass(frozen=True, kw_only=True)
class TimedSet:
    """One set with time."""

    name: str
    """Name in the report."""
    events: pl.LazyFrame
    """Cleaned interactions."""
    hides: pl.Expr
    """True for the events that hide an item."""
    categories: Categories
    """Codes of the categories of items."""
    catalogue: pl.DataFrame | None
    """Rows of ITEM_CATALOGUE; None where the source has no metadata."""


def timed_set(
    name: str, spec: str, *, mapping: dict[str, str] | None = None, rating_positive: float | None = None
) -> TimedSet:
    """Read and clean a source as a build does.

    Args:
        name: name in the report.
        spec: of the source.
        mapping: our column name -> the file's, for `tabular`.
        rating_positive: as in `[interactions]`; None: as the source says.
    """
    source = open_source(spec, columns=mapping or {})
    found = source.date_range()
    count = (found.last_day - found.first_day).days + 1
    days = [found.first_day + timedelta(days=number) for number in range(count)]
    settings = Settings(
        source=SourceSettings(spec=spec, first_day=days[0], last_day=days[-1], columns=mapping or {}),
        interactions=InteractionsSettings(rating_positive=rating_positive),
    )
    rule, frames = WishRule.of(settings), []
    with tempfile.TemporaryDirectory(prefix="recsys-landing-") as scratch:
        chunk = []
        for day, raw in iter_days(source, days, scratch=Path(scratch)):
            if raw.height:
                chunk.append((day, raw))
            if len(chunk) == _DAYS_AT_ONCE:
                frames += [one.frame for one in clean_days(chunk, rule=rule)]
                chunk = []
        if chunk:
            frames += [one.frame for one in clean_days(chunk, rule=rule)]
    catalogue = None if source.catalogue() is None else catalogue_of(source)
    return TimedSet(
        name=name,
        events=pl.concat(frames).lazy(),
        hides=hides_item(settings.interactions),
        categories=categories_in(catalogue),
        catalogue=catalogue,
    )


def _of_file(file: str, *, kind: str = "amazon", meta: str | None = None) -> str:
    return f"{kind}:{data_file(file)}" + (f",meta={data_file(meta)}" if meta else "")


_PAIRS: Final = {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp"}

TIMED_SETS: Final[dict[str, Callable[[], TimedSet]]] = {
    "default": lambda: timed_set("default", "completejourney"),
    "groceries": lambda: timed_set(
        "groceries", _of_file("groceries_pairs_time.parquet", kind="tabular"), mapping=_PAIRS
    ),
    "movielens": lambda: timed_set(
        "movielens",
        _of_file("movielens_ratings_time.parquet", kind="tabular"),
        mapping={**_PAIRS, "rating": "rating"},
        rating_positive=4.0,
    ),
    "movielens_all": lambda: timed_set(
        "movielens_all", _of_file("movielens_ratings_time.parquet", kind="tabular"), mapping=_PAIRS
    ),
    "instruments_2014": lambda: timed_set(
        "instruments_2014", _of_file("amazon_2014_Musical_Instruments_5.json.gz")
    ),
    "gift_cards_2018": lambda: timed_set(
        "gift_cards_2018",
        _of_file("amazon_2018_Gift_Cards_5.json.gz", meta="amazon_2018_meta_Gift_Cards.json.gz"),
    ),
    "magazines_2018": lambda: timed_set(
        "magazines_2018", _of_file("amazon_2018_Magazine_Subscriptions_ratings.csv.gz")
    ),
    "boxes_2023": lambda: timed_set("boxes_2023", _of_file("amazon_2023_Subscription_Boxes.jsonl.gz")),
}


def available_timed_sets() -> list[str]:
    """Return the names of the sets whose data is here."""
    return [name for name in TIMED_SETS if TEST_DATA in os.environ or name == "default"]
