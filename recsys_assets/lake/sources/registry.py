"""Specs of sources, such as `amazon:reviews.json.gz,meta=products.json.gz`, and the sources that they name.

A source's own modules are imported when it is opened: those of tables alone are a tenth of the time of `recsys init`.
"""

import difflib
import glob
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from recsys_assets.errors import InputError
from recsys_assets.lake.sources.preset_format import Preset, load_preset, preset_names
from recsys_assets.source_settings import ReadingSettings, SourceSettings
from recsys_assets.storage.database_urls import is_query, settings_spec

if TYPE_CHECKING:
    from recsys_assets.lake.files.tabular_files import TabularFile
    from recsys_assets.lake.sources.source import Source

_CODED: Final = (
    (
        "completejourney",
        "The embedded default: a year of groceries, simulated on real patterns",
        "completejourney",
    ),
    ("tabular", "Any table: CSV, JSON, Parquet or XLSX, its columns found or mapped", "tabular:events/*.csv"),
    ("amazon", "Amazon's reviews of 2014, 2018 and 2023", "amazon:reviews.json.gz,meta=meta.json.gz"),
    ("amazon-2023", "A category of Amazon's reviews of 2023, downloaded", "amazon-2023:Gift_Cards"),
    ("sqlite", "A query of an SQLite database", "sqlite:shop.db?query=SELECT …"),
    ("postgres", "A query of a Postgres database", "postgres://user@host/database?query=SELECT …"),
    ("s3", "Files of an object store", "s3://bucket/events/*.parquet"),
    ("https", "A file of a web server", "https://host/events.csv"),
)
"""Name, title and example of every kind of source that is no preset."""
_FORMS: Final = (
    "`completejourney`, `amazon:PATH[,meta=PATH]`, `amazon-2023:CATEGORY`, `movielens:PATH`, `tabular:PATH`, "
    "`sqlite:PATH?query=…`, `postgres://…?query=…`, a URL, or another that `recsys sources` lists"
)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Parts of a source's spec, `KIND[:PATH[,meta=PATH]]`, or the address of a query or of files."""

    kind: str
    """Kind of source, the text before the first colon."""
    path: str = ""
    """Path, category, or rest of an address after the colon; empty if there is none."""
    meta: str = ""
    """Path after `,meta=`; empty if there is none."""

    @classmethod
    def parse(cls, text: str) -> "Spec":
        """Split a spec.

        Raises:
            InputError: the kind is unknown, or a part is missing or not allowed.
        """
        kind, _, rest = text.strip().partition(":")
        if is_query(text.strip()):
            return cls(kind=kind, path=rest)
        if kind not in kinds():
            raise InputError(f"source {text!r}: unknown kind {kind!r}{_nearest(kind, text)}; give {_FORMS}")
        path, _, meta = rest.partition(",meta=")
        if kind != "completejourney" and not path:
            raise InputError(
                f"source {text!r}: the path or category is missing after `{kind}:`; give {_FORMS}"
            )
        wrong = ",meta=" in rest and (kind != "amazon" or not meta)
        if wrong or (rest and kind == "completejourney"):
            raise InputError(f"source {text!r}: {kind} takes no such part; give {_FORMS}")
        return cls(kind=kind, path=path, meta=meta)

    def absolute(self) -> "Spec":
        """Return the spec with absolute paths, so that it is valid in any working folder, and without a password."""
        if self.kind in {"completejourney", "amazon-2023"}:
            return self
        if is_query(str(self)):
            kind, _, rest = settings_spec(str(self)).partition(":")
            return Spec(kind=kind, path=rest)
        meta = str(_absolute(self.meta)) if self.meta else ""
        return Spec(kind=self.kind, path=str(_absolute(self.path)), meta=meta)

    def __str__(self) -> str:
        meta = f",meta={self.meta}" if self.meta else ""
        return f"{self.kind}:{self.path}{meta}" if self.path else self.kind


class SourceKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of source, for people."""

    name: str
    """The text before the colon."""
    title: str
    """One line on what it reads."""
    example: str
    """A spec."""
    note: str = ""
    """A sentence or two on the way that something is read, or what is missing."""
    interactions: dict[str, Any] = {}
    """Fields of `[interactions]` that `recsys init` sets for it."""
    files: tuple[str, ...] = ()
    """Names of the files of events, with `*` for any text."""
    beside: tuple[str, ...] = ()
    """Names of the files that are joined, or describe items."""

    @classmethod
    def named(cls, name: str) -> "SourceKind":
        """Return one kind.

        Raises:
            InputError: there is none of this name.
        """
        found = next((kind for kind in source_kinds() if kind.name == name.partition(":")[0]), None)
        if found is None:
            raise InputError(f"source {name!r}: unknown kind{_nearest(name, name)}; see `recsys sources`")
        return found


def source_kinds() -> list[SourceKind]:
    """Return every kind of source: the general ones, then the presets by name."""
    general = [SourceKind(name=name, title=title, example=example) for name, title, example in _CODED]
    return [*general, *(_described(name, load_preset(name)) for name in preset_names())]


def _described(name: str, preset: Preset) -> SourceKind:
    events = [events.files[0] for form in preset.forms for events in form.events]
    others = [table.files[0] for form in preset.forms for table in form.tables.values()]
    others += [form.catalogue.files[0] for form in preset.forms if form.catalogue is not None]
    return SourceKind(
        name=name,
        title=preset.title,
        example=f"{name}:{preset.example}",
        note=preset.note,
        interactions=preset.interactions,
        files=tuple(dict.fromkeys(events)),
        beside=tuple(dict.fromkeys(others)),
    )


def kinds() -> Collection[str]:
    """Return every kind of source that a spec can name."""
    return {name for name, _, _ in _CODED} | set(preset_names())


def _nearest(kind: str, text: str) -> str:
    """Return a hint: the kind that was meant, or that a path alone needs one."""
    if Path(text).expanduser().exists() or glob.has_magic(text):
        return f" (did you mean `tabular:{text}`?)"
    close = difflib.get_close_matches(kind.lower(), kinds(), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def source_of(settings: SourceSettings) -> "Source":
    """Open the source of a home's settings.

    Raises:
        InputError: as in `open_source`.
    """
    source = open_source(settings.spec, columns=settings.columns, reading=settings.reading)
    source.bad_rows = settings.bad_rows
    return source


def open_source(
    spec: str, *, columns: Mapping[str, str] | None = None, reading: ReadingSettings | None = None
) -> "Source":
    """Open the source that `spec` names, reading only the first lines.

    Args:
        spec: as `Spec` has it.
        columns: for tables, our column name -> the file's.
        reading: for tables, the way that their files are read.

    Raises:
        InputError: the spec is wrong, or the file is missing, empty or of another format.
    """
    parts = Spec.parse(spec).absolute()
    table = table_of(spec, reading or ReadingSettings())
    if table is not None:
        from recsys_assets.lake.sources.tabular import Tabular  # noqa: PLC0415

        return Tabular(table, columns=columns, reading=reading)
    if columns and parts.kind in {"completejourney", "amazon", "amazon-2023"}:
        raise InputError(f"source {spec!r}: {parts.kind} takes no column mapping; remove [source.columns]")
    match parts.kind:
        case "completejourney":
            from recsys_assets.lake.sources.completejourney import CompleteJourney  # noqa: PLC0415

            return CompleteJourney()
        case "amazon":
            from recsys_assets.lake.sources.amazon import Amazon  # noqa: PLC0415

            return Amazon(Path(parts.path), products=Path(parts.meta) if parts.meta else None)
        case "amazon-2023":
            raise InputError(f"source {spec!r}: is downloaded first; run `recsys init --source {spec}`")
        case _:
            from recsys_assets.lake.sources.preset_source import PresetSource  # noqa: PLC0415

            return PresetSource(parts.kind, Path(parts.path), columns=columns, reading=reading)


def table_of(spec: str, reading: ReadingSettings) -> "Path | Sequence[TabularFile] | None":
    """Return the path, glob or open files of a table of unknown columns; None for a source of a known format.

    Raises:
        InputError: the spec is wrong, or its query or URL cannot be read.
    """
    parts = Spec.parse(spec).absolute()
    if parts.kind == "tabular":
        return Path(parts.path)
    if not is_query(spec):
        return None
    from recsys_assets.lake.files.query_tables import open_query  # noqa: PLC0415

    return [open_query(spec, reading)]


def preset_tables(
    spec: str, *, columns: Mapping[str, str], reading: ReadingSettings
) -> "tuple[Sequence[TabularFile], ReadingSettings] | None":
    """Return the tables of a ready-made source, with our columns, and its way of reading; None for another source.

    Raises:
        InputError: as in `open_source`.
    """
    parts = Spec.parse(spec).absolute()
    if parts.kind not in preset_names():
        return None
    from recsys_assets.lake.sources.preset_source import PresetSource  # noqa: PLC0415

    source = PresetSource(parts.kind, Path(parts.path), columns=columns, reading=reading)
    return source.tables, source.reading


def preset_of(spec: str) -> Preset | None:
    """Return the ready-made source that `spec` names, without opening a file; None for other kinds.

    Raises:
        InputError: the spec is wrong.
    """
    kind = Spec.parse(spec).kind
    return load_preset(kind) if kind in preset_names() else None


def rating_positive_of(spec: str) -> float | None:
    """Return the least rating that is a wish in the source that `spec` names, without opening it; None for no such.

    Raises:
        InputError: the spec is wrong.
    """
    preset = preset_of(spec)
    if preset is not None:
        return preset.rating_positive
    if Spec.parse(spec).kind != "amazon":
        return None
    from recsys_assets.lake.sources.amazon import Amazon  # noqa: PLC0415

    return Amazon.rating_positive


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()
