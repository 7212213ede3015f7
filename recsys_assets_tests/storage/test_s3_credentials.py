"""Keys of an S3 server: the environment first, then the usual file."""

import pytest

from recsys_assets.errors import ObjectStoreError, SettingsError
from recsys_assets.storage.open_objects import open_store, polars_options
from recsys_assets.storage.s3_credentials import s3_credentials
from recsys_assets.storage.s3_objects import server_of

FILE = """[default]
aws_access_key_id = key-1
aws_secret_access_key = secret%1

[team]
aws_access_key_id=key-2
aws_secret_access_key=secret-2
aws_session_token = token
"""


@pytest.fixture
def environ(tmp_path) -> dict[str, str]:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(FILE)
    return {"HOME": str(tmp_path)}


def test_the_environment_comes_first(environ):
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert s3_credentials(environ | given) == {"aws_access_key_id": "a", "aws_secret_access_key": "b"}


def test_the_usual_file_has_a_default(environ):
    assert s3_credentials(environ) == {
        "aws_access_key_id": "key-1",
        "aws_secret_access_key": "secret%1",
    }


def test_a_profile_is_chosen_by_its_name(environ):
    assert s3_credentials(environ | {"AWS_PROFILE": "team"})["aws_session_token"] == "token"


def test_another_file_can_be_named(environ, tmp_path):
    (tmp_path / "other").write_text(FILE.replace("key-1", "key-3"))
    found = s3_credentials(environ | {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "other")})
    assert found["aws_access_key_id"] == "key-3"


def test_a_profile_that_is_missing_is_an_error(environ):
    with pytest.raises(SettingsError, match=r"no profile 'other'.*there are: default, team"):
        s3_credentials(environ | {"AWS_PROFILE": "other"})
    with pytest.raises(SettingsError, match="AWS_PROFILE is 'team'"):
        s3_credentials({"AWS_PROFILE": "team", "HOME": "/nowhere"})


def test_a_file_that_is_none_of_credentials_is_an_error(environ, tmp_path):
    (tmp_path / ".aws" / "credentials").write_text("{}")
    with pytest.raises(SettingsError, match="cannot be read as credentials"):
        s3_credentials(environ)


def test_nothing_is_found_where_nothing_is():
    assert s3_credentials({"HOME": "/nowhere"}) == s3_credentials({}) == {}


def test_polars_reads_by_the_same_keys(environ):
    assert polars_options(environ=environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1/"}) == {
        "aws_region": "us-east-1",
        "aws_access_key_id": "key-1",
        "aws_secret_access_key": "secret%1",
        "aws_endpoint_url": "http://127.0.0.1:1",
        "aws_allow_http": "true",
    }


@pytest.mark.parametrize(
    ("url", "changed", "words"),
    [
        ("s3://lake/a", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "rejected the request: SignatureDoesNotMatch"),
        ("s3://lake/a", {"AWS_ACCESS_KEY_ID": "wrong"}, "rejected the request: InvalidAccessKeyId"),
        ("s3://none/a", {}, "the bucket does not exist at http://127.0.0.1"),
    ],
)
def test_a_rejection_names_its_reason(object_server, url, changed, words):
    store = open_store(url, endpoint=object_server.endpoint, environ=object_server.environ | changed)
    with pytest.raises(ObjectStoreError, match=words):
        store.get("b")


@pytest.mark.parametrize("wrong", ["foo", "127.0.0.1:9000", "https://"])
def test_an_endpoint_of_the_environment_that_is_no_url_is_named(wrong):
    with pytest.raises(SettingsError, match="is no URL of an S3 server"):
        server_of(None, {"AWS_ENDPOINT_URL": wrong})
