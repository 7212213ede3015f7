"""Errors of a Postgres server's client that are over once the server has started again, and those that are not.

`psycopg2` is not imported here: its errors are known by name, so that a process without a server needs no package.
"""

from typing import Final

_COMING_BACK: Final = (
    "starting up", "shutting down", "recovery", "too many", "not yet accepting", "terminating connection",
    "the database system is",
)  # fmt: skip
"""Parts of a server's messages before it can be used."""
_LOST: Final = ("57P", "08", "40", "53")
"""Beginnings of SQL states: shut down or crashed, connection lost, rolled back, short of resources."""
_OPERATIONAL, _INTERFACE, _DATABASE = "OperationalError", "InterfaceError", "DatabaseError"


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
        return "FATAL" not in text or any(part in text for part in _COMING_BACK)
    return _INTERFACE in kinds or "server closed the connection" in text
