"""`keys …`: who may ask a server for what."""

from datetime import UTC, datetime
from pathlib import Path

import click

from recsys_assets.commands.shared import example, home_option
from recsys_assets.storage.home import Home


@click.group(epilog=example("recsys keys add shop --scope read --scope write"))
def keys() -> None:
    """Add, list and revoke the keys of the API.

    Only their hashes are kept.
    """


@keys.command(epilog=example("recsys keys add shop --scope read --scope write"))
@home_option
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=["read"],
    show_default=True,
    type=click.Choice(["read", "write", "admin"]),
    help="A permission of the key; repeat the option for more.",
)
def add(home: Path | None, name: str, scopes: tuple[str, ...]) -> None:
    """Make a key called NAME and print it; it is shown only now."""
    from recsys_assets.api.http.auth import add_key  # noqa: PLC0415

    key, secret = add_key(Home.locate(home), name=name, scopes=scopes, now=datetime.now(UTC))
    click.echo(f"{key.id}  {key.name}  {', '.join(sorted(key.scopes))}", err=True)
    click.echo(secret)


@keys.command("list", epilog=example("recsys keys list"))
@home_option
def list_all(home: Path | None) -> None:
    """List the keys, without their secrets."""
    from recsys_assets.api.http.auth import list_keys  # noqa: PLC0415

    found = list_keys(Home.locate(home))
    for key in found:
        click.echo(f"{key.id}  {key.name}  {', '.join(sorted(key.scopes))}  since {key.created_at[:10]}")
    if not found:
        click.echo("There are no keys: reads need none, writes are rejected.")


@keys.command(epilog=example("recsys keys revoke 3f2a9c"))
@home_option
@click.argument("key_id")
def revoke(home: Path | None, key_id: str) -> None:
    """Reject requests with the key KEY_ID from now on."""
    from recsys_assets.api.http.auth import revoke_key  # noqa: PLC0415

    key = revoke_key(Home.locate(home), key_id)
    click.echo(f"{key.id}  {key.name}: revoked")
