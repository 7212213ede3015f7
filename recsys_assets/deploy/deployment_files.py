"""The files of a deployment, made from those of the package: which there are, with the values of one installation.

The packaged files are valid as they are. What an installation has otherwise replaces their values; where it names an
object store, the packaged one is left out, with every line that is marked as its own.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import msgspec

from recsys_assets.errors import InputError
from recsys_assets.scale_settings import Endpoint, StoreUrl
from recsys_assets.storage.atomic import replace_file
from recsys_assets.storage.private_files import make_users_folder, open_as_user

Kind = Literal["compose", "k8s", "systemd"]

IMAGE: Final = "recsys-assets:0.1.0"
ROOT: Final = "s3://recsys/home"
ENDPOINT: Final = "http://objects:8333"
PROGRAMS: Final = "/opt/recsys/bin/"
SECRETS: Final = "secrets.env"
"""Passwords and keys; written once, with new ones, and never replaced: the servers keep what they started with."""
SECRET_NAMES: Final = ("POSTGRES_PASSWORD", "PGPASSWORD", "NATS_PASSWORD", "RECSYS_EVENTS__URL")
KEY_NAMES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

_PACKAGED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "compose": (
        "compose/compose.yaml",
        "shared/Dockerfile",
        "shared/dagster.yaml",
        "shared/nats.conf",
        "shared/settings.env",
        "shared/workspace.yaml",
    ),
    "k8s": (
        "k8s/kustomization.yaml",
        "k8s/namespace.yaml",
        "k8s/api.yaml",
        "k8s/code.yaml",
        "k8s/servers.yaml",
        "k8s/postgres.yaml",
        "k8s/nats.yaml",
        "k8s/network.yaml",
        "k8s/objects.yaml",
        "shared/Dockerfile",
        "shared/dagster.yaml",
        "shared/nats.conf",
        "shared/settings.env",
        "shared/workspace.yaml",
    ),
    "systemd": (
        "systemd/recsys-api@.service",
        "systemd/recsys-build.service",
        "systemd/recsys-build.timer",
    ),
}
_OWN_BLOCK: Final = re.compile(
    r"^ *# own object store: begin\n.*?^ *# own object store: end\n", re.MULTILINE | re.DOTALL
)
_OWN_LINE: Final = re.compile(r"^.*# own object store\n", re.MULTILINE)
_OWN_MARK: Final = re.compile(r"^ *# own object store: (begin|end)\n| # own object store$", re.MULTILINE)
_ENDPOINT_LINE: Final = re.compile(r"^RECSYS_STORAGE__ENDPOINT=.*\n", re.MULTILINE)
_FROM_STORE: Final = re.compile(r" --from \S+ --cache \S+")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The values of one installation that differ from those of the packaged files."""

    kind: Kind
    """The system that runs the processes."""
    image: str = IMAGE
    """Name and tag of the container image."""
    root: str | None = None
    """The object store, `s3://bucket/prefix`; None for the packaged one, and for none with systemd."""
    endpoint: str | None = None
    """Its server, where it is not AWS; used with `root` only."""
    programs: str = PROGRAMS
    """Folder of the `recsys` command on the machines, with a slash at its end; for systemd."""

    def __post_init__(self) -> None:
        """Check what belongs together.

        Raises:
            InputError: a server without a bucket, a URL that is none, or an image without a fixed tag.
        """
        for option, value, kind in (("root", self.root, StoreUrl), ("endpoint", self.endpoint, Endpoint)):
            try:
                msgspec.convert(value, kind | None)
            except msgspec.ValidationError:
                like = "s3://bucket/prefix" if option == "root" else "http://127.0.0.1:8333"
                raise InputError(f"--{option} {value}: give a URL such as {like}") from None
        if self.endpoint and not self.root:
            raise InputError(f"--endpoint {self.endpoint}: name the bucket too, by --root s3://BUCKET/PREFIX")
        tag = self.image.rpartition("/")[2].partition(":")[2]
        if tag in {"", "latest"} and "@sha256:" not in self.image:
            raise InputError(
                f"--image {self.image}: give a fixed tag, such as {IMAGE}: `latest` changes by itself"
            )

    @property
    def has_own_store(self) -> bool:
        """True where the deployment starts the packaged object store."""
        return self.root is None and self.kind != "systemd"

    @property
    def needs_secrets(self) -> bool:
        """False for units on one machine, whose home is all that there is."""
        return self.root is not None or self.kind != "systemd"


