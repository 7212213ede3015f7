"""The shared log in a JetStream stream of NATS: one message an entry, on files, with nothing that ages or overflows.

JetStream acknowledges a message once it is written, and by default syncs its files every two minutes only: the end of
the server's process loses nothing then, a power cut may. With `sync_interval: always` it syncs first (NATS docs,
"JetStream: syncing data to disk"), and that is required, unless `[events] acknowledge = "written"`.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import uuid4

from recsys_assets.errors import EventsUnavailableError, SettingsError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.events_database import Clock, microseconds
from recsys_assets.intake.log_entries import PLACES
from recsys_assets.intake.nats_durability import ID_KEY, NO_JETSTREAM, require_durable, require_sync
from recsys_assets.intake.server_log import Pending, no_answer
from recsys_assets.storage.database_urls import optional_module, parse_database_url

T = TypeVar("T")

_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 5.0
_WHOLE_CALL_SECONDS: Final = 30.0
_TOKENS_SECONDS: Final = 300.0
"""Time for which the server knows a token; an append is not tried for as long."""
_AT_ONCE: Final = 500
"""Requests that are under way together."""
_EOB: Final = "204"
_NOTHING: Final = "404"
_REJECTED: Final = ("Authorization", "Authentication", "invalid connect url", "Secure", "TLS", "certificate")
"""Parts of its client's messages on a connection that would fail again."""
_GONE: Final = (10037, 10043, 10057)
"""Codes of NATS for a message that is not there: none found, and none deleted."""


