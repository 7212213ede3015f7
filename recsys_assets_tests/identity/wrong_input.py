"""A part of the section `cli`: rules, settings and sources that are broken, each in its own way."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from recsys_assets_tests.identity.running import Product

_HEAD: Final = 'version = 1\ndefault = "a"\n[scenarios.a]\ndescription = "x"\n'
_RULES: Final = {
    "not_toml": "version = \n",
    "unknown_key": f"{_HEAD}surprise = 1\n",
    "unknown_column": f'{_HEAD}[[scenarios.a.candidates]]\nsource = "popular"\nquota = 9\n'
    '[[scenarios.a.filters]]\nkind = "where"\nname = "w"\nkeep = "pricee < 3"\n',
    "wrong_syntax": f'{_HEAD}[[scenarios.a.candidates]]\nsource = "popular"\nquota = 9\n'
    '[[scenarios.a.filters]]\nkind = "where"\nname = "w"\nkeep = "price < (3"\n',
    "good": f'{_HEAD}[[scenarios.a.candidates]]\nsource = "user"\nquota = 90\n'
    '[[scenarios.a.filters]]\nkind = "seen"\n'
    '[[scenarios.a.filters]]\nkind = "where"\nname = "cheap"\nkeep = "price < 3"\n',
}
_CASES: Final = """
[[case]]
name = "nothing expensive"
user = "1"
none_where = "price >= 3"

[[case]]
name = "something that is not so"
user = "nobody"
k = 5
least_categories = 6
present = ["1082185"]
absent = { "981760" = "cheap" }
"""
_SOURCE: Final = '[source]\nspec = "completejourney"\nfirst_day = 2017-01-01\nlast_day = 2017-01-02\n'
_SETTINGS: Final = {
    "not_toml": "[source\n",
    "unknown_field": f"{_SOURCE}x = 1\n",
    "unknown_section": f"{_SOURCE}[nonsense]\nx = 1\n",
    "wrong_type": f'{_SOURCE}[training]\nepochs = "many"\n',
    "no_source": "[training]\nepochs = 3\n",
}
_FILES: Final = {
    "events.csv": "customer,product,when\na,b,2024-01-01\n",
    "times.csv": "user_id,item_id,timestamp\na,b,soon\n",
    "empty.csv": "user_id,item_id,timestamp\n",
    "absurd.csv": "user_id,item_id,timestamp\na,b,1\na,b,99999999999\n",
    "reviews.json": '{"reviewerID": 1}\nnot json\n',
}
_INITS: Final = (
    "--source tabular:FOLDER/events.csv",
    "--source tabular:FOLDER/events.csv --column user_id=customer --column item_id=nonsense",
    "--source tabular:FOLDER/events.csv --column nonsense=customer",
    "--source tabular:FOLDER/events.csv --column nonsense",
    "--source tabular:FOLDER/times.csv",
    "--source tabular:FOLDER/empty.csv",
    "--source tabular:FOLDER/absurd.csv",
    "--source tabular:FOLDER/none-*.csv",
    "--source amazon:FOLDER/reviews.json",
    "--source amazon:FOLDER/none.json.gz",
    "--source movielens:FOLDER",
    "--source oracle:x",
    "--source amazon:",
    "--source amazon:x,y=z",
    "--source completejourney:x",
    "--days 0",
)


def rules(product: Product, home: Path) -> dict[str, Any]:
    """`rules check`, `test` and `diff` with good and broken files."""
    folder = product.scratch / "rules"
    folder.mkdir(parents=True, exist_ok=True)
    for name, written in {**_RULES, "cases": _CASES}.items():
        (folder / f"{name}.toml").write_text(written, encoding="utf-8")
    good, cases = str(folder / "good.toml"), str(folder / "cases.toml")
    packaged = str(home / "artifacts" / "rules" / "rules.toml")
    runs = {f"check {name}": ("check", str(folder / f"{name}.toml")) for name in (*_RULES, "none")}
    runs |= {
        "test": ("test", good, "--users", "20"),
        "test with cases": ("test", good, "--cases", cases, "--users", "5"),
        "test with no cases": ("test", good, "--cases", good),
        "diff": ("diff", packaged, good, "--users", "40"),
        "diff as json": ("diff", packaged, good, "--users", "40", "--json"),
        "diff of a scenario": ("diff", packaged, packaged, "--scenario", "email", "--users", "10"),
        "diff of no scenario": ("diff", packaged, good, "--scenario", "home"),
    }
    return {name: product.recsys("rules", *run, "--home", str(home)).as_json() for name, run in runs.items()}


def settings(product: Product) -> Iterator[tuple[str, Any]]:
    """Homes whose `recsys.toml` is broken."""
    for name, written in _SETTINGS.items():
        home = product.scratch / "broken-settings" / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "recsys.toml").write_text(written, encoding="utf-8")
        for command in ("build", "doctor"):
            yield f"{name}/{command}", product.recsys(command, "--home", str(home)).as_json()


def init(product: Product) -> Iterator[tuple[str, Any]]:
    """Sources that cannot be read, or not as they are."""
    folder = product.scratch / "broken-sources"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, written in _FILES.items():
        (folder / name).write_text(written, encoding="utf-8")
    for number, options in enumerate(_INITS):
        given = options.replace("FOLDER", str(folder)).split()
        done = product.recsys("init", "--home", str(folder / f"home-{number}"), *given)
        yield f"{number:02} {options}", done.as_json()
