"""The `recsys` command: a group, its commands by topic in `commands/`, and errors as exit codes."""

import atexit
import gc
from typing import Any

import click

from recsys_assets.commands import (
    export_command,
    init_command,
    making,
    prune_command,
    quarantine_commands,
    rules_commands,
    running,
    server_commands,
    sources_command,
)
from recsys_assets.errors import RecsysError, StorageError
from recsys_assets.storage.private_files import keep_private
from recsys_assets.training_settings import limit_spinning


class _Commands(click.Group):
    """Turns the package's errors into a message and their exit code; lists commands as they were added."""

    def invoke(self, ctx: click.Context) -> Any:
        said: RecsysError | None
        try:
            return super().invoke(ctx)
        except RecsysError as error:
            said = error
        except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            said = StorageError.found_in(error)
            if said is None:
                raise
        click.echo(f"recsys: {said}", err=True)
        return ctx.exit(said.exit_code)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="recsys-assets")
def main() -> None:
    """Recommendations from a log of users' interactions with items: audited, replayable, explainable."""
    keep_private()
    limit_spinning()
    atexit.register(
        gc.freeze
    )  # the system frees the memory: Python need not look through it for garbage first


for command in (
    init_command.init,
    *running.COMMANDS,
    *sources_command.COMMANDS,
    *making.COMMANDS,
    export_command.export,
    server_commands.releases,
    *rules_commands.COMMANDS,
    *quarantine_commands.COMMANDS,
    prune_command.prune,
    server_commands.keys,
):
    main.add_command(command)
