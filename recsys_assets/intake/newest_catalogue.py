"""The categories and prices of the newest catalogue as arrays, which serving reads without a library for tables.

Written when a catalogue lands, beside its Parquet file. A release that is older is served with these values. Shapes:
C items of the catalogue.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from recsys_assets.errors import ItemStatesUnavailableError
from recsys_assets.storage.arrays import Float64, map_array
from recsys_assets.storage.atomic import replaced_folder
from recsys_assets.storage.string_table import StringTable, Vocabulary

_ITEMS: Final = "items"
_CATEGORIES: Final = "categories"
_PRICES: Final = "prices.npy"
_NUMBER: Final = "number"
_SUMS: Final = "sums.json"
"""File -> its SHA-256."""


class CatalogueRow(NamedTuple):
    """One item of the catalogue."""

    item_id: str
    category: str | None
    """Several in one text; None where unknown."""
    price: float | None
    """None where unknown."""


@dataclass(frozen=True, kw_only=True)
class NewestCatalogue:
    """The newest catalogue, mapped to memory."""

    number: int
    """1 for the first that landed, then one more for each."""
    items: Vocabulary
    """C ids."""
    categories: StringTable
    """C categories, empty where unknown."""
    prices_C: Float64
    """(C,): prices, NaN where unknown."""

    def price_of(self, item_id: str) -> float | None:
        """Return an item's price; None where it, or the item, is unknown."""
        num = self.items.num(item_id)
        price = np.nan if num is None else self.prices_C.item(num)
        return None if np.isnan(price) else price

    def category_of(self, item_id: str) -> str | None:
        """Return an item's category, several in one text; None where it, or the item, is unknown."""
        num = self.items.num(item_id)
        return None if num is None else self.categories[num] or None


def write_newest(folder: Path, rows: Iterable[CatalogueRow]) -> None:
    """Replace the arrays by those of a catalogue that landed; its number is one more than that of the one before."""
    by_id = {row.item_id: row for row in rows}
    items = Vocabulary.from_strings(by_id)
    listed = [by_id[item_id] for item_id in items]
    try:
        number = 1 + int(map_array(folder / f"{_NUMBER}.npy").item())
    except (OSError, ValueError):
        number = 1
    with replaced_folder(folder) as staged:
        items.save(staged, _ITEMS)
        StringTable.from_strings(row.category for row in listed).save(staged, _CATEGORIES)
        prices = [np.nan if row.price is None else row.price for row in listed]
        np.save(staged / _PRICES, np.array(prices, dtype=np.float64), allow_pickle=False)
        np.save(staged / f"{_NUMBER}.npy", np.array(number), allow_pickle=False)
        sums = {file.name: _sum_of(file) for file in sorted(staged.iterdir())}
        (staged / _SUMS).write_bytes(msgspec.json.encode(sums))


def damaged_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each damaged file of the newest catalogue and its fault; none where no catalogue has landed."""
    if not folder.is_dir():
        return
    try:
        sums = msgspec.json.decode((folder / _SUMS).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        yield folder / _SUMS, "missing, or cannot be read"
        return
    for name, expected in sums.items():
        file = folder / name
        if not file.is_file():
            yield file, "missing"
        elif _sum_of(file) != expected:
            yield file, "changed since it was written"


def _sum_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read_newest(folder: Path) -> NewestCatalogue | None:
    """Return the newest catalogue; None where none has landed since this file is written.

    Raises:
        ItemStatesUnavailableError: a file is damaged, or the folder is just being replaced.
    """
    if not folder.is_dir():
        return None
    try:
        found = NewestCatalogue(
            number=int(map_array(folder / f"{_NUMBER}.npy").item()),
            items=Vocabulary.load(folder, _ITEMS),
            categories=StringTable.load(folder, _CATEGORIES),
            prices_C=map_array(folder / _PRICES),
        )
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    if not len(found.items) == len(found.categories) == len(found.prices_C):
        raise _damaged(folder, "its arrays have different lengths")
    return found


def _damaged(folder: Path, why: object) -> ItemStatesUnavailableError:
    return ItemStatesUnavailableError(
        f"{folder}: the newest catalogue cannot be read ({why}); remove the folder: the next landing writes it again"
    )
