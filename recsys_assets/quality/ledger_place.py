"""The place of a home's ledger: a file of SQLite, or a schema on a Postgres server. Nothing here opens it.

Read without polars, since the API's processes load none.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from recsys_assets.errors import SettingsError
from recsys_assets.scale_settings import LedgerSettings, StorageSettings
from recsys_assets.settings import Settings
from recsys_assets.storage.bounds import mistake_in
from recsys_assets.storage.database_urls import DatabaseUrl, parse_database_url
from recsys_assets.storage.home import Home
from recsys_assets.storage.postgres_outage import shown_server
from recsys_assets.storage.settings_file import apply_variables, place_of, read_table

_SCHEMA: Final = "schema"
"""Option of the URL that names the schema."""
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_OTHER_SIGNS: Final = re.compile(r"[^a-z0-9]+")


class PostgresPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The schema of one home on a server."""

    connection: str
    """The URL that the server's client takes; it may hold a password."""
    schema: str
    """Name of the schema, which holds nothing else."""
    owner: str | None
    """The object store, or else the folder, whose ledger it is; None where the URL names the schema: whoever does
    that means one ledger."""
    former: Path
    """The home's `quality.sqlite`: its content is taken over when the schema is made."""

    @property
    def url(self) -> DatabaseUrl:
        """The server's address, whose words are without the password."""
        return parse_database_url(self.connection)

    @property
    def shown(self) -> str:
        """Server, database and schema in words: `postgres 127.0.0.1:5432/recsys, schema shop`."""
        return f"{shown_server(self.connection)}, schema {self.schema}"

    def __repr__(self) -> str:
        """Return the words, without the password."""
        return f"PostgresPlace({self.shown})"


LedgerPlace = Path | PostgresPlace


class _Servers(msgspec.Struct, frozen=True, kw_only=True):
    """The two sections of the settings that name the place; a mistake elsewhere in the file is no matter here."""

    ledger: LedgerSettings = LedgerSettings()
    storage: StorageSettings = StorageSettings()


def ledger_place(home: Home) -> LedgerPlace:
    """Return the place of a home's ledger, as its settings are now.

    Raises:
        SettingsError: `recsys.toml` is not TOML, or `[ledger]` or `[storage]` cannot be used.
    """
    if home.ledger_copy.exists():
        return home.ledger_copy
    table = read_table(home.settings_file)
    variables = apply_variables(table)
    wanted = {name: table[name] for name in _Servers.__struct_fields__ if name in table}
    mistake = mistake_in(wanted, _Servers)
    if mistake is not None:
        raise SettingsError(f"{place_of(home.settings_file, mistake.path, variables)}: {mistake.text}")
    found = msgspec.convert(wanted, _Servers, strict=False)
    return _place(home, found.ledger, found.storage)


def place_by_settings(home: Home, settings: Settings) -> LedgerPlace:
    """Return the place of a home's ledger by settings that were read.

    Raises:
        SettingsError: the URL of `[ledger] postgres` cannot be used.
    """
    return _place(home, settings.ledger, settings.storage)


def _place(home: Home, ledger: LedgerSettings, storage: StorageSettings) -> LedgerPlace:
    if ledger.postgres is None:
        return home.quality_db
    try:
        parts = urlsplit(ledger.postgres)
        _ = parts.port
    except ValueError as error:
        raise SettingsError(
            f"[ledger] postgres: the URL cannot be read: {error}; give postgresql://user:password@host/database"
        ) from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    named = options.pop(_SCHEMA, None)
    if named is not None and not _NAME.fullmatch(named):
        raise SettingsError(
            f"[ledger] postgres: schema {named!r} is no name; give small letters, digits and _, such as shop"
        )
    connection = parts._replace(scheme="postgresql", query=urlencode(options, quote_via=quote)).geturl()
    root = storage.root
    return PostgresPlace(
        connection=connection,
        schema=named or _schema_of(root or home.root.name),
        owner=None if named else root or str(home.root),
        former=home.quality_db,
    )


def has_ledger(home: Home) -> bool:
    """Return False where nothing can have been recorded: the ledger would be a file, and is not there yet."""
    place = ledger_place(home)
    return not isinstance(place, Path) or place.exists()


def _schema_of(name: str) -> str:
    """Return a schema's name: `recsys_`, and the small letters and digits of a home's or a store's name."""
    words = _OTHER_SIGNS.sub("_", name.lower().removeprefix("s3://")).strip("_")
    return "recsys" if words in {"", "recsys"} else f"recsys_{words}"[:63].rstrip("_")
