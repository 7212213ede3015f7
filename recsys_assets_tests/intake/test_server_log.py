"""A server's log is used where it is durable, and says what is wrong where it is not."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from recsys_assets.errors import EventsUnavailableError, SettingsError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.server_log import Pending, ServerLog, is_outage, open_server_log
from recsys_assets_tests.database_servers import PostgresServer, free_port, postgres_server
from recsys_assets_tests.event_servers import EventServer
from recsys_assets_tests.nats_servers import NatsServer, running_nats


@pytest.fixture(params=["postgres", "nats"])
def server(request: pytest.FixtureRequest) -> EventServer:
    found: EventServer = request.getfixturevalue(f"{request.param}_events")
    return found


@pytest.fixture(scope="module")
def unsynced() -> Iterator[NatsServer]:
    """A NATS server as it is without further settings."""
    with tempfile.TemporaryDirectory() as folder, running_nats(Path(folder), sync="2m") as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def opened(settings: EventsSettings) -> ServerLog:
    log = open_server_log(settings)
    assert log is not None
    return log


def test_the_file_alone_has_no_server() -> None:
    assert open_server_log(EventsSettings()) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (EventsSettings(backend="postgres"), r"\[events\] url is missing"),
        (EventsSettings(backend="nats"), "begins with tls://"),
        (EventsSettings(backend="postgres", url="nats://127.0.0.1"), "of another kind"),
        (EventsSettings(backend="nats", url="nats://127.0.0.1"), "monitor is missing.*sync_interval: always"),
    ],
)
def test_settings_that_name_no_server_are_rejected(settings: EventsSettings, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_server_log(settings)


def test_an_append_that_is_tried_again_is_stored_once(server: EventServer) -> None:
    log = opened(server.settings())
    before = log.identity(after=0)[1]
    first = log.append([Pending("a", b"one"), Pending("b", b"two")])
    again = log.append([Pending("b", b"two"), Pending("c", b"three")])
    assert sorted({*first, *again}) == [before + 1, before + 2, *again[1:]]
    assert again[0] == first[1]
    assert [content for _, content in log.read(before, 10)] == [b"one", b"two", b"three"]
    log.close()


def test_entries_are_read_in_parts_and_replaced_ones_are_gone(server: EventServer) -> None:
    log = opened(server.settings())
    before = log.identity(after=0)[1]
    numbers = log.append([Pending(f"t{n}", b"content %d" % n) for n in range(7)])
    assert [number for number, _ in log.read(before, 3)] == numbers[:3]
    assert log.count_after(numbers[4]) == 2
    log.replace({numbers[1]: None, numbers[3]: b"other", 1: None})
    log.erase()
    left = sorted(content for _, content in log.read(before, 20))
    assert left == [b"content 0", b"content 2", b"content 4", b"content 5", b"content 6", b"other"]
    log.close()


def test_a_new_log_is_numbered_after_what_is_known(server: EventServer) -> None:
    log = opened(server.settings())
    assert log.identity(after=10**15)[1] == 10**15
    assert min(log.append([Pending("a", b"one")])) == 10**15 + 1
    log.close()


@pytest.mark.parametrize(
    "settings",
    [
        EventsSettings(backend="postgres", url=f"postgresql://u:secret@127.0.0.1:{free_port()}/d"),
        EventsSettings(backend="nats", url=f"nats://u:secret@127.0.0.1:{free_port()}", acknowledge="written"),
    ],
    ids=["postgres", "nats"],
)
def test_a_server_that_is_off_is_named_without_its_password(settings: EventsSettings) -> None:
    with pytest.raises(EventsUnavailableError, match=r"u@127\.0\.0\.1.*no answer") as caught:
        opened(settings).read(0, 1)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "other"), [("/postgres", "/missing"), ("recsys@", "nobody@")], ids=["database", "user"]
)
def test_a_server_that_rejects_the_address_is_no_outage(
    postgres: PostgresServer, given: str, other: str
) -> None:
    settings = EventsSettings(backend="postgres", url=postgres.url.replace(given, other))
    with pytest.raises(EventsUnavailableError, match=r"does not exist; see \[events\] url") as caught:
        opened(settings).read(0, 1)
    assert not is_outage(caught.value)


def test_nats_that_does_not_sync_is_used_only_where_the_settings_accept_it(unsynced: NatsServer) -> None:
    strict = EventsSettings(backend="nats", url=unsynced.url, monitor=unsynced.monitor, log_name="strict")
    with pytest.raises(EventsUnavailableError, match="sync_interval: always"):
        opened(strict).read(0, 1)
    log = opened(msgspec.structs.replace(strict, acknowledge="written"))
    assert log.append([Pending("a", b"one")])
    log.close()


def test_nats_over_tls_is_not_used_in_plain_text(unsynced: NatsServer) -> None:
    url = unsynced.url.replace("nats://", "tls://")
    with pytest.raises(EventsUnavailableError, match="requires no TLS"):
        opened(EventsSettings(backend="nats", url=url, acknowledge="written")).read(0, 1)


def test_nats_that_rejects_the_client_or_keeps_nothing_is_no_outage(tmp_path: Path) -> None:
    with running_nats(tmp_path, more="authorization {{ user: shop, password: secret }}") as nats:
        url = nats.url.replace("nats://", "nats://shop:secret@")
        synced = EventsSettings(backend="nats", url=url, monitor=nats.monitor)
        written = msgspec.structs.replace(synced, acknowledge="written")
        rejected = msgspec.structs.replace(written, url=nats.url)
        for settings, said in (
            (rejected, r"Authorization Violation'; see \[events\] url"),
            (written, "has no JetStream"),
            (synced, "has no JetStream"),
        ):
            with pytest.raises(EventsUnavailableError, match=said) as caught:
                opened(settings).read(0, 1)
            assert not is_outage(caught.value)


def test_a_stream_that_lets_go_of_messages_is_not_used(unsynced: NatsServer) -> None:
    async def make() -> None:
        import nats
        from nats.js.api import StreamConfig

        connection = await nats.connect(unsynced.url)
        config = StreamConfig(name="other", subjects=["other.entries"], max_age=60, max_msgs=10)
        await connection.jetstream().add_stream(config)
        await connection.close()

    asyncio.run(make())
    settings = EventsSettings(backend="nats", url=unsynced.url, acknowledge="written", log_name="other")
    with pytest.raises(
        EventsUnavailableError, match=r"max_age = 60.*max_msgs = 10.*another \[events\] log_name"
    ):
        opened(settings).identity(after=0)


def test_an_entry_that_is_too_large_for_nats_is_rejected_with_the_setting_to_raise(
    unsynced: NatsServer,
) -> None:
    settings = EventsSettings(backend="nats", url=unsynced.url, acknowledge="written", log_name="large")
    log = opened(settings)
    with pytest.raises(ValueError, match="max_payload"):
        log.append([Pending("a", b"x" * 2_000_000)])
    assert log.append([Pending("b", b"x")])
    log.close()


def test_postgres_without_fsync_is_not_used(postgres: PostgresServer) -> None:
    settings = EventsSettings(backend="postgres", url=postgres.url)
    import psycopg2

    connection = psycopg2.connect(postgres.url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET fsync = off")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()
    with pytest.raises(EventsUnavailableError, match="fsync = off"):
        _until_rejected(settings)


def _until_rejected(settings: EventsSettings) -> None:
    for _ in range(100):  # the server takes the setting up a moment later
        log = opened(settings)
        log.identity(after=0)
        log.close()
