"""`rules check | test | diff`: a rules file validated, tested with its cases, and compared with another."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recsys_assets.commands.shared import example, home_option, json_option
from recsys_assets.errors import RulesError
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
    from recsys_assets.release.load import Release
    from recsys_assets.rules.testing.difference import Difference

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(epilog=example("recsys rules check", "recsys rules test"))
def rules() -> None:
    """Check, test and compare business rules."""


@rules.command(epilog=example("recsys rules check", "recsys rules check draft.toml"))
@home_option
@click.argument("file", required=False, type=_FILE)
def check(home: Path | None, file: Path | None) -> None:
    """Validate FILE, by default the rules in force, against the current release."""
    from recsys_assets.rules.rules_file import load_engine  # noqa: PLC0415

    place = Home.locate(home)
    engine = load_engine(_release(place), home=place, path=file)
    stages = sum(
        len(one.candidates) + len(one.filters) + len(one.scoring) + len(one.reranking)
        for one in engine.rules.scenarios.values()
    )
    names = ", ".join(engine.rules.scenarios)
    click.echo(f"{engine.rules.path}: valid, version {engine.version}, {stages} stages in {names}")


@rules.command(epilog=example("recsys rules test", "recsys rules test draft.toml --cases draft_tests.toml"))
@home_option
@click.argument("file", required=False, type=_FILE)
@click.option(
    "--cases", type=_FILE, default=None, help="A file of test cases; default rules_tests.toml beside FILE."
)
@click.option("--users", default=100, show_default=True, type=click.IntRange(min=1), help="Users sampled.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample.")
def test(home: Path | None, file: Path | None, cases: Path | None, users: int, seed: int) -> None:
    """Run the cases kept beside FILE, and the built-in invariants on a sample of real users."""
    from recsys_assets.rules.rules_file import load_engine  # noqa: PLC0415
    from recsys_assets.rules.testing.cases import CASES_FILE, read_cases, run_case  # noqa: PLC0415
    from recsys_assets.rules.testing.invariants import INVARIANTS, check_invariants  # noqa: PLC0415

    place = Home.locate(home)
    engine = load_engine(_release(place), home=place, path=file)
    where = cases or engine.rules.path.with_name(CASES_FILE)
    found = read_cases(where) if cases or where.is_file() else []
    failed = 0
    for case in found:
        failures = run_case(case, engine).failures
        failed += bool(failures)
        click.echo(f"{'FAILED' if failures else 'ok':6} {case.name}")
        for failure in failures:
            click.echo(f"       - {failure}")
    broken = check_invariants(engine, users=users, seed=seed)
    for one in broken:
        click.echo(f"FAILED {one.scenario}: {one.invariant} ({one.users} users)")
        for text in one.examples:
            click.echo(f"       - {text}")
    click.echo(
        f"{len(found) - failed} of {len(found)} cases passed; {len(INVARIANTS)} invariants over"
        f" {len(engine.pipelines)} scenarios, {len(broken)} broken"
    )
    if failed or broken:
        raise click.exceptions.Exit(1)


@rules.command(epilog=example("recsys rules diff rules.toml draft.toml", "recsys rules diff A B --held-out"))
@home_option
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@click.option("--scenario", default=None, help="The scenario to compare; by default each file's default one.")
@click.option("--users", default=500, show_default=True, type=click.IntRange(min=1), help="Users sampled.")
@click.option(
    "--held-out",
    is_flag=True,
    help="Also compare NDCG on held-out days, by a release built for it on the days before.",
)
@json_option
def diff(
    home: Path | None,
    before: Path,
    after: Path,
    scenario: str | None,
    users: int,
    held_out: bool,
    as_json: bool,
) -> None:
    """Compare real users' lists by the rules BEFORE with those by the rules AFTER."""
    import msgspec  # noqa: PLC0415

    from recsys_assets.rules.rules_file import load_engine  # noqa: PLC0415
    from recsys_assets.rules.testing.difference import difference  # noqa: PLC0415

    place = Home.locate(home)
    release, truth = _held_out(place) if held_out else (_release(place), None)
    one, other = (load_engine(release, home=place, path=file) for file in (before, after))
    found = difference(one, other, scenario=scenario, users=users, truth=truth)
    click.echo(msgspec.json.encode(found).decode() if as_json else _table(found))


def _table(found: "Difference") -> str:
    rows = [
        f"{found.users} users, overlap {found.overlap:.1%}, unchanged {found.unchanged:.1%}",
        f"{'':20} {'before':>10} {'after':>10}",
    ]
    rows += [
        f"{name:20} {one:10.4f} {other:10.4f}"
        for name, (one, other) in {
            "categories a list": found.categories,
            "diversity": found.diversity,
            "coverage": found.coverage,
            "popularity": found.popularity,
            "mean price": found.price,
            **({} if found.ndcg is None else {"NDCG, held-out time": found.ndcg}),
        }.items()
    ]
    rows += ["Places changed by rule:" if found.by_rule else "No place changed."]
    return "\n".join([*rows, *(f"  {count:6} {name}" for name, count in found.by_rule[:10])])


def _release(home: Home) -> "Release":
    from recsys_assets.release.load import load_current  # noqa: PLC0415

    return load_current(home.releases)


def _held_out(home: Home) -> "tuple[Release, InteractionMatrix]":
    from recsys_assets.rules.testing.difference import hold_out_home  # noqa: PLC0415

    if not home.interactions.is_dir():
        raise RulesError(f"{home.interactions}: no interactions to hold out; run `recsys build` first")
    held = hold_out_home(home)
    return held.release, held.truth


COMMANDS: list[click.Command] = [rules]
