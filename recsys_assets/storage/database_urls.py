"""Addresses of databases as people write them: `sqlite:PATH?table=…`, `postgres://user@host/database?query=…`.

Those of files elsewhere are recognised too. A password is only ever in `connection`: messages, manifests and
settings get `shown`.
"""

import os
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode

from recsys_assets.errors import InputError

_POSTGRES: Final = re.compile(r"postgres(?:ql)?://")
_AUTHORITY: Final = re.compile(r"^(?P<user>[^:@/?]*)(?::(?P<password>[^/?]*))?@")
_READING: Final = ("rw", "ro", "ro&immutable=1")
"""The first removes the files that SQLite keeps beside a database; the last needs none of them."""
OWN_OPTIONS: Final = ("query", "table", "prefix")
"""Options that are ours; the others belong to the server's own client."""


@dataclass(frozen=True, kw_only=True)
class DatabaseUrl:
    """An address of a database."""

    shown: str
    """It without its password and without our options."""
    connection: str = field(repr=False)
    """The path of a file, or the URL that the server's client takes."""
    options: Mapping[str, str]
    """Our options, by name."""
    password: str = field(default="", repr=False)
    """The password in it; empty where it has none."""

    def one_line(self, error: BaseException) -> str:
        """Return the first line of a client's message, without the password."""
        text = str(error).strip() or type(error).__name__
        for secret in filter(None, (self.password, unquote(self.password))):
            text = text.replace(secret, "***")
        return text.splitlines()[0].rstrip(".")


def is_database(spec: str) -> bool:
    """Return True for the address of a SQLite file or a Postgres server."""
    return spec.startswith("sqlite:") or _POSTGRES.match(spec) is not None


def is_url(spec: str) -> bool:
    """Return True for `s3://`, `https://` and `http://`."""
    return spec.startswith(("s3://", "https://", "http://"))


def is_query(spec: str) -> bool:
    """Return True for the spec of a table that is no local file: a query of a database, or a URL."""
    return is_database(spec) or is_url(spec)


def settings_spec(spec: str) -> str:
    """Return a spec as recsys.toml keeps it: with an absolute path, and without a password.

    This process, which may read the source by that spec, keeps a password of Postgres as PGPASSWORD.
    """
    if spec.startswith("sqlite:"):
        path, mark, query = spec.removeprefix("sqlite:").partition("?")
        return f"sqlite:{Path(path).expanduser().absolute()}{mark}{query}"
    if is_database(spec) and (password := parse_database_url(spec).password):
        os.environ["PGPASSWORD"] = unquote(password)
    return without_password(spec)


def parse_database_url(spec: str, *, allowed: tuple[str, ...] = OWN_OPTIONS) -> DatabaseUrl:
    """Split an address.

    A `query` is its last option. It is SQL as it is written, `%` and `+` too; one without any blank is URL-encoded.

    Args:
        spec: `sqlite:PATH?OPTIONS`, or `postgres://…?OPTIONS` or another URL of a server.
        allowed: our options that it may have.

    Raises:
        InputError: an option that is not allowed here, or for SQLite one that is unknown.
    """
    base, _, query = spec.partition("?")
    plain, mark, sql = f"&{query}".partition("&query=")
    given = dict(parse_qsl(plain.removeprefix("&"), keep_blank_values=True))
    if mark:
        given["query"] = sql if re.search(r"\s", sql) else unquote_plus(sql)
    options = {name: value for name, value in given.items() if name in OWN_OPTIONS}
    others = {name: value for name, value in given.items() if name not in OWN_OPTIONS}
    is_file = base.startswith("sqlite:")
    for name in (*options, *(others if is_file else ())):
        if name not in allowed:
            forms = " or ".join(f"?{one}=…" for one in allowed)
            raise InputError(f"{_without_password(base)}: no option {name!r} here; give {forms}")
    if is_file:
        path = Path(base.removeprefix("sqlite:")).expanduser().absolute()
        return DatabaseUrl(shown=f"sqlite:{path}", connection=str(path), options=options)
    scheme, _, rest = base.partition("://")
    found = _AUTHORITY.match(rest)
    tail = f"?{urlencode(others, quote_via=quote)}" if others else ""
    return DatabaseUrl(
        shown=_without_password(base),
        connection=f"{'postgresql' if _POSTGRES.match(base) else scheme}://{rest}{tail}",
        options=options,
        password=(found["password"] if found else "") or "",
    )


def without_password(spec: str) -> str:
    """Return a spec with our options and without its password, as settings keep it."""
    base, mark, query = spec.partition("?")
    return _without_password(base) + mark + query


def optional_module(name: str, *, extra: str) -> Any:
    """Import a module of an optional extra.

    Raises:
        InputError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError:
        raise InputError(
            f"{name.partition('.')[0]} is not installed; run pip install 'recsys-assets[{extra}]'"
        ) from None


def quoted_name(name: str) -> str:
    """Return a table's name, `table` or `schema.table`, quoted for SQL."""
    return ".".join(quoted_part(part) for part in name.split("."))


def quoted_part(name: str) -> str:
    """Return the name of a column, or of a table without its schema, quoted for SQL; a dot is a sign of the name."""
    return '"' + name.replace('"', '""') + '"'


def _without_password(base: str) -> str:
    scheme, mark, rest = base.partition("://")
    if not mark:
        return base
    return f"{scheme}://" + _AUTHORITY.sub(lambda found: f"{found['user']}@", rest)


def open_to_read(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Open an SQLite file to read it, also where nothing can be written; by one thread, or by any, one at a time."""
    for mode in _READING:
        address = f"file:{quote(str(path))}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=30, check_same_thread=not any_thread)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            connection.close()
            unwritable = (
                isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname != "SQLITE_BUSY"
            )
            if mode == _READING[-1] or not unwritable:
                raise
        else:
            break
    return connection
