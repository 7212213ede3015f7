"""A deployment's files, read: as YAML, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import yaml

from recsys_assets.deploy.deployment_files import Deployment, deployment_files, secrets_text

KINDS = ("compose", "k8s", "systemd")
ELSEWHERE = {"root": "s3://shop/recsys", "endpoint": "https://s3.example.com"}
DEPLOYMENTS = [Deployment(kind=kind) for kind in KINDS] + [
    Deployment(kind=kind, **ELSEWHERE) for kind in KINDS
]
NAMES = [f"{one.kind}{'' if one.root is None else ', a store elsewhere'}" for one in DEPLOYMENTS]


def texts(deployment: Deployment) -> dict[str, str]:
    """File -> text, with secrets that are easily told from others."""
    return {
        **deployment_files(deployment),
        "secrets.env": secrets_text(deployment, lambda: "kSECRET"),
    }


def compose(deployment: Deployment = DEPLOYMENTS[0]) -> dict[str, Any]:
    return yaml.safe_load(deployment_files(deployment)["compose.yaml"])


def services(deployment: Deployment = DEPLOYMENTS[0]) -> dict[str, dict[str, Any]]:
    return compose(deployment)["services"]


def words(command: str | list[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]


def manifests(deployment: Deployment = DEPLOYMENTS[1]) -> list[dict[str, Any]]:
    """The documents that the kustomization names."""
    files = deployment_files(deployment)
    named = yaml.safe_load(files["kustomization.yaml"])["resources"]
    return [document for name in named for document in yaml.safe_load_all(files[name])]


def containers(deployment: Deployment = DEPLOYMENTS[1]) -> dict[str, dict[str, Any]]:
    """Name -> container of a manifest."""
    return {
        container["name"]: container
        for document in manifests(deployment)
        if "template" in document.get("spec", {})
        for container in document["spec"]["template"]["spec"]["containers"]
    }


def variables(text: str) -> dict[str, str]:
    """Name -> value of the lines of an environment file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def commands(deployment: Deployment) -> list[list[str]]:
    """Every command that the files run or show in a comment, checks of health among them."""
    by_kind = {"compose": _of_services, "k8s": _of_containers, "systemd": _of_units}
    return [*by_kind[deployment.kind](deployment), *_of_lines(deployment)]


def _of_services(deployment: Deployment) -> Iterator[list[str]]:
    for service in services(deployment).values():
        if "command" in service:
            yield [*words(service.get("entrypoint", [])), *words(service["command"])]
        if test := service["healthcheck"].get("test"):
            yield test[1:]


def _of_containers(deployment: Deployment) -> Iterator[list[str]]:
    for container in containers(deployment).values():
        if "command" in container:
            yield words([*container["command"], *container.get("args", [])])
        probes = [probe for name, probe in container.items() if name.endswith("Probe") and "exec" in probe]
        yield from (words(probe["exec"]["command"]) for probe in probes)


def _of_units(deployment: Deployment) -> Iterator[list[str]]:
    for text in deployment_files(deployment).values():
        for line in re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE):
            yield words(line.rpartition("/bin/")[2].replace("%i", "8000"))


def _of_lines(deployment: Deployment) -> Iterator[list[str]]:
    """The commands in comments, and of the image."""
    for text in deployment_files(deployment).values():
        yield from map(yaml.safe_load, re.findall(r"^ *CMD (\[.+\])$", text, re.MULTILINE))
        for line in re.findall(r"^ *# .*?\b(recsys (?:init|build|deploy) [^`\n]*)", text, re.MULTILINE):
            yield words(re.split(r" {2,}", line)[0])
