"""Every form of an object store keeps the same promises: a folder, memory, and S3."""

import hashlib
import multiprocessing
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.errors import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStoreError,
)
from recsys_assets.storage.memory_objects import MemoryObjects
from recsys_assets.storage.object_store import ObjectStore
from recsys_assets.storage.open_objects import open_store

PLAIN = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
NAMES = st.text(
    st.characters(min_codepoint=0x20, exclude_characters="/\\\x7f", exclude_categories=("Cs",)),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in {".", ".."})
KEYS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
VALUES = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request, tmp_path) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjects()
    if request.param == "folder":
        return open_store(f"file://{tmp_path}/objects")
    server = request.getfixturevalue("object_server")
    return open_store(f"s3://lake/{uuid.uuid4().hex}/deep", endpoint=server.endpoint, environ=server.environ)


def test_content_and_metadata_come_back(store):
    tag = store.put("a/b.parquet", b"content", metadata={"rows": "5", "source-file": "Tränen, 100 % = é\n"})
    found = store.get("a/b.parquet")
    assert (found.content, found.tag) == (b"content", tag)
    assert (
        found.metadata == {"rows": "5", "source-file": "Tränen, 100 % = é\n"} == store.metadata("a/b.parquet")
    )


@PLAIN
@given(key=KEYS, content=st.binary(max_size=100), value=VALUES)
def test_any_key_content_and_value_come_back(store, key, content, value):
    prefix = uuid.uuid4().hex
    store.put(f"{prefix}/{key}", content, metadata={"v": value})
    found = store.get(f"{prefix}/{key}")
    assert (found.content, dict(found.metadata)) == (content, {"v": value})
    assert [one.key for one in store.list(f"{prefix}/")] == [f"{prefix}/{key}"]


@PLAIN
@given(
    key=st.text(max_size=20).filter(
        lambda key: any(n in {"", ".", ".."} or {"\\", "\0", "\n"} & set(n) for n in key.split("/"))
    )
)
def test_a_key_that_is_no_relative_path_is_rejected(store, key):
    with pytest.raises(ObjectStoreError, match="relative path"):
        store.put(key, b"")


@pytest.mark.parametrize(
    "metadata", [{"Rows": "5"}, {"a_b": "5"}, {"": "5"}, {"a": "x" * 3_000}, {"é": "5"}, {"a": "é" * 400}]
)
def test_metadata_that_a_server_would_change_is_rejected(store, metadata):
    with pytest.raises(ObjectStoreError, match="metadata"):
        store.put("a", b"", metadata=metadata)


def test_put_replaces_content_and_metadata(store):
    store.put("a", b"1", metadata={"rows": "5"})
    store.put("a", b"2")
    assert store.get("a") == (b"2", store.get("a").tag, {})


def test_metadata_alone_can_change(store):
    store.put("a", b"1", metadata={"rows": "5"})
    store.put("a", b"1", metadata={"rows": "6"})
    assert store.metadata("a") == {"rows": "6"}


def test_an_object_that_is_not_there_is_missing(store):
    for read in (store.get, store.metadata, partial(store.get_changed, tag=None)):
        with pytest.raises(ObjectMissingError, match="none: no such object"):
            read("none")


def test_a_folder_of_objects_is_no_object(store):
    store.put("a/b", b"")
    with pytest.raises(ObjectMissingError):
        store.get("a")


def test_an_unchanged_object_is_not_sent_again(store):
    tag = store.put("a", b"1")
    assert store.get_changed("a", tag=tag) is None
    new = store.put("a", b"2")
    assert store.get_changed("a", tag=tag) == (b"2", new, {})
    assert store.get_changed("a", tag=None) == (b"2", new, {})


def test_create_makes_an_object_once(store):
    store.create("a", b"1", metadata={"by": "first"})
    with pytest.raises(ObjectExistsError, match="is there already"):
        store.create("a", b"1", metadata={"by": "second"})
    assert store.get("a")[::2] == (b"1", {"by": "first"})


def test_swap_replaces_what_the_caller_saw_and_nothing_else(store):
    tag = store.put("a", b"1")
    new = store.swap("a", b"2", tag=tag, metadata={"n": "2"})
    with pytest.raises(ObjectChangedError, match="read it again"):
        store.swap("a", b"3", tag=tag)
    assert store.get("a") == (b"2", new, {"n": "2"})


