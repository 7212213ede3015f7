"""`recsys serve --from`: what it says of options that cannot be used."""

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.replica_options import ReplicaOptions, place_of_store


def serve(tmp_path, *options: str, environ: dict[str, str] | None = None):
    arguments = ["serve", "--home", str(tmp_path / "home"), "--cache", str(tmp_path / "cache"), *options]
    return CliRunner().invoke(main, arguments, env=environ)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "http://bucket/home"], '--from: "http://bucket/home" is not allowed; give a URL'),
        (["--from", "s3://"], '--from: "s3://" is not allowed'),
        (
            ["--from", "s3://bucket/home", "--endpoint", "127.0.0.1:80"],
            '--endpoint: "127.0.0.1:80" is not allowed',
        ),
        (["--from", "s3://bucket/home", "--cache-gb", "0"], "--cache-gb"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(tmp_path, options, words):
    outcome = serve(tmp_path, *options)
    assert outcome.exit_code == 2
    assert words in outcome.output
    assert not (tmp_path / "cache").exists()


def test_a_profile_that_is_missing_is_named(tmp_path):
    environ = {
        "AWS_PROFILE": "team",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_ACCESS_KEY_ID": "",
    }
    outcome = serve(tmp_path, "--from", "s3://bucket/home", environ=environ)
    assert outcome.exit_code == 2
    assert "AWS_PROFILE is 'team'" in outcome.output


def test_endpoint_and_region_come_from_the_settings_variables(tmp_path):
    options = ReplicaOptions(
        url="s3://bucket/home", endpoint=None, region=None, cache=tmp_path, cache_gb=None
    )
    environ = {"RECSYS_STORAGE__ENDPOINT": "http://127.0.0.1:8333", "RECSYS_STORAGE__REGION": "eu-1"}
    assert place_of_store(options, environ) == {
        "root": "s3://bucket/home",
        "endpoint": "http://127.0.0.1:8333",
        "region": "eu-1",
    }


def test_a_replica_leaves_the_home_alone(tmp_path):
    environ = {"RECSYS_STORAGE__ROOT": f"file://{tmp_path}/store", "RECSYS_HOME": str(tmp_path / "home")}
    arguments = [
        "serve",
        "--cache",
        str(tmp_path / "cache"),
        "--port",
        "1",
        "--host",
        "999.0.0.1",
        "--from",
        "s3://b/h",
    ]
    CliRunner().invoke(main, arguments, env=environ)
    assert not (tmp_path / "home").exists()
