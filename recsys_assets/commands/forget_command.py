"""`recsys forget`: a person's data removed from the whole home, with a proof."""

import sys
from pathlib import Path

import click

from recsys_assets.commands.shared import example, home_option, login
from recsys_assets.errors import ForgetError
from recsys_assets.storage.home import Home
from recsys_assets.storage.store_place import place_of


@click.command(epilog=example("recsys forget 2056 --why 'letter of 3 May'", "recsys forget --pending --yes"))
@home_option
@click.argument("users", metavar="USER...", nargs=-1)
@click.option("--why", default="", help="The reason; kept on record, without the user.")
@click.option("--pending", is_flag=True, help="Carry out what was requested by HTTP, or was killed.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def forget(home: Path | None, users: tuple[str, ...], why: str, pending: bool, yes: bool) -> None:
    """Remove users from the whole home, and prove it.

    Every day, version, release and export is rewritten without them, and what is served is swapped. Other people's
    lists stay as they are; the sums of all people's events keep the anonymous part of theirs until the next training.
    At the end the whole home is read for the ids. A forget that was killed is finished by the same command, or by the
    next build. The source is not changed: rows of before never land again.
    """
    if bool(users) == pending:
        raise click.UsageError("Give the users to forget, or --pending.")
    place = Home.locate(home)
    if not place.root.is_dir():
        raise ForgetError(f"{place.root}: there is no home; give it by --home")
    if not yes and sys.stdin.isatty():
        named = "everybody whose forget has not ended" if pending else ", ".join(users)
        click.confirm(f"Remove {named} from {place.root}? This cannot be undone", abort=True)
    click.echo(f"Forgetting in {place.root} …")
    from recsys_assets.orchestration.forgetting.forget_users import forget_pending, forget_users  # noqa: PLC0415

    if pending:
        ended = forget_pending(place, say=click.echo)
    else:
        ended = [forget_users(place, users, why=why, who=login(), say=click.echo)]
    for one in ended:
        click.echo(f"Forgotten: #{one.number}, users {', '.join(one.users)} (salted hashes)")
    store = place_of(place.root)
    if ended and store is not None:
        click.echo(
            f"{store.root} was rewritten too. If its bucket keeps versions of objects, remove the old ones there; other"
            " machines drop their copies at their next command."
        )
    if not ended:
        click.echo("No forget is waiting.")
