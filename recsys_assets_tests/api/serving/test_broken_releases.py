"""Broken releases are rejected with the file's name and never served; a good one takes their place."""

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from litestar.testing import TestClient

from recsys_assets.api.app import create_app
from recsys_assets.api.serving.live import Live
from recsys_assets.errors import EventsUnavailableError, ReleaseError
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.world import publish_release


def truncate(name: str) -> Callable[[Path], None]:
    def damage(release: Path) -> None:
        whole = (release / name).read_bytes()
        (release / name).write_bytes(whole[: len(whole) // 2])

    return damage


def flip_a_bit(name: str) -> Callable[[Path], None]:
    def damage(release: Path) -> None:
        content = bytearray((release / name).read_bytes())
        content[-1] ^= 1
        (release / name).write_bytes(content)

    return damage


def drop_table(release: Path) -> None:
    with sqlite3.connect(release / "features.sqlite") as connection:
        connection.execute("DROP TABLE item_features")
    connection.close()


DAMAGES = {
    "item_index.vectors.npy: cut short": truncate("item_index.vectors.npy"),
    "user_embeddings.npy: a bit flipped": flip_a_bit("user_embeddings.npy"),
    "features.sqlite: a table dropped": drop_table,
    "manifest.json: cut short": truncate("manifest.json"),
    "history_items.npy: gone": lambda release: (release / "history_items.npy").unlink(),
    "titles.bytes.npy: emptied": lambda release: (release / "titles.bytes.npy").write_bytes(b""),
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("two"))
    publish_release(home, seed=1)
    publish_release(home, seed=2, created_at=datetime(2024, 4, 2, tzinfo=UTC))
    return home


@pytest.fixture
def copy(two: Home, tmp_path: Path) -> Home:
    """A home of its own to damage; the newer release is current."""
    shutil.copytree(two.releases, tmp_path / "releases")
    return Home(tmp_path)


def current(home: Home) -> str:
    found = ReleaseStore(home.releases).current_id()
    assert found is not None
    return found


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_release_is_not_served_and_the_error_names_the_file(copy: Home, damage: str) -> None:
    DAMAGES[damage](copy.releases / current(copy))
    with pytest.raises(ReleaseError, match=damage.split(":", maxsplit=1)[0].replace(".", r"\.")):
        create_app(copy)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_is_served_where_that_is_allowed(copy: Home, damage: str) -> None:
    broken = current(copy)
    DAMAGES[damage](copy.releases / broken)
    with TestClient(create_app(copy, fallback_previous=True)) as client:
        ready = client.get("/health/ready").json()
        assert ready["status"] == "ready"
        assert ready["release"] != broken
        assert client.get("/v1/popular").json()["release"] == ready["release"]


def test_a_broken_new_release_is_rejected_and_the_old_one_stays(copy: Home) -> None:
    store = ReleaseStore(copy.releases)
    newer = current(copy)
    older = store.rollback()
    live = Live(copy)
    live.start()
    store.promote(newer)
    flip_a_bit("item_embeddings.npy")(copy.releases / newer)
    assert live.swap() is False
    assert live.serving is not None
    assert live.serving.release_id == older
    store.promote(older)
    assert live.swap() is False


def test_a_release_mended_and_promoted_again_is_served(copy: Home, two: Home) -> None:
    store = ReleaseStore(copy.releases)
    newer = current(copy)
    older = store.rollback()
    live = Live(copy)
    live.start()
    store.promote(newer)
    flip_a_bit("item_embeddings.npy")(copy.releases / newer)
    live.swap()
    store.promote(older)
    live.swap()
    shutil.copy(two.releases / newer / "item_embeddings.npy", copy.releases / newer / "item_embeddings.npy")
    store.promote(newer)
    assert live.swap() is True
    assert live.serving is not None
    assert live.serving.release_id == newer


def test_without_any_whole_release_the_error_says_what_to_do(copy: Home) -> None:
    for manifest in ReleaseStore(copy.releases).list():
        truncate("items.bytes.npy")(copy.releases / manifest.release_id)
    with pytest.raises(ReleaseError, match="recsys build"):
        create_app(copy, fallback_previous=True)


def test_a_home_that_cannot_be_written_serves_and_rejects_events_only(copy: Home) -> None:
    copy.events_db.mkdir()  # nothing can be stored there, as on a full or read-only disk
    app = create_app(copy)
    with TestClient(app) as client:
        assert client.get("/v1/users/u1/recommendations").status_code == 200
        with pytest.raises(EventsUnavailableError, match="cannot be stored"):
            app.state.service.live.intake.submit([]).result(10)
