"""A server follows the keys, the release, the rules and the events, each by itself."""

import os
import time
from collections.abc import Callable

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.http.auth import add_key, revoke_key
from recsys_assets.api.serving.live import Live
from recsys_assets.errors import ReleaseError
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW
from recsys_assets_tests.api.world import make_home, publish_release

RULES = """
version = 1
default = "home"

[lists]
sold_out = "sold_out.txt"

[[scenarios.home.candidates]]
source = "popular"

[[scenarios.home.filters]]
name = "sold_out"
drop = "item_id in lists.sold_out"
"""


def pipe_for_a_list(home: Home) -> None:
    os.mkfifo(home.root / "sold_out.txt")
    home.rules_file.write_text(RULES)


def garbage_current(home: Home) -> None:
    (home.releases / "current").write_bytes(b"\xff\xfe\0nothing")


def pipe_for_current(home: Home) -> None:
    (home.releases / "current").unlink()
    os.mkfifo(home.releases / "current")


def folder_of_events(home: Home) -> None:
    home.events_db.write_bytes(b"no database at all, but many letters" * 99)


TROUBLES = {
    "a pipe for a list": pipe_for_a_list,
    "garbage in current": garbage_current,
    "a pipe for current": pipe_for_current,
    "no database of events": folder_of_events,
}


@pytest.fixture
def trouble(request) -> Callable[[Home], None]:
    return TROUBLES[request.param]


@pytest.mark.parametrize("trouble", TROUBLES, indirect=True)
def test_a_key_is_revoked_whatever_else_cannot_be_read(client: TestClient[Litestar], trouble) -> None:
    home: Home = client.home  # type: ignore[attr-defined]
    _own_releases(home)
    key, secret = add_key(home, name="shop", scopes=["write"], now=NOW)
    trouble(home)
    assert wait_for(lambda: ask(client, secret) != 401)
    assert wait_for(lambda: is_noticed(client))
    revoke_key(home, key.id)
    assert wait_for(lambda: ask(client, secret) == 401)


def test_health_and_metrics_name_what_cannot_be_read_and_when_it_can_again(
    client: TestClient[Litestar],
) -> None:
    home: Home = client.home  # type: ignore[attr-defined]
    home.api_keys.write_text("[{]")
    assert wait_for(lambda: client.get("/health/ready").json()["problems"])
    problems = client.get("/health/ready").json()["problems"]
    assert list(problems) == ["keys"]
    assert problems["keys"].startswith("api_keys.json: ")
    assert 'recsys_follower_problem{followed="keys"} 1.0' in client.get("/metrics").text
    home.api_keys.unlink()
    assert wait_for(lambda: not client.get("/health/ready").json()["problems"])
    assert 'recsys_follower_problem{followed="keys"} 0.0' in client.get("/metrics").text


def test_a_rejected_release_is_a_problem_until_a_good_one_is_current(tmp_path) -> None:
    home = make_home(tmp_path)
    live = Live(home)
    live.start()
    assert live.serving is not None
    served = live.serving.release_id
    (home.releases / "current").write_text("20240101-0123456789\n")
    assert live.swap() is False
    assert "20240101-0123456789/manifest.json" in live.problems()["release"]
    (home.releases / "current").write_text(served + "\n")
    live.swap()
    assert live.problems() == {}


def test_a_release_replaced_by_a_whole_one_is_served_without_another_promotion(tmp_path) -> None:
    home = make_home(tmp_path)
    other = publish_release(home, seed=1)
    array = home.releases / other / "item_embeddings.npy"
    whole = array.read_bytes()
    array.write_bytes(whole[:-9])
    live = Live(home)
    live.start(fallback_previous=True)
    assert other in live.problems()["release"]
    assert live.swap() is False
    array.write_bytes(whole)
    (home.releases / other / "manifest.json").touch()
    assert live.swap() is True
    assert live.problems() == {}


def test_a_release_that_cannot_be_followed_is_an_error_that_names_current(tmp_path) -> None:
    home = make_home(tmp_path)
    garbage_current(home)
    with pytest.raises(ReleaseError, match=r"releases/current: .*promote"):
        Live(home).start()


def ask(client: TestClient[Litestar], secret: str) -> int:
    return client.post("/v1/events", json={"events": []}, headers={"X-API-Key": secret}).status_code


def is_noticed(client: TestClient[Litestar]) -> bool:
    ready = client.get("/health/ready").json()
    return bool(ready["problems"] or ready["rules_problem"])


def wait_for(done: Callable[[], object]) -> bool:
    """Ask until it is so, or for a minute."""
    end = time.monotonic() + 60
    while not (found := done()) and time.monotonic() < end:
        pass
    return bool(found)


def _own_releases(home: Home) -> None:
    """Replace the link to the shared releases by a folder of links."""
    shared = home.releases.resolve()
    home.releases.unlink()
    home.releases.mkdir()
    for entry in shared.iterdir():
        if entry.is_dir():
            (home.releases / entry.name).symlink_to(entry)
    (home.releases / "current").write_bytes((shared / "current").read_bytes())
