"""Small files of a published shape, read as their preset says."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.proposal import propose
from recsys_assets.lake.sources.registry import open_source, preset_tables
from recsys_assets.source_settings import Given, ReadingSettings


def write(folder: Path, **files: str) -> Path:
    """Write files; `__` in a name is a dot."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def events(spec: str, *columns: str) -> list[tuple]:
    """Return the events' user and item, and more of their columns, in order; every row is accounted for."""
    frame, _ = read(spec)
    return frame.select("user_id", "item_id", *columns).rows()


def left_out(spec: str) -> dict[str, int]:
    """Return reason -> rows that became no events."""
    _, account = read(spec)
    return {name: found.rows for name, found in account.reasons.items()}


def read(spec: str):
    source, aside = open_source(spec), RowsAside()
    frame = pl.concat(list(source.batches(aside)))
    account = aside.account()
    assert account.kept == frame.height
    assert asked(spec) == []
    return frame, account


def asked(spec: str) -> list[str]:
    """Return the questions that `recsys init` has about the source."""
    tables, declared = preset_tables(spec, columns={}, reading=ReadingSettings())
    return [question.text for question in propose(tables, Given(reading=declared)).questions]


def items(spec: str, *columns: str) -> list[tuple]:
    """Return the catalogue's items and some of their columns."""
    return open_source(spec).catalogue().select("item_id", *columns).rows()


def utc(text: str) -> datetime:
    """Return a time of UTC written in ISO 8601."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
