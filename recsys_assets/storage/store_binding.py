"""Binding a home to the object store that its `recsys.toml` or the environment names."""

import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from recsys_assets.errors import SettingsError
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets.storage.s3_objects import server_of
from recsys_assets.storage.settings_file import read_table
from recsys_assets.storage.store_place import StorePlace, note_of, place_of

_LOCK: Final = "place.lock"
_PREFIX: Final = "RECSYS_STORAGE__"
_ROOTS: Final = ("s3://", "file:///")


def wanted_place(home: Home, environ: Mapping[str, str] = os.environ) -> StorePlace | None:
    """Return the store that `recsys.toml` and the variables `RECSYS_STORAGE__…` name; None where they name none.

    Raises:
        SettingsError: `recsys.toml` is no TOML, or what it says of the store cannot be used.
    """
    table = read_table(home.settings_file).get("storage", {})
    given: dict[str, Any] = dict(table) if isinstance(table, dict) else {}
    for name, value in environ.items():
        if name.startswith(_PREFIX):
            given[name.removeprefix(_PREFIX).lower()] = value
    if not given.get("root"):
        return None
    try:
        place = msgspec.convert(given, StorePlace, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{home.settings_file}: [storage]: {error}; correct it") from error
    server_of(place.endpoint, {})  # raises where it is no URL
    if not place.root.startswith(_ROOTS):
        raise SettingsError(
            f"{home.settings_file}: [storage] root = {place.root!r} is no URL of a store; write s3://bucket/prefix"
        )
    return place


def bind(home: Home, environ: Mapping[str, str] = os.environ) -> StorePlace | None:
    """Note the store that settings and environment name, for all that works on this home; return it.

    Where they name none, the one noted before stays: a shell without the variable does not cut a home off.

    Raises:
        SettingsError: as in `wanted_place`, or the home is the copy of another store.
    """
    wanted, noted = wanted_place(home, environ), place_of(home.root)
    if wanted is None or wanted == noted:
        return noted
    with locked(home.copy / _LOCK):  # commands may start together on a new home
        _note(home, wanted)
    return wanted


def _note(home: Home, wanted: StorePlace) -> None:
    """Note the store; errors as in `bind`."""
    noted = place_of(home.root)
    if noted is not None and wanted.root.rstrip("/") != noted.root.rstrip("/"):
        raise SettingsError(
            f"{home.root}: is a copy of {noted.root}, and [storage] root names {wanted.root}; take another --home for"
            f" that one, or remove {home.copy} to put what is in this home there"
        )
    replace_file(note_of(home.root), msgspec.json.encode(wanted))
