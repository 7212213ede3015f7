"""Options that several commands share, and how an example stands below a command's help."""

from pathlib import Path

import click

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where everything is kept; default $RECSYS_HOME, else .recsys/ in the working folder.",
)

source_option = click.option(
    "--source",
    "spec",
    default=None,
    metavar="SPEC",
    help="completejourney (the default), amazon:PATH[,meta=PATH], amazon-2023:CATEGORY, movielens:PATH or "
    "tabular:PATH.",
)

days_option = click.option(
    "--days", type=click.IntRange(min=1), default=None, help="Only the first so many days of the source."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def example(*lines: str) -> str:
    """The epilog of a command: its example lines, not re-wrapped."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
