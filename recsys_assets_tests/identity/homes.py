"""The section `builds`: installations built by the command line, then every file that they hold."""

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from recsys_assets_tests.identity import contents, sources
from recsys_assets_tests.identity.running import Product

_SETTINGS: Final = """
[index]
recall_target = 1.0
threads = 1

[report]
days = 2
"""
"""A graph never reaches this recall on many items, so the exact search is chosen and no timing decides."""
_LEFT_OUT: Final = ("dagster", "logs")
"""Folders that are Dagster's own, or logs."""
_SIDE_FILES: Final = (".lock", "-wal", "-shm", "-journal")


class Recipe(NamedTuple):
    """One home."""

    name: str
    """Its folder, and its key in the transcript."""
    init: tuple[str, ...]
    """Options of `recsys init`."""
    first_day: str | None = None
    """In place of the source's own."""
    last_day: str | None = None
    """In place of the source's own."""
    accepts: tuple[str, ...] = ()
    """Days that the audit refuses and that are let through before the second build."""


DEFAULT: Final = "default"
SHOP: Final = "shop"
KEPT: Final = (DEFAULT, SHOP)
"""Homes that the other sections use; the rest is removed when it has been read."""


def recipes(generated: Path) -> list[Recipe]:
    """Every home that is built; the largest first, so that no process waits for it at the end."""
    columns = ("user_id=customer", "item_id=product", "timestamp=when", "rating=stars", "value=price")
    mapping = tuple(part for pair in (*columns, "quantity=qty") for part in ("--column", pair))
    shop = ("--source", f"tabular:{generated / 'shop.csv'}", *mapping)
    found = [
        Recipe(DEFAULT, ("--days", "60")),
        Recipe(SHOP, shop, accepts=("2024-01-18",)),
        Recipe("movielens", ("--source", f"movielens:{generated / 'movies'}")),
    ]
    data = sources.test_data()
    if data is None:
        return found
    magazines = f"{data}/amazon_2018_Magazine_Subscriptions_ratings.csv.gz"
    gift_cards = f"{data}/amazon_2018_Gift_Cards_5.json.gz,meta={data}/amazon_2018_meta_Gift_Cards.json.gz"
    return [
        *found,
        _amazon(
            "amazon_2014", f"{data}/amazon_2014_Musical_Instruments_5.json.gz", "2014-01-23", "2014-07-22"
        ),
        _amazon("amazon_2018", gift_cards, "2016-01-01", "2016-02-29"),
        _amazon("amazon_2018_ratings", magazines, "2015-01-01", "2015-02-28"),
        _amazon("amazon_2023", f"{data}/amazon_2023_Subscription_Boxes.jsonl.gz", "2021-01-01", "2021-02-28"),
    ]


def _amazon(name: str, path: str, first_day: str, last_day: str) -> Recipe:
    return Recipe(name, ("--source", f"amazon:{path}"), first_day, last_day)


def build(product: Product, recipe: Recipe, home: Path) -> dict[str, Any]:
    """Build a home from nothing; returns what the commands said."""
    shutil.rmtree(home, ignore_errors=True)
    said = {"init": product.recsys("init", "--home", str(home), *recipe.init).as_json()}
    _set(home / "recsys.toml", recipe)
    said["build"] = product.recsys("build", "--home", str(home)).as_json()
    for day in recipe.accepts:
        said["quarantine"] = product.recsys("quarantine", "show", "--home", str(home), day).as_json()
        decision = ("--why", "asked the shop", "--who", "tester")
        accept = product.recsys("quarantine", "accept", "--home", str(home), day, *decision)
        said["accept"] = accept.as_json()
        said["second build"] = product.recsys("build", "--home", str(home)).as_json()
    said["fresh build"] = product.recsys("build", "--home", str(home)).as_json()
    return said


def _set(file: Path, recipe: Recipe) -> None:
    settings = file.read_text(encoding="utf-8")
    for field in ("first_day", "last_day"):
        wanted = getattr(recipe, field)
        if wanted is not None:
            settings = re.sub(rf"(?m)^{field} = .*$", f"{field} = {wanted}", settings)
    if recipe.last_day is not None:
        settings = re.sub(r"(?m)^follow = .*$", "follow = false", settings)
    file.write_text(settings + _SETTINGS, encoding="utf-8")


def read(product: Product, home: Path) -> dict[str, Any]:
    """Every file of a home -> its content."""
    found = {}
    for path in sorted(_files(home)):
        name = path.relative_to(home).as_posix()
        found[re.sub(r"^(releases/\d{8})-[0-9a-f]{10}/", r"\1-<id>/", name)] = contents.content(
            path, product.places
        )
    return found


def _files(home: Path) -> Iterator[Path]:
    for path in home.rglob("*"):
        inside = path.relative_to(home).parts
        if path.is_file() and inside[0] not in _LEFT_OUT and not path.name.endswith(_SIDE_FILES):
            yield path


def transcript(product: Product, generated: Path, homes: Path) -> dict[str, Any]:
    """Rebuild every home, two at a time, and read it."""
    homes.mkdir(parents=True, exist_ok=True)

    def one(recipe: Recipe) -> tuple[str, dict[str, Any]]:
        home = homes / recipe.name
        said = build(product, recipe, home)
        found = {"said": said, "files": read(product, home), "release": release_of(home)}
        if recipe.name in KEPT:
            (homes / f"{recipe.name}.built").touch()
        else:
            shutil.rmtree(home)
        return recipe.name, found

    with ThreadPoolExecutor(2) as pool:
        found = dict(pool.map(one, recipes(generated)))
    if sources.test_data() is None:
        found["amazon"] = {"skipped": f"{sources.VARIABLE} is not set"}
    return found


def ensure(product: Product, generated: Path, homes: Path, name: str) -> Path:
    """A home that other sections use, built where it is not there yet."""
    home = homes / name
    if not (homes / f"{name}.built").exists():
        (recipe,) = (one for one in recipes(generated) if one.name == name)
        homes.mkdir(parents=True, exist_ok=True)
        build(product, recipe, home)
        (homes / f"{name}.built").touch()
    return home


def copied(home: Path, target: Path) -> Path:
    """A copy that a section may change."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(home, target, symlinks=True))


def release_of(home: Path) -> str:
    """The whole id of the current release, hash included."""
    current = home / "releases" / "current"
    if current.is_symlink():
        return current.resolve().name
    return current.read_text(encoding="utf-8").strip() if current.is_file() else "none"
