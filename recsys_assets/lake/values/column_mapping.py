"""The mapping from our columns to a table's: each file's own, and the errors about one that is not there."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from recsys_assets import columns
from recsys_assets.errors import SettingsError, SourceFormatError
from recsys_assets.lake.contract import ITEM_CATALOGUE, RAW_INTERACTIONS
from recsys_assets.lake.files.tabular_files import TabularFile
from recsys_assets.lake.values.column_meanings import best_names, is_same_name, may_be

Theirs = str | Sequence[str]
"""A column of theirs, or alternatives: the first that a file has is read. Empty text: none is read."""
OWN: Final = (
    *RAW_INTERACTIONS.columns,
    *(name for name in ITEM_CATALOGUE.columns if name not in RAW_INTERACTIONS.columns),
    columns.ORDER_ID,
    columns.LINE,
    columns.STATUS,
)
"""Our columns that have a meaning; without a mapping each is read from a column of its own name."""

_SHOWN: Final = 40
"""Columns that an error names."""


def alternatives(theirs: Theirs) -> tuple[str, ...]:
    """Return the columns that a value of a mapping names."""
    return tuple(one for one in ((theirs,) if isinstance(theirs, str) else theirs) if one)


def require_known(given: Collection[str]) -> None:
    """Check the left sides of a mapping; a name that is near none of ours is an extra column.

    Raises:
        SettingsError: a name is one of ours with a typo.
    """
    for name in given:
        if name in OWN:
            continue
        same = [own for own in OWN if is_same_name(own, name) or own == f"{name.lower()}_id"]
        close = same or difflib.get_close_matches(name.lower(), OWN, n=1, cutoff=0.8)
        if close:
            raise SettingsError(
                f"column {name!r}: none of ours (did you mean {close[0]!r}?); ours are {', '.join(OWN)}; "
                "for a column of your own choose a name that is not so near"
            )


def resolve(
    files: Sequence[TabularFile], given: Mapping[str, Theirs], *, required: Collection[str]
) -> list[dict[str, str]]:
    """Return for each file our name -> its own, for every column to read.

    Args:
        files: of one source.
        given: our name -> theirs, or alternatives.
        required: our columns that every file must have.

    Raises:
        SettingsError: as in `require_known`.
        SourceFormatError: a mapped column is in no file, or a file has not all required ones.
    """
    require_known(given)
    wanted = {name: alternatives(given.get(name, name)) for name in dict.fromkeys([*OWN, *given])}
    has = [file.column_names() for file in files]
    found = [
        {
            name: column
            for name, theirs in wanted.items()
            if (column := next((one for one in theirs if one in names), None)) is not None
        }
        for names in has
    ]
    anywhere = list(dict.fromkeys(name for names in has for name in names))
    for name in given:
        if wanted[name] and not any(name in columns_of for columns_of in found):
            fault = missing(wanted[name][0], anywhere, meaning=name)
            raise SourceFormatError(
                f"{files[0].path}: {fault}; mend {name} in [source.columns], or --column {name}=…"
            )
    for file, names, columns_of in zip(files, has, found, strict=True):
        for name in required:
            if name not in columns_of:
                fault = _required(name, (*wanted[name], name)[0], names)
                others = any(name in columns_of for columns_of in found)
                way = f"; or leave the file out by a glob, such as {file.path.parent}/*.csv" if others else ""
                raise SourceFormatError(f"{file.path}: {fault}{way}")
    return found


def _required(name: str, theirs: str, has: Sequence[str]) -> str:
    fault = missing(theirs, has, meaning=name)
    ways = f"name it by --column {name}=… or in [source.columns]"
    if name == columns.TIMESTAMP:
        ways += (
            "; a file without a time can be read by --no-time, all of it on one day: then nothing is held out by time,"
            " and nothing is trending"
        )
    return f"{fault}; {ways}"


def missing(column: str, has: Sequence[str], *, meaning: str) -> str:
    """Return the words for a column that is not there, with the one that was meant.

    Args:
        column: the name that was looked for.
        has: the names that there are.
        meaning: our name for it, which says what a suggestion must mean.
    """
    same = [name for name in has if is_same_name(name, column)]
    by_meaning = best_names(meaning, has) if meaning in OWN else []
    spelt = [name for name in has if meaning not in OWN or name in by_meaning or may_be(meaning, name)]
    close = same or difflib.get_close_matches(column, spelt, n=1) or by_meaning
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    numbered = all(name.isdecimal() for name in has)
    header = "; the file has no header, so its columns are numbered" if numbered else ""
    shown = ", ".join([*has[:_SHOWN], *(["…"] if len(has) > _SHOWN else [])])
    return f"no column {column!r}{hint}, only {shown}{header}"
