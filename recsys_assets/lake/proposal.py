"""The proposal for reading a table: our columns among its own, the way of reading, and the questions left open.

A sample is read, not the whole; only day and month that the sample does not tell apart are looked for in all of it.
Nothing is printed here: `recsys init` shows a proposal, and gets another one for each answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import EmptySourceError, SourceFormatError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import TabularFile, expand
from recsys_assets.lake.open_questions import (
    OpenQuestion,
    column_questions,
    decimal_of,
    example_of,
    time_format_of,
)
from recsys_assets.lake.sources.preset_files import preset_for
from recsys_assets.lake.sources.preset_format import load_preset
from recsys_assets.lake.sources.tabular import Tabular, files_of
from recsys_assets.lake.values.cell_values import text_of
from recsys_assets.lake.values.column_guesses import REQUIRED, guess, odd_ids
from recsys_assets.lake.values.column_mapping import OWN, resolve
from recsys_assets.lake.values.event_kinds import translations
from recsys_assets.lake.values.time_of_day import PLUS, joined, reads_as_time, times_of_day, with_time_of_day
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.source_settings import Given, ReadingSettings

_MOSTLY: Final = 0.9
_ENOUGH_ROWS: Final = 1_000
"""Rows of the sample, or more where they come together."""
_NOT_PRODUCTS: Final = (
    "POST", "POSTAGE", "DOT", "M", "D", "S", "B", "C2", "CRUK", "PADS", "BANK CHARGES", "AMAZONFEE", "ADJUST*", "GIFT*",
    "gift_*", "TEST*", "MANUAL", "SHIPPING*", "DISCOUNT*", "FEE*", "DELIVERY",
)  # fmt: skip
"""Item ids of rows that are no products, as shop systems write them."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A proposal, with the answers that it proposes to its own questions taken."""

    columns: dict[str, str]
    """Our column name -> theirs, where the names differ or a person gave it."""
    reading: ReadingSettings
    """The way of reading that recsys.toml would have."""
    questions: tuple[OpenQuestion, ...]
    """Open questions, in the order in which they matter."""
    renamed: dict[str, str]
    """Required columns found under another name: ours -> theirs."""
    files: Sequence[TabularFile]
    """The files."""
    read_as: dict[str, str]
    """Our column name -> theirs, for all columns that are read."""
    examples: dict[str, str]
    """Our column name -> the first value as the file has it."""
    unread: list[str]
    """Columns that are not read."""
    sample: pl.DataFrame
    """The events of the first rows, as understood; empty while a question without a proposal is open."""
    account: RowAccount
    """The rows of the sample."""
    notes: list[str]
    """Lines of advice."""
    pieces: bool
    """Identical rows are pieces: there is an order, and neither a quantity nor a line."""


