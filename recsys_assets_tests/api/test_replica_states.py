"""Real replicas over a real S3 server: an item hidden where releases are built is on no list of theirs."""

from datetime import UTC, datetime

import httpx
import pytest

from recsys_assets.intake.item_states import StateChange
from recsys_assets.intake.states_of_home import states_of
from recsys_assets.storage.home import Home
from recsys_assets.storage.open_objects import open_store
from recsys_assets.storage.store_binding import bind
from recsys_assets_tests.api.replicas import promote, replica, until
from recsys_assets_tests.api.world import publish_release
from recsys_assets_tests.object_servers import running_seaweed

pytestmark = [pytest.mark.scale, pytest.mark.timeout(300)]
HIDE, SHOW = StateChange(hidden=True, why="recalled"), StateChange(hidden=False)


@pytest.fixture
def builder(tmp_path) -> Home:
    return Home(tmp_path / "builder")


def popular(url: str) -> list[str]:
    return [item["item_id"] for item in httpx.get(f"{url}/v1/popular").json()["items"]]


def test_an_item_hidden_where_releases_are_built_is_off_the_lists_of_replicas(tmp_path, builder, monkeypatch):
    release = builder.releases / publish_release(builder, seed=0, promote=False)
    url = "s3://lake/shop"
    with running_seaweed(tmp_path / "weed") as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        promote(open_store(url, endpoint=server.endpoint), release)
        bind(builder, {"RECSYS_STORAGE__ROOT": url, "RECSYS_STORAGE__ENDPOINT": server.endpoint})
        states = states_of(builder)
        with (
            replica(server, url, tmp_path / "a", "--workers", "2") as a,
            replica(server, url, tmp_path / "b") as b,
        ):
            until(lambda: a.serves(release.name) and b.serves(release.name))
            first, second = popular(a.url)[:2]
            states.put({first: HIDE}, by="shop", now=datetime.now(UTC))
            until(lambda: first not in popular(a.url) and first not in popular(b.url))
            server.kill()
            states.put({second: HIDE}, by="shop", now=datetime.now(UTC))
            assert "do not know of a change" in str(states.shared.waiting)
            assert second in popular(a.url)
            b.kill()
            with replica(server, url, tmp_path / "b") as again:  # from its cache
                until(lambda: again.serves(release.name))
                assert first not in popular(again.url)
                server.restart()
                until(lambda: sent(states))
                until(lambda: second not in popular(a.url) and second not in popular(again.url))
                states.put({first: SHOW}, by="shop", now=datetime.now(UTC))
                until(lambda: first in popular(a.url) and first in popular(again.url))
                answers = [httpx.get(f"{one.url}/v1/popular") for one in (a, again)]
                assert len({answer.headers["etag"] for answer in answers}) == 1


def sent(states) -> bool:
    states.put({}, by="shop", now=datetime.now(UTC))
    return states.shared.waiting is None
