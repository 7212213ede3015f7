"""A source that a preset describes: the tabular source over its files, and the catalogue beside them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import polars as pl

from recsys_assets import columns as names
from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.files.tabular_files import TabularFile
from recsys_assets.lake.sources.preset_columns import JoinedTables, load_table
from recsys_assets.lake.sources.preset_files import CATALOGUE, find_files, merged, open_table
from recsys_assets.lake.sources.preset_format import EventFiles
from recsys_assets.lake.sources.preset_table import PresetTable
from recsys_assets.lake.sources.table_catalogue import with_categories
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.lake.values.cell_values import ids
from recsys_assets.lake.values.column_mapping import missing, require_known
from recsys_assets.source_settings import ReadingSettings


class PresetSource(Tabular):
    """The files of one form of a preset."""

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        columns: Mapping[str, str] | None = None,
        reading: ReadingSettings | None = None,
    ) -> None:
        """Find the files.

        Args:
            name: of the preset.
            path: a file of events, or a folder, archive or glob of all files.
            columns: our column name -> the files', instead of the preset's own.
            reading: the way that the files are read, before what the preset declares.

        Raises:
            InputError: no file is of the preset, or one cannot be read.
        """
        require_known(columns or {})
        self._found = find_files(name, path)
        self._joined = JoinedTables(self._found.form, self._found.others)
        files: list[PresetTable] = []
        opened: list[TabularFile] = []
        for declared, paths in zip(self._found.form.events, self._found.events, strict=True):
            events = _with_columns(declared, columns or {}, reading)
            for file in paths:
                opened.append(open_table(file, events, reading))
                table = PresetTable(opened[-1], events, self._joined)
                table.superseded_by = _superseding(file, paths, events.superseded)
                files.append(table)
        _require_there(opened, columns or {})
        declared = self._found.form.events[0]
        mapped = {name: name for table in files for name in table.column_names()}
        super().__init__(files, columns=mapped, reading=merged(declared.reading, reading))

    @property
    def tables(self) -> Sequence[TabularFile]:
        """The files of events, with our columns."""
        return self._files

    @property
    def reading(self) -> ReadingSettings:
        """The way of reading, as given and declared."""
        return self._reading

    def files(self) -> Sequence[Path]:
        """Return the files of events, then those beside them."""
        beside = [path for paths in self._found.others.values() for path in paths]
        return list(dict.fromkeys([*super().files(), *beside]))

    def fingerprint(self) -> str:
        """Cover the files of the catalogue too."""
        paths = self._found.others.get(CATALOGUE, [])
        beside = [f"{path}\0{path.stat().st_mtime_ns}" for path in paths if path.exists()]
        return hashlib.sha256("\n".join([super().fingerprint(), *beside]).encode()).hexdigest()

    def catalogue(self) -> pl.DataFrame | None:
        """Return the items of the preset's catalogue, completed by the columns of the events."""
        own = self._catalogue()
        of_events = super().catalogue()
        if own is None or of_events is None:
            return of_events if own is None else own
        key, known = names.ITEM_ID, [name for name in own.columns if name != names.ITEM_ID]
        both = own.join(of_events, on=key, how="full", coalesce=True)
        filled = [pl.coalesce(name, f"{name}_right") for name in known]
        return both.select(key, *filled).sort(key)

    def _catalogue(self) -> pl.DataFrame | None:
        """Return the items of the preset's catalogue files; None where there are none."""
        declared = self._found.form.catalogue
        if declared is None:
            return None
        files = [open_table(path, declared) for path in self._found.others[CATALOGUE]]
        found = load_table(files, declared, self._joined, bad_rows=self.bad_rows)
        if found is None:
            return None
        schema = ITEM_CATALOGUE.polars_schema()
        found = found.with_columns(ids(found[names.ITEM_ID])).drop_nulls(names.ITEM_ID)
        items = found.unique(names.ITEM_ID, keep="last", maintain_order=True).select(
            (pl.col(name) if name in found.columns else pl.lit(None)).cast(dtype, strict=False).alias(name)
            for name, dtype in schema.items()
        )
        price = pl.col(names.PRICE)
        return with_categories(items.with_columns(pl.when(price >= 0).then(price))).sort(names.ITEM_ID)


def _with_columns(
    events: EventFiles, given: Mapping[str, str], reading: ReadingSettings | None
) -> EventFiles:
    """Return the declaration with the columns and the words for kinds that were given."""
    way = merged(events.reading, reading)
    own = {name: '"{}"'.format(column.replace('"', '""')) for name, column in given.items()}
    return msgspec.structs.replace(
        events,
        columns={**events.columns, **own},
        reading=way if events.reading.kinds else msgspec.structs.replace(way, kinds={}),
    )


def _require_there(files: Sequence[TabularFile], columns: Mapping[str, str]) -> None:
    """Check the columns that were given in place of the preset's.

    Raises:
        SourceFormatError: one is in no file; the message has the one that was meant.
    """
    has = [name for file in files for name in file.column_names()]
    for name, column in columns.items():
        if column not in has:
            fault = missing(column, list(dict.fromkeys(has)), meaning=name)
            raise SourceFormatError(f"{files[0].path}: {fault}; mend {name} in [source.columns]")


def _superseding(file: Path, files: Sequence[Path], pattern: str | None) -> Path | None:
    """Return the file that has the same text as this one, a superseded one, in the pattern's group."""
    found = None if pattern is None else re.search(pattern, str(file))
    if pattern is None or found is None:
        return None
    others = (other for other in files if not re.search(pattern, str(other)))
    return next((other for other in others if found[1] in "/".join(other.parts[-2:])), None)
