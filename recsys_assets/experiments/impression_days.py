"""Impressions in the lake: `lake/impressions`, a file a UTC day of being shown, landed from the intake exactly once.

A row is known by its answer and item. So landing may be killed at any moment and is repeated: rows that are there
already change nothing, and the intake keeps them until their day is on the disk.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

import polars as pl

from recsys_assets.columns import ITEM_ID, TIMESTAMP, USER_ID
from recsys_assets.experiments.attribution import ANSWER_ID, GROUPS, POSITION
from recsys_assets.intake.events_of_home import opened_events, patiently, prune_landed
from recsys_assets.intake.rows import ImpressionRow
from recsys_assets.intake.stored_events import read_impressions
from recsys_assets.quality.contract import UTC_MICROSECONDS, Column, Contract
from recsys_assets.release.answer_id import parse_answer_id
from recsys_assets.release.answer_series import AnswerSeries, is_given, series_of
from recsys_assets.release.shared_series import exchange_series
from recsys_assets.storage.atomic import make_folder, read_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

REPEAT_DAYS: Final = 35
"""An impression that comes a second time within this time of the first, under another day, is the same one."""
_LANDED: Final = ".landed_through"
"""The greatest sequence number of the intake that landed; a build that finds none reads the whole intake again."""
_ROWS_AT_ONCE: Final = 200_000
_NO_RELEASE: Final = "unknown"
"""The release of an id that is no answer's."""

IMPRESSIONS: Final = Contract(
    name="impressions",
    description="One item of an answer, shown to a user.",
    columns={
        ANSWER_ID: Column(dtype=pl.String, min_length=1, description="The answer's id."),
        ITEM_ID: Column(dtype=pl.String, min_length=1, description="The item's id."),
        POSITION: Column(dtype=pl.Int32, ge=1, description="Place in the list as shown, from 1."),
        USER_ID: Column(dtype=pl.String, nullable=True, description="The user; null where not given."),
        TIMESTAMP: Column(dtype=UTC_MICROSECONDS, description="Time of its being shown, UTC."),
        "received_at": Column(dtype=UTC_MICROSECONDS, description="Time of arrival, UTC."),
        "release": Column(dtype=pl.String, min_length=1, description="Id of the release that answered."),
        "list": Column(
            dtype=pl.String,
            nullable=True,
            description="Kind of list: plain, session, similar, popular, why or scenario:NAME; null where the "
            "answer's series is not known.",
        ),
        "experiment": Column(dtype=pl.String, nullable=True, description="The experiment; null for none."),
        "arm": Column(dtype=pl.String, nullable=True, description="The arm of it; null for none."),
    },
    key=(ANSWER_ID, ITEM_ID),
)


@dataclass(frozen=True, kw_only=True)
class LandedImpressions:
    """The outcome of a landing."""

    rows: int
    """Rows that the lake had not."""
    days: tuple[date, ...]
    """The days that they are of, oldest first."""
    pruned: int
    """Rows that were removed from the intake."""


def impression_store(home: Home) -> PartitionStore:
    """Return the table `impressions`."""
    return PartitionStore(root=home.impression_days, schema=IMPRESSIONS.polars_schema())


def impressions_waiting(home: Home) -> int:
    """Return the sequence number of the first impression in the intake that has not landed; 0 for none.

    Raises:
        EventsUnavailableError: the intake cannot be read.
    """
    return next((seq for seq, _ in read_impressions(home.events_db, after_seq=_landed_through(home))), 0)


def land_impressions(home: Home, *, keep_days: int, now: datetime) -> LandedImpressions:
    """Land the impressions of the intake, then remove from it what is older than is kept; under the build lock.

    Args:
        home: the home.
        keep_days: days since arrival for which the intake keeps what landed.
        now: the time, UTC.

    Raises:
        EventsUnavailableError: the intake cannot be read or written, or its server does not answer.
        AnswersUnavailableError: the series of answers cannot be read.
    """
    with opened_events(home) as shared:
        if shared is not None:
            patiently(shared, partial(exchange_series, shared, home.answers_db))
    store, series, after = impression_store(home), series_of(home.answers_db), _landed_through(home)
    waiting = read_impressions(home.events_db, after_seq=after)
    rows, days = 0, set[date]()
    while chunk := list(islice(waiting, _ROWS_AT_ONCE)):
        for day, added in _merge(store, _frame([row for _, row in chunk], series)):
            rows += added
            days.add(day)
        store.settle()
        after = chunk[-1][0]
        make_folder(home.impression_days)
        replace_file(home.impression_days / _LANDED, str(after).encode())
    before = now - timedelta(days=keep_days)
    pruned = prune_landed(home, "impressions", landed_through=after, received_before=before)
    return LandedImpressions(rows=rows, days=tuple(sorted(days)), pruned=pruned)


def _landed_through(home: Home) -> int:
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        return int(read_file(home.impression_days / _LANDED))
    return 0


def _merge(store: PartitionStore, rows: pl.DataFrame) -> Iterator[tuple[date, int]]:
    """Add the rows that the lake has not to their days' files; yield each day that changed, and its new rows."""
    margin, stamped = timedelta(days=REPEAT_DAYS), rows[TIMESTAMP].dt.date().unique().sort().to_list()
    near = [day for day in store.days() if stamped[0] - margin <= day <= stamped[-1] + margin]
    known = (
        store.scan(near)
        .select(IMPRESSIONS.key)
        .join(rows.lazy().select(ANSWER_ID).unique(), on=ANSWER_ID, how="semi")
        .collect()
    )
    new = rows.join(known, on=IMPRESSIONS.key, how="anti", maintain_order="left").unique(
        IMPRESSIONS.key, keep="first", maintain_order=True
    )
    for day in stamped:
        of_day = new.filter(pl.col(TIMESTAMP).dt.date() == day)
        if of_day.is_empty():
            continue
        before = [store.read(day).select(of_day.columns)] if store.file(day) is not None else []
        store.write(day, pl.concat([*before, of_day]).sort(TIMESTAMP, ANSWER_ID, POSITION))
        yield day, of_day.height


def _frame(rows: Iterable[ImpressionRow], series: Mapping[str, AnswerSeries]) -> pl.DataFrame:
    """Return rows of the intake as those of the lake, with what their answers' ids stand for."""
    frame = pl.DataFrame(
        list(rows),
        schema={
            ANSWER_ID: pl.String,
            ITEM_ID: pl.String,
            POSITION: pl.Int32,
            USER_ID: pl.String,
            TIMESTAMP: UTC_MICROSECONDS,
            "received_at": UTC_MICROSECONDS,
        },
        orient="row",
    )
    origins = [(one, *_origin(one, series)) for one in frame[ANSWER_ID].unique()]
    names = dict.fromkeys((ANSWER_ID, *GROUPS), pl.String)
    return frame.join(
        pl.DataFrame(origins, schema=names, orient="row"), on=ANSWER_ID, how="left", maintain_order="left"
    )


def _origin(
    answer_id: str, series: Mapping[str, AnswerSeries]
) -> tuple[str, str | None, str | None, str | None]:
    """Return release, list, experiment and arm of an answer."""
    answer = parse_answer_id(answer_id)
    if answer is None:
        return (_NO_RELEASE, None, None, None)
    if not is_given(answer, series):
        return (answer.release, None, None, None)
    own = series[answer.series]
    return (own.release, own.list, own.experiment, own.arm)