def test_swap_of_an_object_that_is_gone_is_rejected(store):
    tag = store.put("a", b"1")
    store.delete(["a"])
    with pytest.raises(ObjectChangedError):
        store.swap("a", b"2", tag=tag)


def test_the_list_is_in_the_order_of_the_keys(store):
    keys = ["a/b", "a+b", "a", "a-b/c", "é", "z/y/x", ".hidden/x", "date=2017-01-02/p", "date=2017-01-01/p"]
    for key in keys[:2] + keys[3:]:
        store.put(key, key.encode())
    expected = sorted(set(keys) - {"a"})
    assert [one.key for one in store.list()] == expected
    assert [one.size for one in store.list()] == [len(key.encode()) for key in expected]
    assert [one.tag for one in store.list("z")] == [store.get("z/y/x").tag]


def test_a_prefix_may_end_within_a_name(store):
    for key in ("lake/date=2017-01-01", "lake/date=2018-01-01", "lake/other"):
        store.put(key, b"")
    assert [one.key for one in store.list("lake/date=2017")] == ["lake/date=2017-01-01"]
    assert not list(store.list("nothing/of/it"))


def test_more_objects_than_a_page_are_listed(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(f"many/{n:04}", b""), range(1_050)))
    assert [one.key for one in store.list("many/")] == [f"many/{n:04}" for n in range(1_050)]


def test_delete_leaves_out_what_is_not_there(store):
    for key in ("a/b/c", "a/d"):
        store.put(key, b"", metadata={"n": "1"})
    store.delete(["a/b/c", "none"])
    store.delete([])
    assert [one.key for one in store.list()] == ["a/d"]
    store.put("a/b", b"")  # no folder is left in its way
    assert store.metadata("a/b") == {}


@pytest.mark.parametrize("size", [0, 5, (33 << 20) + 1])
def test_files_go_and_come_in_parts(store, tmp_path, size):
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(hashlib.shake_256(b"seed").digest(size))
    tag = store.put_file("big", source, metadata={"n": "1"})
    assert store.get_file("big", copy) == hashlib.sha256(source.read_bytes()).hexdigest()
    assert copy.read_bytes() == source.read_bytes()
    assert (store.get_changed("big", tag=tag), store.metadata("big")) == (None, {"n": "1"})
    with pytest.raises(ObjectMissingError):
        store.get_file("none", copy)


def test_a_missing_local_file_is_no_missing_object(store, tmp_path):
    with pytest.raises(FileNotFoundError, match="not here"):
        store.put_file("a", tmp_path / "not here")


def _race(store: ObjectStore, writer: int, rounds: int) -> Counter[int]:
    """Create each round's object, then swap its first version; the rounds won by this writer, -1 for a creation."""
    won = Counter[int]()
    first = store.get("first").tag  # the same bytes have the same tag at every form of a store
    for number in range(rounds):
        try:
            store.create(f"race/{number}", b"same")
            won[-1] += 1
        except ObjectExistsError:
            pass
        try:
            store.swap(f"race/{number}", b"by %d" % writer, tag=first)
            won[number] += 1
        except ObjectChangedError:
            continue
    return won


def _race_in_process(
    url: str, endpoint: str | None, environ: dict[str, str], writer: int, rounds: int
) -> Counter[int]:
    return _race(open_store(url, endpoint=endpoint, environ=environ), writer, rounds)


def test_of_several_threads_exactly_one_wins_each_swap(store):
    store.put("first", b"same")
    with ThreadPoolExecutor(4) as pool:
        won = sum(pool.map(lambda writer: _race(store, writer, 200), range(4)), Counter[int]())
    assert won == {-1: 200} | dict.fromkeys(range(200), 1)


@pytest.mark.parametrize("form", ["folder", "s3"])
def test_of_several_processes_exactly_one_wins_each_swap(form, request, tmp_path):
    url, endpoint, environ = str(tmp_path / "objects"), None, {}
    if form == "s3":
        server = request.getfixturevalue("object_server")
        url, endpoint, environ = f"s3://lake/{uuid.uuid4().hex}", server.endpoint, server.environ
    open_store(url, endpoint=endpoint, environ=environ).put("first", b"same")
    race = partial(_race_in_process, url, endpoint, environ)
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        won = sum(pool.map(race, range(4), [200] * 4), Counter[int]())
    assert won == {-1: 200} | dict.fromkeys(range(200), 1)
