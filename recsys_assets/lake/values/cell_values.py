"""Ids, texts and numbers of a column: ids in their one form, numbers by one decimal mark for the whole column.

`1.234,50`, `1 234,50` and `€4,50` are numbers with a decimal comma, `1,234.50` and `$4.50` with a decimal point. A
column whose values say neither is read with a point, unless `reading.decimal` says otherwise.
"""

import string
from typing import Final, Literal

import polars as pl

from recsys_assets.columns import SEVERAL
from recsys_assets.storage.id_form import BLANKS, NULL_WORDS, WHOLE_NUMBER

Mark = Literal[".", ","]
_SAMPLE_ROWS: Final = 2_000
_FACTOR: Final = 9
"""One mark must explain this many times the values of the other to be a column's."""
_PLAIN: Final = (string.ascii_letters + string.digits + "_-").encode()
"""Characters of which the one form has no other spelling, but for the words for a missing value."""
_AROUND: Final = r"[\s\u00a0\u202f'’]|[€$£¥₹₽₺₩]|(?i:EUR|USD|GBP|CHF|CAD|AUD|kr|zł)"
"""Signs in or around a number: blanks and apostrophes between thousands, and currencies."""
_OF_COMMA: Final = (
    r"^[-+]?\d*,(\d{1,2}|\d{4,})$|^[-+]?0,\d+$|^[-+]?\d{1,3}(\.\d{3})+,\d+$|^[-+]?\d{1,3}(\.\d{3}){2,}$"
)
_OF_POINT: Final = (
    r"^[-+]?\d*\.(\d{1,2}|\d{4,})$|^[-+]?0\.\d+$|^[-+]?\d{1,3}(,\d{3})+\.\d+$|^[-+]?\d{1,3}(,\d{3}){2,}$"
)
_EITHER: Final = r"^[-+]?[1-9]\d{0,2},\d{3}$"
_GROUPED: Final = {
    ".": (r"^([-+]?\d{1,3}(,\d{3})+(\.\d*)?|[-+]?\d*\.?\d*(e[-+]?\d+)?)$", ","),
    ",": (r"^([-+]?\d{1,3}(\.\d{3})+(,\d*)?|[-+]?\d*,?\d*)$", "."),
}


def ids(column: pl.Series) -> pl.Series:
    """Return a column of ids as text in the form of `normal_id`; null where there is none."""
    text = text_of(column)
    if column.dtype.is_integer() or _is_plain(text):
        return text
    expression = text.str.strip_chars(BLANKS)
    whole = expression
    if expression.str.contains(WHOLE_NUMBER).any():  # finding is faster than replacing
        whole = expression.str.replace(WHOLE_NUMBER, "${1}")
    return pl.select(pl.when(~whole.is_in(list(NULL_WORDS))).then(whole).alias(column.name)).to_series()


def _is_plain(text: pl.Series) -> bool:
    """Return True if every id is in the one form by its characters alone, which is the quickest test."""
    joined = str(text.str.join("").item()).encode()
    return not joined.translate(None, _PLAIN) and not text.is_in([*NULL_WORDS]).any()


def text_of(column: pl.Series) -> pl.Series:
    """Return a column as text; a float that is whole has no fraction, NaN is null, a list has ` | ` in between."""
    if column.dtype == pl.String:
        return column
    if isinstance(column.dtype, pl.List):
        return column.list.eval(pl.element().cast(pl.String)).list.join(SEVERAL, ignore_nulls=True)
    if not column.dtype.is_float():
        return column.cast(pl.String)
    whole = column.cast(pl.Int64, strict=False)
    number = (
        pl.when(whole.cast(column.dtype) == column)
        .then(whole.cast(pl.String))
        .otherwise(column.cast(pl.String))
    )
    return pl.select(pl.when(column.is_not_nan()).then(number).alias(column.name)).to_series()


def decimal_mark(column: pl.Series) -> tuple[Mark | None, str | None]:
    """Return the decimal mark that a column of text shows.

    Returns:
        The mark, None where no value shows one; and a value such as `1,234`, which is read as 1234 with a point and as
        1.234 with a comma, None where there is none.
    """
    if column.dtype != pl.String:
        return None, None
    known = column.drop_nulls()
    sample = known.gather_every(max(1, len(known) // _SAMPLE_ROWS)).str.replace_all(_AROUND, "")
    comma, point = (int(sample.str.contains(shape).sum()) for shape in (_OF_COMMA, _OF_POINT))
    if max(comma, point) > _FACTOR * min(comma, point):
        return ("," if comma > point else "."), None
    either = known.filter(known.str.replace_all(_AROUND, "").str.contains(_EITHER)).head(1)
    return None, either[0] if len(either) else None


def numbers(column: pl.Series, dtype: pl.DataType | type[pl.DataType], *, mark: Mark) -> pl.Series:
    """Return a column as numbers; null where a value is null, empty or no number.

    Args:
        column: text or numbers.
        dtype: of the result, a float or an integer.
        mark: the decimal mark of text.
    """
    if column.dtype != pl.String:
        return column.cast(dtype, strict=False)
    found = _with_point(column, mark).cast(dtype, strict=False)
    if found.null_count() > column.null_count():
        found = _with_point(column.str.strip_chars(), mark).cast(dtype, strict=False)
    if found.null_count() == column.null_count():
        return found.fill_nan(None) if found.dtype.is_float() else found
    left = (found.is_null() & ~is_missing(column)).arg_true()
    found = found.scatter(left, _cleaned(column.gather(left), dtype, mark)) if len(left) else found
    return found.fill_nan(None) if found.dtype.is_float() else found


def _with_point(column: pl.Series, mark: Mark) -> pl.Series:
    """Return numbers with a decimal point; with a decimal comma, one that has a point is null."""
    if mark == ".":
        return column
    points = column.str.contains(".", literal=True)
    return (column.set(points, None) if points.any() else column).str.replace(",", ".", literal=True)


def is_missing(column: pl.Series) -> pl.Series:
    """Return true for each value that is null, or a word for it."""
    if column.dtype != pl.String:
        return column.is_null()
    return column.str.strip_chars(BLANKS).is_in([*NULL_WORDS]).fill_null(value=True)


def _cleaned(column: pl.Series, dtype: pl.DataType | type[pl.DataType], mark: Mark) -> pl.Series:
    """Convert text with currencies, thousands, and minus behind or as brackets."""
    plain = (
        column.str.replace_all(_AROUND, "")
        .str.replace(r"^\((.+)\)$", "-${1}")
        .str.replace(r"^(.+)-$", "-${1}")
    )
    shape, thousands = _GROUPED[mark]
    plain = plain.str.to_lowercase()
    digits = plain.str.replace_all(thousands, "", literal=True).str.replace(mark, ".", literal=True)
    fits = plain.str.contains(shape)
    return pl.select(pl.when(fits).then(digits)).to_series().cast(dtype, strict=False).alias(column.name)
