"""Users who were forgotten, as salted hashes, and those being forgotten, whose ids are kept only until that has ended.

The salt is drawn once a home and is beside the hashes: it keeps two homes' records from being compared, not a person
who has the file from trying ids. What is removed from where is the business of `orchestration/forgetting/`. The API
imports this module: neither polars nor dagster.
"""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from recsys_assets.errors import ForgetError
from recsys_assets.storage.atomic import read_file, remove_file, replace_file
from recsys_assets.storage.home import Home
from recsys_assets.storage.line_log import append_record, read_records

_SALT_BYTES: Final = 16
_HASH_DIGITS: Final = 32


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one step of a forget; nothing in it names the user."""

    step: str
    """Name of the step: `lake`, `releases`, …"""
    detail: str
    """The work done, in words, with numbers; empty where there was nothing to do."""
    changed: int = 0
    """Rows, cells, lines, keys or files that were changed or removed."""
    unfinished: str = ""
    """Why something of the user is still there, and what to do; empty where nothing is. The forget stays open then."""


class FoundAgain(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the proof still found the user."""

    file: str
    """Path in the home."""
    where: str
    """Place in the file, such as a table and column."""
    count: int
    """Number of times."""


class RecordedForget(msgspec.Struct, frozen=True, kw_only=True):
    """One forget that has ended: a line of `forgotten.jsonl`."""

    number: int
    """From 1; files that it rewrote name it."""
    at: datetime
    """When it was requested, UTC: rows of the users before this time never land again."""
    finished_at: datetime
    """When the proof was made, UTC."""
    who: str = ""
    """Login or name of the API key that requested it."""
    why: str = ""
    """Reason given."""
    salt: str
    """Salt of the home's hashes, hexadecimal."""
    users: tuple[str, ...]
    """`hash_of` each user."""
    steps: tuple[StepResult, ...] = ()
    """The steps in their order."""
    proof: dict[str, Any] = {}
    """The `HomeScan` at the end, in plain values."""


class UnfinishedForget(msgspec.Struct, frozen=True, kw_only=True):
    """A forget that was requested and has not ended: enough to finish it after a crash."""

    number: int
    """As in `RecordedForget`."""
    at: datetime
    """As in `RecordedForget`."""
    who: str = ""
    """As in `RecordedForget`."""
    why: str = ""
    """As in `RecordedForget`."""
    salt: str
    """As in `RecordedForget`."""
    users: tuple[str, ...]
    """The ids themselves."""
    steps: tuple[StepResult, ...] = ()
    """The steps that have ended, in their order."""


def hash_of(salt: str, user_id: str) -> str:
    """Return the salted hash of a user's id: 32 hexadecimal digits of SHA-256."""
    return hashlib.sha256(bytes.fromhex(salt) + user_id.encode("utf-8", "surrogatepass")).hexdigest()[
        :_HASH_DIGITS
    ]


@dataclass(frozen=True)
class Forgotten:
    """The users who were or are being forgotten; quick where there is none."""

    salt: str = ""
    """Salt of the hashes, hexadecimal; empty where nobody was ever forgotten."""
    times: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    """Hash -> when the user was forgotten last, UTC, and the number of that forget."""

    @classmethod
    def load(cls, home: Home) -> "Forgotten":
        """Read both records.

        Raises:
            ForgetError: one of them cannot be read.
        """
        times: dict[str, tuple[datetime, int]] = {}
        salt = ""
        for one in read_forgets(home):
            salt = salt or one.salt
            times |= dict.fromkeys(one.users, (one.at, one.number))
        for begun in read_unfinished_forgets(home):
            salt = salt or begun.salt
            times |= {hash_of(salt, user): (begun.at, begun.number) for user in begun.users}
        return cls(salt, times)

    def has(self, user_id: str) -> bool:
        """Return whether a user was forgotten; one who came back since is a new user with an old id."""
        return self.forgotten_at(user_id) is not None

    def forgotten_at(self, user_id: str) -> datetime | None:
        """Return when a user was forgotten last, UTC; rows of the user before are dropped, later ones are not."""
        found = self.times.get(hash_of(self.salt, user_id)) if self.times else None
        return None if found is None else found[0]

    def number_of(self, user_id: str) -> int:
        """Return the number of the last forget of a user; 0 where there was none."""
        found = self.times.get(hash_of(self.salt, user_id)) if self.times else None
        return 0 if found is None else found[1]


def read_forgets(home: Home) -> Sequence[RecordedForget]:
    """Return every forget that has ended, oldest first.

    Raises:
        ForgetError: the record cannot be read.
    """
    try:
        return read_records(home.forgotten, RecordedForget)
    except OSError as error:
        raise ForgetError(
            f"{home.forgotten}: {error.strerror}; make it readable: without it forgotten users would land again"
        ) from error


def read_unfinished_forgets(home: Home) -> tuple[UnfinishedForget, ...]:
    """Return the forgets that were requested and have not ended, oldest first.

    Raises:
        ForgetError: the file cannot be read.
    """
    file = home.unfinished_forgets
    try:
        return msgspec.json.decode(read_file(file), type=tuple[UnfinishedForget, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForgetError(
            f"{file}: cannot be read ({error}); remove it, and forget the users again"
        ) from error


def write_unfinished_forgets(home: Home, forgets: Sequence[UnfinishedForget]) -> None:
    """Replace the record of unfinished forgets; the caller holds the lock `forgets`."""
    if forgets:
        replace_file(home.unfinished_forgets, msgspec.json.encode(forgets), mode=0o600)
    else:
        remove_file(home.unfinished_forgets)


def request_forget(
    home: Home, users: Collection[str], *, at: datetime, who: str, why: str
) -> UnfinishedForget:
    """Record that users are to be forgotten, and return it; one of the same users that has not ended is that one.

    It is on the disk when this returns. The caller holds the lock `forgets`.

    Args:
        home: the home.
        users: their ids, at least one, each in its one form.
        at: now, UTC.
        who: login or name of an API key.
        why: the reason.

    Raises:
        ForgetError: a record cannot be read.
    """
    unfinished, ended = read_unfinished_forgets(home), read_forgets(home)
    wanted = tuple(sorted(set(users)))
    same = next((one for one in unfinished if set(wanted) <= set(one.users)), None)
    if same is not None:
        return same
    salts = [*(one.salt for one in ended), *(one.salt for one in unfinished)]
    salt = salts[0] if salts else secrets.token_hex(_SALT_BYTES)
    number = 1 + max([0, *(one.number for one in ended), *(one.number for one in unfinished)])
    begun = UnfinishedForget(number=number, at=at, who=who, why=why, salt=salt, users=wanted)
    write_unfinished_forgets(home, [*unfinished, begun])
    return begun


def note_steps(home: Home, number: int, steps: Sequence[StepResult]) -> None:
    """Record the steps of a forget that have ended; the caller holds the lock `forgets`."""
    noted = [
        msgspec.structs.replace(one, steps=tuple(steps)) if one.number == number else one
        for one in read_unfinished_forgets(home)
    ]
    write_unfinished_forgets(home, noted)


def end_forget(home: Home, ended: RecordedForget) -> None:
    """Record the end of a forget, then remove the ids; the caller holds the lock `forgets`."""
    if all(one.number != ended.number for one in read_forgets(home)):
        append_record(home.forgotten, ended)
    write_unfinished_forgets(
        home, [one for one in read_unfinished_forgets(home) if one.number != ended.number]
    )
