"""API keys: made once, shown once, kept as a hash with a scope in `<home>/api_keys.json`.

A key is `rk_<id>_<secret>`. The secret has 256 random bits, so one SHA-256 is enough at rest: there is
nothing to guess. A process that serves looks at the file's time stamp and takes changes over.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, Literal, get_args

import msgspec
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from recsys_assets.errors import ApiKeyError
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.home import Home

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_NOBODY = hashlib.sha256(b"").hexdigest()


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a key. The secret itself is not."""

    id: str
    """Eight hexadecimal digits, part of the key; names it in lists and logs."""
    name: str
    """Who or what uses it."""
    scopes: list[Scope]
    """What it may do. `admin` implies `write`, `write` implies `read`."""
    sha256: str
    """Of the secret, hexadecimal."""
    created_at: str
    """RFC 3339, UTC."""

    def allows(self, scope: Scope) -> bool:
        """Whether the key may do what needs `scope`."""
        return any(SCOPES.index(held) >= SCOPES.index(scope) for held in self.scopes)


def add_key(home: Home, *, name: str, scopes: Iterable[str], now: datetime) -> tuple[ApiKey, str]:
    """Make a key; returns what is kept and the key itself, which cannot be shown again.

    Raises:
        ApiKeyError: an unknown scope, or none; or an empty name.
    """
    asked = list(dict.fromkeys(scopes))
    unknown = [scope for scope in asked if scope not in SCOPES]
    if unknown or not asked:
        raise ApiKeyError(f"scopes {asked}: give one or more of {', '.join(SCOPES)}")
    if not name.strip():
        raise ApiKeyError("the key's name is empty: say who uses it, e.g. --name shop-frontend")
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = ApiKey(
        id=key_id,
        name=name.strip(),
        scopes=[scope for scope in SCOPES if scope in asked],
        sha256=_hash(secret),
        created_at=now.isoformat(timespec="seconds"),
    )
    _write(home, [*list_keys(home), key])
    return key, f"rk_{key_id}_{secret}"


def list_keys(home: Home) -> list[ApiKey]:
    """Every key of a home, oldest first.

    Raises:
        ApiKeyError: the file is not what `add_key` writes.
    """
    file = home.api_keys
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[ApiKey])
    except FileNotFoundError:
        return []
    except msgspec.DecodeError as error:
        raise ApiKeyError(f"{file}: {error}; mend the file, or delete it and make new keys") from error


def revoke_key(home: Home, key_id: str) -> ApiKey:
    """Forget a key; servers refuse it within a second. Returns what was kept of it.

    Raises:
        ApiKeyError: no key has this id.
    """
    keys = list_keys(home)
    found = next((key for key in keys if key.id == key_id), None)
    if found is None:
        known = ", ".join(key.id for key in keys) or "none"
        raise ApiKeyError(f"no key has the id {key_id!r}; known ids: {known}")
    _write(home, [key for key in keys if key is not found])
    return found


class KeyRing:
    """The keys of a home, as a serving process knows them."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stamp: tuple[int, int] | None = None
        self._by_id: dict[str, ApiKey] = {}

    def refresh(self) -> None:
        """Take over a changed file.

        Raises:
            ApiKeyError: the file cannot be read; the keys known stay.
        """
        try:
            status = self._home.api_keys.stat()
        except FileNotFoundError:
            self._stamp, self._by_id = None, {}
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._by_id = {key.id: key for key in list_keys(self._home)}
            self._stamp = stamp

    def find(self, presented: str) -> ApiKey | None:
        """The key presented, or None. Takes the same time whether the id or the secret is wrong."""
        prefix, _, rest = presented.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._by_id.get(key_id)
        kept = _NOBODY if key is None else key.sha256
        matches = hmac.compare_digest(_hash(secret), kept)
        return key if matches and prefix == "rk" and secret else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _write(home: Home, keys: list[ApiKey]) -> None:
    content = json.dumps([msgspec.to_builtins(key) for key in keys], indent=1)
    replace_file(home.api_keys, content.encode(), mode=0o600)


KEY_KEY: Final = "recsys.key"
"""Where in the scope's state guards find the caller's API key."""


Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def needs(scope: Scope) -> Guard:
    """A guard that lets only keys with `scope` through."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        key: ApiKey | None = connection.scope["state"].get(KEY_KEY)
        if key is None:
            raise NotAuthorizedException(
                "send an API key in `X-API-Key` or `Authorization: Bearer`; make one with `recsys keys add`",
                headers={"www-authenticate": 'Bearer realm="recsys"'},
            )
        if not key.allows(scope):
            raise PermissionDeniedException(
                f"key {key.id} ({key.name}) has no scope `{scope}`; it has {key.scopes}"
            )

    return guard
