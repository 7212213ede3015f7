"""`plan`: a build before it is made: its stages and why, its cost, and its effect on lists and quality."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsys_assets.commands.shared import DAY, example, home_option, json_option, progress_shown, run_build
from recsys_assets.errors import RecsysError, StorageError
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.commands.progress import ConsoleWatcher
    from recsys_assets.orchestration.build_outcome import BuildOutcome
    from recsys_assets.orchestration.planning.applying import StoredPlan

CHANGES = 2
"""Exit code of a plan that has something to do; 1 is an error, 0 nothing to do."""
_FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)


class _Misused(click.UsageError):
    """A mistake in the options, with the exit code of an error."""

    exit_code = 1

    def __init__(self, error: click.UsageError) -> None:
        super().__init__(error.format_message(), error.ctx)


class _PlanCommand(click.Command):
    """Ends with 1 for every error, since 2 says that there are changes."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*args, **options)
        except click.UsageError as error:
            raise _Misused(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _Misused(error) from None
        except (RecsysError, OSError) as error:
            said = error if isinstance(error, RecsysError) else StorageError.found_in(error)
            if said is None:
                raise
            click.echo(f"recsys: {said}", err=True)
            return ctx.exit(1)


@click.command(
    cls=_PlanCommand,
    epilog=example(
        "recsys plan",
        "recsys plan --settings proposal.toml --markdown",
        "recsys plan --rules draft.toml --seconds 20",
        "recsys plan --apply",
    ),
)
@home_option
@click.option("--settings", "settings_file", type=_FILE, default=None, help="A proposed, whole recsys.toml.")
@click.option("--rules", "rules_file", type=_FILE, default=None, help="A proposed rules.toml.")
@click.option("--through", type=DAY, default=None, help="Land no day after this one.")
@json_option
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--seconds",
    default=40.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="Time that both recipes may take on a sample of users, as foreseen from its size.",
)
@click.option(
    "--no-sample", is_flag=True, help="Fit no sample of users: no quality, and no lists by a new model."
)
@click.option("--apply", "applied", is_flag=True, help="Build exactly the plan that was shown last.")
def plan(
    home: Path | None,
    settings_file: Path | None,
    rules_file: Path | None,
    through: datetime | None,
    as_json: bool,
    as_markdown: bool,
    seconds: float,
    no_sample: bool,
    applied: bool,
) -> None:
    """Show what a build would do, and why.

    Also what it takes, and what it changes for users. Nothing is published: changed days are audited on staged files,
    and both recipes are fitted to the same sample of users. The exit code is 0 where there is nothing to do, 2 where
    there are changes, and 1 for an error.
    """
    place = Home.locate(home)
    if applied:
        if settings_file or rules_file or through or as_json or as_markdown:
            raise click.UsageError("--apply runs the plan that was shown last: give it no other option")
        _apply(place)
        return
    if as_json and as_markdown:
        raise click.UsageError("give either --json or --markdown")
    options = _Options(settings_file, rules_file, through, 0.0 if no_sample else seconds)
    if as_json or as_markdown:
        found = _planned(place, options)
        click.echo(_as_json(found) if as_json else _as_markdown(place, found))
    else:
        with progress_shown(f"Planning {place.root}") as watcher:
            watcher.begin("plan", "")
            found = _planned(place, options)
        from recsys_assets.commands.console import open_console  # noqa: PLC0415
        from recsys_assets.commands.plan_words import print_plan  # noqa: PLC0415

        print_plan(open_console(), found)
        if found.build.steps:
            click.echo(f"To build just this: recsys plan --apply{place.option}")
    sys.exit(CHANGES if found.build.steps else 0)


class _Options:
    """The options of a plan."""

    def __init__(
        self, settings: Path | None, rules: Path | None, through: datetime | None, seconds: float
    ) -> None:
        self.settings, self.rules, self.seconds = settings, rules, seconds
        self.through = through.date() if through else None


def _planned(place: Home, options: _Options) -> "StoredPlan":
    from recsys_assets.orchestration.planning.applying import make_plan  # noqa: PLC0415
    from recsys_assets.orchestration.planning.build_plan import ProposedChange  # noqa: PLC0415

    proposal = ProposedChange(
        settings_file=options.settings, rules_file=options.rules, through=options.through
    )
    return make_plan(place, proposal, seconds=options.seconds)


def _apply(place: Home) -> None:
    def run(watcher: "ConsoleWatcher") -> "BuildOutcome":
        from recsys_assets.orchestration.planning.applying import apply_plan  # noqa: PLC0415

        return apply_plan(place, watcher)

    if run_build(f"Applying the plan of {place.root}", run).failed:
        sys.exit(1)


def _as_json(found: "StoredPlan") -> str:
    import msgspec  # noqa: PLC0415

    return msgspec.json.encode(found, enc_hook=str).decode()


def _as_markdown(place: Home, found: "StoredPlan") -> str:
    from recsys_assets.commands.plan_words import markdown  # noqa: PLC0415

    return markdown(found, home=str(place.root))


COMMANDS: list[click.Command] = [plan]
