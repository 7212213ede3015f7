"""One writer at a time: killed, paused and slow holders, and stores that do not answer for a while."""

import multiprocessing
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable

import msgspec
import pytest

from recsys_assets.errors import (
    BuildRunningError,
    ObjectChangedError,
    ObjectStoreError,
    StoreUnavailableError,
)
from recsys_assets.storage.lease import LEASE_KEY, LeaseRecord, held_lease
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets.storage.open_objects import open_store

SECONDS = 1.5


@pytest.fixture
def store() -> MemoryObjects:
    return MemoryObjects()


def record(store) -> LeaseRecord:
    return msgspec.json.decode(store.get(LEASE_KEY).content, type=LeaseRecord)


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_holder_has_a_higher_number(store):
    numbers = []
    for _ in range(3):
        with held_lease(store, holder="a", seconds=SECONDS) as lease:
            lease.check()
            numbers.append(lease.number)
    assert numbers == [1, 2, 3]
    assert record(store).holder == ""


def test_a_holder_that_beats_is_not_taken_over(store):
    with held_lease(store, holder="machine-1, process 7, build", seconds=SECONDS) as lease:
        said: list[str] = []
        with (
            pytest.raises(BuildRunningError, match="machine-1, process 7, build is writing there"),
            held_lease(store, holder="b", seconds=SECONDS, say=said.append),
        ):
            pass
        lease.check()
        assert len(said) == 1
        assert "held by machine-1" in said[0]


def test_a_taker_waits_for_a_holder_that_ends(store):
    inside, end = threading.Event(), threading.Event()

    def first() -> None:
        with held_lease(store, holder="a", seconds=SECONDS):
            inside.set()
            end.wait(20)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(20)
    with held_lease(store, holder="b", seconds=SECONDS, patience=20, say=lambda _: end.set()) as lease:
        assert lease.number == 2
    thread.join()


def test_a_holder_that_stands_still_is_taken_over_and_learns_it(store):
    with held_lease(store, holder="a", seconds=SECONDS) as lease:
        lease._stopped.set()  # as in a process that the system has paused
        until(lambda: record(store).beat >= 0)
        with held_lease(store, holder="b", seconds=SECONDS) as second:
            assert second.number == lease.number + 1
            lease._beaten -= SECONDS
            with pytest.raises(ObjectChangedError, match="taken over by b"):
                lease.check()
    assert record(store).number == 2


def test_a_beat_whose_answer_was_lost_is_no_takeover(store):
    with held_lease(store, holder="a", seconds=60) as lease:
        found = store.get(LEASE_KEY)
        unseen = msgspec.structs.replace(record(store), beat=99)
        store.swap(LEASE_KEY, msgspec.json.encode(unseen), tag=found.tag)
        lease._beaten -= 60
        lease.check()
        lease._beaten -= 60
        lease.check()
        assert record(store).beat == 100


def test_a_lease_that_was_removed_is_lost(store):
    with held_lease(store, holder="a", seconds=60) as lease:
        store.delete([LEASE_KEY])
        lease._beaten -= 60
        with pytest.raises(ObjectChangedError, match="is gone"):
            lease.check()


def test_something_else_in_its_place_is_an_error(store):
    store.put(LEASE_KEY, b"{")
    with pytest.raises(ObjectStoreError, match="is no lease"), held_lease(store, holder="a", seconds=1):
        pass


def _hold(
    endpoint: str, environ: dict[str, str], url: str, began: "multiprocessing.synchronize.Event"
) -> None:
    with held_lease(open_store(url, endpoint=endpoint, environ=environ), holder="killed", seconds=2.0):
        began.set()
        time.sleep(60)


def _started(server, url: str) -> multiprocessing.process.BaseProcess:
    spawning = multiprocessing.get_context("spawn")
    began = spawning.Event()
    process = spawning.Process(target=_hold, args=(server.endpoint, server.environ, url, began))
    process.start()
    assert began.wait(30)
    return process


def test_the_lease_of_a_killed_process_is_taken_over(object_server):
    url = f"s3://lake/{uuid.uuid4().hex}"
    process = _started(object_server, url)
    store = open_store(url, endpoint=object_server.endpoint, environ=object_server.environ)
    with pytest.raises(BuildRunningError), held_lease(store, holder="b", seconds=2.0):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with held_lease(store, holder="b", seconds=2.0) as lease:
        assert lease.number == 2


@pytest.mark.scale
def test_an_outage_of_the_store_loses_no_lease(tmp_path):
    from recsys_assets_tests.object_servers import running_seaweed

    with running_seaweed(tmp_path / "weed") as server:
        from recsys_assets.storage.s3_objects import S3Objects

        store = S3Objects(
            "s3://lake/a", endpoint=server.endpoint, region="us-east-1", environ=server.environ, patience=0.3
        )
        with held_lease(store, holder="a", seconds=0.5) as lease:
            server.kill()
            lease._beaten -= 1
            with pytest.raises(StoreUnavailableError, match="no answer from http"):
                lease.check()
            server.restart()
            until(lambda: _checked(lease))
        assert record(store) == msgspec.structs.replace(record(store), holder="", number=1)


def _checked(lease) -> bool:
    try:
        lease.check()
    except StoreUnavailableError:
        return False
    return True
