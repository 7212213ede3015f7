"""`python -m recsys_assets_tests.identity A B`: say where two commits behave differently.

Exit code 0: nowhere; 1: somewhere.
"""

import fcntl
import sys
from pathlib import Path
from typing import Any

import click

from recsys_assets_tests.identity import sources
from recsys_assets_tests.identity.compare import differences
from recsys_assets_tests.identity.recorder import SECTIONS, Recorder
from recsys_assets_tests.identity.trees import resolve


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.argument("sections", nargs=-1, type=click.Choice(SECTIONS))
@click.option(
    "--only", "first", type=click.Choice(SECTIONS), help="Compare this section, and those named after it."
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default="~/.cache/recsys-identity",
    show_default=True,
    help="Where transcripts and built homes are kept.",
)
@click.option(
    "--repository",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    show_default=True,
    help="The working tree in which git is asked.",
)
@click.option("--no-wording", is_flag=True, help="Leave out texts with the same numbers in other words.")
@click.option("--again", is_flag=True, help="Make the transcripts though they are kept.")
def main(
    *,
    before: str,
    after: str,
    sections: tuple[str, ...],
    first: str | None,
    cache: Path,
    repository: Path,
    no_wording: bool,
    again: bool,
) -> None:
    """Say where B behaves unlike A; each is a commit, or `worktree` for the files as they are."""
    wanted = [name for name in SECTIONS if name in {first, *sections} or not (first or sections)]
    sides = [resolve(repository, name) for name in (before, after)]
    place = cache.expanduser().resolve()
    place.mkdir(parents=True, exist_ok=True)
    if sources.test_data() is None:
        click.echo(f"{sources.VARIABLE} is not set: no Amazon home is built", err=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        recorder = Recorder(repository, place, again=again)
        one, other = (recorder.sections(side, wanted) for side in sides)
    sys.exit(1 if _tell(one, other, wording=not no_wording) else 0)


def _tell(one: dict[str, Any], other: dict[str, Any], *, wording: bool) -> int:
    """Print every difference by section, and return how many there are."""
    total = 0
    for name, before in one.items():
        lines = list(differences(before, other[name], name, wording=wording))
        click.echo(f"{name}: {f'{len(lines)} differences' if lines else 'equal'}")
        for line in lines:
            click.echo(f"  {line}")
        total += len(lines)
    return total


if __name__ == "__main__":
    main()
