"""Publishing: whole or not at all, the same content the same release."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.index.build_index import build_item_index
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE, NOW, SETTINGS, World


def names(releases):
    return sorted(path.name for path in releases.iterdir() if not path.name.endswith(".lock"))


def test_the_id_says_the_last_day_and_the_content(world, tmp_path):
    manifest = world.publish(tmp_path)
    day, content = manifest.release_id.split("-")

    assert (day, len(content), manifest.through_day) == ("20240131", 10, LAST_DAY)


def test_a_release_holds_every_part_flat_with_manifest_and_titles(world, tmp_path):
    manifest = world.publish(tmp_path)
    folder = tmp_path / "releases" / manifest.release_id
    expected = {path.name for part in world.parts.values() for path in part.iterdir()}

    assert expected | {"titles.bytes.npy", "categories.bytes.npy"} <= manifest.files.keys()
    assert {path.name for path in folder.iterdir()} == manifest.files.keys() | {"manifest.json"}


def test_current_points_at_it(world, tmp_path):
    manifest = world.publish(tmp_path)

    assert ReleaseStore(tmp_path / "releases").current_id() == manifest.release_id


def test_unpromoted_it_waits(world, tmp_path):
    world.publish(tmp_path, promote=False)

    assert ReleaseStore(tmp_path / "releases").current_id() is None


def test_publishing_the_same_again_is_the_same_release(world, tmp_path):
    first = world.publish(tmp_path)
    again = world.publish(tmp_path, at=NOW + timedelta(days=3))

    assert again == first
    assert len(ReleaseStore(tmp_path / "releases").promotions()) == 1


def test_building_everything_again_gives_the_same_id(world, tmp_path):
    again = build_world(tmp_path / "artifacts")

    first, second = world.publish(tmp_path / "one"), again.publish(tmp_path / "two")

    assert second.release_id == first.release_id, {
        name for name in first.files if first.files[name] != second.files.get(name)
    }


def test_measuring_the_index_again_does_not_make_another_release(world, tmp_path):
    for part, folder in world.parts.items():
        shutil.copytree(folder, tmp_path / part)
    build_item_index(tmp_path / "embeddings", tmp_path / "index", SETTINGS.index, seed=1)

    assert (
        World(artifacts=tmp_path).publish(tmp_path / "a").release_id
        == world.publish(tmp_path / "b").release_id
    )


@pytest.mark.parametrize("changed", ["user_embeddings.npy", "features.sqlite"])
def test_other_content_is_another_release(world, tmp_path, changed):
    for part, folder in world.parts.items():
        shutil.copytree(folder, tmp_path / part)
    path = next(tmp_path.glob(f"*/{changed}"))
    path.write_bytes(path.read_bytes() + b"\0")

    assert (
        World(artifacts=tmp_path).publish(tmp_path / "a").release_id
        != world.publish(tmp_path / "b").release_id
    )


def test_other_lineage_is_another_release(world, tmp_path):
    changed = LINEAGE | {LAST_DAY: "f" * 64}

    assert world.publish(tmp_path, lineage=changed).release_id != world.publish(tmp_path).release_id


def test_a_broken_release_is_replaced_by_publishing_again(world, tmp_path):
    manifest = world.publish(tmp_path)
    store = ReleaseStore(tmp_path / "releases")
    (store.path(manifest.release_id) / "item_embeddings.npy").write_bytes(b"rot")
    with pytest.raises(BrokenReleaseError):
        store.verify(manifest.release_id)
    world.publish(tmp_path)

    assert store.verify(manifest.release_id).files == manifest.files


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory):
    steps: list[str] = []
    manifest = world.publish(tmp_path_factory.mktemp("undisturbed"), progress=steps.append)
    return manifest, steps


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, "staged", "moved", "promoted"])
def test_killed_at_any_step_publishing_again_gives_the_same_verified_release(
    world, tmp_path, undisturbed, share
):
    manifest, steps = undisturbed
    stop_at = share if isinstance(share, str) else steps[int(share * (len(steps) - 4))]
    command = [sys.executable, "-m", "recsys_assets_tests.release.publish_until", world.artifacts, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        for step in child.stdout:
            if step.strip() == stop_at:
                os.kill(child.pid, signal.SIGKILL)
                break
            child.stdin.write("\n")
            child.stdin.flush()
    store = ReleaseStore(tmp_path / "releases")
    after_kill = [found.release_id for found in store.list()]
    again = world.publish(tmp_path)

    assert child.returncode == -signal.SIGKILL
    assert after_kill == ([manifest.release_id] if stop_at in {"moved", "promoted"} else [])
    assert (again.release_id, again.files) == (manifest.release_id, manifest.files)
    assert store.current_id() == manifest.release_id
    assert store.verify(manifest.release_id).files == manifest.files
    assert names(tmp_path / "releases") == sorted([manifest.release_id, "current", "promotions.jsonl"])


def test_publishers_at_the_same_time_wait_for_each_other(world, tmp_path):
    lineages = [LINEAGE | {LAST_DAY: f"{n:064x}"} for n in range(100, 104)]
    with ThreadPoolExecutor(4) as pool:
        ids = [
            m.release_id for m in pool.map(lambda lineage: world.publish(tmp_path, lineage=lineage), lineages)
        ]
    store = ReleaseStore(tmp_path / "releases")

    assert {store.verify(found).release_id for found in ids} == set(ids)
    assert len(store.promotions()) == 4


def test_nothing_is_left_of_a_publication_that_fails(world, tmp_path):
    def full(step):
        if step == "items.hash.npy":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        world.publish(tmp_path, progress=full)

    assert names(tmp_path / "releases") == []


def test_raises_when_a_part_is_missing(world, tmp_path):
    with pytest.raises(ReleaseError, match="no folder for index"):
        world.publish(tmp_path, parts=world.parts | {"index": tmp_path / "none"})


def test_raises_when_no_day_is_named(world, tmp_path):
    with pytest.raises(ReleaseError, match="no day of interactions"):
        world.publish(tmp_path, lineage={})


def test_raises_when_two_parts_hold_the_same_file(world, tmp_path):
    with pytest.raises(ReleaseError, match="a second file named"):
        world.publish(tmp_path, parts=world.parts | {"evaluation": world.parts["features"]})


def test_raises_when_features_and_embeddings_are_of_different_items(world, tmp_path):
    few = build_world(tmp_path / "few", items=10)
    with pytest.raises(ReleaseError, match="no row for item"):
        world.publish(tmp_path, parts=world.parts | {"features": few.parts["features"]})


def test_raises_when_built_on_a_recalled_day(world, tmp_path):
    world.publish(tmp_path, lineage={day: LINEAGE[day] for day in sorted(LINEAGE)[:-1]})
    world.publish(tmp_path)
    ReleaseStore(tmp_path / "releases").recall([LAST_DAY], why="prices in roubles")
    with pytest.raises(ReleaseError, match=r"built on 2024-01-31, recalled .*\(prices in roubles"):
        world.publish(tmp_path)
