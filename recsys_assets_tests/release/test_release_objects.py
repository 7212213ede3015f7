"""Releases in an object store are fetched whole and verified, or not at all."""

import shutil

import msgspec
import pytest

from recsys_assets.errors import (
    BrokenReleaseError,
    ObjectMissingError,
)
from recsys_assets.release.load import load_release
from recsys_assets.release.manifest import read_manifest
from recsys_assets.release.release_objects import (
    fetch_release,
    release_key,
    releases_in,
    verify_release,
)
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets.storage.open_objects import open_store
from recsys_assets_tests.release.stored_releases import put_release


@pytest.fixture
def store() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def folder(world, tmp_path):
    return tmp_path / "releases" / world.publish(tmp_path).release_id


def other(tmp_path):
    return tmp_path / "other" / "releases"


def test_a_release_comes_back_byte_for_byte(store, folder, tmp_path):
    put_release(store, folder)
    fetched = fetch_release(store, folder.name, other(tmp_path))
    assert {file.name: file.read_bytes() for file in fetched.iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    assert load_release(fetched).release_id == folder.name
    assert releases_in(store) == [folder.name]
    assert verify_release(store, folder.name, tmp_path / "scratch") == read_manifest(folder)


def test_a_real_server_keeps_it_too(object_server, folder, tmp_path):
    s3 = open_store(
        f"s3://lake/{tmp_path.name}", endpoint=object_server.endpoint, environ=object_server.environ
    )
    put_release(s3, folder)
    assert load_release(fetch_release(s3, folder.name, other(tmp_path))).release_id == folder.name


def test_a_damaged_object_is_rejected_with_its_name_and_checksums(store, folder, tmp_path):
    put_release(store, folder)
    key = release_key(folder.name, "user_embeddings.npy")
    store.put(key, store.get(key).content[:-1] + b"?")
    wanted = read_manifest(folder).files["user_embeddings.npy"].sha256
    with pytest.raises(BrokenReleaseError, match=rf"{key}: sha256 is [0-9a-f]+, expected {wanted}"):
        fetch_release(store, folder.name, other(tmp_path))
    assert [path.name for path in other(tmp_path).iterdir() if not path.name.startswith(".")] == []
    with pytest.raises(BrokenReleaseError, match=key):
        verify_release(store, folder.name, tmp_path / "scratch")


def test_a_missing_object_is_rejected_with_its_name(store, folder, tmp_path):
    put_release(store, folder)
    store.delete([release_key(folder.name, "user_embeddings.npy")])
    with pytest.raises(BrokenReleaseError, match=r"user_embeddings\.npy: missing, expected"):
        fetch_release(store, folder.name, other(tmp_path))


def test_an_edited_manifest_is_rejected(store, folder, tmp_path):
    put_release(store, folder)
    key = release_key(folder.name, "manifest.json")
    store.put(key, store.get(key).content.replace(b'"metrics"', b'"metrics" '))
    fetch_release(store, folder.name, other(tmp_path))  # only its layout differs
    store.put(key, msgspec.json.encode(msgspec.structs.replace(read_manifest(folder), metrics={"ndcg": 1.0})))
    with pytest.raises(BrokenReleaseError, match="edited since it was published"):
        fetch_release(store, folder.name, tmp_path / "third" / "releases")


def test_a_whole_local_copy_is_not_fetched_again(store, folder, tmp_path):
    put_release(store, folder)
    fetch_release(store, folder.name, other(tmp_path))
    store.get_file = None
    assert fetch_release(store, folder.name, other(tmp_path)).is_dir()


def test_a_damaged_local_copy_is_replaced(store, folder, tmp_path):
    put_release(store, folder)
    fetched = fetch_release(store, folder.name, other(tmp_path))
    (fetched / "titles.bytes.npy").unlink(missing_ok=True)
    (fetched / "item_embeddings.npy").write_bytes(b"")
    assert load_release(fetch_release(store, folder.name, other(tmp_path))).release_id == folder.name


def test_a_release_that_is_not_there_is_missing(store, folder, tmp_path):
    with pytest.raises(ObjectMissingError):
        fetch_release(store, folder.name, other(tmp_path))


def test_what_a_killed_fetch_left_is_no_release(store, folder, tmp_path):
    put_release(store, folder)
    left = other(tmp_path) / ".fetching" / folder.name
    shutil.copytree(folder, left)
    (left / "item_embeddings.npy").write_bytes(b"half")
    assert load_release(fetch_release(store, folder.name, other(tmp_path))).release_id == folder.name
    assert not left.exists()
