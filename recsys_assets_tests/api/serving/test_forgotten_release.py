"""A server swaps to the release without the user while it answers, and no answer is an error."""

import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.release.current import read_current
from recsys_assets.release.rewrite_release import Forget, forget_in_releases
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW

PATHS = (
    "/v1/users/u2/recommendations",
    "/v1/users/u2/features",
    "/v1/items?q=tea",
    "/v1/users/u1/recommendations",
)
SECONDS = 30.0


def test_no_answer_fails_while_the_served_release_is_rewritten(home: Home, tmp_path: Path) -> None:
    own = Home(tmp_path / "own")
    shutil.copytree(home.releases, own.releases)
    before = read_current(own.releases)
    forget = Forget(number=1, at=datetime(2026, 5, 3, tzinfo=UTC), ids=frozenset({"u1"}), checksums={})
    done = threading.Thread(target=forget_in_releases, args=(own, forget))
    with TestClient(create_app(own, clock=lambda: NOW)) as client:
        listed = client.get(PATHS[0]).json()["items"]
        done.start()
        end, served = time.monotonic() + SECONDS, before
        while served == before and time.monotonic() < end:
            answers = [client.get(path) for path in PATHS]
            assert [answer.status_code for answer in answers] == [200] * len(PATHS)
            served = answers[0].headers["x-release-id"]
        done.join()
        assert served == read_current(own.releases) != before
        assert not (own.releases / str(before)).exists()
        assert client.get(PATHS[0]).json()["items"] == listed
        assert client.get("/v1/users/u1/history").status_code == 404
