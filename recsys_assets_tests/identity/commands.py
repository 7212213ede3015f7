"""The section `cli`: what every command says, with right and with wrong input."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from recsys_assets_tests.identity.homes import copied, read, release_of
from recsys_assets_tests.identity.running import Product

_BROKEN_RULES: Final = {
    "not_toml.toml": "version = \n",
    "unknown_key.toml": 'version = 1\ndefault = "a"\n[scenarios.a]\ndescription = "x"\nsurprise = 1\n',
    "unknown_column.toml": 'version = 1\ndefault = "a"\n[scenarios.a]\ndescription = "x"\n'
    '[[scenarios.a.candidates]]\nsource = "popular"\nquota = 9\n'
    '[[scenarios.a.filters]]\nkind = "where"\nname = "w"\nkeep = "pricee < 3"\n',
    "good.toml": 'version = 1\ndefault = "a"\n[scenarios.a]\ndescription = "x"\n'
    '[[scenarios.a.candidates]]\nsource = "user"\nquota = 90\n[[scenarios.a.filters]]\nkind = "seen"\n'
    '[[scenarios.a.filters]]\nkind = "where"\nname = "cheap"\nkeep = "price < 3"\n',
}
_CASES: Final = """
[[cases]]
name = "nothing expensive"
scenario = "a"
user = "1"
k = 5
"""
_BROKEN_SETTINGS: Final = {
    "not_toml": "[source\n",
    "unknown_field": '[source]\nspec = "completejourney"\nfirst_day = 2017-01-01\nlast_day = 2017-01-02\nx = 1\n',
    "wrong_type": '[source]\nspec = "completejourney"\nfirst_day = 2017-01-01\nlast_day = 2017-01-02\n'
    '[training]\nepochs = "many"\n',
    "wrong_order": '[source]\nspec = "completejourney"\nfirst_day = 2017-01-02\nlast_day = 2017-01-01\n',
    "no_source": "[training]\nepochs = 3\n",
}


def transcript(product: Product, default: Path, shop: Path) -> dict[str, Any]:
    """What the commands say of copies of two built homes, of broken ones, and of none."""
    scratch = product.scratch
    return {
        "help": dict(_helps(product, ())),
        "default": _record(product, copied(default, scratch / "cli-home"), _DEFAULT),
        "shop": _shop(product, copied(shop, scratch / "cli-shop")),
        "rules": _rules(product, scratch / "cli-home", scratch / "rules"),
        "recalled": _recalled(product, scratch / "cli-home"),
        "empty": _record(product, scratch / "cli-empty", _EMPTY),
        "broken settings": dict(_settings(product, scratch / "cli-broken")),
        "sources": dict(_sources(product, scratch / "cli-sources")),
        "variables": _variables(product, scratch / "cli-home"),
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
    "tune --minutes 0",
    "doctor",
    "keys list",
    "keys add shop --scope write",
    "keys add shop --scope nonsense",
    "keys revoke 00000000",
    "keys list",
)
"""Commands in this order on the embedded default's first days; each gets `--home`."""
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
    """A day refused again, looked at, dropped; and one that lands again."""
    lines = (
        "recommend c01 -k 3",
        "recommend c01 -k 3 --explain",
        "releases list",
        "land --from 2024-01-17 --to 2024-01-18",
        "quarantine list",
        "quarantine show 2024-01-18",
        "doctor",
        "quarantine drop 2024-01-18",
        "quarantine drop 2024-01-18",
        "quarantine list",
        "build",
    )
    said = _record(product, home, lines)
    ledger = read(product, home)["quality.sqlite"]["tables"]
    return {**said, "ledger": ledger}


