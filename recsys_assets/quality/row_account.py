"""The account of rows: each row of a source became an interaction, or is counted under one named reason."""

from typing import Final, Self

import msgspec

REASONS: Final = {
    "bad_row": "cannot be read",
    "no_match": "whose order, or other row of a second file, is missing",
    "other_kind": "of kinds that are no interactions",
    "outside_range": "outside of the days that are landed",
    "not_landed": "of days that have not landed yet",
    "rejected": "of days in quarantine",
    "no_user": "without a user",
    "no_item": "without an item",
    "outside_day": "with a time outside of their day",
    "not_finite": "with a number that is not finite",
    "cancelled": "of cancelled orders",
    "not_product": "of items that are no products",
    "returned": "returned, or a return",
    "quantity_not_positive": "with a quantity of 0",
    "value_negative": "with a value below 0",
    "duplicate": "delivered twice",
    "merged": "joined with another row of the same event",
}
"""Reason -> words that follow a number of rows. Every reason that any stage counts is here, in this order."""


class RowsOfReason(msgspec.Struct, frozen=True, kw_only=True):
    """Rows left out for one reason."""

    rows: int
    """Number of rows, > 0."""
    example: str = ""
    """The first of them in words, with its place where it is known."""


class RowAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account of a source, a day or a home."""

    kept: int = 0
    """Rows that went on: events of a source, interactions of a day or a home."""
    reasons: dict[str, RowsOfReason] = {}
    """Reason, of `REASONS` -> the rows left out."""

    @property
    def rows(self) -> int:
        """All rows."""
        return self.kept + sum(reason.rows for reason in self.reasons.values())

    def plus(self, other: Self) -> "RowAccount":
        """Return the account of both; the first example of a reason stays."""
        reasons = dict(self.reasons)
        for name, found in other.reasons.items():
            before = reasons.get(name, RowsOfReason(rows=0))
            reasons[name] = RowsOfReason(
                rows=before.rows + found.rows, example=before.example or found.example
            )
        return RowAccount(kept=self.kept + other.kept, reasons=reasons)

    def lines(self) -> list[str]:
        """Return one line a reason, such as `70 without a user (no_user): line 32 …`, in the order of `REASONS`."""
        return [
            f"{found.rows:,} {words} ({name}){f': {found.example}' if found.example else ''}"
            for name, words in REASONS.items()
            if (found := self.reasons.get(name)) is not None
        ]
