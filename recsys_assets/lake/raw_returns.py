"""Returns among raw events: the rows that are one, and the raw table, whose days are noted where they have none."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.lake.contract import RAW_INTERACTIONS
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.day_versions import DayVersions
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

RETURN_KINDS: Final = ("return", "refund")
"""Kinds of an event that brings pieces back."""
_NOTE: Final = "recsys.returns"
_NONE: Final = "0"


def is_return(has: Collection[str] = (columns.QUANTITY, columns.KIND)) -> pl.Expr:
    """Return True for events with a quantity below 0, or of a return's kind; never null.

    Args:
        has: columns that have a value in any row; the others are not looked at.
    """
    kind = pl.col(columns.KIND).str.strip_chars().str.to_lowercase()
    is_one = {columns.QUANTITY: pl.col(columns.QUANTITY) < 0, columns.KIND: kind.is_in(RETURN_KINDS)}
    found = [expression.fill_null(value=False) for name, expression in is_one.items() if name in has]
    return pl.any_horizontal(found) if found else pl.lit(value=False)


def note_of_returns(frame: pl.DataFrame) -> Mapping[str, str]:
    """Return the note of a raw day's file: the number of its rows that are returns.

    Args:
        frame: events with RAW_INTERACTIONS' columns.
    """
    names = (columns.QUANTITY, columns.KIND)
    if not set(names).issubset(frame.columns):
        return {}
    has = [name for name in names if frame[name].null_count() < frame.height]
    return {_NOTE: str(frame.select(is_return(has).sum()).item()) if has else _NONE}


def may_have_returns(file: DayFile) -> bool:
    """Return True unless the day's note says that it has none; a file of an earlier version has no note."""
    return file.rows != 0 and file.provenance.get(_NOTE) != _NONE


def with_note(store: PartitionStore) -> PartitionStore:
    """Return the table `raw_interactions`, whose days are written with their note."""
    return replace(store, note=note_of_returns)


def raw_store(home: Home, *, provenance: Callable[[date], Mapping[str, str]] | None = None) -> PartitionStore:
    """Return the table `raw_interactions` of a home, which keeps the earlier versions of its days.

    Args:
        home: the home.
        provenance: the inputs of a day's file.
    """
    versions = DayVersions(root=home.versions)
    schema = RAW_INTERACTIONS.polars_schema()
    return with_note(PartitionStore(root=home.raw, schema=schema, provenance=provenance, versions=versions))
