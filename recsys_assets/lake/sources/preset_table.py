"""Files as a preset describes them: their own columns turned into ours, joined with other files, one row an event.

Rows keep the place in their file, so that a message about a value names its line. Joined tables are held in memory;
a file of events is read in chunks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path  # noqa: TC003
from typing import Final

import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import SourceNotFoundError
from recsys_assets.lake.sources.preset_format import EACH, Declaration, EventFiles, expressions_of
from recsys_assets.lake.sources.rows_aside import DUPLICATE_FILE, NO_MATCH, OTHER_KIND, RowsAside
from recsys_assets.lake.sources.tabular_files import TabularFile
from recsys_assets.lake.sources.text_records import Chunk
from recsys_assets.source_settings import BAD_ROWS

_ROW: Final = "\0row"
_KEY: Final = "\0key"
_MATCH: Final = "\0match "
_ESSENTIAL: Final = (names.USER_ID, names.ITEM_ID, names.TIMESTAMP)


class Derivation:
    """The columns of a `Declaration`, computed from those of its files."""

    def __init__(self, table: Declaration, joined: Mapping[str, pl.DataFrame | None]) -> None:
        """Parse the expressions.

        Args:
            table: the declaration.
            joined: table -> its rows; None where its file is missing, so that its columns are null.
        """
        self._table = table
        self._joined = {name: joined[name] for name in table.joins}
        self._expressions = {field: pl.sql_expr(sql) for field, sql in expressions_of(table).items()}

    @cached_property
    def roots(self) -> Sequence[str]:
        """The columns that are computed with: the files' own, and `table.column` of joined ones."""
        found = chain.from_iterable(sql.meta.root_names() for sql in self._expressions.values())
        return [name for name in dict.fromkeys([*found, *self._table.joins.values()]) if name != EACH]

    @cached_property
    def essential(self) -> Sequence[str]:
        """The joined tables that an event's user, item or time is from, and nothing else."""
        alone = [
            sql
            for name in _ESSENTIAL
            if (sql := self._expressions.get(f"columns.{name}")) is not None and sql.meta.is_column()
        ]
        found = {sql.meta.output_name() for sql in alone}
        return [name for name in self._joined if any(root.startswith(f"{name}.") for root in found)]

    def matched(self, rows: pl.DataFrame) -> pl.Series:
        """Return True for each of `rows` that has its row in every essential table."""
        return rows.select(
            pl.all_horizontal(
                pl.lit(value=True), *(pl.col(_MATCH + name).is_not_null() for name in self.essential)
            )
        ).to_series()

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the roots of a frame of a file's own columns: joined, exploded, and without rows not to be taken."""
        absent = [name for name in self.roots if name not in frame.columns]
        wide = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
        wide = wide.with_columns(pl.col(pl.String).replace("", None))
        for name, joined in self._joined.items():
            if joined is not None:
                key = self._table.joins[name]
                right = joined.select(
                    pl.col(key).alias(_KEY),
                    pl.lit(value=True).alias(_MATCH + name),
                    *(pl.col(own).alias(f"{name}.{own}") for own in joined.columns),
                )
                wide = wide.drop([own for own in right.columns if own in wide.columns])
                left = wide.with_columns(pl.col(key).cast(pl.String).alias(_KEY))
                wide = left.join(right, on=_KEY, how="left", maintain_order="left").drop(_KEY)
        if self._table.explode is not None:
            each = _of_text(wide).select(self._expressions["explode"].alias(EACH))
            wide = wide.with_columns(each).explode(EACH)
        if self._table.where is not None:
            wide = wide.filter(_of_text(wide).select(self._expressions["where"].alias(_KEY))[_KEY])
        return wide

    def in_order(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows in the declared order, nulls first."""
        if self._table.order is None:
            return rows
        order = _of_text(rows).select(self._expressions["order"].alias(_KEY))[_KEY]
        return rows[order.arg_sort(nulls_last=False)]

    def select(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the table's columns for what `rows` returned."""
        text = _of_text(rows)
        return pl.DataFrame(
            [
                _series(text if self._is_compound(name) else rows, self._expressions[f"columns.{name}"], name)
                for name in self._table.columns
            ]
        )

    def _is_compound(self, name: str) -> bool:
        return not self._expressions[f"columns.{name}"].meta.is_column()


def _series(frame: pl.DataFrame, expression: pl.Expr, name: str) -> pl.Series:
    found = frame.select(expression.alias(name))[name]
    return found if len(found) == frame.height else found.new_from_index(0, frame.height)


def _of_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with every number, date and truth as text."""
    others = [name for name, dtype in frame.schema.items() if dtype != pl.String and not dtype.is_nested()]
    return frame.with_columns(pl.col(others).cast(pl.String))


def load_table(
    files: Sequence[TabularFile],
    table: Declaration,
    joined: Mapping[str, pl.DataFrame | None],
    *,
    bad_rows: float = BAD_ROWS,
) -> pl.DataFrame | None:
    """Read all rows of a table; None where there is no file. Of rows with one key, its first column, the last stays.

    Args:
        files: the table's.
        table: the declaration.
        joined: as for `Derivation`.
        bad_rows: share of lines that may be unreadable.

    Raises:
        SourceFormatError: more lines cannot be read.
    """
    derivation = Derivation(table, joined)
    aside = RowsAside(allowed=bad_rows)
    frames = []
    for file in files:
        wanted = [name for name in derivation.roots if name in set(file.column_names())]
        for chunk in file.chunks(wanted, aside):
            aside.kept += chunk.frame.height
            frames.append(derivation.rows(chunk.frame.select(wanted)))
    aside.require_few()
    if not frames:
        return None
    rows = derivation.select(derivation.in_order(pl.concat(frames, how="vertical_relaxed")))
    key = next(iter(table.columns))
    return rows.with_columns(pl.col(key).cast(pl.String)).unique(key, keep="last", maintain_order=True)


@dataclass(kw_only=True)
class _PresetChunk(Chunk):
    inner: Chunk
    rows: pl.Series

    def place(self, row: int) -> str:
        return self.inner.place(self.rows[row])


class PresetTable(TabularFile):
    """A file of events, with the columns that a preset declares."""

    def __init__(
        self, file: TabularFile, events: EventFiles, joined: Mapping[str, pl.DataFrame | None]
    ) -> None:
        """Parse the preset's expressions.

        Args:
            file: the file with its own columns.
            events: the declaration.
            joined: as for `Derivation`.

        Raises:
            SourceNotFoundError: a file that the user, item or time is from is missing.
        """
        super().__init__(file.path)
        self._file = file
        self._events = events
        self._derivation = Derivation(events, joined)
        missing = next((name for name in self._derivation.essential if joined[name] is None), None)
        if missing is not None:
            raise SourceNotFoundError(
                f"{file.path}: needs a second file beside it, of {missing}; put it into the same folder"
            )
        self.joined_fingerprints: Sequence[str] = ()
        """Fingerprints of the files of the joined tables."""
        self.superseded_by: Path | None = None
        """The file that counts instead of this one; every row is then accounted for as a duplicate."""

    def column_names(self) -> Sequence[str]:
        """Return our names of the declared columns."""
        return list(self._events.columns)

    def fingerprint(self) -> str:
        """Return the file's own, and those of the joined ones."""
        return "\n".join([self._file.fingerprint(), *self.joined_fingerprints])

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        """Yield the events; rows of other kinds, and repeated ones, are counted."""
        has = set(self._file.column_names())
        needed = [*self._derivation.roots, *self._events.names[:1], *filter(None, [self._events.once])]
        wanted = [name for name in dict.fromkeys(needed) if name in has]
        heading: str | None = None
        seen = pl.Series("\0once", [], dtype=pl.String)
        for chunk in self._file.chunks(wanted, aside):
            frame = chunk.frame.with_row_index(_ROW)
            if self._events.sections is not None:
                frame, heading = _under_headings(frame, self._events.names[0], self._events.sections, heading)
            if self._events.once is not None:
                frame, seen = _first_of_each(frame, self._events.once, seen)
            if not frame.height:
                continue
            rows = self._matched(self._derivation.rows(frame), chunk, aside)
            found = _PresetChunk(
                frame=self._derivation.select(rows), path=self.path, inner=chunk, rows=rows[_ROW]
            )
            found = self._of_kinds(found, aside)
            if self.superseded_by is not None:
                aside.add(DUPLICATE_FILE, rows=found.frame.height, example=self._superseded)
            elif found.frame.height:
                found.frame = found.frame.select(columns)
                yield found

    def _matched(self, rows: pl.DataFrame, chunk: Chunk, aside: RowsAside) -> pl.DataFrame:
        """Return the rows that have theirs in the joined tables, and count the others."""
        if not self._derivation.essential:
            return rows
        matched = self._derivation.matched(rows)
        lost = rows.filter(~matched)
        keys = [self._events.joins[name] for name in self._derivation.essential]
        aside.add(
            NO_MATCH,
            rows=lost.height,
            example=lambda: (
                f"{self.path}: {chunk.place(lost[_ROW][0])}: {lost.select(keys).row(0, named=True)}"
            ),
        )
        return rows.filter(matched)

    def _of_kinds(self, chunk: _PresetChunk, aside: RowsAside) -> _PresetChunk:
        """Return the rows with our words for their kinds, and count those of other kinds."""
        kinds = self._events.reading.kinds
        if not kinds:
            return chunk
        word = chunk.frame[names.KIND].cast(pl.String).str.strip_chars().str.to_lowercase()
        kind = word.replace_strict(kinds, default=None, return_dtype=pl.String)
        others = kind.is_null()
        if others.any():
            first = int(others.arg_max() or 0)
            aside.add(
                OTHER_KIND,
                rows=int(others.sum()),
                example=lambda: f"{self.path}: {chunk.place(first)}: {word[first]!r}",
            )
        frame = chunk.frame.with_columns(kind.alias(names.KIND)).filter(~others)
        return _PresetChunk(frame=frame, path=chunk.path, inner=chunk.inner, rows=chunk.rows.filter(~others))

    def _superseded(self) -> str:
        return f"{self.path}: all rows are in {self.superseded_by} too"


def _under_headings(
    frame: pl.DataFrame, first: str, pattern: str, heading: str | None
) -> tuple[pl.DataFrame, str | None]:
    """Return the rows that are no heading, each with its heading's text, and the last heading."""
    found = frame.select(pl.col(first).str.extract(pattern).alias(EACH))[EACH]
    filled = found.fill_null(strategy="forward")
    filled = filled if heading is None else filled.fill_null(heading)
    return frame.with_columns(filled).filter(found.is_null()), filled[-1]


def _first_of_each(frame: pl.DataFrame, column: str, seen: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """Return the rows whose value in `column` is new, and all values seen now."""
    fresh = frame.filter(~pl.col(column).is_in(seen.implode())).unique(
        column, keep="first", maintain_order=True
    )
    return fresh, pl.concat([seen, fresh[column].rename(seen.name)])