def deployment_files(deployment: Deployment) -> dict[str, str]:
    """Return file name -> text of a deployment, without its secrets."""
    folder = files("recsys_assets.deploy")
    texts = {
        name.rpartition("/")[2]: _adapted(folder.joinpath(name).read_text(encoding="utf-8"), deployment)
        for name in _PACKAGED[deployment.kind]
        if deployment.has_own_store or name != "k8s/objects.yaml"
    }
    if deployment.kind == "systemd" and deployment.root is not None:
        texts["settings.env"] = _settings_of_machine(deployment)
    return texts


def _adapted(text: str, deployment: Deployment) -> str:
    """Return a packaged text with the values of the deployment."""
    if deployment.has_own_store:
        text = _OWN_MARK.sub("", text)
    else:
        text = _OWN_LINE.sub("", _OWN_BLOCK.sub("", text))
        text = (
            text.replace(ENDPOINT, deployment.endpoint)
            if deployment.endpoint
            else _ENDPOINT_LINE.sub("", text)
        )
    if deployment.kind == "systemd" and deployment.root is None:
        text = _FROM_STORE.sub("", text)
    return (
        text.replace(ROOT, deployment.root or ROOT)
        .replace(IMAGE, deployment.image)
        .replace(PROGRAMS, deployment.programs)
    )


def _settings_of_machine(deployment: Deployment) -> str:
    lines = ["# Settings of the units, over those of recsys.toml; copy it to /etc/recsys/."]
    lines += [f"RECSYS_STORAGE__ROOT={deployment.root}"]
    lines += [f"RECSYS_STORAGE__ENDPOINT={deployment.endpoint}"] if deployment.endpoint else []
    return "\n".join(lines) + "\n"


def secrets_text(deployment: Deployment, make_secret: Callable[[], str]) -> str:
    """Return the lines of `secrets.env`.

    Args:
        deployment: keys of an object store of the installation's own are left to fill in.
        make_secret: returns a new random text of letters and digits at each call, a letter first (NATS takes others
            for numbers).
    """
    lines = [
        "# Passwords and keys of this deployment: keep the file from others, and out of version control."
    ]
    if deployment.kind != "systemd":
        database, intake = make_secret(), make_secret()
        values = (database, database, intake, f"nats://recsys:{intake}@nats:4222")
        lines += [f"{name}={value}" for name, value in zip(SECRET_NAMES, values, strict=True)]
    if deployment.has_own_store:
        return "\n".join([*lines, *(f"{name}={make_secret()}" for name in KEY_NAMES)]) + "\n"
    lines.append(
        "# Fill in the keys of the object store, or leave them out where the machine has a role for it."
    )
    return "\n".join([*lines, *(f"# {name}=" for name in KEY_NAMES)]) + "\n"


def write_deployment(
    folder: Path, deployment: Deployment, *, force: bool, make_secret: Callable[[], str]
) -> list[Path]:
    """Write the files of a deployment, and return those written.

    Args:
        folder: made where missing.
        deployment: the values of the installation.
        force: replace files that are there. `secrets.env` never is.
        make_secret: as in `secrets_text`.

    Raises:
        InputError: a file is there with another content, and `force` is False; nothing was written then.
    """
    texts = deployment_files(deployment)
    other = [name for name, text in texts.items() if not _has(folder / name, text)]
    if other and not force:
        raise InputError(
            f"{folder}: {', '.join(other)} {'is' if len(other) == 1 else 'are'} there with another content; "
            "give another --out, or --force to replace them"
        )
    make_users_folder(folder)
    if deployment.kind != "systemd":
        make_users_folder(folder / "wheels")
    for name, text in texts.items():
        replace_file(folder / name, text.encode())
        open_as_user(folder / name)  # the containers' user reads it
    written = [folder / name for name in texts]
    secrets = folder / SECRETS
    if deployment.needs_secrets and not secrets.exists():
        replace_file(secrets, secrets_text(deployment, make_secret).encode(), mode=0o600)
        written.append(secrets)
    return written


def _has(file: Path, text: str) -> bool:
    """Return True where nothing of the reader's would be lost by writing the text."""
    return not file.exists() or file.read_text(encoding="utf-8", errors="replace") == text
