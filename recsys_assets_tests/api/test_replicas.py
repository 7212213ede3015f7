"""Real replicas over a real S3 server: promotions, outages, kills and damage while requests arrive."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from recsys_assets.release.release_objects import release_key
from recsys_assets.storage.home import Home
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_objects import open_store
from recsys_assets_tests.api.replicas import Replica, promote, replica, until
from recsys_assets_tests.api.world import publish_release
from recsys_assets_tests.object_servers import running_seaweed
from recsys_assets_tests.release.stored_releases import put_release

pytestmark = [pytest.mark.scale, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> list:
    """Three releases of a home."""
    home = Home(tmp_path_factory.mktemp("builder"))
    return [home.releases / publish_release(home, seed=seed, promote=False) for seed in range(3)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_seaweed(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture
def url(tmp_path) -> str:
    return f"s3://lake/{tmp_path.name}"


@pytest.fixture
def store(server, url) -> ObjectStore:
    return open_store(url, endpoint=server.endpoint, environ=server.environ)


@contextmanager
def requests(*replicas: Replica, a_second: int = 200) -> Iterator[Counter]:
    """Some 200 requests a second over all replicas; answers by status and release, and failures by their kind."""
    found: Counter = Counter()
    stopped = threading.Event()

    def send(target: Replica) -> None:
        with httpx.Client(timeout=10) as client:
            number = 0
            while not stopped.wait(2 * len(replicas) / a_second):
                number += 1
                try:
                    answer = client.get(f"{target.url}/v1/users/u{number % 40}/recommendations?k=5")
                except httpx.TransportError as error:
                    found[target.port, type(error).__name__] += 1
                    continue
                found[target.port, answer.status_code] += 1
                found[answer.headers.get("x-release-id")] += 1

    threads = [threading.Thread(target=send, args=(one,)) for one in replicas for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def test_two_replicas_follow_promotions_under_requests(server, url, store, releases, tmp_path):
    first, second = (folder.name for folder in releases[:2])
    promote(store, releases[0])
    with (
        replica(server, url, tmp_path / "a", "--workers", "2") as a,
        replica(server, url, tmp_path / "b", "--workers", "2") as b,
    ):
        until(lambda: a.serves(first) and b.serves(first))
        with requests(a, b) as found:
            until(lambda: found[first] > 50)
            promote(store, releases[1])
            until(lambda: a.serves(second) and b.serves(second))
            until(lambda: found[second] > 50)
    assert {key for key in found if isinstance(key, tuple)} == {(a.port, 200), (b.port, 200)}
    assert set(found) == {first, second, (a.port, 200), (b.port, 200)}


def test_a_replica_waits_for_a_first_release(server, url, store, releases, tmp_path):
    with replica(server, url, tmp_path / "a") as a:
        until(lambda: a.says(f"{url}: no release is current there yet; waiting"))
        promote(store, releases[0])
        until(lambda: a.serves(releases[0].name))
        assert a.end() == 0


@pytest.mark.slow
def test_a_killed_store_stops_no_answer_and_a_killed_replica_comes_back_from_its_cache(
    url, releases, tmp_path
):
    first, second = (folder.name for folder in releases[:2])
    with running_seaweed(tmp_path / "weed") as server:
        store = open_store(url, endpoint=server.endpoint, environ=server.environ)
        promote(store, releases[0])
        with replica(server, url, tmp_path / "a") as a, replica(server, url, tmp_path / "b") as b:
            until(lambda: a.serves(first) and b.serves(first))
            with requests(a) as found:
                server.kill()
                until(lambda: "no answer since" in a.health()["problems"].get("object store", ""))
                b.kill()
                with replica(server, url, tmp_path / "b") as again:
                    until(lambda: again.serves(first))
                    assert again.says(f"release {first} is served from the cache")
                    server.restart()
                    until(lambda: promoted(store, releases[1]))
                    until(lambda: a.serves(second) and again.serves(second))
                    until(lambda: not a.health()["problems"])
            assert set(found) == {first, second, (a.port, 200)}


def promoted(store: ObjectStore, folder) -> bool:
    try:
        promote(store, folder)
    except Exception:  # noqa: BLE001 - the server has just started
        time.sleep(0.2)
        return False
    return True


def test_a_damaged_object_is_never_served(server, url, store, releases, tmp_path):
    first, second, third = (folder.name for folder in releases)
    promote(store, releases[0])
    with replica(server, url, tmp_path / "a") as a:
        until(lambda: a.serves(first))
        put_release(store, releases[1])
        key = release_key(second, "user_embeddings.npy")
        store.put(key, store.get(key).content[:-1] + b"?")
        with requests(a) as found:
            promote(store, releases[1])
            until(lambda: f"release {second} is rejected" in a.health()["problems"].get("object store", ""))
            assert key in a.health()["problems"]["object store"]
            promote(store, releases[2])
            until(lambda: a.serves(third))
        assert set(found) == {first, third, (a.port, 200)}


def test_two_replicas_do_not_share_a_cache(server, url, store, releases, tmp_path):
    promote(store, releases[0])
    with replica(server, url, tmp_path / "a") as a:
        until(lambda: a.serves(releases[0].name))
        with replica(server, url, tmp_path / "a") as second:
            assert second.process.wait(60) == 2
            assert second.says("another replica uses it")


def test_a_home_is_no_cache(server, url, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "recsys.toml").touch()
    with replica(server, url, tmp_path / "a") as a:
        assert a.process.wait(60) == 2
        assert a.says("is a home of its own; take an empty folder")
