"""The conversation of `recsys init` about a table: the proposal shown, and the questions on a terminal."""

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click
from rich.table import Table

from recsys_assets import columns as names
from recsys_assets.errors import InputError, SourceFormatError
from recsys_assets.quality.row_account import RowAccount
from recsys_assets.source_settings import Given

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl
    from rich.console import Console

    from recsys_assets.lake.files.tabular_files import TabularFile
    from recsys_assets.lake.proposal import Proposal

_EXAMPLES: Final = 3
_SHOWN: Final = (
    names.USER_ID,
    names.ITEM_ID,
    names.TIMESTAMP,
    names.KIND,
    names.RATING,
    names.QUANTITY,
    names.VALUE,
)
_NUMBERS: Final = (names.RATING, names.QUANTITY, names.VALUE, names.PRICE)
_LONGEST_VALUE: Final = 24
_OFFSET: Final = re.compile(r":\d\d.*(Z|UTC|GMT|[-+]\d\d:?\d\d)")


def agree(console: "Console", table: "Path | Sequence[TabularFile]", given: Given, *, yes: bool) -> Given:
    """Show the proposal for a table, and return the decisions that the user agrees to.

    Args:
        console: the terminal, or a pipe.
        table: as in `propose`.
        given: the decisions made by options.
        yes: take every proposed answer.

    Raises:
        SourceFormatError: a question is open that nobody can answer here; the message names the option.
        InputError: as in `propose`.
    """
    from recsys_assets.lake.proposal import propose, settled  # noqa: PLC0415

    proposal = propose(table, given)
    if not yes and _is_terminal():
        while proposal.questions:
            given, proposal = _answered(table, given, proposal)
        show(console, proposal)
    else:
        show(console, proposal)
        if proposal.questions:
            proposal = settled(table, given, take=yes)
        if proposal.renamed and not yes:
            raise SourceFormatError(_renamed(proposal))
    return Given(columns=proposal.columns, reading=proposal.reading)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _renamed(proposal: "Proposal") -> str:
    (ours, theirs), *_ = proposal.renamed.items()
    given = " ".join(f"--column {_quoted(f'{name}={column}')}" for name, column in proposal.renamed.items())
    hint = f"no column {ours!r} (did you mean {theirs!r}?)"
    return f"{proposal.files[0].path}: {hint}; give {given}, or --yes to take that"


def _quoted(text: str) -> str:
    return f"'{text}'" if " " in text else text


def _answered(
    table: "Path | Sequence[TabularFile]", given: Given, proposal: "Proposal"
) -> "tuple[Given, Proposal]":
    """Ask the first question until its answer can be used, by its text or its number."""
    from recsys_assets.lake.proposal import propose  # noqa: PLC0415

    question = proposal.questions[0]
    click.echo(f"{_files(proposal)}\n{question.text}:")
    answers = list(question.choices)
    for number, answer in enumerate(answers, start=1):
        click.echo(f"  {number}  {answer}  ({question.choices[answer]})")
    numbers = {str(number): answer for number, answer in enumerate(answers, start=1)}
    default = None if question.proposal is None else str(answers.index(question.proposal) + 1)
    while True:
        said: str = click.prompt(f"Number, or the text of {question.option}", default=default)
        answer = numbers.get(said.strip(), said.strip())
        try:
            now = given.answered(question.option, answer)
            return now, propose(table, now)
        except InputError as error:
            click.echo(str(error))


