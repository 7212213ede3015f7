"""A served home that is a copy of an object store takes up what other machines put there."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest

from recsys_assets.api.serving.store_follower import following, take_up
from recsys_assets.errors import ObjectStoreError, StoreUnavailableError
from recsys_assets.release.current import read_current
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_binding import bind
from recsys_assets_tests.api.replicas import until
from recsys_assets_tests.api.servers import free_port, wait_until_ready
from recsys_assets_tests.api.world import publish_release
from recsys_assets_tests.storage.machines import put

MOVED = {"releases__b__manifest.json": "{}", "releases__current": "b\n"}


def test_a_home_without_a_store_follows_nothing(tmp_path):
    with following(Home(tmp_path)):
        assert not take_up(Home(tmp_path))


def test_a_push_of_another_machine_is_taken_up_once(machines):
    one, served = machines.home("one"), machines.home("served")
    assert not take_up(served)
    machines.write(one, **{"rules.toml": "# new\n"})
    assert take_up(served)
    assert served.rules_file.read_text() == "# new\n"
    assert not take_up(served)


def test_a_move_of_current_is_taken_up_without_a_push(machines):
    one, served = machines.home("one"), machines.home("served")
    machines.write(one, **MOVED)
    take_up(served)
    found = machines.objects.get("releases/current")
    machines.objects.put("releases/current", found.content.replace(b'"b"', b'"c"'))
    assert take_up(served)
    assert (served.releases / "current").read_text() == "c\n"


def test_while_a_command_changes_the_home_nothing_is_taken_up(machines):
    one, served = machines.home("one"), machines.home("served")
    with build_lock(served):
        put(served, **{"recalls.jsonl": "{}\n"})
        machines.objects.put("rules.toml", b"# late\n")
        machines.objects.put(".head", b'{"number":9,"who":"another","at":"2024-05-01"}')
        assert not take_up(served)
        machines.objects.delete([".head", "rules.toml"])
    assert not one.rules_file.exists()


def test_an_outage_is_an_error_and_the_home_stays(machines):
    one, served = machines.home("one"), machines.home("served")
    machines.write(one, **{"rules.toml": "# new\n"})
    take_up(served)
    working_copy(served.root).store = _Silent()
    with pytest.raises(ObjectStoreError, match="no answer"):
        take_up(served)
    assert served.rules_file.read_text() == "# new\n"


def test_a_command_that_begins_while_something_is_taken_up_waits_for_its_end(machines):
    one, served = machines.home("one"), machines.home("served")
    machines.write(one, **{"rules.toml": "# new\n"})
    copy = working_copy(served.root)
    copy.store = slow = _Slow(copy.store)
    with ThreadPoolExecutor(2) as pool:
        taken = pool.submit(take_up, served)
        assert slow.entered.wait(30)
        writing = pool.submit(machines.write, served, **{"recalls.jsonl": "{}\n"})
        until(lambda: served.lock("build").exists() and not writing.done())
        slow.go.set()
        assert taken.result(30)
        writing.result(30)
    assert machines.objects.get("recalls.jsonl").content == b"{}\n"


class _Slow:
    """A store whose first listing waits to be let go."""

    def __init__(self, objects) -> None:
        self._objects, self.entered, self.go = objects, Event(), Event()

    def list(self, prefix=""):
        if not self.entered.is_set():
            self.entered.set()
            assert self.go.wait(30)
        return self._objects.list(prefix)

    def __getattr__(self, name):
        return getattr(self._objects, name)


class _Silent:
    def __getattr__(self, name):
        def silent(*_arguments, **_options):
            raise StoreUnavailableError("s3://lake/shop: no answer for 8 s")

        return silent


@pytest.mark.timeout(120)
def test_a_server_serves_what_another_machine_promoted(tmp_path):
    named = {"RECSYS_STORAGE__ROOT": f"file://{tmp_path / 'store'}"}
    builder, served, port = Home(tmp_path / "builder"), Home(tmp_path / "served"), free_port()
    publish_release(builder, seed=0)
    bind(builder, named)
    with build_lock(builder):
        pass
    arguments = ["serve", "--home", str(served.root), "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, "-m", "recsys_assets", *arguments],
        env={**os.environ, **named}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(process, url)
            promoted = publish_release(builder, seed=1)
            assert read_current(builder.releases) == promoted
            until(lambda: _served(url) == promoted)
        finally:
            process.terminate()


def _served(url: str) -> str:
    return httpx.get(f"{url}/health/ready", timeout=10).json()["release"]
