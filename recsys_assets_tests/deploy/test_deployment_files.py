"""The files are of this version, hold no secret, agree with each other, and replace none of the user's."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.deploy import deployment_files as module
from recsys_assets.deploy.deployment_files import Deployment, deployment_files, secrets_text, write_deployment
from recsys_assets.errors import InputError
from recsys_assets.settings import load_or_default_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.deploy.written import (
    DEPLOYMENTS,
    ELSEWHERE,
    NAMES,
    containers,
    manifests,
    services,
    texts,
    variables,
    words,
)

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=NAMES)
PORTS = {"api": 8000, "code": 4000, "webserver": 3000, "postgres": 5432, "nats": 4222, "objects": 8333}


def secret() -> str:
    return "kSECRET"


def test_every_packaged_file_is_written_and_shipped():
    folder = Path(str(files("recsys_assets.deploy")))
    packaged = {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and file.parent != folder
    }
    packaged = {name for name in packaged if "__pycache__" not in name}
    assert packaged == {name for names in module._PACKAGED.values() for name in names}
    shipped = PROJECT["tool"]["setuptools"]["package-data"]["recsys_assets"]
    assert {f"deploy/{name.partition('/')[0]}/*" for name in packaged} <= set(shipped)


def test_the_image_has_the_package_s_version_and_name():
    name, version = PROJECT["project"]["name"], PROJECT["project"]["version"]
    assert f"{name}:{version}" == module.IMAGE
    assert f"'{name}[scale]=={version}'" in deployment_files(DEPLOYMENTS[0])["Dockerfile"]


@each_deployment
def test_every_image_has_a_fixed_tag(deployment):
    for name, text in deployment_files(deployment).items():
        images = re.findall(r"^ *(?:image:|FROM) (\S+)", text, re.MULTILINE)
        assert [image for image in images if not re.search(r":[\w.-]*\d[\w.-]*$", image)] == [], name
        assert "latest" not in text


@each_deployment
def test_no_file_but_one_has_a_secret(deployment):
    for name, text in deployment_files(deployment).items():
        named = re.findall(r"(?:PASSWORD|SECRET\w*|ACCESS_KEY\w*)\s*[=:]\s*(\S+)", text)
        assert named == [], name
        assert re.findall(r"://\w+:\w+@", text) == [], name


@each_deployment
def test_every_variable_is_a_setting(deployment, monkeypatch, tmp_path):
    found = texts(deployment)
    given = {**variables(found.get("settings.env", "")), **variables(found["secrets.env"])}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_or_default_settings(Home(tmp_path))
    if deployment.kind == "systemd":
        assert settings.storage.root == deployment.root
        return
    assert settings.storage.root == (deployment.root or "s3://recsys/home")
    assert settings.storage.endpoint == (deployment.endpoint or "http://objects:8333")
    assert settings.ledger.postgres == settings.dagster.postgres == "postgresql://recsys@postgres:5432/recsys"
    assert (settings.events.backend, settings.events.url) == ("nats", "nats://recsys:kSECRET@nats:4222")


def test_a_secret_starts_with_a_letter_and_is_in_both_places_that_need_it():
    numbered = iter(f"k{n}" for n in range(9))
    found = variables(secrets_text(Deployment(kind="k8s"), lambda: next(numbered)))
    assert found == {
        "POSTGRES_PASSWORD": "k0",
        "PGPASSWORD": "k0",
        "NATS_PASSWORD": "k1",
        "RECSYS_EVENTS__URL": "nats://recsys:k1@nats:4222",
        "AWS_ACCESS_KEY_ID": "k2",
        "AWS_SECRET_ACCESS_KEY": "k3",
    }


def test_a_store_elsewhere_leaves_the_packaged_one_out():
    for kind in ("compose", "k8s"):
        found = texts(Deployment(kind=kind, **ELSEWHERE))
        assert [name for name, text in found.items() if "objects" in text or "seaweed" in text] == []
        assert "AWS_ACCESS_KEY_ID" not in variables(found["secrets.env"])


def test_the_files_of_a_store_on_aws_name_no_server():
    for kind in ("compose", "k8s", "systemd"):
        found = texts(Deployment(kind=kind, root="s3://shop/recsys"))
        assert [name for name, text in found.items() if "ENDPOINT" in text] == []


@pytest.mark.parametrize("part", sorted(PORTS))
def test_each_port_is_the_same_wherever_it_is_named(part):
    service, container, port = services()[part], containers()[part], PORTS[part]
    published = {one["target"] for one in service.get("ports", [])}
    listened = {one["port"] for one in services_of_kubernetes()[part]["spec"]["ports"]}
    assert published <= {port}
    assert (80 if part == "api" else port) in listened
    assert port in {one["containerPort"] for one in container["ports"]}
    for command in (service.get("command", ""), container.get("command", []) + container.get("args", [])):
        given = re.search(r"(?:--port |s3\.port=)(\d+)", " ".join(words(command)))
        assert given is None or int(given[1]) == port
    named = re.findall(rf"(?:@|//){part}:(\d+)", "\n".join(texts(DEPLOYMENTS[1]).values()))
    assert {int(one) for one in named} <= listened


def services_of_kubernetes() -> dict:
    return {one["metadata"]["name"]: one for one in manifests() if one["kind"] == "Service"}


def test_the_workspace_and_the_intake_have_the_ports_of_their_servers():
    found = deployment_files(DEPLOYMENTS[0])
    server = yaml.safe_load(found["workspace.yaml"])["load_from"][0]["grpc_server"]
    assert (server["host"], server["port"]) == ("code", PORTS["code"])
    assert f"port: {PORTS['nats']}\n" in found["nats.conf"]


def test_files_are_written_once_and_replaced_only_when_forced(tmp_path):
    folder = tmp_path / "deploy"
    first = write_deployment(folder, Deployment(kind="compose"), force=False, make_secret=secret)
    assert {file.name for file in first} == texts(DEPLOYMENTS[0]).keys()
    (folder / "compose.yaml").write_text("name: mine\n")
    with pytest.raises(InputError, match=r"compose\.yaml is there with another content; .*--force"):
        write_deployment(folder, Deployment(kind="compose"), force=False, make_secret=secret)
    assert (folder / "compose.yaml").read_text() == "name: mine\n"
    again = write_deployment(folder, Deployment(kind="compose"), force=True, make_secret=lambda: "kOTHER")
    assert (folder / "compose.yaml") in again
    assert (folder / "secrets.env") not in again
    assert "kOTHER" not in (folder / "secrets.env").read_text()


def test_only_the_secrets_are_closed_to_others(tmp_path):
    folder = tmp_path / "deploy"
    for file in write_deployment(folder, Deployment(kind="k8s"), force=False, make_secret=secret):
        assert bool(file.stat().st_mode & 0o044) == (file.name != "secrets.env")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "http://127.0.0.1:8333"}, "name the bucket too, by --root"),
        ({"root": "shop/recsys"}, "--root shop/recsys: give a URL such as s3://bucket/prefix"),
        ({"root": "s3://shop/x", "endpoint": "objects"}, "--endpoint objects: give a URL"),
        ({"image": "recsys"}, "--image recsys: give a fixed tag"),
        ({"image": "registry.example:5000/recsys:latest"}, "give a fixed tag"),
    ],
)
def test_options_that_cannot_be_used_are_named(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Deployment(kind="compose", **options)


@given(
    bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{2,20}", fullmatch=True),
    prefix=st.from_regex(r"(/[A-Za-z0-9_.-]{1,9}){0,3}", fullmatch=True),
    tag=st.from_regex(r"[a-z]{1,8}(:5000)?/[a-z]{1,8}:v[0-9.]{1,5}[0-9]", fullmatch=True),
    kind=st.sampled_from(["compose", "k8s"]),
)
def test_whatever_the_names_are_the_files_stay_yaml_with_them(bucket, prefix, tag, kind):
    deployment = Deployment(kind=kind, root=f"s3://{bucket}{prefix}", image=tag)
    ours = services(deployment)["api"] if kind == "compose" else containers(deployment)["api"]
    assert ours["image"] == tag
    assert deployment.root in words(ours["command"])
