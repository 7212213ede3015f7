"""`recsys.toml` as text for people: each field under its own docstring, defaults as comments."""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import Any, Final

import msgspec

from recsys_assets.settings import Settings

_INTRODUCTION: Final = """\
# Settings of this installation, written by `recsys init`. A commented line shows a default: to change it,
# remove the `# ` before it and before its [heading]. A variable overrides any of them for one command, for
# example RECSYS_TRAINING__EPOCHS=20.
"""
_LINE_LENGTH: Final = 108


def render(values: Mapping[str, Mapping[str, Any]], *, notes: Mapping[str, str]) -> str:
    """The text of a settings file.

    Args:
        values: section -> field -> the value to set; all others stand there as comments.
        notes: section -> a line to put under its heading.

    Returns:
        TOML that `load_settings` reads back to the same values.
    """
    lines = [_INTRODUCTION]
    for field in msgspec.structs.fields(Settings):
        lines.extend(_section(field.name, field.type, values.get(field.name, {}), notes.get(field.name)))
        lines.append("")
    return "\n".join(lines)


def _section(
    name: str, struct: type[msgspec.Struct], values: Mapping[str, Any], note: str | None
) -> Iterator[str]:
    yield from _comment(inspect.cleandoc(struct.__doc__ or ""))
    yield f"[{name}]" if values else f"# [{name}]"
    if note:
        yield from _comment(note)
    documented = _field_docstrings(struct)
    fields = msgspec.structs.fields(struct)
    for field in sorted(
        fields, key=lambda field: isinstance(values.get(field.name), Mapping) or _is_nested(field)
    ):
        value = values.get(field.name, msgspec.NODEFAULT)
        if _is_nested(field):
            yield ""
            yield from _section(f"{name}.{field.name}", field.type, values.get(field.name, {}), None)
            continue
        yield from _comment(documented.get(field.name, ""))
        if isinstance(value, Mapping):
            yield f"[{name}.{field.name}]"
            yield from (f"{_toml_key(key)} = {_toml(entry)}" for key, entry in value.items())
        elif value is not msgspec.NODEFAULT:
            yield f"{field.name} = {_toml(value)}"
        else:
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            yield f"# {field.name} = {'' if default is None else _toml(default)}".rstrip()


def _is_nested(field: msgspec.structs.FieldInfo) -> bool:
    return isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _LINE_LENGTH, initial_indent="# ", subsequent_indent="# ")


def _toml(value: Any) -> str:
    """A value as TOML; its strings are JSON's but for DEL, which may not stand bare."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case date():
            return value.isoformat()
        case list() | tuple():
            return f"[{', '.join(_toml(entry) for entry in value)}]"
        case Mapping():
            return "{" + ", ".join(f"{_toml_key(key)} = {_toml(entry)}" for key, entry in value.items()) + "}"
        case _:
            return str(value)


def _toml_key(key: str) -> str:
    return key if key.isascii() and key.replace("_", "a").replace("-", "a").isalnum() else _toml(key)


@cache
def _field_docstrings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Field -> the docstring under it, which Python doesn't keep at run time."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(struct))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
