"""The columns that a preset declares, computed from those of its files, with other files joined and lists as rows.

A file that is joined is held in memory. Reading a file of events in chunks belongs to `preset_table.py`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final

import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files import nested_fields
from recsys_assets.lake.files.json_documents import DOCUMENT, LINES, LITERALS
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import TabularFile
from recsys_assets.lake.sources.preset_files import open_table
from recsys_assets.lake.sources.preset_format import EACH, Declaration, Form, expressions_of
from recsys_assets.lake.values.column_mapping import missing
from recsys_assets.source_settings import BAD_ROWS

JSON_KINDS: Final = (LINES, DOCUMENT, LITERALS)
_KEY: Final = "\0key"
_MATCH: Final = "\0match "
_ESSENTIAL: Final = (names.USER_ID, names.ITEM_ID, names.TIMESTAMP)


class Derivation:
    """The columns of a `Declaration`, computed from those of its files."""

    def __init__(self, table: Declaration, joined: "JoinedTables") -> None:
        """Parse the expressions.

        Args:
            table: the declaration.
            joined: the tables to join; the columns of one without a file are null.
        """
        self._table = table
        self._joined = joined
        self._expressions = {field: pl.sql_expr(sql) for field, sql in expressions_of(table).items()}

    @cached_property
    def roots(self) -> Sequence[str]:
        """The columns that are computed with: the files' own, and `table.column` of joined ones."""
        found = chain.from_iterable(sql.meta.root_names() for sql in self._expressions.values())
        return [name for name in dict.fromkeys([*found, *self._table.joins.values()]) if name != EACH]

    def needed_of(self, file: TabularFile) -> Sequence[str]:
        """Return the columns to read of a file: the roots, and columns of JSON text with a root within.

        The names of JSON are those of a sample, so there every root is read.
        """
        own = [name for name in self.roots if name.partition(".")[0] not in self._table.joins]
        if file.found.kind in JSON_KINDS:
            return own
        has = file.column_names()
        whole = {name: nested_fields.parse_path(name)[0].name for name in own}
        needed = [name if name in has else whole[name] for name in own]
        return [name for name in dict.fromkeys(needed) if name in has]

    def require_columns(self, file: TabularFile) -> None:
        """Check that a file has a column for the user, and one for the item.

        Raises:
            SourceFormatError: it has none of those that the declaration names.
        """
        needed = self.needed_of(file)
        for name in (names.USER_ID, names.ITEM_ID):
            own = [root for root in self._expressions[f"columns.{name}"].meta.root_names() if root != EACH]
            inside = {nested_fields.parse_path(root)[0].name for root in own}
            joined = any(root.partition(".")[0] in self._table.joins for root in own)
            if own and not joined and not inside & set(needed) and not set(own) & set(needed):
                fault = missing(own[0], file.column_names(), meaning=name)
                raise SourceFormatError(f"{file.path}: {fault}; name it by --column {name}=…")

    @cached_property
    def essential(self) -> Sequence[str]:
        """The joined tables that an event's user, item or time is from, and nothing else."""
        alone = [
            sql
            for name in _ESSENTIAL
            if (sql := self._expressions.get(f"columns.{name}")) is not None and sql.meta.is_column()
        ]
        found = {sql.meta.output_name() for sql in alone}
        return [name for name in self._table.joins if any(root.startswith(f"{name}.") for root in found)]

    def matched(self, rows: pl.DataFrame) -> pl.Series:
        """Return True for each of `rows` that has its row in every essential table."""
        return rows.select(
            pl.all_horizontal(
                pl.lit(value=True), *(pl.col(_MATCH + name).is_not_null() for name in self.essential)
            )
        ).to_series()

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the roots of a frame of a file's own columns: joined, exploded, and without rows not to be taken."""
        frame = _with_fields(frame, self.roots)
        absent = [name for name in self.roots if name not in frame.columns]
        wide = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
        wide = wide.with_columns(pl.col(pl.String).replace("", None))
        for name, key in self._table.joins.items():
            joined = self._joined.rows(name)
            if joined is not None:
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


def _with_fields(frame: pl.DataFrame, roots: Sequence[str]) -> pl.DataFrame:
    """Return the frame with a column for each root within a column of JSON text; the elements of a list are rows."""
    paths = {name: nested_fields.parse_path(name) for name in roots if name not in frame.columns}
    paths = {name: path for name, path in paths.items() if frame.schema.get(path[0].name) == pl.String}
    if not paths:
        return frame
    texts = dict.fromkeys(path[0].name for path in paths.values())
    rows = [
        nested_fields.rows_of(dict(zip(texts, map(_decoded, row), strict=True)), list(paths.values()))
        for row in frame.select(list(texts)).iter_rows()
    ]
    counts = pl.Series([len(one) for one in rows], dtype=pl.UInt32)
    found = pl.DataFrame(
        list(chain.from_iterable(rows)), schema=dict.fromkeys(paths, pl.String), orient="row"
    )
    repeated = frame[pl.Series(range(frame.height), dtype=pl.UInt32).repeat_by(counts).explode()]
    return pl.concat([repeated, found], how="horizontal")


def _decoded(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _series(frame: pl.DataFrame, expression: pl.Expr, name: str) -> pl.Series:
    found = frame.select(expression.alias(name))[name]
    return found if len(found) == frame.height else found.new_from_index(0, frame.height)


def _of_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with every number, date and truth as text."""
    others = [name for name, dtype in frame.schema.items() if dtype != pl.String and not dtype.is_nested()]
    return frame.with_columns(pl.col(others).cast(pl.String))


class JoinedTables:
    """The tables of a form that others join, each read when it is needed, and once."""

    def __init__(self, form: Form, files: Mapping[str, Sequence[Path]]) -> None:
        """Name the files.

        Args:
            form: declares the tables.
            files: table -> its files.
        """
        self._form = form
        self._files = files
        self._rows: dict[str, pl.DataFrame | None] = {}

    def has(self, name: str) -> bool:
        """Return True if a table has a file."""
        return bool(self._files[name])

    def rows(self, name: str) -> pl.DataFrame | None:
        """Return a table's rows, one a value of its first column; None where it has no file.

        Raises:
            InputError: as in `load_table`.
        """
        if name not in self._rows:
            table = self._form.tables[name]
            files = [open_table(path, table) for path in self._files[name]]
            self._rows[name] = load_table(files, table, self)
        return self._rows[name]

    def fingerprints(self, names_of: Iterable[str]) -> Sequence[str]:
        """Return the fingerprints of the files of these tables, and of those that they join."""
        found: list[str] = []
        for name in names_of:
            table = self._form.tables[name]
            found += [open_table(path, table).fingerprint() for path in self._files[name]]
            found += self.fingerprints(table.joins)
        return found


def load_table(
    files: Sequence[TabularFile],
    table: Declaration,
    joined: JoinedTables,
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
        wanted = derivation.needed_of(file)
        for chunk in file.chunks(wanted, aside):
            aside.kept += chunk.frame.height
            frames.append(derivation.rows(chunk.frame.select(wanted)))
    aside.require_few()
    if not frames:
        return None
    rows = derivation.select(derivation.in_order(pl.concat(frames, how="vertical_relaxed")))
    key = next(iter(table.columns))
    return rows.with_columns(pl.col(key).cast(pl.String)).unique(key, keep="last", maintain_order=True)
