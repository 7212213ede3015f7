"""The files of a preset, in a folder, an archive, a glob or beside a file, and the form that they have."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import InputError, SourceFormatError, SourceNotFoundError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.files.tabular_files import FileFormat, TabularFile, expand, open_tabular
from recsys_assets.lake.files.text_blocks import first_line
from recsys_assets.lake.files.text_form import TextForm
from recsys_assets.lake.files.text_records import Chunk, Dialect, tables
from recsys_assets.lake.sources.preset_format import (
    Declaration,
    EventFiles,
    Form,
    Preset,
    load_preset,
    preset_names,
)
from recsys_assets.source_settings import ReadingSettings, with_changes

CATALOGUE: Final = "catalogue"
"""Key of the catalogue's files beside those of the tables."""
_SHOWN: Final = 12


class _Named(TabularFile):
    """A text file without a header, whose columns the preset names."""

    def __init__(self, path: Path, table: Declaration, reading: ReadingSettings) -> None:
        super().__init__(path)
        self._dialect = Dialect(
            separator=reading.delimiter or ",",
            names=table.names,
            quoted=table.quotes == "double",
            form=None if reading.encoding is None else TextForm(encoding=reading.encoding),
            short=table.sections is not None or not isinstance(table, EventFiles),
        )

    @property
    def found(self) -> FileFormat:
        dialect = self._dialect
        encoding = None if dialect.form is None else dialect.form.encoding
        kind = "TSV" if dialect.separator == "\t" else "CSV"
        return FileFormat(kind=kind, encoding=encoding, delimiter=dialect.separator, header=False)

    def column_names(self) -> Sequence[str]:
        return self._dialect.names or ()

    def chunks(self, columns: Sequence[str], aside: RowsAside) -> Iterator[Chunk]:
        return tables(self.path, self._dialect, aside, columns=columns)


def open_table(path: Path, table: Declaration, given: ReadingSettings | None = None) -> TabularFile:
    """Open one file as a preset declares it; what the settings say of reading comes first.

    Raises:
        InputError: the file is missing, empty, or in none of the formats.
    """
    reading = merged(table.reading, given)
    return _Named(path, table, reading) if table.names else open_tabular(path, reading)


def merged(declared: ReadingSettings, given: ReadingSettings | None) -> ReadingSettings:
    """Return what a preset declares, changed by the settings that were given."""
    if given is None:
        return declared
    changed = with_changes(declared, before=ReadingSettings(), after=given)
    return msgspec.structs.replace(changed, kinds={**declared.kinds, **given.kinds})


@dataclass(frozen=True, kw_only=True)
class FormFiles:
    """A form, and the files that have it."""

    form: Form
    events: tuple[tuple[Path, ...], ...]
    """Files of each of the form's `events`, in order; one of them may have none."""
    others: Mapping[str, Sequence[Path]]
    """Declaration, or `CATALOGUE` -> its files; none where they are missing."""


def find_files(name: str, path: Path) -> FormFiles:
    """Find the first form of the preset `name` that the files at `path` have.

    Args:
        name: of a preset.
        path: a file of events, beside which the others are; a folder, an archive or a glob.

    Raises:
        InputError: no file is of a form of the preset; the message says what was found.
    """
    preset, found = load_preset(name), expand(path)
    one = found == [path]
    beside = _beside(path) if one else found
    form_files = _first_form(preset, [path], beside) if one else _first_form(preset, None, found)
    if form_files is None and one and any(_is_other(path, form) for form in preset.forms):
        form_files = _first_form(preset, None, beside)
    if form_files is None:
        raise _no_form(name, preset, path, found)
    return form_files


def preset_for(files: Sequence[Path], column_names: Sequence[str]) -> str | None:
    """Return the name of the preset whose events these files are; None for other files.

    Args:
        files: of a tabular source.
        column_names: of the first of them; without a header, any N names of N columns.
    """
    for name in preset_names():
        for form in load_preset(name).forms:
            for events in form.events:
                by_name = bool(_named(files[:1], events.files[:1]))
                if events.names and by_name and len(events.names) == len(column_names):
                    return name
                if events.signature and not _lacking(events, column_names):
                    return name
    return None


