"""The format of ready-made sources: one TOML file each in `presets/`, named as the source is in a spec.

A preset has a `title`, an `example` of its spec, a `note` for the user, the `[interactions]` that its format fixes, and
one or more `[[forms]]`, the forms that it is published in; the first that the files have is read. A form has
`[[forms.events]]`, the files whose rows are events, and may have a `[forms.catalogue]` of items and
`[forms.tables.NAME]` for joins. Each of these is a `Declaration`, whose fields are documented there.

`columns` gives our name -> an expression over the file's columns, in SQL as polars reads it (`pl.sql_expr`). A column
that the file lacks is null, so that `COALESCE(Invoice, InvoiceNo)` takes either spelling. Within an expression every
column is text; a column alone keeps its type. Text is null instead of empty.

A new source is a new file here; nothing else knows the names of presets.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import polars as pl
from msgspec import Meta

from recsys_assets import columns as names
from recsys_assets.errors import InputError
from recsys_assets.settings import InteractionsSettings
from recsys_assets.source_settings import ReadingSettings
from recsys_assets.storage.bounds import Text
from recsys_assets.storage.toml_files import TomlError, content_of, parse_toml

FOLDER: Final = Path(__file__).with_name("presets")
"""The packaged presets."""
EACH: Final = "each"
"""Column of the elements of `explode`, and of the text that `sections` found."""

Some = Annotated[tuple[Text, ...], Meta(min_length=1)]


class Declaration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files of one kind, and the columns made of theirs."""

    files: Some
    """Names, with `*` for any text, in lower case and without `.gz`; the first that files have counts. `a*/*` is a
    file in a folder."""
    names: tuple[Text, ...] = ()
    """Columns of a file without a header, from the left."""
    quotes: Literal["double", "none"] = "double"
    """`none`: a `"` is text; for a file with `names` only."""
    reading: ReadingSettings = ReadingSettings()
    """Encoding, delimiter, format of times, words for kinds: as `[source.reading]` in recsys.toml."""
    sections: Text | None = None
    """Pattern of a line that is no row but a heading; its group is the column `each` of the rows below."""
    explode: Text | None = None
    """Expression of a list: each element is a row, in the column `each`; an empty list stays one row."""
    where: Text | None = None
    """Expression that is true for the rows to take; the others are no rows, and are not counted."""
    order: Text | None = None
    """Expression that puts the rows of a table or catalogue in order; else they are as in the files."""
    joins: dict[str, Text] = {}
    """Declaration of the form -> the column that both have, its first; `table.column` is then a column here."""
    columns: Annotated[dict[str, Text], Meta(min_length=1)]
    """Column -> expression."""


class EventFiles(Declaration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files whose rows, or whose rows' elements, are events. `reading.kinds` says which kinds are interactions."""

    signature: tuple[Text, ...] = ()
    """Columns that show this form; `a` is shown by `a.b` and `a[].b` too."""
    once: Text | None = None
    """Column: of rows with the same value, only the first is taken, as the others repeat it."""
    superseded: Text | None = None
    """Pattern of files that don't count where another file has the same text in the pattern's first group."""


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One form that a source is published in."""

    events: Annotated[tuple[EventFiles, ...], Meta(min_length=1)]
    tables: dict[str, Declaration] = {}
    catalogue: Declaration | None = None
    """Items: `item_id` and what is known of them; of rows with one id the last counts."""


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ready-made source."""

    title: Text
    """One line on what it reads."""
    example: Text
    """A path as in `NAME:PATH`."""
    note: str = ""
    """A sentence or two for the user: how something is read, or what is missing."""
    rating_positive: float | None = None
    """Least rating that is a wish, on the source's scale."""
    interactions: dict[str, Any] = {}
    """Fields of `[interactions]` in recsys.toml that the format fixes."""
    forms: Annotated[tuple[Form, ...], Meta(min_length=1)]


@cache
def preset_names(folder: Path = FOLDER) -> Sequence[str]:
    """Return the names of all presets, sorted."""
    return sorted(file.stem for file in folder.glob("*.toml"))


@cache
def load_preset(name: str, folder: Path = FOLDER) -> Preset:
    """Read and check one preset.

    Raises:
        InputError: it isn't in the format; the message names file and key.
    """
    file = folder / f"{name}.toml"
    try:
        preset = msgspec.convert(parse_toml(content_of(file))[1], Preset)
        msgspec.convert(preset.interactions, InteractionsSettings)
    except (OSError, TomlError, msgspec.ValidationError) as error:
        raise InputError(f"{file}: {str(error).replace('$.', '')}; mend the preset") from None
    for number, form in enumerate(preset.forms):
        _check(form, f"{file}: forms[{number}]")
    return preset


def _check(form: Form, place: str) -> None:
    tables: dict[str, Declaration] = {f"tables.{name}": table for name, table in form.tables.items()}
    tables |= {f"events[{number}]": table for number, table in enumerate(form.events)}
    tables |= {"catalogue": form.catalogue} if form.catalogue is not None else {}
    for key, table in tables.items():
        for field, text in expressions_of(table).items():
            try:
                pl.sql_expr(text)
            except pl.exceptions.PolarsError as error:
                raise InputError(f"{place}.{key}.{field}: {text!r}: {error}; mend the preset") from None
        unknown = next((name for name in table.joins if name not in form.tables), None)
        if unknown is not None:
            raise InputError(f"{place}.{key}.joins: no table {unknown!r} in the form; mend the preset")
        needed = {names.ITEM_ID} if key == "catalogue" else {names.USER_ID, names.ITEM_ID}
        missing = sorted(needed - set(table.columns))
        if missing and not key.startswith("tables."):
            raise InputError(f"{place}.{key}.columns: {missing[0]!r} is missing; mend the preset")


def expressions_of(table: Declaration) -> Mapping[str, str]:
    """Return field -> SQL of every expression of a table."""
    found = {f"columns.{name}": sql for name, sql in table.columns.items()}
    others = {"explode": table.explode, "where": table.where, "order": table.order}
    return {**found, **{field: sql for field, sql in others.items() if sql is not None}}
