"""Some rows of a file that know where they stand in it, so that a wrong value is refused with its place."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_assets.errors import SourceFormatError


@dataclass(frozen=True, kw_only=True)
class Chunk(ABC):
    """Consecutive rows of one file, columns named and typed as the file has them."""

    frame: pl.DataFrame
    """The rows."""
    path: Path
    """The file."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Where row `row`, from 0, stands, for messages: `line 12` or `row 12`, from 1; may be slow."""

    def typed(self, column: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
        """One column as `dtype`; nulls and empty text are null.

        Raises:
            SourceFormatError: a value that isn't one; names file, place, column and value.
        """
        found = self.frame[column]
        if found.dtype == pl.String and dtype != pl.String:
            found = found.str.strip_chars().replace("", None)
        if found.dtype.is_float() and dtype == pl.String:
            found = _whole(found)
        values = found.cast(dtype, strict=False)
        kind = "a number" if values.dtype.is_numeric() else str(dtype)
        self.refuse(column, found.is_not_null() & values.is_null(), f"is not {kind}")
        return values

    def refuse(self, column: str, bad: pl.Series, reason: str) -> None:
        """Raise SourceFormatError for the first row where `bad`; nothing happens where none is."""
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise SourceFormatError(
                f"{self.path}: {self.place(row)}, column {column!r}: {self.frame[column][row]!r} {reason}; "
                "mend or remove it"
            )


def _whole(ids: pl.Series) -> pl.Series:
    """Ids that somebody's missing values made floats, as the integers they were."""
    whole = ids.cast(pl.Int64, strict=False)
    return whole if whole.cast(ids.dtype).eq_missing(ids).all() else ids
