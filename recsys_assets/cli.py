"""The `recsys` command: a group, its commands by topic in `commands/`, and errors as exit codes."""

import atexit
import contextlib
import gc
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO, cast

import click

from recsys_assets.api.http.logs import printable
from recsys_assets.commands import (
    deploy_commands,
    experiments_commands,
    export_command,
    forget_command,
    init_command,
    items_command,
    lineage_command,
    making,
    notices_commands,
    online_command,
    plan_command,
    prune_command,
    quarantine_commands,
    releases_commands,
    replay_command,
    report_commands,
    rules_commands,
    running,
    server_commands,
    sources_command,
    store_command,
    stream_command,
)
from recsys_assets.errors import RecsysError, StorageError
from recsys_assets.storage.private_files import keep_private
from recsys_assets.training_settings import limit_spinning

_LONGEST_LINE: Final = 4_000
"""Most characters of a line for people: a title may have 10,000 words."""


class PrintableStream:
    """A text stream that shows control characters of other people's texts, and cuts long lines that are no JSON."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self.rich_proxied_file = stream
        """The stream that rich writes to, whose own colours are none of other people's; see `open_console`."""

    def write(self, text: str) -> int:
        """Write a text, and return its length."""
        self._stream.write("\n".join(map(_line, text.split("\n"))))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of the texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _line(text: str) -> str:
    if len(text) > _LONGEST_LINE and not text.startswith(("{", "[")):
        text = f"{text[:_LONGEST_LINE]}… ({len(text):,} characters)"
    return printable(text)


class _Commands(click.Group):
    """Turns the package's errors into a message and their exit code; lists commands as they were added."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        out, err = (cast("TextIO", PrintableStream(stream)) for stream in (sys.stdout, sys.stderr))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return super().main(*args, **kwargs)

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
    *stream_command.COMMANDS,
    *making.COMMANDS,
    *plan_command.COMMANDS,
    replay_command.replay,
    export_command.export,
    releases_commands.releases,
    items_command.items,
    *rules_commands.COMMANDS,
    experiments_commands.experiments,
    *quarantine_commands.COMMANDS,
    lineage_command.lineage,
    online_command.online,
    notices_commands.notices,
    *report_commands.COMMANDS,
    prune_command.prune,
    forget_command.forget,
    server_commands.keys,
    *store_command.COMMANDS,
    deploy_commands.deploy,
):
    main.add_command(command)
