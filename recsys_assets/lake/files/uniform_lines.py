"""JSON lines that a program wrote with the same keys in the same order, parted at commas instead of decoded.

It takes half the time of decoding. The brackets, commas and line ends of a block in their order, each wanted field's
key, and the keys of the objects that it is in, show that the block has that form; any other is decoded.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

_PIECE: Final = re.compile(
    rb'((?:\s*\{)?(?:\s*"[^"]*"\s*:\s*\{)*\s*"([^"]*)"\s*:\s*)("[^"]*"|[^"{}\[\],\s]+)(\s*\}*\s*)'
)
_TEXT: Final = bytes(byte for byte in range(256) if byte not in b"{}[],\n")
"""All bytes but those that give a line its structure."""
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
    opened: tuple[tuple[int, str], ...]
    """For each object around it that began before its last comma: commas before that, and the text up to its `{`."""


@dataclass(frozen=True, kw_only=True)
class UniformLines:
    """The form of such lines, and the fields that are wanted."""

    fields: Mapping[str, _Field]
    commas: int
    structure: bytes
    """Brackets, commas and the end of a line, in their order."""

    @classmethod
    def of(cls, line: bytes, wanted: Mapping[str, tuple[Sequence[str], Any]]) -> "UniformLines | None":
        """Return the form of a line; None if it has lists, escapes, commas in text, or lacks a wanted field.

        Args:
            line: the first line.
            wanted: name -> the keys down to the field, and its type: text or numbers.
        """
        found, stack = dict[tuple[str, ...], _Field](), list[tuple[str, int, str]]()
        pieces = line.strip().split(b",")
        for index, piece in enumerate(pieces):
            parts = _PIECE.fullmatch(piece)
            if parts is None or b"\\" in piece:
                return None
            stack += [
                (opened[1].decode(errors="replace"), index, parts[1][: opened.end()].decode(errors="replace"))
                for opened in _OPENED.finditer(parts[1])
            ]
            quote = '"' if parts[3].startswith(b'"') else ""
            keys = (*(key for key, _, _ in stack), parts[2].decode(errors="replace"))
            found[keys] = _Field(
                index=index,
                prefix=parts[1].decode(errors="replace") + quote,
                suffix=quote + parts[4].decode(),
                dtype=pl.String if quote else pl.Int64,
                opened=tuple((at, prefix) for _, at, prefix in stack if at < index),
            )
            closed = parts[4].count(b"}")
            stack = stack[: max(0, len(stack) - closed)]
        fields = dict[str, _Field]()
        for name, (path, dtype) in wanted.items():
            field = found.get(tuple(path))
            if field is None or (field.dtype == pl.String) != (dtype == pl.String):
                return None
            fields[name] = replace(field, dtype=dtype)
        return cls(fields=fields, commas=len(pieces) - 1, structure=_structure(line.strip() + b"\n"))

    def frame(self, data: bytes) -> pl.DataFrame | None:
        """Return the wanted fields of a block of lines; None if a line has another form."""
        found = _structure(data) + (b"" if data.endswith(b"\n") else b"\n")
        rows = len(found) // len(self.structure)
        if b"\\" in data or found != self.structure * rows:
            return None
        opened = {place for field in self.fields.values() for place in field.opened}
        try:
            parts = pl.read_csv(
                data,
                has_header=False,
                quote_char=None,
                schema={f"c{n}": pl.String for n in range(self.commas + 1)},
                columns=sorted({field.index for field in self.fields.values()} | {at for at, _ in opened}),
                glob=False,
            )
        except pl.exceptions.PolarsError:
            return None
        if not all(parts[f"c{at}"].str.starts_with(prefix).all() for at, prefix in opened):
            return None
        values = {name: _value(parts[f"c{field.index}"], field) for name, field in self.fields.items()}
        if parts.height != rows or any(value is None for value in values.values()):
            return None
        return pl.DataFrame([value.alias(name) for name, value in values.items() if value is not None])


def _structure(data: bytes) -> bytes:
    """Return the bytes that give lines their structure, in their order."""
    return data.translate(None, _TEXT)


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
