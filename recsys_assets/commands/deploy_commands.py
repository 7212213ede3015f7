"""`recsys deploy …`: the files that run the product in containers, on Kubernetes or under systemd."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from recsys_assets.commands.shared import example
from recsys_assets.deploy.deployment_files import IMAGE, SECRETS, Deployment, write_deployment

if TYPE_CHECKING:
    from collections.abc import Callable

_NEXT: Final = {
    "compose": """\
Next, in {folder}:
  1. pip wheel --no-deps --wheel-dir wheels CHECKOUT    where the package is on no index of yours
  2. docker compose build
  3. docker compose run --rm builder recsys init --source tabular:/data/orders.csv    for data of your own, in data/
  4. docker compose up --detach
API: ports 8000 and 8001; Dagster: port 3000; a build later: docker compose run --rm builder""",
    "k8s": """\
Next, in {folder}:
  1. pip wheel --no-deps --wheel-dir wheels CHECKOUT    where the package is on no index of yours
  2. docker build --tag {image} . && docker push {image}
  3. kubectl apply --kustomize .
  4. kubectl --namespace recsys exec --stdin --tty statefulset/code -- recsys build
     before it, for data of your own, the same with: recsys init --source SPEC
API: service api, port 80; Dagster: kubectl --namespace recsys port-forward service/webserver 3000""",
    "systemd": """\
Next, in {folder}, as root:
  1. useradd --system --home-dir /var/lib/recsys recsys
  2. cp recsys-*.service recsys-*.timer /etc/systemd/system/ && systemctl daemon-reload{copy}
  3. systemctl start recsys-build && systemctl enable --now recsys-build.timer
  4. systemctl enable --now recsys-api@8000
Home: /var/lib/recsys; logs: journalctl --unit 'recsys-*'""",
}
_COPY: Final = "\n     install -D --mode 600 --target-directory /etc/recsys settings.env secrets.env"


def _options(*, image: bool) -> "Callable[[Any], Any]":
    """Return the options that the three commands share."""
    options = [
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("deploy"),
            show_default=True,
            help="The folder to write to.",
        ),
        click.option(
            "--root",
            metavar="s3://BUCKET/PREFIX",
            help="An object store of yours; by default "
            + ("one is among the files." if image else "none, and the home is all there is."),
        ),
        click.option("--endpoint", metavar="URL", help="The server of --root, where it is not AWS."),
        click.option("--force", is_flag=True, help=f"Replace files that are there, but never {SECRETS}."),
    ]
    if image:
        options.append(
            click.option(
                "--image", default=IMAGE, show_default=True, help="Name and tag of the container image."
            )
        )

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.group(epilog=example("recsys deploy compose --out deploy"))
def deploy() -> None:
    """Write the files that run it on several machines.

    Nothing is started, and no file of yours is replaced without --force.
    """


@deploy.command(
    epilog=example("recsys deploy compose --out deploy", "recsys deploy compose --root s3://shop/recsys")
)
@_options(image=True)
def compose(out: Path, root: str | None, endpoint: str | None, image: str, *, force: bool) -> None:
    """Containers on one host, by Docker Compose.

    Two replicas of the API, Dagster's web server, daemon and code location, a builder, Postgres, NATS, an S3 server.
    """
    _write(out, Deployment(kind="compose", image=image, root=root, endpoint=endpoint), force=force)


@deploy.command(
    epilog=example("recsys deploy k8s --image registry.example/recsys-assets:0.1.0 --root s3://shop/recsys")
)
@_options(image=True)
def k8s(out: Path, root: str | None, endpoint: str | None, image: str, *, force: bool) -> None:
    """Manifests for Kubernetes, with a kustomization.

    The same parts as of `recsys deploy compose`, in the namespace recsys.
    """
    _write(out, Deployment(kind="k8s", image=image, root=root, endpoint=endpoint), force=force)


@deploy.command(
    epilog=example("recsys deploy systemd --out units", "recsys deploy systemd --root s3://shop/recsys")
)
@_options(image=False)
def systemd(out: Path, root: str | None, endpoint: str | None, *, force: bool) -> None:
    """Units for systemd: servers, and a daily build.

    They run this installation, on one machine or, with --root, on each of several.
    """
    programs = f"{Path(sys.executable).parent}/"
    _write(out, Deployment(kind="systemd", root=root, endpoint=endpoint, programs=programs), force=force)


def _write(folder: Path, deployment: Deployment, *, force: bool) -> None:
    written = write_deployment(folder, deployment, force=force, make_secret=_new_secret)
    for file in written:
        click.echo(str(file))
    copy = _COPY if deployment.root is not None else ""
    click.echo(_NEXT[deployment.kind].format(folder=folder, image=deployment.image, copy=copy), err=True)


def _new_secret() -> str:
    return f"k{secrets.token_hex(20)}"