def propose(pattern_or_files: Path | Sequence[TabularFile], given: Given) -> Proposal:
    """Look at the first rows of the files, and propose a way to read them.

    Args:
        pattern_or_files: as in `Tabular`.
        given: the decisions that are made already.

    Raises:
        InputError: the files cannot be read, or lack what no answer can give.
    """
    files = [
        with_time_of_day(file, given.columns.get(names.TIMESTAMP))
        for file in files_of(pattern_or_files, given.reading)
    ]
    resolve(files, given.columns, required=())
    sample = _sample(files)
    timed = given.reading.snapshot is None
    guesses = guess(sample, list(given.columns.items()), timed=timed)
    clocks = (
        [] if names.TIMESTAMP in given.columns or not timed else _join_time_of_day(sample, guesses.by_name)
    )
    files = [with_time_of_day(file, guesses.by_name.get(names.TIMESTAMP)) for file in files]
    questions = column_questions(files[0].path, sample, given, guesses)
    taken = {question.option: question.proposal for question in questions}
    columns = {**given.columns, **guesses.by_name, **guesses.by_values, **dict.fromkeys(guesses.not_read, "")}
    reading = given.reading
    if taken.get("--no-time"):
        reading = msgspec.structs.replace(reading, snapshot=taken["--no-time"])
    read_as = {name: columns.get(name, name) for name in [*OWN, *columns]}
    read_as = {ours: theirs for ours, theirs in read_as.items() if theirs in sample}
    if reading.snapshot is None:
        time_format, question = time_format_of(files, read_as[names.TIMESTAMP], sample, given)
        reading = msgspec.structs.replace(reading, time_format=time_format)
        questions += [question] if question else []
    decimal, question = decimal_of(read_as, sample, given)
    reading = msgspec.structs.replace(reading, decimal=decimal)
    questions += [question] if question else []
    if names.KIND in read_as:
        words = text_of(sample[read_as[names.KIND]]).unique().drop_nulls().to_list()
        reading = msgspec.structs.replace(reading, kinds={**translations(words), **reading.kinds})
    events, account = _events(files, columns, reading, ready=all(question.proposal for question in questions))
    pieces = _has_pieces(events)
    return Proposal(
        columns=columns,
        reading=reading,
        questions=tuple(questions),
        renamed={ours: theirs for ours, theirs in guesses.by_name.items() if ours in REQUIRED},
        files=files,
        read_as=read_as,
        examples={ours: example_of(sample[theirs]) for ours, theirs in read_as.items()},
        unread=[name for name in sample if name not in _parts(read_as.values())],
        sample=events,
        account=account,
        notes=[
            *_unread_notes(guesses.not_read, clocks, read_as.get(names.TIMESTAMP, "")),
            *_notes(events, pieces=pieces),
            *_of_files(pattern_or_files, files, events, account.rows - account.kept),
        ],
        pieces=pieces,
    )


def settled(pattern_or_files: Path | Sequence[TabularFile], given: Given, *, take: bool) -> Proposal:
    """Return a proposal without an open question.

    Args:
        pattern_or_files: as in `Tabular`.
        given: the decisions that are made already.
        take: take the proposed answers, instead of rejecting every question.

    Raises:
        SourceFormatError: a question stays open; the message names the option that answers it.
        InputError: as in `propose`.
    """
    proposal = propose(pattern_or_files, given)
    for question in proposal.questions:
        if question.proposal is None or not take:
            raise SourceFormatError(in_one_line(question, proposal))
        given = given.answered(question.option, question.proposal)
    return propose(pattern_or_files, given) if proposal.questions else proposal


def in_one_line(question: OpenQuestion, proposal: Proposal) -> str:
    """Return the error for a question that nobody answers."""
    name = question.option.split("=")[0] + ("=" if "=" in question.option else " ")
    ways = " or ".join(f"{name}{_quoted(answer)}" for answer in list(question.choices)[:4])
    yes = f", or take {_quoted(question.proposal)} by --yes" if question.proposal else ""
    return f"{proposal.files[0].path}: {question.text}; give {ways}{yes}"


def _quoted(text: str) -> str:
    return f"'{text}'" if set(text) & set(" %") else text


def _sample(files: Sequence[TabularFile]) -> dict[str, pl.Series]:
    """Return the values of each column in the first rows of the first file that has it.

    Of nested records, the columns of each list are read by themselves, and those of none by the record.
    """
    found: dict[str, pl.Series] = {}
    for file in files:
        lists = dict[str, list[str]]()
        for name in file.column_names():
            lists.setdefault(name[: name.rfind("[]") + 1], []).append(name)
        for columns in lists.values():
            if all(name in found for name in columns):
                continue
            chunk = next(iter(file.chunks(columns, RowsAside(allowed=1.0))), None)
            if chunk is not None:
                found |= {name: chunk.frame[name] for name in columns if name not in found}
    if not found:
        raise EmptySourceError(f"{files[0].path}: holds no event; give a file with at least one row")
    return found


def _events(
    files: Sequence[TabularFile], columns: Mapping[str, str], reading: ReadingSettings, *, ready: bool
) -> tuple[pl.DataFrame, RowAccount]:
    """Return the events of the first rows, and the account of its rows; nothing before all is decided."""
    if not ready:
        return pl.DataFrame(), RowAccount()
    aside = RowsAside(allowed=1.0)
    batches = []
    for batch in Tabular(files, columns=columns, reading=reading).read(aside):
        batches.append(batch)
        aside.kept += batch.height
        if aside.kept >= _ENOUGH_ROWS:
            break
    return pl.concat(batches) if batches else pl.DataFrame(), aside.account()


