"""The section `cli`: what every command says, with right and with wrong input."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from recsys_assets_tests.identity import sources, wrong_input
from recsys_assets_tests.identity.homes import copied, read
from recsys_assets_tests.identity.running import Product


def transcript(product: Product, default: Path, shop: Path) -> dict[str, Any]:
    """Run the commands on copies of two built homes, of broken ones, and of none; two parts at a time."""
    scratch = product.scratch
    parts = {
        "default": lambda: _of_default(product, copied(default, scratch / "cli-home")),
        "shop": lambda: _shop(product, copied(shop, scratch / "cli-shop")),
        "help": lambda: dict(_helps(product, ())),
        "init": lambda: dict(wrong_input.init(product)),
        "empty": lambda: _record(product, scratch / "cli-empty", _EMPTY),
        "settings": lambda: dict(wrong_input.settings(product)),
    }
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(parts, pool.map(lambda part: part(), parts.values()), strict=True))


def _of_default(product: Product, home: Path) -> dict[str, Any]:
    return {
        "commands": _record(product, home, _DEFAULT),
        "rules": wrong_input.rules(product, home),
        "variables": _variables(product, home),
    }


def _helps(product: Product, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The help of a command, then of those below it."""
    done = product.recsys(*path, "--help")
    yield " ".join(("recsys", *path)), done.as_json()
    listed = done.out.partition("Commands:\n")[2].partition("\n\n")[0]
    for name in re.findall(r"(?m)^  (\w[\w-]*)", listed):
        yield from _helps(product, (*path, name))


_DEFAULT: Final = (
    "--version",
    "no-such-command",
    "doctor",
    "recommend 1 -k 5",
    "recommend 1924 -k 3 --scenario home",
    "recommend 253 -k 4 --scenario email --explain",
    "recommend 7 -k 4 --explain",
    "recommend nobody -k 3",
    "recommend nobody -k 3 --scenario basket --explain",
    "recommend 1 --scenario nonsense",
    "recommend 1 -k 0",
    "recommend",
    "quarantine list",
    "quarantine show 2017-01-03",
    "quarantine accept 2017-01-03 --why because",
    "quarantine drop 2017-01-05..2017-01-03",
    "quarantine show yesterday",
    "releases list",
    "releases verify",
    "releases verify 20170301-0123456789",
    "releases promote 20170301-0123456789",
    "releases rollback",
    "releases prune --keep 1",
    "rules check",
    "rules test --users 20",
    "rules check no-such.toml",
    "report 2017-02-03",
    "report 1999-01-01",
    "report soon",
    "land --next 2",
    "land --next 1 --from 2017-01-01",
    "land --from 1999-01-01",
    "land",
    "land --from 2017-02-27 --to 2017-02-28",
    "build --days 10",
    "build --source movielens:none",
    "build --landed",
    "init",
    "init --source oracle:x --force",
    "bench nonsense",
    "keys list",
    "keys add shop --scope write",
    "keys add shop --scope nonsense",
    "keys revoke 00000000",
    "keys list",
)
"""Commands in this order on the embedded default's first days; each gets `--home`."""
_SHOP: Final = (
    "recommend c45 -k 3",
    "recommend c45 -k 3 --explain",
    "land --from 2024-01-19 --to 2024-01-20",
    "quarantine list",
    "quarantine show 2024-01-20",
    "doctor",
    "quarantine drop 2024-01-20",
    "quarantine drop 2024-01-20",
    "quarantine list",
    "land --from 2024-01-20",
    "quarantine accept 2024-01-19..2024-01-21 --why expected --who tester",
    "tune --minutes 0",
    "build",
    "doctor",
    "recommend c45 -k 3 --scenario home",
    "releases list",
    "releases rollback",
    "releases rollback",
)
"""Commands in this order on the shop, whose source then holds another day to refuse."""
_RECALL: Final = (
    "releases promote FIRST",
    "releases list",
    "releases recall 2024-01-05 --why rubles",
    "releases list",
    "releases promote FIRST",
    "releases prune --keep 1",
    "releases verify",
    "build --landed",
)
_WITHOUT_HOME: Final = frozenset({"--version", "no-such-command", "bench nonsense"})
_EMPTY: Final = (
    "doctor",
    "recommend 1",
    "quarantine list",
    "quarantine show 2017-01-03",
    "releases list",
    "releases verify",
    "releases rollback",
    "releases recall 2017-01-03 --why bad",
    "rules check",
    "rules test",
    "report 2017-01-03",
    "serve --port 1",
    "keys list",
    "keys revoke 00000000",
    "tune --minutes 0",
)
"""Commands on a home that is not there."""


def _record(product: Product, home: Path, lines: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, line in enumerate(lines):
        where = () if line in _WITHOUT_HOME else ("--home", str(home))
        done = product.recsys(*line.split(), *where)
        found[f"{number:02} {line}"] = done.as_json()
    return found


def _shop(product: Product, home: Path) -> dict[str, Any]:
    """A day that is refused, looked at and dropped; then a second release, and a recall of both."""
    settings = home / "recsys.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("/shop.csv", f"/{sources.OTHER_SHOP}"), encoding="utf-8"
    )
    said = _record(product, home, _SHOP)
    first, *_ = sorted(one.name for one in (home / "releases").glob("2*"))
    again = _record(product, home, tuple(line.replace("FIRST", first) for line in _RECALL))
    found = {**said, **{f"then {name.replace(first, 'FIRST')}": one for name, one in again.items()}}
    return {**found, "ledger": read(product, home)["quality.sqlite"]["tables"]}


def _variables(product: Product, home: Path) -> dict[str, Any]:
    """Settings by the environment."""
    given = {
        "home": {"RECSYS_HOME": str(home)},
        "a field": {"RECSYS_HOME": str(home), "RECSYS_TRAINING__EPOCHS": "3"},
        "a wrong value": {"RECSYS_HOME": str(home), "RECSYS_TRAINING__EPOCHS": "many"},
        "an unknown field": {"RECSYS_HOME": str(home), "RECSYS_TRAINING__NONSENSE": "1"},
    }
    return {name: product.recsys("doctor", more=variables).as_json() for name, variables in given.items()}
