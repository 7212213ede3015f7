"""API keys: scopes, the file, and changes of it."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recsys_assets.api.http.auth import KeyRing, add_key, list_keys, revoke_key
from recsys_assets.errors import ApiKeyError
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.conftest import NOW


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_key_opens_what_its_scope_says_and_nothing_above(empty: Home) -> None:
    _, secret = add_key(empty, name="shop", scopes=["write"], now=NOW)
    ring = KeyRing(empty)
    ring.refresh()
    key = ring.find(secret)
    assert key is not None
    assert (key.allows("read"), key.allows("write"), key.allows("admin")) == (True, True, False)


def test_the_secret_is_nowhere_in_the_file_and_the_file_is_for_its_owner_only(empty: Home) -> None:
    _, secret = add_key(empty, name="shop", scopes=["read"], now=NOW)
    file = empty.api_keys
    assert secret.split("_", 2)[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_revoked_key_opens_nothing_and_others_stay(empty: Home) -> None:
    first, first_secret = add_key(empty, name="one", scopes=["read"], now=NOW)
    _, second_secret = add_key(empty, name="two", scopes=["admin"], now=NOW)
    ring = KeyRing(empty)
    ring.refresh()
    assert ring.find(first_secret) == first
    assert revoke_key(empty, first.id) == first
    ring.refresh()
    assert ring.find(first_secret) is None
    assert ring.find(second_secret) is not None
    assert [key.name for key in list_keys(empty)] == ["two"]


@pytest.mark.parametrize("change", ["", "rk_", "rk__", "rk_00000000_x", "☕", "rk_\0_\n"])
def test_nonsense_opens_nothing(empty: Home, change: str) -> None:
    add_key(empty, name="one", scopes=["read"], now=NOW)
    ring = KeyRing(empty)
    ring.refresh()
    assert ring.find(change) is None


def test_a_secret_with_another_keys_id_opens_nothing(empty: Home) -> None:
    one, _ = add_key(empty, name="one", scopes=["admin"], now=NOW)
    _, other_secret = add_key(empty, name="two", scopes=["read"], now=NOW)
    ring = KeyRing(empty)
    ring.refresh()
    assert ring.find(f"rk_{one.id}_{other_secret.split('_', 2)[2]}") is None


@pytest.mark.parametrize(("name", "scopes"), [("one", ["root"]), ("one", []), (" ", ["read"])])
def test_a_key_without_name_or_known_scope_is_an_error(empty: Home, name: str, scopes: list[str]) -> None:
    with pytest.raises(ApiKeyError):
        add_key(empty, name=name, scopes=scopes, now=NOW)


def test_revoking_an_unknown_key_names_the_known_ones(empty: Home) -> None:
    key, _ = add_key(empty, name="one", scopes=["read"], now=NOW)
    with pytest.raises(ApiKeyError, match=key.id):
        revoke_key(empty, "12345678")


def test_a_broken_file_is_an_error_and_the_keys_read_before_stay(empty: Home) -> None:
    _, secret = add_key(empty, name="one", scopes=["read"], now=NOW)
    ring = KeyRing(empty)
    ring.refresh()
    empty.api_keys.write_text("[{]")
    with pytest.raises(ApiKeyError, match=r"api_keys\.json"):
        ring.refresh()
    assert ring.find(secret) is not None


def test_keys_changed_at_the_same_time_are_all_changed(empty: Home) -> None:
    old = [add_key(empty, name=f"old{n}", scopes=["read"], now=NOW)[0].id for n in range(12)]
    with ThreadPoolExecutor(8) as pool:
        revoked = [pool.submit(revoke_key, empty, key_id) for key_id in old]
        added = [pool.submit(add_key, empty, name=f"new{n}", scopes=["read"], now=NOW) for n in range(12)]
    assert {one.result().id for one in revoked} == set(old)
    assert {key.id for key in list_keys(empty)} == {one.result()[0].id for one in added}


def test_a_change_that_keeps_size_and_times_is_taken_up(empty: Home) -> None:
    _, secret = add_key(empty, name="one", scopes=["read"], now=NOW)
    ring = KeyRing(empty)
    ring.refresh()
    before = empty.api_keys.stat()
    with empty.api_keys.open("r+b") as file:
        content = file.read().replace(b'"name": "one"', b'"name": "two"')
        file.seek(0)
        file.write(content)
    os.utime(empty.api_keys, ns=(before.st_atime_ns, before.st_mtime_ns))
    ring.refresh()
    found = ring.find(secret)
    assert found is not None
    assert found.name == "two"


def test_a_pipe_as_the_file_of_keys_is_an_error_at_once(empty: Home) -> None:
    os.mkfifo(empty.api_keys)
    with pytest.raises(ApiKeyError, match="no regular file"):
        KeyRing(empty).refresh()
