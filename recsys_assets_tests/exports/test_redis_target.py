"""Exports to a real Redis server: generations, a pointer, deltas, and what a killed export leaves."""

import json
import sys
from collections.abc import Iterator

import polars as pl
import pytest
import redis as client_library

from recsys_assets.errors import InputError
from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.exports.half_done import half_done_export


@pytest.fixture
def client(redis) -> Iterator[client_library.Redis]:
    with client_library.Redis.from_url(redis, decode_responses=True) as found:
        found.flushdb()
        yield found


def export(home, to, **given):
    return export_lists(home, ExportRequest(to=to, **given))


def lists(client) -> dict[str, list[str]]:
    start = f"recsys:{client.get('recsys:current')}:"
    found = {key.removeprefix(start): json.loads(client.get(key)) for key in client.scan_iter(start + "*")}
    return {user: [item["item_id"] for item in one["items"]] for user, one in found.items()}


def test_a_user_has_the_list_of_a_file_as_json(home, tmp_path, redis, client):
    outcome = export(home, redis, scenario="home")
    export(home, str(tmp_path / "lists.parquet"), scenario="home")
    rows = pl.read_parquet(tmp_path / "lists.parquet").sort("user_id", "rank")
    expected = dict(rows.group_by("user_id").agg("item_id").iter_rows())
    assert lists(client) == expected
    one = json.loads(client.get(f"recsys:{client.get('recsys:current')}:u1"))
    assert one["release"] == outcome.manifest.release
    assert one["rules"] == outcome.manifest.rules
    assert (one["user_id"], one["scenario"], one["reason"]) == ("u1", "home", None)
    assert one["items"][0].keys() == {"item_id", "title", "score"}
    assert json.loads(client.get("recsys:manifest"))["rows"] == 400


def test_another_export_lets_the_generation_before_expire(home, redis, client):
    export(home, redis + "?prefix=s[h]op", k=3)
    first = client.get("s[h]op:current")
    export(home, redis + "?prefix=s[h]op", k=4)
    current = client.get("s[h]op:current")
    assert len(json.loads(client.get(f"s[h]op:{current}:u1"))["items"]) == 4
    assert 0 < client.ttl(f"s[h]op:{first}:u1") <= 600
    assert client.ttl(f"s[h]op:{current}:u1") == -1


def test_a_delta_changes_the_current_generation_as_one_thing(growing, redis, client):
    store = ReleaseStore(growing.releases)
    other = next(one.release_id for one in store.list() if one.release_id != store.current_id())
    some = growing.root / "some.txt"
    some.write_text("\n".join([f"u{n}" for n in range(40)] + ["old"]))
    export(growing, redis, users=str(some))
    assert not export(growing, redis, users=str(some), delta=True).written
    generation = client.get("recsys:current")
    store.promote(other)
    outcome = export(growing, redis, delta=True)
    found = lists(client)
    assert client.get("recsys:current") == generation
    assert outcome.manifest.gone == 1
    assert "old" not in found
    export(growing, redis)
    assert found == lists(client)
    assert not [key for key in client.scan_iter("recsys:*") if "staged" in key or "gone" in key]


def test_a_killed_export_leaves_the_one_before_and_is_cleared_by_the_next(home, redis, client):
    export(home, redis, k=3)
    with half_done_export(home, redis):
        pass
    assert {len(one) for one in lists(client).values()} == {3}
    left = {key.split(":")[1] for key in client.scan_iter("recsys:2*")}
    assert len(left) == 2
    assert not export(home, redis, delta=True, k=3).written
    export(home, redis, k=4)
    kept = {key.split(":")[1] for key in client.scan_iter("recsys:2*")}
    assert kept == {*(left & kept), client.get("recsys:current")}
    assert len(kept) == 2


def test_a_server_that_cannot_be_reached_is_one_line_without_the_password(home, monkeypatch):
    with pytest.raises(InputError) as raised:
        export(home, "redis://:secret@127.0.0.1:1/0")
    assert "127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(InputError, match=r"pip install 'recsys-assets\[redis\]'"):
        export(home, "redis://127.0.0.1/0")