def _beside(path: Path) -> Sequence[Path]:
    """Return the files in the folder, or archive, of a file."""
    if path.parent.is_dir():
        return sorted(file for file in path.parent.iterdir() if file.is_file())
    return expand(path.parent)


def _first_form(preset: Preset, mains: Sequence[Path] | None, beside: Sequence[Path]) -> FormFiles | None:
    """Return the first form that has events: in `mains`, or in files of its names."""
    for form in preset.forms:
        events = tuple(
            tuple(file for file in mains or _named(beside, table.files, table) if _fits(file, table))
            for table in form.events
        )
        if any(events):
            tables = {**form.tables, **({CATALOGUE: form.catalogue} if form.catalogue else {})}
            others = {key: _named(beside, table.files) for key, table in tables.items()}
            return FormFiles(form=form, events=events, others=others)
    return None


def _named(
    files: Sequence[Path], patterns: Sequence[str], events: EventFiles | None = None
) -> Sequence[Path]:
    """Return the files that the first pattern with any such file names: with any of `events`, where given."""
    for pattern in patterns:
        found = [file for file in files if _is_named(file, pattern)]
        if any(events is None or _fits(file, events) for file in found):
            return found
    return []


def _is_named(file: Path, pattern: str) -> bool:
    name = "/".join(file.parts[-1 - pattern.count("/") :]).lower()
    return fnmatchcase(name.removesuffix(".gz"), pattern)


def _is_other(path: Path, form: Form) -> bool:
    others = [*form.tables.values(), *([form.catalogue] if form.catalogue else [])]
    return any(_named([path], table.files) for table in others)


def _columns(path: Path) -> Sequence[str]:
    """Return the column names of a file with a header; none of one that cannot be read so."""
    on_disk = next((place for place in (path, *path.parents) if place.exists()), path)
    return _columns_at(path, on_disk.stat().st_mtime_ns if on_disk.exists() else 0)


@lru_cache(maxsize=10_000)
def _columns_at(path: Path, _changed: int) -> Sequence[str]:
    try:
        return open_tabular(path, ReadingSettings()).column_names()
    except InputError:
        return ()


def _fits(path: Path, events: EventFiles) -> bool:
    if not events.names:
        return not _lacking(events, _columns(path))
    try:
        line = first_line(path).decode("latin-1")
    except SourceFormatError:
        return False
    if events.sections is not None:
        return re.search(events.sections, line) is not None
    return line.count(events.reading.delimiter or ",") + 1 == len(events.names)


def _lacking(events: EventFiles, has: Sequence[str]) -> Sequence[str]:
    """Return the columns of the signature that aren't there."""
    parts = {part for name in has for part in _prefixes(name)}
    return [name for name in events.signature if name not in parts]


def _prefixes(name: str) -> Iterator[str]:
    """Yield the name, and those of the objects and lists that it is in."""
    yield name
    for place, letter in enumerate(name):
        if letter in ".[" and place:
            yield name[:place]


def _no_form(name: str, preset: Preset, path: Path, found: Sequence[Path]) -> InputError:
    """Return the error for files that are in none of a preset's forms, with the preset that they are of, if any."""
    declared = [events for form in preset.forms for events in form.events]
    others = (load_preset(other) for other in preset_names() if other != name)
    if found != [path]:
        wanted = " or ".join(sorted({pattern for events in declared for pattern in events.files}))
        shown = ", ".join(file.name for file in islice(found, _SHOWN)) or "no file"
        other = next((other for other in others if _first_form(other, None, found)), None)
        hint = f"; is it {other.title}?" if other is not None else ""
        return SourceNotFoundError(
            f"{path}: holds {shown}, and no events of {name} ({preset.title}); they are in {wanted}{hint}"
        )
    has = _columns(path) or open_tabular(path, ReadingSettings()).column_names()  # its own error comes first
    lacking = min((_lacking(events, has) for events in declared if not events.names), key=len, default=[])
    missing = (
        f"no column {lacking[0]!r}, only {', '.join(has[:_SHOWN])}" if lacking and has else "other columns"
    )
    like = preset_for([path], has) if has else None
    hint = f"this looks like `{like}:{path}`" if like else "for other files use `tabular:PATH`"
    return SourceFormatError(f"{path}: is not of {name} ({preset.title}): {missing}; {hint}")
