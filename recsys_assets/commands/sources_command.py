"""`recsys sources`: the kinds of source that a spec can name, and all that is known of one of them."""

import click

from recsys_assets.commands.shared import example, json_option


@click.command(epilog=example("recsys sources", "recsys sources olist"))
@click.argument("name", required=False)
@json_option
def sources(name: str | None, as_json: bool) -> None:
    """List the kinds of source, or describe one by its NAME.

    Each is used as `recsys init --source NAME:PATH`. PATH is a file of its events, or a folder, zip or glob of all
    its files.
    """
    from recsys_assets.lake.sources.registry import SourceKind, source_kinds  # noqa: PLC0415

    found = source_kinds() if name is None else [SourceKind.named(name)]
    if as_json:
        import msgspec  # noqa: PLC0415

        click.echo(msgspec.json.encode(found if name is None else found[0]).decode())
    elif name is None:
        width = max(len(kind.example) for kind in found)
        for kind in found:
            click.echo(f"{kind.example.ljust(width)}  {kind.title}")
        click.echo("\nUse: recsys init --source …; more on one of them: recsys sources NAME")
    else:
        for kind in found:
            click.echo(f"{kind.title}\n{kind.note}".rstrip())
            if kind.files:
                click.echo(f"Events are in {' or '.join(kind.files)}.")
            if kind.beside:
                click.echo(f"Beside them, where they are there: {', '.join(kind.beside)}.")
            if kind.interactions:
                click.echo(f"It sets, in [interactions] of recsys.toml: {', '.join(kind.interactions)}.")
            click.echo(f"Use: recsys init --source {kind.example}")


COMMANDS = [sources]
