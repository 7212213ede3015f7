"""The rule that says which raw rows are events, by `[interactions]`, and the reason of each row that is not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, Self

import polars as pl

from recsys_assets import columns
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.lake.merged_rows import merge_users
from recsys_assets.lake.raw_returns import is_return
from recsys_assets.quality.contract import UTC_MICROSECONDS
from recsys_assets.quality.row_account import RowAccount, RowsOfReason
from recsys_assets.settings import CANCELLED, InteractionsSettings

REASON: Final = "reason"
"""Column of the reason for which a row is left out; null where it is not."""
FAULTS: Final = (
    "no_user",
    "no_item",
    "outside_day",
    "not_finite",
    "quantity_not_positive",
    "value_negative",
    "duplicate",
)
"""Reasons that are a fault of the delivery. The others are as a shop means them: an order was cancelled, a thing came
back, or several rows are one event."""
_CANCELLED_KINDS: Final = ("cancelled", "canceled")
_IDS: Final = (columns.USER_ID, columns.ITEM_ID)
_DETAILS: Final = (columns.QUANTITY, columns.VALUE, columns.RATING, columns.KIND, columns.STATUS)


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """Rows that are no interaction, or several that are one, by the choice of the shop."""

    returns: Literal["cancel", "keep", "drop"] = "cancel"
    """The effect of a return on the wishes before it."""
    identical_rows: Literal["duplicates", "pieces"] = "duplicates"
    """The meaning of rows alike in every column, without a quantity."""
    cancelled: tuple[str, ...] = CANCELLED
    """Values of `status` that make an order none."""
    not_products: tuple[str, ...] = ()
    """Item ids that are no products; `*` is any text."""

    merged: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """Merged user -> the user whom the id means now. It is no part of the rule's text: only days that have rows of
    such users differ by it."""

    @classmethod
    def of(cls, settings: InteractionsSettings, merged: Mapping[str, str] | None = None) -> Self:
        """Return the rule of a home's `[interactions]` and merges."""
        return cls(
            returns=settings.returns,
            identical_rows=settings.identical_rows,
            cancelled=tuple(settings.cancelled),
            not_products=tuple(settings.not_products),
            merged=merged or {},
        )

    def is_cancelled(self, has: frozenset[str]) -> pl.Expr | None:
        """Return True for rows of a cancelled order; None where no row can be one.

        Args:
            has: columns that have a value in any row.
        """
        found = []
        if columns.STATUS in has and self.cancelled:
            words = [word.strip().lower() for word in self.cancelled]
            found.append(
                pl.col(columns.STATUS).cast(pl.String).str.strip_chars().str.to_lowercase().is_in(words)
            )
        if columns.KIND in has:
            found.append(pl.col(columns.KIND).is_in(_CANCELLED_KINDS))
        return pl.any_horizontal(found).fill_null(value=False) if found else None

    def is_no_product(self) -> pl.Expr | None:
        """Return True for rows of an item that is no product; None where every item is one."""
        if not self.not_products:
            return None
        patterns = "|".join(
            ".*".join(map(re.escape, pattern.strip().split("*"))) for pattern in self.not_products
        )
        return pl.col(columns.ITEM_ID).str.contains(f"(?s)^(?:{patterns})$").fill_null(value=False)