def _rules(product: Product, home: Path, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, written in _BROKEN_RULES.items():
        (folder / name).write_text(written, encoding="utf-8")
    (folder / "cases.toml").write_text(_CASES, encoding="utf-8")
    found: dict[str, Any] = {}
    for name in _BROKEN_RULES:
        done = product.recsys("rules", "check", str(folder / name), "--home", str(home))
        found[f"check {name}"] = done.as_json()
    good, packaged = str(folder / "good.toml"), str(home / "artifacts" / "rules" / "rules.toml")
    where = ("--home", str(home))
    runs = {
        "test": ("test", good, "--users", "20"),
        "test with cases": ("test", good, "--cases", str(folder / "cases.toml"), "--users", "5"),
        "diff": ("diff", packaged, good, "--users", "40"),
        "diff as json": ("diff", packaged, good, "--users", "40", "--json"),
        "diff of a scenario": ("diff", packaged, packaged, "--scenario", "email", "--users", "10"),
        "diff of no scenario": ("diff", packaged, good, "--scenario", "home"),
    }
    return {**found, **{name: product.recsys("rules", *run, *where).as_json() for name, run in runs.items()}}


def _recalled(product: Product, home: Path) -> dict[str, Any]:
    """The release is left, since a day in it is bad; last of all, since nothing is served then."""
    current = release_of(home)
    lines = (
        f"releases verify {current}",
        "releases recall 2017-02-03 --why rubles",
        "releases list",
        "recommend 1",
        f"releases promote {current}",
        "build",
        "doctor",
    )
    found = _record(product, home, lines)
    return {name.replace(current, "CURRENT"): said for name, said in found.items()}


def _settings(product: Product, folder: Path) -> Iterator[tuple[str, Any]]:
    for name, written in _BROKEN_SETTINGS.items():
        home = folder / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "recsys.toml").write_text(written, encoding="utf-8")
        for command in ("build", "doctor"):
            yield f"{name}/{command}", product.recsys(command, "--home", str(home)).as_json()


def _sources(product: Product, folder: Path) -> Iterator[tuple[str, Any]]:
    """Sources that cannot be read, or not as they are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text("customer,product,when\na,b,2024-01-01\n", encoding="utf-8")
    (folder / "times.csv").write_text("user_id,item_id,timestamp\na,b,soon\n", encoding="utf-8")
    (folder / "empty.csv").write_text("user_id,item_id,timestamp\n", encoding="utf-8")
    (folder / "absurd.csv").write_text(
        "user_id,item_id,timestamp\na,b,1\na,b,99999999999\n", encoding="utf-8"
    )
    (folder / "reviews.json").write_text('{"reviewerID": 1}\nnot json\n', encoding="utf-8")
    for number, options in enumerate(
        (
            f"--source tabular:{folder}/events.csv",
            f"--source tabular:{folder}/events.csv --column user_id=customer --column item_id=nonsense",
            f"--source tabular:{folder}/events.csv --column nonsense=customer",
            f"--source tabular:{folder}/events.csv --column nonsense",
            f"--source tabular:{folder}/times.csv",
            f"--source tabular:{folder}/empty.csv",
            f"--source tabular:{folder}/absurd.csv",
            f"--source tabular:{folder}/none-*.csv",
            f"--source amazon:{folder}/reviews.json",
            f"--source amazon:{folder}/none.json.gz",
            f"--source movielens:{folder}",
            "--source oracle:x",
            "--source amazon:",
            "--source amazon:x,y=z",
            "--source completejourney:x",
            "--days 0",
        )
    ):
        home = folder / f"home-{number}"
        done = product.recsys("init", "--home", str(home), *options.split())
        yield f"{number:02} {options.replace(str(folder), '<folder>')}", done.as_json()


def _variables(product: Product, home: Path) -> dict[str, Any]:
    """Settings by the environment."""
    given = {
        "home": {"RECSYS_HOME": str(home)},
        "a field": {"RECSYS_HOME": str(home), "RECSYS_TRAINING__EPOCHS": "3"},
        "a wrong value": {"RECSYS_HOME": str(home), "RECSYS_TRAINING__EPOCHS": "many"},
        "an unknown field": {"RECSYS_HOME": str(home), "RECSYS_TRAINING__NONSENSE": "1"},
    }
    return {name: product.recsys("doctor", more=variables).as_json() for name, variables in given.items()}
