"""Files of events as a preset describes them, read in chunks, with an account of the rows that are no interactions.

Rows keep the place in their file, so that a message about a value names its line. The columns are computed in
`preset_columns.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003
from typing import Final

import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import SourceNotFoundError
from recsys_assets.lake.files.rows_aside import DUPLICATE_FILE, NO_MATCH, OTHER_KIND, RowsAside
from recsys_assets.lake.files.tabular_files import FileFormat, TabularFile
from recsys_assets.lake.files.text_records import Chunk
from recsys_assets.lake.sources.preset_columns import Derivation, JoinedTables
from recsys_assets.lake.sources.preset_format import EACH, EventFiles

_ROW: Final = "\0row"
_KEY: Final = "\0key"
_MATCH: Final = "\0match "
_ESSENTIAL: Final = (names.USER_ID, names.ITEM_ID, names.TIMESTAMP)


@dataclass(kw_only=True)
class _PresetChunk(Chunk):
    inner: Chunk
    rows: pl.Series

    def place(self, row: int) -> str:
        return self.inner.place(self.rows[row])


class PresetTable(TabularFile):
    """A file of events, with the columns that a preset declares."""

    def __init__(self, file: TabularFile, events: EventFiles, joined: JoinedTables) -> None:
        """Parse the preset's expressions.

        Args:
            file: the file with its own columns.
            events: the declaration.
            joined: as for `Derivation`.

        Raises:
            SourceNotFoundError: a file that the user, item or time is from is missing.
            SourceFormatError: the file has no column for the user or the item.
        """
        super().__init__(file.path)
        self._file = file
        self._events = events
        self._derivation = Derivation(events, joined)
        missing = next((name for name in self._derivation.essential if not joined.has(name)), None)
        if missing is not None:
            raise SourceNotFoundError(
                f"{file.path}: needs a second file beside it, of {missing}; put it into the same folder"
            )
        self._derivation.require_columns(file)
        self._joined = joined
        self.superseded_by: Path | None = None
        """The file that counts instead of this one; every row is then accounted for as a duplicate."""

    @property
    def found(self) -> FileFormat:
        """The file's own format."""
        return self._file.found

    def column_names(self) -> Sequence[str]:
        """Return our names of the declared columns."""
        return list(self._events.columns)

    def fingerprint(self) -> str:
        """Return the file's own, those of the joined ones, and the file that supersedes this one, if any."""
        joined = self._joined.fingerprints(self._events.joins)
        return "\n".join([self._file.fingerprint(), *joined, str(self.superseded_by or "")])

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        """Yield the events; rows of other kinds, and repeated ones, are counted."""
        more = [*self._events.names[:1], *filter(None, [self._events.once])]
        wanted = list(dict.fromkeys([*self._derivation.needed_of(self._file), *more]))
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
