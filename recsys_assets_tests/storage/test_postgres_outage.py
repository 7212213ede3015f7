"""Errors of a connection that was not made: those of a server that may come back, and those that stay."""

import pytest

from recsys_assets.storage.postgres_outage import is_outage

psycopg2 = pytest.importorskip("psycopg2")

_TO = 'connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "is_one"),
    [
        (f"{_TO}Connection refused", True),
        (f"{_TO}FATAL:  the database system is starting up", True),
        (f"{_TO}FATAL:  sorry, too many clients already", True),
        ('could not translate host name "db" to address: Name or service not known', True),
        (f'{_TO}FATAL:  password authentication failed for user "shop"', False),
        (f"{_TO}fe_sendauth: no password supplied", False),
        (f"{_TO}server does not support SSL, but SSL was required", False),
        ('root certificate file "/nope" does not exist', False),
        ('invalid integer value "xx" for connection option "port"', False),
        ('invalid sslmode value: "bogus"', False),
    ],
)
def test_only_a_server_that_may_come_back_is_waited_for(said, is_one):
    assert is_outage(psycopg2.OperationalError(said)) is is_one
