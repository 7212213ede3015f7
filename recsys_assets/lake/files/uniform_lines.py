"""JSON lines that a program wrote with the same keys in the same order, parted at commas instead of decoded.

It takes half the time of decoding. Counts of quotes and brackets, and each wanted field's key, show that a block has
that form; a block that has not is decoded as any other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

_PIECE: Final = re.compile(
    rb'((?:\s*\{)?(?:\s*"[^"]*"\s*:\s*\{)*\s*"([^"]*)"\s*:\s*)("[^"]*"|[^"{}\[\],\s]+)(\s*\}*\s*)'
)
_SLICE_BYTES: Final = 1 << 17
_OPENED: Final = re.compile(rb'"([^"]*)"\s*:\s*\{')


@dataclass(frozen=True, kw_only=True)
class _Field:
    index: int
    """Number of commas before it."""
    prefix: str
    """Text from the last comma to the value, with the value's quote."""
    suffix: str
    """Text from the value to the next comma."""
    dtype: Any


@dataclass(frozen=True, kw_only=True)
class UniformLines:
    """The form of such lines, and the fields that are wanted."""

    fields: Mapping[str, _Field]
    commas: int
    quotes: int
    brackets: int

    @classmethod
    def of(cls, line: bytes, wanted: Mapping[str, tuple[Sequence[str], Any]]) -> "UniformLines | None":
        """Return the form of a line; None if it has lists, escapes, commas in text, or lacks a wanted field.

        Args:
            line: the first line.
            wanted: name -> the keys down to the field, and its type: text or numbers.
        """
        found, stack = dict[tuple[str, ...], _Field](), list[str]()
        pieces = line.strip().split(b",")
        for index, piece in enumerate(pieces):
            parts = _PIECE.fullmatch(piece)
            if parts is None or b"\\" in piece:
                return None
            stack += [key.decode(errors="replace") for key in _OPENED.findall(parts[1])]
            quote = '"' if parts[3].startswith(b'"') else ""
            found[(*stack, parts[2].decode(errors="replace"))] = _Field(
                index=index,
                prefix=parts[1].decode(errors="replace") + quote,
                suffix=quote + parts[4].decode(),
                dtype=pl.String if quote else pl.Int64,
            )
            closed = parts[4].count(b"}")
            stack = stack[: max(0, len(stack) - closed)]
        fields = dict[str, _Field]()
        for name, (keys, dtype) in wanted.items():
            field = found.get(tuple(keys))
            if field is None or (field.dtype == pl.String) != (dtype == pl.String):
                return None
            fields[name] = _Field(index=field.index, prefix=field.prefix, suffix=field.suffix, dtype=dtype)
        return cls(fields=fields, commas=len(pieces) - 1, quotes=line.count(b'"'), brackets=line.count(b"}"))

    def frame(self, data: bytes) -> pl.DataFrame | None:
        """Return the wanted fields of a block of lines; None if a line has another form."""
        newlines, quotes, brackets = _counts(data, b'\n"}')
        rows = newlines + (not data.endswith(b"\n"))
        if b"\\" in data or quotes != self.quotes * rows or brackets != self.brackets * rows:
            return None
        try:
            parts = pl.read_csv(
                data,
                has_header=False,
                quote_char=None,
                schema={f"c{n}": pl.String for n in range(self.commas + 1)},
                columns=sorted({field.index for field in self.fields.values()}),
                glob=False,
            )
        except pl.exceptions.PolarsError:
            return None
        values = {name: _value(parts[f"c{field.index}"], field) for name, field in self.fields.items()}
        if parts.height != rows or any(value is None for value in values.values()):
            return None
        return pl.DataFrame([value.alias(name) for name, value in values.items() if value is not None])


def _counts(data: bytes, signs: bytes) -> list[int]:
    """Count bytes, in slices that stay in the processor's cache."""
    whole, found = np.frombuffer(data, np.uint8), [0] * len(signs)
    for start in range(0, len(data), _SLICE_BYTES):
        part = whole[start : start + _SLICE_BYTES]
        found = [
            count + int(np.count_nonzero(part == sign)) for count, sign in zip(found, signs, strict=True)
        ]
    return found


def _value(part: pl.Series, field: _Field) -> pl.Series | None:
    """Return the values between a field's prefix and suffix; None if one has others."""
    value = part.str.strip_prefix(field.prefix).str.strip_suffix(field.suffix)
    around = len(field.prefix.encode()) + len(field.suffix.encode())
    lengths = int(part.str.len_bytes().sum()) - int(value.str.len_bytes().sum())
    if part.null_count() or lengths != around * part.len():
        return None
    if field.dtype == pl.String:
        return value
    number = value.cast(field.dtype, strict=False)
    return number if not number.null_count() or number.null_count() == (value == "null").sum() else None
