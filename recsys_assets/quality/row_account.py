"""The account of rows: each row of a source became an interaction, or is counted under one named reason."""

import sqlite3
from contextlib import closing
from typing import Final, Self

import msgspec

REASONS: Final = {
    "bad_row": "cannot be read",
    "no_event": "that hold no event, such as a total or the header again",
    "no_match": "whose order, or other row of a second file, is missing",
    "other_kind": "of kinds that are no interactions",
    "outside_range": "outside of the days that are landed",
    "not_landed": "of days that have not landed yet",
    "rejected": "of days in quarantine",
    "forgotten": "of users who were forgotten",
    "event_in_source": "that are events by HTTP which the source has too",
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

    def rows_by_reason(self) -> list[dict[str, str | int]]:
        """Return reason, rows, words and example of each reason, in the order of `REASONS`."""
        return [
            {"reason": name, "rows": found.rows, "meaning": words, "example": found.example}
            for name, words in REASONS.items()
            if (found := self.reasons.get(name)) is not None
        ]

    def in_words(self, *, of: int) -> list[str]:
        """Return `70 of 100 rows without a user` for each reason, those with most rows first."""
        most_first = sorted(self.reasons.items(), key=lambda item: -item[1].rows)
        return [
            f"{found.rows:,} of {of:,} row{'' if of == 1 else 's'} {REASONS.get(name, name)}"
            for name, found in most_first
        ]


class HomeAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a home: every row of its source, as it is in the lake now."""

    source_rows: int | None = None
    """Rows of the source when it was read last; None of a home that was set up before they were counted."""
    events: int = 0
    """Events by HTTP in the lake."""
    account: RowAccount = RowAccount()
    """Interactions, and the rows left out by reason."""
    differences: str = ""
    """The days that landed with other rows than the source has now, in words; empty where the account adds up."""

    def in_words(self) -> list[str]:
        """Return a headline, one line a reason, and the differences; nothing where every row is an interaction."""
        account = self.account
        if not account.reasons and not self.differences and not self.events:
            return []
        rows = account.rows if self.source_rows is None else self.source_rows
        left_out = account.rows - account.kept
        delivered = f"{rows:,} of the source" + (
            f" and {self.events:,} events by HTTP" if self.events else ""
        )
        headline = f"Rows: {delivered}, {account.kept:,} interactions, {left_out:,} left out or joined"
        lines = [f"  {line}" for line in account.lines()]
        return [f"{headline}:" if lines else headline, *lines, *filter(None, [self.differences])]


_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS row_accounts (day TEXT PRIMARY KEY, account BLOB NOT NULL) WITHOUT ROWID;
"""
"""Day, `2017-01-01` -> the account of its raw rows, for the interactions that are published now."""
_DECODER: Final = msgspec.json.Decoder(RowAccount)


def prepare_accounts(connection: sqlite3.Connection) -> None:
    """Create `row_accounts` where it is missing."""
    connection.executescript(_SCHEMA)


def put_account(connection: sqlite3.Connection, day: str, account: RowAccount) -> None:
    """Store a day's account; it replaces the one before."""
    connection.execute(
        "INSERT OR REPLACE INTO row_accounts VALUES (?,?)", (day, msgspec.json.encode(account))
    )


def stored_accounts(connection: sqlite3.Connection, *, since: str) -> dict[str, RowAccount]:
    """Return day -> account of the days from `since` on, oldest first."""
    with closing(
        connection.execute("SELECT day, account FROM row_accounts WHERE day >= ? ORDER BY day", (since,))
    ) as rows:
        return {day: _DECODER.decode(account) for day, account in rows}
