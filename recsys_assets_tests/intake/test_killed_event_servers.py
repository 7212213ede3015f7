"""A server of events is killed under load: what was acknowledged is there once, also in the lake; nothing else is."""

import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from recsys_assets.errors import EventsUnavailableError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_copy import EventCopy
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.events_database import microseconds
from recsys_assets.intake.rows import EventRow
from recsys_assets.intake.server_log import open_server_log
from recsys_assets.intake.shared_events import SharedEvents
from recsys_assets.lake.event_days import event_store, take_events
from recsys_assets.storage.home import Home
from recsys_assets_tests.event_servers import EventServer

DAY = date(2024, 4, 2)
AT = microseconds(datetime(2024, 4, 2, tzinfo=UTC))
BATCH = 10
BATCHES_A_SECOND = 10
SECONDS = 6.0


@pytest.fixture(params=["postgres", "nats"])
def server(request: pytest.FixtureRequest) -> EventServer:
    found: EventServer = request.getfixturevalue(f"{request.param}_events")
    return found


class Machine:
    """A machine whose client sends events for some seconds, and sends each second batch again until it is taken."""

    def __init__(self, name: str, home: Home, settings: EventsSettings) -> None:
        log = open_server_log(settings)
        assert log is not None
        home.root.mkdir()
        self.name, self.home = name, home
        self.shared = SharedEvents(EventCopy(home.events_db, log, lock=home.lock("copy")))
        self.intake = Intake(home.events_db, settings, now=lambda: datetime.now(UTC), log=self.shared)
        self.sent, self.acknowledged = set[str](), set[str]()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        began = time.monotonic()
        for number in range(int(SECONDS * BATCHES_A_SECOND)):
            time.sleep(max(0.0, began + number / BATCHES_A_SECOND - time.monotonic()))
            ids = [f"{self.name}-{number}-{n}" for n in range(BATCH)]
            self.sent |= {*ids}
            while not self._send(ids) and number % 2:
                time.sleep(0.05)

    def _send(self, ids: list[str]) -> bool:
        rows = [EventRow(one, "u", "i", "view", AT, AT + 1) for one in ids]
        try:
            receipt = self.intake.submit(rows).result(60)
        except EventsUnavailableError:
            return False
        assert receipt.accepted + receipt.duplicates == len(ids)
        self.acknowledged |= {*ids}
        return True


@pytest.mark.scale
def test_a_server_that_is_killed_twice_under_load_loses_and_doubles_nothing(
    server: EventServer, tmp_path: Path
) -> None:
    settings = server.settings()
    machines = [Machine(name, Home(tmp_path / name), settings) for name in ("one", "two")]
    for machine in machines:
        machine.thread.start()
    for _ in range(2):
        time.sleep(1)
        server.kill()
        time.sleep(0.5)
        server.start()
    for machine in machines:
        machine.thread.join(120)
        machine.intake.close()
    sent = set.union(*(machine.sent for machine in machines))
    acknowledged = set.union(*(machine.acknowledged for machine in machines))
    for machine in machines:
        machine.shared.copy.catch_up()
        for _ in range(2):  # landing again adds nothing
            take_events(machine.home, through=DAY)
        landed = event_store(machine.home).read(DAY)["event_id"].to_list()
        assert len(landed) == len(set(landed))
        assert acknowledged <= set(landed) <= sent
        assert all(
            len([one for one in landed if one.startswith(f"{name}-")]) % BATCH == 0 for name in ("one", "two")
        )
    first, second = (list(machine.shared.read(0)) for machine in machines)
    assert first == second
    for machine in machines:
        machine.shared.close()
    assert len(acknowledged) > len(sent) / 2