class NatsLog:
    """The entries of one stream."""

    def __init__(self, settings: EventsSettings, *, now: Clock = lambda: datetime.now(UTC)) -> None:
        """Connect to nothing yet.

        Args:
            settings: `url`, `log_name`, `replicas`, `acknowledge` and `monitor`.
            now: the time from which on a new log's entries are numbered.

        Raises:
            InputError: nats-py is not installed.
            SettingsError: `monitor` is missing, so that it cannot be known what an acknowledgement means.
        """
        self._client = optional_module("nats", extra="scale")
        self._api = optional_module("nats.js.api", extra="scale")
        if settings.acknowledge == "synced" and settings.monitor is None:
            raise SettingsError(
                "[events] monitor is missing: it shows that the NATS server has `sync_interval: always`; set it to the"
                ' server\'s http port, such as "http://127.0.0.1:8222", or set acknowledge = "written", by which a'
                " power cut may lose the last 2 minutes"
            )
        self._url = parse_database_url(settings.url or "")
        self._settings = settings
        self._name = settings.log_name
        self._now = now
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._stream: Any = None
        self._after = 0
        self._tasks = set[asyncio.Future[Any]]()

    @property
    def shown(self) -> str:
        """The server's address and the stream."""
        return f"{self._url.shown} (stream {self._name})"

    def identity(self, *, after: int) -> tuple[str, int]:
        """Return the id of the stream's log, and the number before its first entry."""
        self._after = after

        async def found() -> tuple[str, int]:
            await self._connected()
            config = self._stream.config
            return config.metadata[ID_KEY], int(config.metadata[f"{ID_KEY}-first"]) - 1

        return self._call(found())

    def append(self, pending: Sequence[Pending]) -> Sequence[int]:
        """Publish entries, and wait for the acknowledgement of each."""

        async def published() -> Sequence[int]:
            stream = (await self._connected()).jetstream(timeout=_ANSWER_SECONDS)
            for one in pending:
                if len(one.content) > self._connection.max_payload:
                    raise ValueError(
                        f"{len(one.content):,} bytes at once, and {self.shown} takes {self._connection.max_payload:,}:"
                        " raise max_payload there, or send fewer rows at once"
                    )
            acks = (
                stream.publish(self._subject, one.content, headers={"Nats-Msg-Id": one.token})
                for one in pending
            )
            return [ack.seq for ack in await asyncio.gather(*acks)]

        return self._call(published())

    def read(self, after: int, most: int) -> Sequence[tuple[int, bytes]]:
        """Get the next messages by one request (`DIRECT.GET` with `batch`, from NATS 2.11 on)."""

        async def found() -> Sequence[tuple[int, bytes]]:
            connection = await self._connected()
            inbox = connection.new_inbox()
            answers = await connection.subscribe(inbox)
            entries: list[tuple[int, bytes]] = []
            try:
                request = json.dumps({"seq": after + 1, "batch": most}).encode()
                await connection.publish(f"$JS.API.DIRECT.GET.{self._name}", request, reply=inbox)
                while True:
                    answer = await answers.next_msg(_ANSWER_SECONDS)
                    status = (answer.headers or {}).get("Status")
                    if status in (_EOB, _NOTHING):
                        return entries
                    if status is not None:
                        raise EventsUnavailableError(f"{self.shown}: cannot be read (status {status})")
                    entries.append((int(answer.headers["Nats-Sequence"]), answer.data))
            finally:
                await answers.unsubscribe()

        return self._call(found())

    def replace(self, changes: Mapping[int, bytes | None]) -> None:
        """Publish other bytes as entries at the end, then overwrite the old messages with random bytes."""
        other = [Pending(uuid4().hex, content) for content in changes.values() if content is not None]
        numbers = list(changes)
        for start in range(0, len(other), _AT_ONCE):
            self.append(other[start : start + _AT_ONCE])

        async def erased(number: int, stream: Any) -> None:
            try:
                await stream.delete_msg(self._name, number)
            except self._client.js.errors.APIError as error:
                if error.err_code not in _GONE:
                    raise

        async def all_erased(some: Sequence[int]) -> None:
            stream = (await self._connected()).jetstream(timeout=_ANSWER_SECONDS)
            await asyncio.gather(*(erased(number, stream) for number in some))

        for start in range(0, len(numbers), _AT_ONCE):
            self._call(all_erased(numbers[start : start + _AT_ONCE]))

    def erase(self) -> None:
        """Do nothing: a replaced message was overwritten."""

    def count_after(self, after: int) -> int:
        """Return the number of messages after a number, at most; deleted ones may be counted."""

        async def counted() -> int:
            stream = (await self._connected()).jetstream(timeout=_ANSWER_SECONDS)
            state = (await stream.stream_info(self._name)).state
            return int(min(state.messages, max(0, state.last_seq - after)))

        return self._call(counted())

    def close(self) -> None:
        """Close the connection, and end its thread."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._disconnect(), loop).result(_ANSWER_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_ANSWER_SECONDS)
            loop.close()

    @property
    def _subject(self) -> str:
        return f"{self._name}.entries"

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the connection's thread; an error of the client closes the connection, and is named."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="recsys-nats", daemon=True)
            self._thread.start()
        try:
            return asyncio.run_coroutine_threadsafe(self._until_lost(work), self._loop).result()
        except (EventsUnavailableError, ValueError):
            raise
        except (self._client.errors.Error, OSError, TimeoutError, CancelledError) as error:
            self.close()
            raise self._named(error)  # noqa: B904  it has a cause

    def _named(self, error: Any) -> EventsUnavailableError:
        """Return our error of one of the client's; where the server may answer at the next try, one of no answer."""
        errors = self._client.js.errors
        lost = isinstance(error, CancelledError)
        why = "the connection was lost" if lost else self._url.one_line(error)
        is_busy = isinstance(error, errors.ServiceUnavailableError)
        if is_busy and error.err_code is None:
            found = EventsUnavailableError(f"{self.shown}: {NO_JETSTREAM}")
        elif isinstance(error, errors.APIError) and not is_busy:
            found = EventsUnavailableError(f"{self.shown}: {why}")
        elif any(part in why for part in _REJECTED):
            found = EventsUnavailableError(f"{self.shown}: {why}; see [events] url")
        else:
            return no_answer(self.shown, why)
        found.__cause__ = error
        return found

    async def _until_lost(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine until its connection is lost, which its client would notice by a timeout only."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        try:
            return await asyncio.wait_for(task, _WHOLE_CALL_SECONDS)
        finally:
            self._tasks.discard(task)

    async def _connected(self) -> Any:
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        await self._disconnect()

        async def quiet(_: Exception) -> None:
            """Leave errors to the calls that meet them."""

        async def lost() -> None:
            for task in self._tasks:
                task.cancel()

        connection = await self._client.connect(
            self._url.connection,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0.05,
            disconnected_cb=lost,
            connect_timeout=_CONNECT_SECONDS,
            error_cb=quiet,
            name="recsys-intake",
        )
        try:
            self._require_tls(connection)
            self._stream = await self._durable_stream(connection.jetstream(timeout=_ANSWER_SECONDS))
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection

    def _require_tls(self, connection: Any) -> None:
        """Check that `tls://` is that: the client goes on in plain text where the server does not require TLS."""
        required = connection._server_info.get("tls_required")  # noqa: SLF001  its client says it nowhere else
        if self._url.connection.startswith("tls://") and not required:
            raise EventsUnavailableError(
                f"{self.shown}: the server requires no TLS; give it a tls block, or write nats:// in [events] url"
            )

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            await connection.close()

    async def _durable_stream(self, jetstream: Any) -> Any:
        """Return the stream, made where it is missing, after a check that it keeps what it acknowledges."""
        if self._settings.acknowledge == "synced":
            await asyncio.to_thread(require_sync, self._settings.monitor or "")
        try:
            found = await jetstream.stream_info(self._name)
        except self._client.js.errors.NotFoundError:
            first = max(microseconds(self._now()) // PLACES, self._after) + 1
            found = await jetstream.add_stream(
                self._api.StreamConfig(
                    name=self._name,
                    subjects=[self._subject],
                    storage=self._api.StorageType.FILE,
                    retention=self._api.RetentionPolicy.LIMITS,
                    discard=self._api.DiscardPolicy.NEW,
                    num_replicas=self._settings.replicas,
                    duplicate_window=_TOKENS_SECONDS,
                    allow_direct=True,
                    deny_purge=True,
                    first_seq=first,
                    metadata={ID_KEY: uuid4().hex, f"{ID_KEY}-first": str(first)},
                )
            )
        require_durable(found.config, replicas=self._settings.replicas, shown=self.shown)
        return found
