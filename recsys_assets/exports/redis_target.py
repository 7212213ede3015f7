"""Lists in Redis, JSON a user under a generation's prefix: a pointer is swapped when all of them are there.

A reader gets `recsys:current`, then `recsys:GENERATION:USER`. A delta's lists are staged too, and renamed into the
current generation by one script, which Redis runs as one thing.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import msgspec

from recsys_assets.errors import ExportError
from recsys_assets.exports.export_target import ExportManifest, ExportRun, ExportTarget
from recsys_assets.exports.list_batch import ListBatch, ListRows
from recsys_assets.storage.database_urls import optional_module, parse_database_url

PREFIX: Final = "recsys"
"""The prefix where the address names none."""
KEPT_SECONDS: Final = 600
"""Time that the generation before stays for readers that have its pointer already."""
_AT_ONCE: Final = 2_000
_UNREACHABLE_SECONDS: Final = 10

_CHANGE: Final = """
local staged, live = ARGV[1], ARGV[2]
for first = 0, redis.call('LLEN', KEYS[1]) - 1, 1000 do
  for _, user in ipairs(redis.call('LRANGE', KEYS[1], first, first + 999)) do
    redis.call('RENAME', staged .. user, live .. user)
  end
end
for first = 0, redis.call('LLEN', KEYS[2]) - 1, 1000 do
  for _, user in ipairs(redis.call('LRANGE', KEYS[2], first, first + 999)) do
    redis.call('UNLINK', live .. user)
  end
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], ARGV[3])
redis.call('SREM', KEYS[4], ARGV[4])
"""
"""Rename staged lists, remove those of users that are gone, and replace the manifest."""


class RedisTarget(ExportTarget):
    """The keys of one prefix."""

    def __init__(self, to: str) -> None:
        """Take the address, without connecting.

        Raises:
            InputError: an option is unknown, or redis-py is not installed.
        """
        self._url = parse_database_url(to, allowed=("prefix",))
        self._redis = optional_module("redis", extra="redis")
        self._prefix = self._url.options.get("prefix") or PREFIX
        self.shown = f"{self._url.shown}?prefix={self._prefix}"

    def check(self) -> None:
        """Check that the server answers and takes a key."""
        with self._client() as client:
            client.set(self._key("check"), "1", ex=1)

    def last_export(self) -> ExportManifest | None:
        """Return the manifest of the current generation."""
        with self._client() as client:
            found = client.get(self._key("manifest"))
            there = client.exists(self._key("current"))
        return msgspec.json.decode(found, type=ExportManifest) if found and there else None

    def replace(self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows) -> ExportManifest:
        """Fill a new generation, swap the pointer, and let the one before expire."""
        with self._client() as client:
            self._clear(client)
            client.sadd(self._key("generations"), run.export_id)
            for batch in batches:
                self._set(client, run.export_id, rows.by_user(batch))
            manifest = run.manifest()
            with client.pipeline(transaction=True) as pipe:
                pipe.set(self._key("current"), run.export_id)
                pipe.set(self._key("manifest"), msgspec.json.encode(manifest))
                pipe.execute()
            self._clear(client, expire=True)
        return manifest

    def change(
        self, run: ExportRun, batches: Iterator[ListBatch], rows: ListRows, *, gone: Sequence[str]
    ) -> ExportManifest:
        """Stage the lists that changed, then bring them into the current generation."""
        staged_users, gone_users = (self._key(f"{name}:{run.export_id}") for name in ("staged", "gone"))
        with self._client() as client:
            self._clear(client)
            client.sadd(self._key("generations"), run.export_id)
            for batch in batches:
                self._set(client, run.export_id, rows.by_user(batch), note=staged_users)
            for start in range(0, len(gone), _AT_ONCE):
                client.rpush(gone_users, *gone[start : start + _AT_ONCE])
            current = client.get(self._key("current")).decode()
            manifest = run.manifest()
            client.eval(
                _CHANGE,
                4,
                staged_users,
                gone_users,
                self._key("manifest"),
                self._key("generations"),
                self._key(f"{run.export_id}:"),
                self._key(f"{current}:"),
                msgspec.json.encode(manifest),
                run.export_id,
            )
        return manifest

    def forget(self, users: Sequence[str]) -> int:
        """Delete the keys of users in every generation, one that expires soon too, and in what a killed export left."""
        gone = 0
        with self._client() as client:
            for user in users:
                keys = list(
                    client.scan_iter(match=f"{_escaped(self._key(''))}*:{_escaped(user)}", count=_AT_ONCE)
                )
                gone += client.unlink(*keys) if keys else 0
            for note in client.scan_iter(match=f"{_escaped(self._key(''))}*", count=_AT_ONCE, _type="list"):
                gone += sum(client.lrem(note, 0, user) for user in users)
        return int(gone)

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _set(
        self, client: Any, generation: str, lists: Iterator[tuple[str, str]], *, note: str | None = None
    ) -> None:
        """Write lists under a generation; `note` is a key that takes the users."""
        while some := list(islice(lists, _AT_ONCE)):
            with client.pipeline(transaction=False) as pipe:
                pipe.mset({self._key(f"{generation}:{user_id}"): text for user_id, text in some})
                if note is not None:
                    pipe.rpush(note, *(user_id for user_id, _ in some))
                pipe.execute()

    def _clear(self, client: Any, *, expire: bool = False) -> None:
        """Remove, or let expire, every generation but the current one: that before, or what a killed export left."""
        generations = self._key("generations")
        current = client.get(self._key("current"))
        for generation in client.smembers(generations) - {current}:
            name = generation.decode()
            pattern = _escaped(self._key(f"{name}:")) + "*"
            keys = client.scan_iter(match=pattern, count=_AT_ONCE)
            while some := list(islice(keys, _AT_ONCE)):
                with client.pipeline(transaction=False) as pipe:
                    for key in some:
                        pipe.expire(key, KEPT_SECONDS) if expire else pipe.unlink(key)
                    pipe.execute()
            client.unlink(self._key(f"staged:{name}"), self._key(f"gone:{name}"))
            client.srem(generations, generation)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """Yield a connected client.

        Raises:
            ExportError: the server cannot be reached, or rejects a command; without the password.
        """
        try:
            with self._redis.Redis.from_url(
                self._url.connection, socket_connect_timeout=_UNREACHABLE_SECONDS
            ) as client:
                yield client
        except (self._redis.RedisError, ValueError) as error:
            raise ExportError(
                f"{self.shown}: cannot be written ({self._url.one_line(error)}); what it held is unchanged"
            ) from None


def _escaped(text: str) -> str:
    """Return the pattern of Redis that a text alone has."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