def show(console: "Console", proposal: "Proposal") -> None:
    """Print what was recognised, example rows as understood, and what would be left out of the sample."""
    console.print(_files(proposal), highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for ours, theirs in proposal.read_as.items():
        table.add_row(ours, theirs, _cut(proposal.examples[ours]), _reading_of(ours, proposal))
    if proposal.reading.snapshot:
        table.add_row(names.TIMESTAMP, "none", "", _snapshot(proposal.reading.snapshot))
    console.print(table, highlight=False)
    if proposal.unread:
        console.print(f"Not read: {', '.join(proposal.unread)}", highlight=False)
    if proposal.sample.height:
        console.print("The first rows, as understood:", highlight=False)
        console.print(_examples(proposal.sample), highlight=False)
        for line in _left_out(proposal):
            console.print(line, highlight=False, soft_wrap=True)
    for note in proposal.notes:
        console.print(note, highlight=False)


def _files(proposal: "Proposal") -> str:
    paths = [file.path for file in proposal.files]
    if len(paths) == 1:
        return f"{paths[0].name}: {proposal.files[0].found.in_words()}"
    form = proposal.files[0].found.in_words()
    return f"{len(paths)} files, from {paths[0].name} to {paths[-1].name}; the first is {form}"


def _reading_of(ours: str, proposal: "Proposal") -> str:
    """Return the way in which a column is read, where that is not plain."""
    reading = proposal.reading
    if ours == names.TIMESTAMP:
        return _time_in_words(proposal.examples[ours], reading.time_format, reading.time_zone)
    if ours == names.KIND and reading.kinds:
        return ", ".join(f"{theirs} is {kind}" for theirs, kind in reading.kinds.items())
    if ours in _NUMBERS and reading.decimal == ",":
        return "decimal comma"
    return ""


def _time_in_words(example: str, form: str | None, zone: str) -> str:
    if form in {"seconds", "milliseconds", "microseconds", "nanoseconds"}:
        return f"{form} since 1970"
    if form == "excel":
        return f"days of a spreadsheet, in {zone}"
    return f"{form or 'ISO'}, {'with its offset' if _OFFSET.search(example) else f'in {zone}'}"


def _snapshot(snapshot: str) -> str:
    from recsys_assets.lake.open_questions import NO_TIME_COSTS  # noqa: PLC0415

    day = "the day on which each file was changed last" if snapshot == "file" else f"all of {snapshot}"
    return f"{day}, so {NO_TIME_COSTS}"


def _examples(sample: "pl.DataFrame") -> Table:
    table = Table(box=None, pad_edge=False)
    rows = sample.head(_EXAMPLES)
    shown = [name for name in _SHOWN if name in _SHOWN[:3] or sample[name].null_count() < sample.height]
    for name in shown:
        table.add_column(
            name.removesuffix("_id").replace("timestamp", "time"), overflow="ellipsis", no_wrap=True
        )
    for row in rows.select(shown).iter_rows(named=True):
        table.add_row(*(_shown(row[name]) for name in shown))
    return table


def _shown(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:%Y-%m-%d %H:%M:%S} UTC" if hasattr(value, "strftime") else str(value)
    if isinstance(value, float):
        text = f"{value:g}"
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _left_out(proposal: "Proposal") -> Iterable[str]:
    """Yield one line on the sample's rows, and one for each reason for which some would be left out."""
    rows = proposal.account.rows
    account = _cleaned(proposal.sample, pieces=proposal.pieces)
    lines = account.plus(RowAccount(reasons=proposal.account.reasons)).lines()
    if not lines:
        yield f"Of the first {rows:,} rows none would be left out."
        return
    yield f"Of the first {rows:,} rows {rows - account.kept:,} would be left out or joined with another:"
    yield from (f"  {line}" for line in lines)


def _cleaned(sample: "pl.DataFrame", *, pieces: bool) -> "RowAccount":
    """Return the account of a sample's rows after cleaning, with the settings of a new home."""
    from recsys_assets.interactions.cleaning import clean_days  # noqa: PLC0415
    from recsys_assets.interactions.row_rule import RowRule  # noqa: PLC0415
    from recsys_assets.interactions.wish_rule import WishRule  # noqa: PLC0415

    account = RowAccount()
    dated = sample.group_by(sample[names.TIMESTAMP].dt.date().alias("day"), maintain_order=True)
    days = [(day, frame) for (day,), frame in dated]
    rows = RowRule(identical_rows="pieces" if pieces else "duplicates")
    for cleaned in clean_days(days, rule=WishRule(), rows=rows):
        account = account.plus(cleaned.account)
    return account
