"""A settings file: TOML for people, whose sections and fields are msgspec structs.

A new file shows each field under its own docstring, with the bounds of its type, and defaults as comments.
Changing a section keeps everything else as it stands. The structs are arguments: nothing here knows a setting.
"""

import ast
import inspect
import itertools
import os
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from recsys_assets.errors import SettingsError
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.bounds import KeyPath, bounds_of, is_struct
from recsys_assets.storage.locks import locked
from recsys_assets.storage.toml_files import TomlError, content_of, line_of, parse_toml

_INTRODUCTION: Final = """\
# Settings of this installation, written by `recsys init`. A commented line shows a default: to change it,
# remove the `# ` before it and before its [heading]. A variable overrides any of them for one command, for
# example RECSYS_TRAINING__EPOCHS=20.
"""
_OWN_NOTE: Final = "`recsys "
"""Every note names the command that wrote it; any other comment above a heading is the user's."""
_LINE_LENGTH: Final = 108
_LOCK: Final = ".settings.lock"
"""Lock file, beside the settings, of the process that changes them."""
_HEADING: Final = re.compile(r"^(# )?\[([^\[\]]+)\]")
_FIELD: Final = re.compile(r"^\s*(# )?([\w.\-\"']+)\s*=")


def read_table(file: Path) -> dict[str, Any]:
    """Read a TOML file; an empty table where there is none.

    Raises:
        SettingsError: it cannot be read, or is not TOML.
    """
    try:
        return parse_toml(content_of(file))[1]
    except FileNotFoundError:
        return {}
    except TomlError as error:
        place = file if error.line is None else f"{file}, line {error.line}"
        raise SettingsError(f"{place}: {error.found}; mend or remove it") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}); mend or remove it") from None


def _keys(dotted: str) -> KeyPath:
    return tuple(key.strip(" \"'") for key in dotted.split("."))


def apply_variables(table: dict[str, Any]) -> dict[KeyPath, str]:
    """Set the fields that `RECSYS_` variables with `__` name, known or not, and return path -> variable."""
    found = {}
    for name, value in os.environ.items():
        path = tuple(name.removeprefix("RECSYS_").lower().split("__"))
        if not name.startswith("RECSYS_") or len(path) == 1:
            continue
        found[path] = name
        inner = table
        for key in path[:-1]:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner[path[-1]] = value
    return found


def place_of(file: Path, path: KeyPath, variables: Mapping[KeyPath, str]) -> str:
    """Return the variable, or the file and line, that a setting comes from.

    Args:
        file: the settings file, there or not.
        path: the keys that lead to the setting.
        variables: what `apply_variables` returned.
    """
    variable = next((name for key, name in variables.items() if key[: len(path)] == path), None)
    if variable is not None:
        return variable
    if not file.exists():
        return f"{file}: {'.'.join(path)}"
    line = line_of(file.read_text(encoding="utf-8"), path)
    name = f"[{path[0]}] {'.'.join(path[1:])}".rstrip()
    return f"{file}{f', line {line}' if line else ''}: {name}"


def write_section(
    file: Path, struct: type[msgspec.Struct], section: str, values: Mapping[str, Any], *, note: str
) -> None:
    """Set fields of one section of a settings file, which is made where missing; all else stays as it stands.

    Args:
        file: replaced as one thing.
        struct: the sections, a struct each.
        section: a field of `struct`.
        values: field -> value, a table where the field is a struct; None leaves the field at its default.
        note: stands above the heading in place of an earlier note, and names the `recsys COMMAND` that writes it.

    Raises:
        SettingsError: the file is there and is not TOML.
    """
    (kind,) = (field.type for field in msgspec.structs.fields(struct) if field.name == section)
    with locked(file.with_name(_LOCK)):  # an edit of another section at the same time is kept
        there = bool(read_table(file))
        text = file.read_text(encoding="utf-8") if there else defaults_as_comments(struct)
        replace_file(file, changed(text, kind, (section,), values, note=note).encode())


def changed(
    text: str, struct: type[msgspec.Struct], section: KeyPath, values: Mapping[str, Any], *, note: str = ""
) -> str:
    """Return TOML with fields of one section set; comments, order and all other sections stay.

    Args:
        text: TOML; a heading or a default that it has as a comment becomes the setting.
        struct: the section's fields.
        section: the keys that lead to the section.
        values: as in `write_section`.
        note: as in `write_section`; empty leaves the heading as it stands.
    """
    import tomlkit  # noqa: PLC0415  only writing needs it, and serving only reads

    fields = {field.name: field for field in msgspec.structs.fields(struct) if field.name in values}
    plain = [field for field in fields.values() if not is_struct(field.type)]
    given = [field for field in plain if values[field.name] is not None]
    document = tomlkit.parse(_with_lines(text, section, given))
    table: Any = document
    for key in section:
        table = table.setdefault(key, tomlkit.inline_table())
    for field in plain:
        _set(table, field.name, values[field.name])
    text = tomlkit.dumps(document)
    text = _with_note(text, section, note) if note else text
    for field in fields.values():
        if field not in plain and values[field.name]:
            text = changed(text, field.type, (*section, field.name), values[field.name])
    return text


