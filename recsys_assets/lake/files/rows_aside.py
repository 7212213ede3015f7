"""Rows of a source that become no event, counted by reason with an example of each, and the limit on them."""

from collections.abc import Callable
from typing import Final

from recsys_assets.errors import SourceFormatError
from recsys_assets.quality.row_account import RowAccount, RowsOfReason
from recsys_assets.source_settings import BAD_ROWS

BAD_ROW: Final = "bad_row"
"""Reason: a line or a value of it cannot be read."""
DUPLICATE_FILE: Final = "duplicate"
"""Reason: the row is in a file with the same content as one before."""
NO_MATCH: Final = "no_match"
"""Reason: the row's order, or another row that it needs of a second file, isn't there."""
OTHER_KIND: Final = "other_kind"
"""Reason: the row is an event of a kind that is no interaction, such as the start of a session."""
NO_EVENT: Final = "no_event"
"""Reason: the row repeats the header, or has neither user nor item nor time, as a line of totals."""
_HOPELESS_ROWS: Final = 1_000
_HOPELESS_FACTOR: Final = 10
"""Reading ends early at 1,000 bad rows that are 10 times as many as allowed."""


class RowsAside:
    """The account of one reading of a source. Every row is read (`kept`), or in `reasons`."""

    def __init__(self, *, allowed: float = BAD_ROWS, before: RowAccount | None = None) -> None:
        """Count nothing yet.

        Args:
            allowed: share of all rows that may be a `bad_row`, 0 to 1.
            before: account of rows read earlier, which count for the share; None for none.
        """
        self.kept = 0
        """Rows that became events."""
        self.reasons: dict[str, RowsOfReason] = {}
        """Reason -> rows."""
        self._allowed, self._before = allowed, before or RowAccount()

    @property
    def total(self) -> int:
        """All rows."""
        return self.kept + sum(reason.rows for reason in self.reasons.values())

    def add(self, reason: str, *, rows: int, example: Callable[[], str]) -> None:
        """Count rows; `example` is called for the first of a reason only, since finding a line's number is slow.

        Raises:
            SourceFormatError: so many rows are bad that it isn't worth reading on.
        """
        if not rows:
            return
        before = self.reasons.get(reason)
        self.reasons[reason] = RowsOfReason(
            rows=rows + (before.rows if before else 0), example=before.example if before else example()
        )
        all_rows = self._all()
        bad = all_rows.reasons.get(BAD_ROW)
        if bad and bad.rows >= _HOPELESS_ROWS and bad.rows > _HOPELESS_FACTOR * self._allowed * all_rows.rows:
            self.require_few()

    def account(self) -> RowAccount:
        """Return the account as it stands."""
        return RowAccount(kept=self.kept, reasons=dict(self.reasons))

    def require_few(self) -> None:
        """Check the share of bad rows; called at the end of a source.

        Raises:
            SourceFormatError: it is above the limit. The message has the first bad row, and both ways out.
        """
        rows, bad = self._all().rows, self._all().reasons.get(BAD_ROW)
        if bad is None or bad.rows <= self._allowed * rows:
            return
        way_out = f"or leave such rows out by `--bad-rows {bad.rows / rows + 0.0005:.3f}`"
        if bad.rows == 1:
            raise SourceFormatError(f"{bad.example}; mend or remove it, {way_out}")
        raise SourceFormatError(
            f"{bad.example}; {bad.rows:,} of {rows:,} rows cannot be read, the limit is {self._allowed:g} of"
            f" them: mend or remove them, {way_out}"
        )

    def _all(self) -> RowAccount:
        return self._before.plus(self.account())
