"""The store of a home: named by its settings or the environment, noted once, and never exchanged unseen."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from recsys_assets.errors import SettingsError
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_binding import bind
from recsys_assets.storage.store_place import StorePlace, place_of

SETTINGS = '[storage]\nroot = "s3://lake/shop"\nendpoint = "http://127.0.0.1:8333"\nlease_seconds = 5\n'
ROOT = "RECSYS_STORAGE__ROOT"


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def test_a_home_without_the_setting_has_no_store(home):
    home.settings_file.write_text("[storage]\n")
    assert bind(home, {}) is None
    assert place_of(home.root) is None
    assert not home.copy.exists()


def test_the_settings_name_the_store(home):
    home.settings_file.write_text(SETTINGS)
    wanted = StorePlace(root="s3://lake/shop", endpoint="http://127.0.0.1:8333", lease_seconds=5)
    assert bind(home, {}) == wanted == place_of(home.root)


def test_the_environment_goes_before_the_settings(home):
    home.settings_file.write_text(SETTINGS)
    found = bind(home, {"RECSYS_STORAGE__LEASE_SECONDS": "7", "RECSYS_STORAGE__REGION": "eu-central-1"})
    assert found == StorePlace(
        root="s3://lake/shop", endpoint="http://127.0.0.1:8333", region="eu-central-1", lease_seconds=7
    )


@pytest.mark.parametrize("wrong", ["lake/shop", "http://lake", "file://relative"])
def test_another_form_of_the_root_is_rejected(home, wrong):
    with pytest.raises(SettingsError, match="write s3://bucket/prefix"):
        bind(home, {ROOT: wrong})


@pytest.mark.parametrize("wrong", ["foo", "127.0.0.1:9000", "https://", "ftp://host"])
def test_an_endpoint_that_is_no_url_is_rejected_and_not_noted(home, wrong):
    with pytest.raises(SettingsError, match="no URL of an S3 server"):
        bind(home, {ROOT: "s3://lake", "RECSYS_STORAGE__ENDPOINT": wrong})
    assert place_of(home.root) is None


def test_a_wrong_number_is_rejected(home):
    with pytest.raises(SettingsError, match="lease_seconds"):
        bind(home, {ROOT: "s3://lake", "RECSYS_STORAGE__LEASE_SECONDS": "soon"})


def test_a_home_is_the_copy_of_one_store(home):
    bind(home, {ROOT: "s3://lake/shop"})
    with pytest.raises(SettingsError, match="is a copy of s3://lake/shop"):
        bind(home, {ROOT: "s3://lake/other"})
    assert bind(home, {ROOT: "s3://lake/shop/"}) is not None


def test_a_shell_without_the_variable_does_not_cut_a_home_off(home):
    noted = bind(home, {ROOT: "s3://lake/shop"})
    assert bind(home, {}) == noted == place_of(home.root)


def test_commands_that_start_together_note_one_store(home):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: bind(home, {ROOT: "s3://lake/shop"}), range(16)))
    assert set(found) == {place_of(home.root)}