def _with_note(text: str, section: KeyPath, note: str) -> str:
    """Put the note on a line of its own above the section's heading, in place of an earlier one."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        heading = _HEADING.match(line)
        if heading and not heading[1] and _keys(heading[2]) == section:
            if _OWN_NOTE in line:  # beside the heading, by an earlier version
                lines[number] = heading[0]
            there = number > 0 and lines[number - 1].startswith("# ") and _OWN_NOTE in lines[number - 1]
            lines[number - there : number] = [f"# {note}"]
            break
    return "\n".join(lines)


def _set(table: Any, name: str, value: Any) -> None:
    import tomlkit  # noqa: PLC0415  as above

    before = table.get(name)
    if isinstance(before, tomlkit.items.Table):  # its body holds the comments up to the next heading
        for key in before.keys() - (value or {}).keys():
            del before[key]
        before.update(value or {})
    elif value is None:
        table.pop(name, None)
    elif isinstance(value, Mapping):
        table[name] = tomlkit.inline_table()
        table[name].update(value)
    else:
        table[name] = value


def _with_lines(text: str, section: KeyPath, fields: list[msgspec.structs.FieldInfo]) -> str:
    """Give the section a heading and each field a line to set it on, the one of its comment where it has one."""
    data: Any = tomllib.loads(text)
    headings = [
        (number, found) for number, line in enumerate(text.split("\n")) if (found := _HEADING.match(line))
    ]
    written = {number: _keys(found[2]) for number, found in headings if not found[1]}
    for depth, key in enumerate(section, start=1):
        data = data.get(key, {})
        if data and not any(keys[:depth] == section[:depth] for keys in written.values()):
            return text  # the section is an inline table, or has dotted keys: it needs no heading
    lines = text.split("\n")
    real = [number for number, keys in written.items() if keys == section]
    commented = [number for number, found in headings if found[1] and _keys(found[2]) == section]
    if not real and not commented:
        lines += [f"[{'.'.join(section)}]", ""]
    start = (real or commented or [len(lines) - 2])[0]
    lines[start] = lines[start].removeprefix("# ")
    end = next((number for number, _ in headings if number > start), len(lines))
    for field in reversed([field for field in fields if field.name not in data]):
        default = _default_line(field)
        if default in lines[start:end]:
            lines[lines.index(default, start)] = f"{field.name} = 0"
        else:
            lines.insert(start + 1, f"{field.name} = 0")
            end += 1
    return "\n".join(lines)


def defaults_as_comments(struct: type[msgspec.Struct]) -> str:
    """Return a settings file in which every field stands as a comment, under its description and bounds."""
    lines = [_INTRODUCTION]
    for field in msgspec.structs.fields(struct):
        lines.extend([*_section(field.name, field.type), ""])
    return "\n".join(lines)


def _section(name: str, struct: type[msgspec.Struct]) -> Iterator[str]:
    yield from _comment(inspect.cleandoc(struct.__doc__ or ""))
    yield f"# [{name}]"
    described = field_docstrings(struct)
    for field in sorted(msgspec.structs.fields(struct), key=lambda field: is_struct(field.type)):
        if is_struct(field.type):
            yield ""
            yield from _section(f"{name}.{field.name}", field.type)
            continue
        bounds = bounds_of(field.type)
        yield from _comment(
            f"{described.get(field.name, '')} {bounds[:1].upper()}{bounds[1:]}{'.' if bounds else ''}"
        )
        yield _default_line(field)


def _default_line(field: msgspec.structs.FieldInfo) -> str:
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return f"# {field.name} = {'' if default in (None, msgspec.NODEFAULT) else _toml(default)}".rstrip()


def _toml(value: Any) -> str:
    import tomlkit  # noqa: PLC0415  as above

    if isinstance(value, Mapping) and value:
        inline = tomlkit.inline_table()
        inline.update(value)
        return inline.as_string()
    return str(tomlkit.item(value).as_string())


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _LINE_LENGTH, initial_indent="# ", subsequent_indent="# ")


@cache
def field_docstrings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return field -> the docstring under it, which Python doesn't keep at run time."""
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
