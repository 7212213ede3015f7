"""Errors of a Postgres server's client that are over once the server has started again, and those that are not.

`psycopg2` is not imported here: its errors are known by name, so that a process without a server needs no package.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_COMING_BACK: Final = (
    "starting up", "shutting down", "recovery", "too many", "not yet accepting", "terminating connection",
    "the database system is",
)  # fmt: skip
"""Parts of a server's messages before it can be used."""
_REJECTED: Final = ("FATAL", "no password supplied", "SSL was required", "certificate")
"""Parts of what the client says of a connection that would fail again."""
_NO_ADDRESS: Final = ("invalid ", "missing ")
"""Beginnings of what it says of a URL: `invalid integer value "x" for connection option "port"`."""
_LOST: Final = ("57P", "08", "40", "53")
"""Beginnings of SQL states: shut down or crashed, connection lost, rolled back, short of resources."""
_OPERATIONAL, _INTERFACE, _DATABASE = "OperationalError", "InterfaceError", "DatabaseError"


NOTICE_LOSS: Final[Mapping[str, int]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Options of a connection, seconds and at the end milliseconds: a machine that went away is noticed in half a minute.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"""


def is_of_postgres(error: BaseException) -> bool:
    """Return True for an error of `psycopg2`."""
    return type(error).__module__.startswith("psycopg2")


def is_outage(error: BaseException) -> bool:
    """Return True for an error of `psycopg2` after which the same may succeed.

    A rejected password, a missing database and faulty SQL are none. An error of a connection that was not made has no
    SQL state, so that its text has to say it.

    Args:
        error: any error; those of SQLAlchemy have the client's in `orig`.

    SQL states: https://www.postgresql.org/docs/current/errcodes-appendix.html.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if not is_of_postgres(error) or not kinds & {_OPERATIONAL, _INTERFACE, _DATABASE}:
        return False
    state, text = getattr(error, "pgcode", None) or "", str(error)
    if state:
        return state.startswith(_LOST)
    if _OPERATIONAL in kinds:
        rejected = text.startswith(_NO_ADDRESS) or any(part in text for part in _REJECTED)
        return not rejected or any(part in text for part in _COMING_BACK)
    return _INTERFACE in kinds or "server closed the connection" in text


def shown_server(url: str) -> str:
    """Return a server and its database in words: `postgres 127.0.0.1:5432/recsys`."""
    found = urlsplit(url)
    return f"postgres {found.hostname or 'localhost'}:{found.port or 5432}{found.path}"
