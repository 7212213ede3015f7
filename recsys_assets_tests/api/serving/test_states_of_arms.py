"""Hidden items and the lists of arms: by popularity, rules, another release, interleaved; and next pages."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.rules.rules_file import PACKAGED
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW, key_header
from recsys_assets_tests.api.world import make_home, publish_release
from recsys_assets_tests.experiments.writing import TWO_ARMS, write_experiments

Client = TestClient[Litestar]
IN_FORCE = 1.0
"""Seconds after which a hidden item is on no list."""
IN_APRIL = (("2026-11-01", "2024-04-01"), ("2026-11-30", "2024-04-30"))
INTERLEAVED = ('"ctr"', '"ctr"\nkind = "interleave"')
USERS = [f"u{number}" for number in range(12)]


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory) -> tuple[Home, str]:
    """A home with two releases, and the id of the earlier one."""
    place = make_home(tmp_path_factory.mktemp("two"))
    earlier = ReleaseStore(place.releases).current_id()
    publish_release(place, seed=1, items=90)
    return place, earlier


@pytest.fixture
def place(two_releases, tmp_path) -> Home:
    """A home over both, with experiments, states and keys of its own."""
    found = Home(tmp_path / "own")
    found.root.mkdir()
    found.releases.symlink_to(two_releases[0].releases)
    (found.root / "mine.toml").write_bytes(PACKAGED.read_bytes())
    return found


def answer(client: Client, user: str, **params: Any) -> dict[str, Any]:
    got = client.get(f"/v1/users/{user}/recommendations", params=params)
    assert got.status_code == 200, got.text
    return got.json()


def ids(found: dict[str, Any]) -> list[str]:
    return [one["item_id"] for one in found["items"]]


def hide(home: Home, client: Client, items: Sequence[str]) -> None:
    """Hide items, and wait until that has to be in force."""
    body = {"items": [{"item_id": item, "hidden": True} for item in items], "why": "recalled"}
    done = client.put("/v1/item-states", json=body, headers=key_header(home, client, "write"))
    assert done.status_code == 200, done.text
    end = time.monotonic() + IN_FORCE
    while time.monotonic() < end and any(set(items) & set(ids(answer(client, user))) for user in USERS):
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["split", "interleave"])
@pytest.mark.parametrize("arm", ['model = "popular"', 'rules = "mine.toml"', "release"])
def test_a_hidden_item_is_on_no_list_of_any_arm(place, two_releases, arm, kind):
    named = f'release = "{two_releases[1]}"' if arm == "release" else arm
    changes = [*IN_APRIL, ('model = "popular"', named), *([INTERLEAVED] if kind == "interleave" else [])]
    write_experiments(place.root, TWO_ARMS, *changes)
    with TestClient(create_app(place, clock=lambda: NOW)) as client:
        before = {user: answer(client, user, k=20) for user in USERS}
        arms = {found["arm"] for found in before.values()}
        assert arms == ({"interleaved"} if kind == "interleave" else {"now", "popular"})
        hidden = {item for found in before.values() for item in ids(found)[:2] if item.isalnum()}
        hide(place, client, sorted(hidden))
        for user in USERS:
            found = ids(answer(client, user, k=20))
            assert found
            assert hidden.isdisjoint(found)


def test_a_hidden_item_is_on_no_next_page_of_a_list_that_began_before(place):
    with TestClient(create_app(place, clock=lambda: NOW)) as client:
        first = answer(client, "u1", k=5)
        coming = answer(client, "u1", k=5, after=first["next"])
        hide(place, client, [item for item in ids(coming) if item.isalnum()])
        following = ids(answer(client, "u1", k=5, after=first["next"]))
        assert following
        assert {item for item in ids(coming) if item.isalnum()}.isdisjoint(following)
        assert set(ids(first)).isdisjoint(following)