def tidied(raw: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with ids and kinds without blanks around them; kinds in lower case, an empty one is null."""
    tidy = [pl.col(name).str.strip_chars() for name in _IDS]
    if raw[columns.KIND].null_count() < raw.height:
        kind = pl.col(columns.KIND).str.strip_chars().str.to_lowercase()
        tidy.append(pl.when(kind != "").then(kind).alias(columns.KIND))
    return raw.with_columns(tidy)


def judged(rows: pl.DataFrame, rule: RowRule) -> pl.DataFrame:
    """Return tidied rows with the first `REASON` that leaves them out, null where none does.

    Rows of merged users come under the users whom their ids mean now.

    Args:
        rows: with RAW_INTERACTIONS' columns, PARTITION, and any of the source's own.
        rule: the choices of the shop.
    """
    rows = merge_users(rows, rule.merged)
    start = pl.col(columns.PARTITION).cast(UTC_MICROSECONDS)
    timestamp, quantity, value = pl.col(columns.TIMESTAMP), pl.col(columns.QUANTITY), pl.col(columns.VALUE)
    within = timestamp.is_between(start, start + pl.duration(days=1), closed="left").fill_null(value=False)
    has = frozenset(name for name in rows.columns if rows[name].null_count() < rows.height)
    numbers = [pl.col(name) for name in (columns.RATING, columns.QUANTITY, columns.VALUE) if name in has] or [
        pl.lit(0.0)
    ]
    reasons: Mapping[str, pl.Expr | None] = {
        "no_user": pl.col(columns.USER_ID).fill_null("") == "",
        "no_item": pl.col(columns.ITEM_ID).fill_null("") == "",
        "outside_day": ~within,
        "not_finite": ~pl.all_horizontal(number.is_finite().fill_null(value=True) for number in numbers),
        "cancelled": rule.is_cancelled(has),
        "not_product": rule.is_no_product(),
        "returned": is_return(has),
        "quantity_not_positive": quantity <= 0 if columns.QUANTITY in has else None,
        "value_negative": value < 0 if columns.VALUE in has else None,
    }
    first = pl.coalesce(
        pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items() if holds is not None
    )
    return rows.lazy().with_columns(first.alias(REASON)).collect()


def counted(
    left_out: pl.DataFrame, found: dict[date, dict[str, RowsOfReason]], *, reason: str | None = None
) -> None:
    """Count rows by day and reason, with the first of each in words.

    Args:
        left_out: rows that are left out, with PARTITION, and REASON unless `reason` is given.
        found: day -> reason -> rows; the rows are added.
        reason: the reason of all rows.
    """
    if left_out.is_empty():
        return
    rows = left_out if reason is None else left_out.with_columns(pl.lit(reason).alias(REASON))
    first = rows.group_by(columns.PARTITION, REASON, maintain_order=True).agg(
        pl.len().alias("rows"), pl.all().exclude(columns.PARTITION, REASON).first()
    )
    for row in first.with_columns(pl.col(columns.TIMESTAMP).cast(pl.String)).iter_rows(named=True):
        of_day = found.setdefault(row[columns.PARTITION], {})
        before = of_day.get(row[REASON])
        of_day[row[REASON]] = RowsOfReason(
            rows=row["rows"] + (before.rows if before else 0),
            example=before.example if before else in_words(row),
        )


class ForeseenRows:
    """Rows that cleaning will leave out for their own values, counted while a whole source is read."""

    def __init__(self, rule: RowRule) -> None:
        """Count nothing yet."""
        self._rule = rule
        self._found: dict[date, dict[str, RowsOfReason]] = {}

    def add(self, batch: pl.DataFrame) -> None:
        """Count the rows of a batch of events."""
        dated = batch.with_columns(pl.col(columns.TIMESTAMP).dt.date().alias(columns.PARTITION))
        counted(judged(tidied(dated), self._rule).filter(pl.col(REASON).is_not_null()), self._found)

    def account(self, first: date, last: date) -> RowAccount:
        """Return the rows of these days by reason; `kept` is 0."""
        total = RowAccount()
        for day in sorted(self._found):
            if first <= day <= last:
                total = total.plus(RowAccount(reasons=self._found[day]))
        return total


def in_words(row: Mapping[str, object]) -> str:
    """Return a raw row, its timestamp as text, as one line: ids, time, and what else it has of the common columns."""
    parts = [f"{name}={row[name]!r}" for name in _IDS]
    parts.append(str(row[columns.TIMESTAMP]).removesuffix("+00:00").removesuffix(".000000"))
    for name in _DETAILS:
        value = row.get(name)
        if value is not None:
            parts.append(f"{name}={f'{value:g}' if isinstance(value, float) else value}")
    return " ".join(parts)


RAW_COLUMNS: Final = tuple(RAW_INTERACTIONS.columns)
"""The columns that every raw day has."""
