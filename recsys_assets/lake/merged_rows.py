"""Rows of users who were merged into others: renamed where raw days are cleaned, and the days that have such rows.

Raw days stay as the source has them. A cleaned day is stale where a merge touches it, and only there.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import msgspec
import polars as pl

from recsys_assets import columns
from recsys_assets.intake.merged_users import last_users, stored_merges
from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.day_journal import DayFile
from recsys_assets.storage.home import Home
from recsys_assets.storage.id_form import BLANKS
from recsys_assets.storage.partition_store import PartitionStore


class _Known(msgspec.Struct, frozen=True):
    """The days as they were searched last. It holds no user's id."""

    merges: str
    """Digest of all merges."""
    days: dict[date, tuple[str, str]] = {}
    """Raw day -> the content that was searched, and the digest of the merges that touch it; empty where none does."""


def merged_users(home: Home) -> dict[str, str]:
    """Return merged user -> the user whom the id means now.

    Raises:
        EventsUnavailableError: the intake cannot be read.
    """
    return last_users(stored_merges(home.events_db))


def user_of(merged: Mapping[str, str]) -> pl.Expr:
    """Return the user of each raw row: its `user_id` without blanks around it, through the merges."""
    user = pl.col(columns.USER_ID).str.strip_chars(BLANKS)
    return user.replace(dict(merged)) if merged else user


def merge_users(rows: pl.DataFrame, merged: Mapping[str, str]) -> pl.DataFrame:
    """Return rows under the users whom their ids mean now, in their order."""
    return rows.with_columns(user_of(merged)) if merged else rows


def touched_days(
    home: Home, store: PartitionStore, files: Mapping[date, DayFile], merged: Mapping[str, str]
) -> dict[date, str]:
    """Return raw day -> digest of the merges that rename rows of it; a day without such rows is left out.

    A day is searched once for the same content and merges; the results are kept in `Home.merged_days`.

    Args:
        home: keeps what was searched.
        store: the raw days.
        files: raw day -> its file.
        merged: merged user -> the user whom the id means now.
    """
    if not merged:
        return {}
    known = _read(home.merged_days, merges=_digest(merged.items()))
    stale = [day for day, file in files.items() if known.days.get(day, ("", ""))[0] != file.content]
    if stale:
        found = {day: (files[day].content, "") for day in stale}
        found |= {
            day: (files[day].content, digest) for day, digest in _searched(store, stale, merged).items()
        }
        kept = {day: searched for day, searched in known.days.items() if day in files}
        known = _Known(known.merges, kept | found)
        replace_file(home.merged_days, msgspec.json.encode(known))
    return {day: digest for day, (_, digest) in known.days.items() if digest}


def _searched(store: PartitionStore, days: Iterable[date], merged: Mapping[str, str]) -> dict[date, str]:
    ids = pl.Series(list(merged), dtype=pl.String).implode()
    user = pl.col(columns.USER_ID).str.strip_chars(BLANKS)
    found = {}
    for chunk in store.read_chunks(days, where=lambda rows: rows.filter(user.is_in(ids))):
        for day, rows in chunk:
            if rows.height:
                users = rows.select(user.unique()).to_series()
                found[day] = _digest((one, merged[one]) for one in users)
    return found


def _read(file: Path, *, merges: str) -> _Known:
    """Return what is known of the same merges; nothing where there are others, or the file is damaged."""
    try:
        known = msgspec.json.decode(read_file(file), type=_Known)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return _Known(merges)
    return known if known.merges == merges else _Known(merges)


def _digest(pairs: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256(repr(sorted(pairs)).encode()).hexdigest()[:20]