def _has_pieces(events: pl.DataFrame) -> bool:
    if names.ORDER_ID not in events.columns or names.LINE in events.columns:
        return False
    of_orders = events[names.ORDER_ID].count() >= _MOSTLY * events.height
    return bool(of_orders and events[names.QUANTITY].null_count() == events.height)


def _join_time_of_day(sample: dict[str, pl.Series], by_name: dict[str, str]) -> list[str]:
    """Take the time of day beside a date, if there is one, into sample and guesses; return those that are not taken."""
    day = by_name.get(names.TIMESTAMP, names.TIMESTAMP)
    clocks = times_of_day(sample, day) if day in sample else []
    if len(clocks) != 1 or not reads_as_time(sample, day, clocks[0]):
        return clocks
    by_name[names.TIMESTAMP] = f"{day}{PLUS}{clocks[0]}"
    sample[by_name[names.TIMESTAMP]] = joined(sample[day], sample[clocks[0]])
    return []


def _unread_notes(not_read: Mapping[str, str], clocks: Sequence[str], day: str) -> list[str]:
    """Return lines on columns whose name has a meaning, and that are not read."""
    notes = [f"{name!r} is not read; to read it: --column 'timestamp={day}{PLUS}{name}'" for name in clocks]
    for ours, value in not_read.items():
        notes.append(f"{ours} is not read: {value!r} is no number. To read another column: --column {ours}=…")
    return notes


def _parts(read: Iterable[str]) -> set[str]:
    """Return the columns that are read, also as a part of one."""
    return {part for theirs in read for part in (theirs, *theirs.split(PLUS))}


def ready_made(pattern_or_files: Path | Sequence[TabularFile], files: Sequence[TabularFile]) -> str | None:
    """Return the spec of the ready-made source that a table's files are of; None for others."""
    if not isinstance(pattern_or_files, Path):
        return None
    name = preset_for(
        [file.path for file in files], [name for file in files[:1] for name in file.column_names()]
    )
    return None if name is None else f"{name}:{pattern_or_files}"


def _of_files(
    pattern_or_files: Path | Sequence[TabularFile],
    files: Sequence[TabularFile],
    events: pl.DataFrame,
    bad: int,
) -> list[str]:
    """Return lines of advice: the files are of a ready-made source, or some are empty."""
    notes, read = [], {file.path for file in files}
    paths = expand(pattern_or_files) if isinstance(pattern_or_files, Path) else []
    if empty := [path.name for path in paths if path not in read]:
        notes.append(f"Empty files are left out: {', '.join(empty)}")
    if spec := ready_made(pattern_or_files, files):
        known = events.drop_nulls([names.USER_ID, names.ITEM_ID]).height if events.height else 0
        lost = events.height + bad - known
        loses = (
            f"; as a table, {lost:,} of the first {events.height + bad:,} rows would be left out"
            if lost
            else ""
        )
        title = load_preset(spec.partition(":")[0]).title
        notes.append(f"This looks like {title}. To read it ready-made: --source '{spec}'{loses}")
    return notes


def _notes(events: pl.DataFrame, *, pieces: bool) -> list[str]:
    notes = []
    if pieces:
        notes.append(
            "Identical rows of one order are pieces of it, since there is neither a quantity nor a line "
            '([interactions] identical_rows = "pieces").'
        )
    if events.height:
        notes += [
            *odd_ids(names.USER_ID, events[names.USER_ID]),
            *odd_ids(names.ITEM_ID, events[names.ITEM_ID]),
        ]
        items = events[names.ITEM_ID].unique().drop_nulls()
        seen = [
            pattern
            for pattern in _NOT_PRODUCTS
            if items.str.contains("^" + pattern.replace("*", ".*") + "$").any()
        ]
        if seen:
            listed = ", ".join(f'"{pattern}"' for pattern in seen)
            notes.append(
                f"Some items may be no products. To leave them out, write [interactions] not_products = [{listed}]."
            )
    return notes
