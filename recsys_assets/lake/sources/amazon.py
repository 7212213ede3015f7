"""Amazon's reviews in the releases of 2014, 2018 and 2023, with or without their product metadata.

The first line of a file shows its release; its name doesn't matter. Review texts are not read.

- 2014 (jmcauley.ucsd.edu/data/amazon) and 2018 (nijianmo.github.io/amazon): JSON lines with `reviewerID`,
  `asin`, `overall`, `unixReviewTime` in seconds; 2018 adds `verified` and `vote`, a string like `"1,234"`.
- 2023 (amazon-reviews-2023.github.io): `user_id`, `parent_asin`, `rating`, `timestamp` in milliseconds.
  The item is `parent_asin`, which all variants (`asin`) of a product share; that is also what the metadata
  are keyed by.
- Ratings only: `item,user,rating,timestamp` without a header in 2018, `user,item,rating,timestamp` in 2014
  (distinguished by the ids: a product's always has ten characters, a reviewer's seldom), and
  `user_id,parent_asin,rating,timestamp` with a header in 2023.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Final, cast

import msgspec
import polars as pl

from recsys_assets import columns
from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.json_records import first_object, json_records
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.text_blocks import first_line
from recsys_assets.lake.files.text_records import Dialect, header, tables
from recsys_assets.lake.sources import amazon_products
from recsys_assets.lake.sources.source import Source, raw_contract
from recsys_assets.lake.values.time_formats import microseconds_per_unit, utc_from_epoch
from recsys_assets.quality.contract import Column

EXTRAS: Final = {
    columns.VERIFIED: Column(
        dtype=pl.Boolean, nullable=True, description="Amazon saw the reviewer buy it; null in 2014."
    ),
    columns.HELPFUL_VOTES: Column(
        dtype=pl.Int32, nullable=True, unit="votes", description="Readers who found the review helpful."
    ),
    columns.VARIANT_ID: Column(
        dtype=pl.String,
        nullable=True,
        description="The variant (`asin`) of the product reviewed; null before 2023.",
    ),
}

_ASIN_LENGTH: Final = 10
_SAMPLE_ROWS: Final = 1_000
_RATINGS_2018: Final = (columns.ITEM_ID, columns.USER_ID, columns.RATING, columns.TIMESTAMP)
_RATINGS_2014: Final = (columns.USER_ID, columns.ITEM_ID, columns.RATING, columns.TIMESTAMP)


class _Review(
    msgspec.Struct, gc=False, rename={"user_id": "reviewerID", "item_id": "asin", "rating": "overall"}
):
    """One line of 2014 or 2018."""

    user_id: str | None = None
    item_id: str | None = None
    rating: float | None = None
    timestamp: int | float | None = msgspec.field(default=None, name="unixReviewTime")
    verified: bool | None = None
    vote: str | int | None = None
    helpful: list[int] | None = None

    @property
    def helpful_votes(self) -> int | None:
        if self.helpful:
            return self.helpful[0]
        return None if self.vote is None else int(str(self.vote).replace(",", ""))

    @property
    def variant_id(self) -> None:
        return None


class _Review2023(
    msgspec.Struct,
    gc=False,
    rename={
        "item_id": "parent_asin",
        "variant_id": "asin",
        "verified": "verified_purchase",
        "helpful_votes": "helpful_vote",
    },
):
    """One line of 2023."""

    user_id: str | None = None
    item_id: str | None = None
    rating: float | None = None
    timestamp: int | float | None = None
    verified: bool | None = None
    helpful_votes: int | None = None
    variant_id: str | None = None


class Amazon(Source):
    """One file of reviews or ratings, and optionally one of product metadata."""

    contract = raw_contract(EXTRAS)
    rating_positive = 4.0
    """Of one to five stars."""

    def __init__(self, reviews: Path, *, products: Path | None = None) -> None:
        """Recognise the release by the first lines.

        Args:
            reviews: reviews as JSON lines, or ratings as CSV.
            products: product metadata; None for no catalogue.

        Raises:
            InputError: a file is missing or empty, or its first line is of no release.
        """
        self._reviews = reviews
        self._products = products
        is_json = first_line(reviews).lstrip().startswith(b"{")
        self._record = _record(reviews) if is_json else None
        self._names = None if is_json else _csv_names(reviews)
        if products is not None:
            amazon_products.check(products)

    def files(self) -> Sequence[Path]:
        """Return the reviews and, if given, the metadata."""
        return [self._reviews] if self._products is None else [self._reviews, self._products]

    def read(self, aside: RowsAside) -> Generator[pl.DataFrame]:
        """Yield about 30,000 reviews, or 400,000 ratings, a batch."""
        frames = self._ratings(aside) if self._record is None else self._json(self._record, aside)
        schema = self.contract.polars_schema()
        for frame in frames:
            missing = [
                pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns
            ]
            yield frame.with_columns(missing).select(schema.names())

    def catalogue(self) -> pl.DataFrame | None:
        """Return the products of the metadata file; None if none was given."""
        return None if self._products is None else amazon_products.read(self._products)

    def _json(self, record: type[_Review] | type[_Review2023], aside: RowsAside) -> Iterator[pl.DataFrame]:
        unit: float | None = None
        for records in json_records(self._reviews, record, aside):
            rows = records.rows
            numbers = pl.Series(columns.TIMESTAMP, [row.timestamp for row in rows], strict=False)
            known = numbers.drop_nulls()
            if unit is None and known.len():
                unit = microseconds_per_unit(cast("float", known.quantile(0.5, "lower")))
            utc = utc_from_epoch(numbers, microseconds=unit or 1.0)
            yield records.finish(
                pl.DataFrame(
                    [
                        pl.Series(columns.USER_ID, [row.user_id for row in rows], dtype=pl.String),
                        pl.Series(columns.ITEM_ID, [row.item_id for row in rows], dtype=pl.String),
                        utc,
                        pl.Series(columns.RATING, [row.rating for row in rows], dtype=pl.Float32),
                        pl.Series(columns.VERIFIED, [row.verified for row in rows], dtype=pl.Boolean),
                        pl.Series(columns.HELPFUL_VOTES, [row.helpful_votes for row in rows], dtype=pl.Int32),
                        pl.Series(columns.VARIANT_ID, [row.variant_id for row in rows], dtype=pl.String),
                    ]
                ),
                bad=utc.is_null(),
                fault=lambda row: _fault(times=numbers, row=row),  # noqa: B023  called at once
                aside=aside,
            )

    def _ratings(self, aside: RowsAside) -> Iterator[pl.DataFrame]:
        unit: float | None = None
        for table in tables(self._reviews, Dialect(names=self._names), aside):
            times = table.typed(columns.TIMESTAMP, pl.Int64)
            table.reject(columns.TIMESTAMP, times.is_null(), "is no timestamp")
            known = times.drop_nulls()
            if unit is None and known.len():
                unit = microseconds_per_unit(cast("float", known.quantile(0.5, "lower")))
            utc = utc_from_epoch(times, microseconds=unit or 1.0)
            table.reject(columns.TIMESTAMP, utc.is_null(), "is no date")
            item = columns.ITEM_ID if self._names else "parent_asin"
            events = pl.DataFrame(
                [
                    table.frame[columns.USER_ID],
                    table.frame[item].alias(columns.ITEM_ID),
                    utc,
                    table.typed(columns.RATING, pl.Float32),
                ]
            )
            yield table.finish(events, aside)


def _fault(times: pl.Series, row: int) -> str:
    found = times[row]
    return "has no timestamp" if found is None else f"has the timestamp {found}, which is no date"


def _record(path: Path) -> type[_Review] | type[_Review2023]:
    keys = first_object(path).keys()
    if {"user_id", "parent_asin", "timestamp"} <= keys:
        return _Review2023
    if {"reviewerID", "asin", "unixReviewTime"} <= keys:
        return _Review
    raise SourceFormatError(
        f"{path}: line 1 has the keys {', '.join(keys)}; Amazon's reviews have reviewerID, asin and "
        "unixReviewTime (2014, 2018) or user_id, parent_asin and timestamp (2023); for other files use "
        "`tabular:PATH`"
    )


def _csv_names(path: Path) -> tuple[str, ...] | None:
    """Return the columns of a ratings file without a header; None if it has the header of 2023."""
    fields = header(path, Dialect())
    if {"user_id", "parent_asin", "rating", "timestamp"} <= set(fields):
        return None
    if len(fields) != len(_RATINGS_2018) or not fields[-1].strip().isdigit():
        raise SourceFormatError(
            f"{path}: line 1 is {','.join(fields)[:80]!r}; Amazon's ratings are item,user,rating,timestamp "
            "without a header, or user_id,parent_asin,rating,timestamp with one; for other files use "
            "`tabular:PATH`"
        )
    sample = next(tables(path, Dialect(names=_RATINGS_2018), RowsAside())).frame.head(_SAMPLE_ROWS)
    lengths = sample.select(pl.col(columns.ITEM_ID, columns.USER_ID).str.len_chars() == _ASIN_LENGTH)
    users_first = lengths[columns.USER_ID].all() and not lengths[columns.ITEM_ID].all()
    return _RATINGS_2014 if users_first else _RATINGS_2018
