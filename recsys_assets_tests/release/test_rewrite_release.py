"""A release without a user: new ids that everything follows, and nobody else's list has changed."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from recsys_assets.errors import ForgetError, ReleaseError
from recsys_assets.release.current import read_current, read_promotions
from recsys_assets.release.load import Release, load_release
from recsys_assets.release.manifest import check_identity
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.rewrite_release import Forget, forget_in_releases
from recsys_assets.release.rewritten import Rewritten, id_now
from recsys_assets.release.without_users import has_users
from recsys_assets.storage.home import FEATURE_DATABASE, Home
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE

GONE = frozenset({"u7", "u31"})
AT = datetime(2026, 5, 3, tzinfo=UTC)


@pytest.fixture
def home(world, tmp_path) -> Home:
    """A home with three releases; the last one is current, the second was before."""
    for number in range(3):
        world.publish(tmp_path, lineage={**LINEAGE, LAST_DAY: f"{number:064x}"})
    return Home(tmp_path)


def forget(home: Home, checksums: dict[tuple[date, str], str] | None = None) -> dict[str, str]:
    found = forget_in_releases(home, Forget(number=1, at=AT, ids=GONE, checksums=checksums or {}))
    return {one.before: one.after for one in found}


def ids(home: Home) -> list[str]:
    return [one.release_id for one in ReleaseStore(home.releases).list()]


def lists(release: Release) -> dict[str, list[tuple[int, float]]]:
    """Each remaining user's whole list."""
    found = {}
    for num, user in enumerate(release.users):
        if user not in GONE:
            best = release.best_unseen(num, 30)
            found[user] = list(zip(best.nums, best.scores, strict=True))
    return found


def test_every_kept_release_is_replaced_by_a_whole_one_without_the_users(home):
    before = ids(home)
    renamed = forget(home)
    store = ReleaseStore(home.releases)
    assert [renamed[one] for one in before] == ids(home)
    assert sorted(
        path.name for path in home.releases.iterdir() if path.is_dir() and path.name[0] != "."
    ) == sorted(ids(home))
    for manifest in store.list():
        folder = home.releases / manifest.release_id
        assert store.fault(manifest.release_id) is None
        assert not has_users(folder, GONE)
        assert (manifest.counts["users"], manifest.forgets) == (38, [1])
        assert renamed[manifest.rewritten_from] == manifest.release_id


def test_nobody_elses_list_history_or_features_change(home):
    before = load_release(home.releases / ids(home)[0])
    expected = lists(before)
    kept = {user: before.history(num).tolist() for num, user in enumerate(before.users) if user not in GONE}
    features = {user: before.features.user(user) for user in kept}
    forget(home)
    after = load_release(home.releases / ids(home)[0])
    assert lists(after) == expected
    assert {user: after.history(num).tolist() for num, user in enumerate(after.users)} == kept
    assert {user: after.features.user(user) for user in kept} == features
    assert np.array_equal(after.item_embeddings, before.item_embeddings)
    assert list(after.popular_items) == list(before.popular_items)


def test_no_byte_of_the_features_has_the_user(home):
    forget(home)
    for release_id in ids(home):
        file = home.releases / release_id / FEATURE_DATABASE
        assert not any(f"{user}".encode() in file.read_bytes() for user in ("u31",))
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT count(*) FROM user_features").fetchone() == (38,)
            assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_current_and_the_log_of_moves_follow(home):
    before, moves = read_current(home.releases), read_promotions(home.releases)
    renamed = forget(home)
    assert read_current(home.releases) == renamed[before]
    assert [(one.at, one.after) for one in read_promotions(home.releases)] == [
        (one.at, renamed[one.after]) for one in moves
    ]
    assert ReleaseStore(home.releases).rollback() == ids(home)[1]


def test_the_lineage_names_the_rewritten_days(home):
    newest = ids(home)[0]
    checksums = {(LAST_DAY, f"{2:064x}"): "f" * 64}
    renamed = forget(home, checksums)
    manifest = ReleaseStore(home.releases).manifest(renamed[newest])
    assert manifest.lineage[LAST_DAY] == "f" * 64
    check_identity(home.releases / manifest.release_id, manifest)


def test_an_id_of_before_leads_to_the_release_of_now(home):
    old = ids(home)[0]
    renamed = forget(home)
    known = Rewritten.load(home.releases)
    assert known.newest(old) == renamed[old]
    assert known.former(renamed[old]) == [old]
    assert id_now(home.releases, old) == renamed[old] == id_now(home.releases, renamed[old])
    with pytest.raises(ReleaseError, match=f"it is {renamed[old]} since users were forgotten"):
        ReleaseStore(home.releases).path(old)


def test_a_second_forget_finds_nothing_to_do(home):
    forget(home)
    assert forget(home) == {}


def test_one_that_was_killed_before_the_old_folder_went_is_finished(home, tmp_path):
    kept = tmp_path / "kept"
    old = ids(home)[0]
    shutil.copytree(home.releases / old, kept)
    renamed = forget(home)
    shutil.copytree(kept, home.releases / old)
    (home.releases / ".forgetting-x").mkdir()
    assert forget(home) == {old: renamed[old]}
    assert old not in ids(home)
    assert not (home.releases / ".forgetting-x").exists()


def test_a_release_that_cannot_be_read_keeps_the_forget_open(home):
    broken, *others = ids(home)
    (home.releases / broken / "manifest.json").write_text("{")
    with pytest.raises(ForgetError, match=f"{broken}(.|\n)*Remove their folders"):
        forget(home)
    assert not set(others) & set(ids(home))


def test_a_damaged_file_gets_no_right_checksum(home):
    newest = ids(home)[0]
    file = home.releases / newest / "history_items.npy"
    content = bytearray(file.read_bytes())
    content[-4] ^= 1
    file.write_bytes(content)
    with pytest.raises(ForgetError, match="history_items"):
        forget(home)


def test_a_store_of_features_answers_many_at_once_after_its_folder_went(home):
    release = load_release(home.releases / ids(home)[0])
    forget(home)
    assert not Path(release.folder).exists()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: release.features.user("u1"), range(400)))
