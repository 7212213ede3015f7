"""Events survive kills: what was acknowledged is there once, whatever else runs and whenever a writer ends."""

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.errors import EventConflictError, EventsUnavailableError
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.rows import EventRow
from recsys_assets.intake.stored_events import read_events

NOW = datetime(2024, 4, 2, tzinfo=UTC)
AT = 1_712_016_000_000_000
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_store import Intake
from recsys_assets.intake.rows import EventRow
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
intake = Intake(path, EventsSettings(group_ms=1.0), now=lambda: datetime.now(UTC))
print("ready", flush=True)
for number in range(count):
    rows = [EventRow(f"{name}-{number}-{n}", name, f"i{n}", "view", number, 1) for n in range(3)]
    intake.submit(rows).result(30)
    print(number, flush=True)
intake.close()
"""


def writer(path: Path, name: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def lines_of(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    with process.stdout:
        return process.stdout.read().split()


def test_what_a_killed_writer_acknowledged_is_there_once(tmp_path: Path) -> None:
    path, rng = tmp_path / "events.sqlite", random.Random(3)
    acknowledged = set()
    for run in range(4):
        process = writer(path, f"w{run}", 100_000)
        killed = threading.Timer(rng.uniform(0.02, 0.4), process.kill)
        killed.start()
        acknowledged |= {(f"w{run}", int(number)) for number in lines_of(process)[:-1]}
        process.wait(30)
        killed.join()
    stored = [event.event_id for _, event in read_events(path)]
    wanted = {f"{name}-{number}-{n}" for name, number in acknowledged for n in range(3)}
    assert acknowledged
    assert wanted <= set(stored)
    assert len(stored) == len(set(stored))
    assert len(stored) % 3 == 0  # a batch is there whole or not at all


def test_two_processes_write_the_same_file_and_each_batch_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    processes = [writer(path, name, 40) for name in ("one", "two")]
    assert [len(lines_of(process)) for process in processes] == [40, 40]
    assert [process.wait(30) for process in processes] == [0, 0]
    events = list(read_events(path))
    assert len(events) == 240
    assert [seq for seq, _ in events] == sorted({seq for seq, _ in events})


def test_senders_of_many_threads_each_get_an_outcome(tmp_path: Path) -> None:
    intake = Intake(tmp_path / "events.sqlite", EventsSettings(group_ms=1.0), now=lambda: NOW)

    def send(number: int) -> int:
        row = EventRow(f"e{number % 50}", "a", "x", "view", AT, AT + number)
        return intake.submit([row]).result(30).accepted

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(send, range(200)))
    intake.close()
    assert sum(accepted) == 50 == len(list(read_events(tmp_path / "events.sqlite")))


@pytest.mark.parametrize("blocked", ["folder", "garbage"])
def test_a_file_that_cannot_be_written_fails_each_sender_and_stores_nothing(
    tmp_path: Path, blocked: str
) -> None:
    path = tmp_path / "events.sqlite"
    path.mkdir() if blocked == "folder" else path.write_bytes(b"garbage" * 1000)
    intake = Intake(path, EventsSettings(group_ms=20.0), now=lambda: NOW)
    futures = [intake.submit([EventRow(f"e{n}", "a", "x", "view", AT, AT)]) for n in range(5)]
    for future in futures:
        with pytest.raises(EventsUnavailableError, match="none of them was kept"):
            future.result(10)
    intake.close()


BATCHES = st.lists(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["view", "cart"])), min_size=1, max_size=4),
    max_size=12,
)


@given(batches=BATCHES, group_ms=st.sampled_from([0.0, 5.0]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_are_stored_once_by_the_first_content_and_batches_whole_or_not(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, str]]], group_ms: float
) -> None:
    path = tmp_path_factory.mktemp("events") / "events.sqlite"
    intake = Intake(path, EventsSettings(group_ms=group_ms), now=lambda: NOW)
    futures = []
    for batch in batches:
        rows = [EventRow(f"e{number}", "a", "x", kind, AT, AT + 1) for number, kind in batch]
        futures.append(intake.submit(rows))
        if not group_ms:
            futures[-1].exception(10)
    known: dict[int, str] = {}
    for batch, future in zip(batches, futures, strict=True):
        wanted = dict(known)
        fits = all(wanted.setdefault(number, kind) == kind for number, kind in batch)
        if fits:
            receipt = future.result(10)
            assert receipt.accepted == len(wanted) - len(known)
            assert receipt.accepted + receipt.duplicates == len(batch)
            known = wanted
        else:
            assert isinstance(future.exception(10), EventConflictError)
    intake.close()
    assert [(event.event_id, event.kind) for _, event in read_events(path)] == [
        (f"e{number}", kind) for number, kind in known.items()
    ]
