"""Specs of sources, such as `amazon:reviews.json.gz,meta=products.json.gz`, and the sources that they name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recsys_assets.errors import InputError
from recsys_assets.lake.sources.amazon import Amazon
from recsys_assets.lake.sources.completejourney import CompleteJourney
from recsys_assets.lake.sources.movielens import MovieLens
from recsys_assets.lake.sources.source import Source
from recsys_assets.lake.sources.tabular import Tabular
from recsys_assets.source_settings import ReadingSettings, SourceSettings

_FORMS: Final = (
    "`completejourney`, `amazon:PATH[,meta=PATH]`, `amazon-2023:CATEGORY`, `movielens:PATH` or `tabular:PATH`"
)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Parts of a source's spec, `KIND[:PATH[,meta=PATH]]`."""

    kind: str
    """Kind of source, the text before the first colon."""
    path: str = ""
    """Path or category after the colon; empty if there is none."""
    meta: str = ""
    """Path after `,meta=`; empty if there is none."""

    @classmethod
    def parse(cls, text: str) -> "Spec":
        """Split `KIND[:PATH[,meta=PATH]]`.

        Raises:
            InputError: the kind is unknown, or a path is missing or not allowed.
        """
        kind, _, rest = text.strip().partition(":")
        path, _, meta = rest.partition(",meta=")
        takes_path = kind in {"amazon", "amazon-2023", "movielens", "tabular"}
        if kind != "completejourney" and not takes_path:
            raise InputError(f"source {text!r}: unknown kind {kind!r}; give {_FORMS}")
        if takes_path and not path:
            raise InputError(
                f"source {text!r}: the path or category is missing after `{kind}:`; give {_FORMS}"
            )
        if (rest and not takes_path) or (",meta=" in rest and (kind != "amazon" or not meta)):
            raise InputError(f"source {text!r}: {kind} takes no such part; give {_FORMS}")
        return cls(kind=kind, path=path, meta=meta)

    def absolute(self) -> "Spec":
        """Return the spec with absolute paths, so that it is valid in any working folder."""
        if self.kind in {"completejourney", "amazon-2023"}:
            return self
        meta = str(_absolute(self.meta)) if self.meta else ""
        return Spec(kind=self.kind, path=str(_absolute(self.path)), meta=meta)

    def __str__(self) -> str:
        meta = f",meta={self.meta}" if self.meta else ""
        return f"{self.kind}:{self.path}{meta}" if self.path else self.kind


def source_of(settings: SourceSettings) -> Source:
    """Open the source of a home's settings.

    Raises:
        InputError: as in `open_source`.
    """
    source = open_source(settings.spec, columns=settings.columns, reading=settings.reading)
    source.bad_rows = settings.bad_rows
    return source


def open_source(
    spec: str, *, columns: Mapping[str, str] | None = None, reading: ReadingSettings | None = None
) -> Source:
    """Open the source that `spec` names, reading only the first lines.

    Args:
        spec: `completejourney`, `amazon:PATH[,meta=PATH]`, `movielens:PATH` or `tabular:PATH`.
        columns: for `tabular`, our column name -> the file's.
        reading: for `tabular`, the way that its files are read.

    Raises:
        InputError: the spec is wrong, or the file is missing, empty or of another format.
    """
    parts = Spec.parse(spec).absolute()
    if columns and parts.kind != "tabular":
        raise InputError(f"source {spec!r}: only `tabular` takes a column mapping; remove [source.columns]")
    match parts.kind:
        case "completejourney":
            return CompleteJourney()
        case "amazon":
            return Amazon(Path(parts.path), products=Path(parts.meta) if parts.meta else None)
        case "movielens":
            return MovieLens(Path(parts.path))
        case "tabular":
            return Tabular(Path(parts.path), columns=columns, reading=reading)
        case _:
            raise InputError(f"source {spec!r}: is downloaded first; run `recsys init --source {spec}`")


_RATING_POSITIVE: Final = {"amazon": Amazon.rating_positive, "movielens": MovieLens.rating_positive}


def rating_positive_of(spec: str) -> float | None:
    """Return the least rating that is a wish in the source that `spec` names, without opening it; None for no such.

    Raises:
        InputError: the spec is wrong.
    """
    return _RATING_POSITIVE.get(Spec.parse(spec).kind)


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()
