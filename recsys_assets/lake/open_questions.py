"""Questions about a table that its values do not answer for sure, each with the option that does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.tabular_files import TabularFile
from recsys_assets.lake.values.cell_values import decimal_mark
from recsys_assets.lake.values.column_guesses import NUMBERS, REQUIRED, Guesses
from recsys_assets.lake.values.column_mapping import missing
from recsys_assets.lake.values.column_meanings import best_names
from recsys_assets.lake.values.file_times import column_parts, fault_of
from recsys_assets.lake.values.time_formats import ISO, TimeFormat
from recsys_assets.lake.values.time_recognition import recognise, sample_of, settle
from recsys_assets.source_settings import Given

NO_TIME_COSTS: Final = "no list can be judged by later days (no time split), and nothing is trending"
"""The price of a source without times, in words."""


@dataclass(frozen=True, kw_only=True)
class OpenQuestion:
    """Something that the sample does not show for sure."""

    option: str
    """The option that answers it, such as `--time-format`; for a column with our name, `--column user_id=`."""
    text: str
    """The question, without a question mark."""
    choices: Mapping[str, str]
    """Answer -> words for it."""
    proposal: str | None = None
    """One of the answers; None where nothing speaks for one."""


def column_questions(
    path: Path, sample: Mapping[str, pl.Series], given: Given, guesses: Guesses
) -> list[OpenQuestion]:
    """Return the questions about required columns.

    Raises:
        SourceFormatError: there is no candidate for one.
    """
    questions = []
    for ours in REQUIRED:
        if ours == names.TIMESTAMP and given.reading.snapshot is not None:
            continue
        if ours in given.columns or ours in sample or ours in guesses.by_name:
            continue
        if ours in guesses.by_values:
            choices = {name: f"such as {example_of(sample[name])}" for name in guesses.choices}
            questions.append(
                OpenQuestion(
                    option=f"--column {ours}=",
                    text=f"no column is called {ours}, one of these can be it",
                    choices=choices,
                    proposal=guesses.by_values[ours],
                )
            )
        elif ours == names.TIMESTAMP and not guesses.any_time:
            today = datetime.now(UTC).date().isoformat()
            questions.append(
                OpenQuestion(
                    option="--no-time",
                    text=f"no time column; without a time, all rows can be of one day: then {NO_TIME_COSTS}",
                    choices={today: "today", "file": "the day on which each file was changed last"},
                    proposal=today,
                )
            )
        else:
            _raise_missing(path, ours, sample)
    return questions


def _raise_missing(path: Path, ours: str, sample: Mapping[str, pl.Series]) -> None:
    for name in best_names(ours, list(sample)) if ours == names.TIMESTAMP else []:
        column = sample_of(sample[name])
        raise SourceFormatError(f"{path}: column {name!r}: {fault_of(recognise(column), column)}")
    raise SourceFormatError(
        f"{path}: {missing(ours, list(sample), meaning=ours)}; name it by --column {ours}=…"
        + ("; a file without a time is read by --no-time" if ours == names.TIMESTAMP else "")
    )


def example_of(column: pl.Series) -> str:
    """Return the first value that is there."""
    known = column.drop_nulls()
    return str(known[0]) if len(known) else ""


def time_format_of(
    files: Sequence[TabularFile], theirs: str, sample: Mapping[str, pl.Series], given: Given
) -> tuple[str | None, OpenQuestion | None]:
    """Return the format to record, None for one that each file shows, and the question where it is not sure."""
    if given.reading.time_format is not None:
        return TimeFormat.named(given.reading.time_format).name, None
    column = sample[theirs]
    values = sample_of(column)
    found = recognise(values)
    chosen = found.format
    if found.rivals:
        parts = (column_parts(file, theirs) for file in files if theirs in file.column_names())
        chosen = settle(found.rivals, chain.from_iterable(parts))
    if chosen is not None:
        is_typed = isinstance(column.dtype, pl.Date | pl.Datetime)
        return (None if is_typed or chosen.name == ISO else chosen.name), None
    place = f"column {theirs!r}"
    if found.rivals:
        times = [rival.utc(values) for rival in found.rivals]
        differing = int((times[0] != times[1]).arg_max() or 0)
        value = values[differing]
        when = {
            rival.name: f"{value} is {of_rival[differing]:%d %B %Y}"
            for rival, of_rival in zip(found.rivals, times, strict=True)
        }
        likely = found.likely.name if found.likely else None
        text = f"{place}: {value!r} and the others can have day or month first"
        return likely, OpenQuestion(option="--time-format", text=text, choices=when, proposal=likely)
    if found.implausible is not None:
        form, first = found.implausible
        text = f"{place}: {values[0]!r} as {form.name} is {first}, and most are before 1990 or after tomorrow"
        choices = {form.name: "that is right"}
        return None, OpenQuestion(option="--time-format", text=text, choices=choices)
    raise SourceFormatError(f"{files[0].path}: {place}: {fault_of(found, values)}")


def decimal_of(
    read_as: Mapping[str, str], sample: Mapping[str, pl.Series], given: Given
) -> tuple[str | None, OpenQuestion | None]:
    """Return the decimal mark to record, and the question where no value shows it."""
    if given.reading.decimal is not None:
        return given.reading.decimal, None
    shown = [decimal_mark(sample[read_as[ours]]) for ours in NUMBERS if ours in read_as]
    marks = {mark for mark, _ in shown if mark}
    if marks:
        return ("," if marks == {","} else None), None
    either = next((example for _, example in shown if example), None)
    if either is None:
        return None, None
    plain = either.replace(",", "")
    choices = {".": f"{either} is {plain}", ",": f"{either} is {either.replace(',', '.')}"}
    text = f"{either!r} can have a decimal comma, or thousands"
    return ".", OpenQuestion(option="--decimal", text=text, choices=choices, proposal=".")
