"""Releases in a store: a whole one stays as it is, a broken one is put again, and another content is rejected."""

import hashlib
import json

import pytest

from recsys_assets.commands.store_facts import facts_of_store
from recsys_assets.errors import ObjectStoreError
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.store_writing import moved_current, refresh
from recsys_assets_tests.storage.machines import put

FOLDER = "releases/20240501-0123456789"
ARRAY, MANIFEST = f"{FOLDER}/z.npy", f"{FOLDER}/manifest.json"


def release(content: str) -> dict[str, str]:
    files = {"z.npy": {"bytes": len(content), "sha256": hashlib.sha256(content.encode()).hexdigest()}}
    return {ARRAY: content, MANIFEST: json.dumps({"files": files})}


@pytest.mark.parametrize("key", [ARRAY, MANIFEST])
@pytest.mark.parametrize("damage", ["damaged", "gone"])
def test_a_release_that_a_store_damaged_is_put_again_by_the_home_that_publishes_it(machines, key, damage):
    one, other = machines.home("one"), machines.home("other")
    machines.write(one, **release("right"))
    if damage == "gone":
        machines.objects.delete([key])
    else:
        machines.objects.put(key, b"wrong")
    with build_lock(one):  # as a build does: what the store has came first, then the damage was found
        put(one, **release("right"))
    refresh(other.root)
    for name, content in release("right").items():
        assert machines.objects.get(name).content == content.encode()
        assert (other.root / name).read_text() == content


@pytest.mark.parametrize(("key", "damage"), [(ARRAY, "damaged"), (ARRAY, "gone"), (MANIFEST, "damaged")])
def test_who_only_reads_keeps_a_whole_release_and_names_the_object_that_the_store_damaged(
    machines, key, damage, capfd
):
    one, reader = machines.home("one"), machines.home("reader")
    machines.write(one, **release("right"))
    refresh(reader.root)
    if damage == "gone":
        machines.objects.delete([key])
    else:
        machines.objects.put(key, b"wrong")
    refresh(reader.root)
    assert (reader.root / ARRAY).read_text() == "right"
    assert json.loads((reader.root / MANIFEST).read_text())["files"]
    assert f"{key}: " in capfd.readouterr().err
    assert [name for name, state in facts_of_store(reader) if f"damaged there: {key}" in state] == [""]


@pytest.mark.parametrize("key", [ARRAY, MANIFEST])
def test_the_next_build_of_a_home_that_has_it_whole_puts_a_damaged_release_again(machines, key):
    one, other = machines.home("one"), machines.home("other")
    machines.write(one, **release("right"))
    machines.objects.put(key, b"wrong")
    machines.write(one)
    for name, content in release("right").items():
        assert machines.objects.get(name).content == content.encode()
    refresh(other.root)
    assert (other.root / ARRAY).read_text() == "right"
    assert not any("damaged" in state for _, state in facts_of_store(one))


def test_a_damaged_release_is_not_set_aside_where_somebody_else_pushed(machines):
    one, other = machines.home("one"), machines.home("other")
    machines.write(one, **release("right"))
    machines.write(other, **{"rules.toml": "# new\n"})
    machines.objects.put(ARRAY, b"wrong")
    for _ in range(2):
        refresh(one.root)
        assert (one.root / ARRAY).read_text() == "right"
    assert not list(one.copy.glob("aside/**/z.npy"))


def test_a_broken_release_is_not_replaced_by_one_that_is_broken_here_too(machines):
    one = machines.home("one")
    machines.write(one, **release("right"))
    machines.objects.put(ARRAY, b"wrong")
    with build_lock(one):
        put(one, **{ARRAY: "also wrong"})
    assert machines.objects.get(ARRAY).content == b"wrong"


def test_a_release_of_an_id_that_is_there_with_another_content_is_rejected_before_a_file_is_put(machines):
    one, other = machines.home("one"), machines.home("other")
    machines.write(one, **release("right"))
    put(other, **release("other"), **{"releases/current": f"{FOLDER.partition('/')[2]}\n"})
    with pytest.raises(ObjectStoreError, match="a release of this id is there with another content"):
        moved_current(other.root, FOLDER.partition("/")[2])
    assert machines.objects.get(ARRAY).content == b"right"
