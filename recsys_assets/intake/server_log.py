"""A server's log of entries, in one order for all machines: the interface of Postgres and NATS, and the choice of one.

It knows bytes and numbers, no rows. Errors of its client become `EventsUnavailableError`, which names the server.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from recsys_assets.errors import EventsUnavailableError, SettingsError
from recsys_assets.event_settings import EventsSettings


class Pending(NamedTuple):
    """Bytes that wait to become an entry."""

    token: str
    """A random text: of two appends with one token the second does nothing, so that a try may be repeated."""
    content: bytes


class ServerLog(Protocol):
    """One log on a server. A call connects where that is needed; one thread at a time uses it."""

    @property
    def shown(self) -> str:
        """The server and the log in words, without a password."""
        ...

    def identity(self, *, after: int) -> tuple[str, int]:
        """Return the log's own id, and the number before its first entry; the log is made where it is missing.

        Args:
            after: a log that is made has greater numbers only.

        Raises:
            EventsUnavailableError: the server does not answer, or the log is not durable; as all methods here.
        """
        ...

    def append(self, pending: Sequence[Pending]) -> Sequence[int]:
        """Store entries in their order, durably, and return their numbers, which grow.

        After an error each of them may have been stored or not.
        """
        ...

    def read(self, after: int, most: int) -> Sequence[tuple[int, bytes]]:
        """Return the number and content of the next entries, ascending; fewer than `most` are all that there are.

        An entry never appears before one that was read.
        """
        ...

    def replace(self, changes: Mapping[int, bytes | None]) -> None:
        """Put other bytes in the place of entries, or nothing, so that the server does not have the old ones any more.

        The other bytes may get a number of their own, before the old ones go. A missing entry is left.

        Args:
            changes: number -> the new content; None to take the entry out.
        """
        ...

    def erase(self) -> None:
        """Overwrite what was replaced on the server's disk, where `replace` did not."""
        ...

    def count_after(self, after: int) -> int:
        """Return the number of entries with a greater number."""
        ...

    def close(self) -> None:
        """Close the connection; a later call opens another one."""
        ...


def no_answer(shown: str, why: str) -> EventsUnavailableError:
    """Return the error of a server that does not answer, by which `is_outage` knows it.

    Args:
        shown: the server in words.
        why: its client's reason, without a password.
    """
    error = EventsUnavailableError(f"{shown}: no answer ({why})")
    error.__cause__ = ConnectionError(why)
    return error


def is_outage(error: BaseException) -> bool:
    """Return True for the error of a server that may answer at the next try."""
    return isinstance(error, EventsUnavailableError) and isinstance(error.__cause__, ConnectionError)


def open_server_log(settings: EventsSettings) -> ServerLog | None:
    """Return the log of `[events] backend`, not connected yet; None for `sqlite`.

    Raises:
        SettingsError: `url` is missing or of another kind of server, or the client is not installed.
    """
    if settings.backend == "sqlite":
        return None
    schemes = ("postgres://", "postgresql://") if settings.backend == "postgres" else ("nats://", "tls://")
    if settings.url is None or not settings.url.startswith(schemes):
        found = "is missing" if settings.url is None else "is of another kind of server"
        raise SettingsError(
            f'[events] url {found}; backend = "{settings.backend}" needs one that begins with {schemes[-1]}'
        )
    if settings.backend == "postgres":
        from recsys_assets.intake.postgres_log import PostgresLog  # noqa: PLC0415  needs [scale]

        return PostgresLog(settings.url, name=settings.log_name)
    from recsys_assets.intake.nats_log import NatsLog  # noqa: PLC0415  needs [scale]

    return NatsLog(settings)
