"""API keys and the guards of routes that need one.

A key is shown once, when it is added; `<home>/api_keys.json` holds its scopes and the hash of its secret. A key is
`rk_<id>_<secret>`. The secret has 256 random bits, too many to guess, so one SHA-256 protects it at rest. One
process at a time changes the file, under a lock, and a change is on the disk when the command returns. A serving
process reads the file several times a second.
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
from recsys_assets.storage.atomic import read_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_NOBODY = hashlib.sha256(b"").hexdigest()
_WAY_OUT: Final = "repair the file, or delete it and make new keys"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key as the file holds it, without its secret."""

    id: str
    """Eight hexadecimal digits, part of the key; names it in lists and logs."""
    name: str
    """The person or program that uses it."""
    scopes: list[Scope]
    """Permissions. `admin` implies `write`, `write` implies `read`."""
    sha256: str
    """Hash of the secret, hexadecimal."""
    created_at: str
    """RFC 3339, UTC."""

    def allows(self, scope: Scope) -> bool:
        """Return True where the key may do what needs `scope`."""
        return any(SCOPES.index(held) >= SCOPES.index(scope) for held in self.scopes)


def add_key(home: Home, *, name: str, scopes: Iterable[str], now: datetime) -> tuple[ApiKey, str]:
    """Add a key to the file.

    Returns:
        The entry in the file, and the key itself, which cannot be shown again.

    Raises:
        ApiKeyError: an unknown scope, or none; or an empty name.
    """
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise ApiKeyError(f"scopes {wanted}: give one or more of {', '.join(SCOPES)}")
    if not name.strip():
        raise ApiKeyError("the key's name is empty: say who uses it, e.g. --name shop-frontend")
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = ApiKey(
        id=key_id,
        name=name.strip(),
        scopes=[scope for scope in SCOPES if scope in wanted],
        sha256=_hash(secret),
        created_at=now.isoformat(timespec="seconds"),
    )
    with locked(home.lock("keys")):
        _write(home, [*list_keys(home), key])
    return key, f"rk_{key_id}_{secret}"


def list_keys(home: Home) -> list[ApiKey]:
    """Return every key of a home, oldest first.

    Raises:
        ApiKeyError: the file cannot be read as a list of keys.
    """
    return _decode(home, _content(home))


def revoke_key(home: Home, key_id: str) -> ApiKey:
    """Remove a key from the file and return it; servers reject it within a second.

    Raises:
        ApiKeyError: no key has this id.
    """
    with locked(home.lock("keys")):
        keys = list_keys(home)
        found = next((key for key in keys if key.id == key_id), None)
        if found is None:
            known = ", ".join(key.id for key in keys) or "none"
            raise ApiKeyError(f"no key has the id {key_id!r}; known ids: {known}")
        _write(home, [key for key in keys if key.id != key_id])
    return found


class KeyRing:
    """The keys of a home in a serving process."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._content: bytes | None = None
        self._by_id: dict[str, ApiKey] = {}

    def refresh(self) -> None:
        """Take up the keys that the file holds now.

        Its content is compared, since times and inodes may be the same after another change.

        Raises:
            ApiKeyError: the file cannot be read; the keys read before stay valid.
        """
        content = _content(self._home)
        if content != self._content:
            self._by_id = {key.id: key for key in _decode(self._home, content)}
            self._content = content

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, or None; a wrong id takes the same time as a wrong secret."""
        prefix, _, rest = presented.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._by_id.get(key_id)
        kept = _NOBODY if key is None else key.sha256
        matches = hmac.compare_digest(_hash(secret), kept)
        return key if matches and prefix == "rk" and secret else None


def _content(home: Home) -> bytes | None:
    """Return the bytes of the file of keys; None where there is none."""
    try:
        return read_file(home.api_keys)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ApiKeyError(f"{home.api_keys}: {error.strerror}; {_WAY_OUT}") from error


def _decode(home: Home, content: bytes | None) -> list[ApiKey]:
    try:
        return [] if content is None else msgspec.json.decode(content, type=list[ApiKey])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiKeyError(f"{home.api_keys}: {error}; {_WAY_OUT}") from error


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _write(home: Home, keys: list[ApiKey]) -> None:
    content = json.dumps([msgspec.to_builtins(key) for key in keys], indent=1)
    replace_file(home.api_keys, content.encode(), mode=0o600)


CALLER_KEY: Final = "recsys.key"
"""Key of the scope's state under which guards find the caller's API key."""


Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def needs(scope: Scope) -> Guard:
    """Make a guard of a route that only keys with `scope` may call."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        key: ApiKey | None = connection.scope["state"].get(CALLER_KEY)
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
