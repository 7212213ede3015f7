"""The grocer's shorthand as words: `SFT DRNK 2 LITER BTL CARB INCL` is a `Soft Drink 2 Liter Bottle`.

Its product types are in capitals, abbreviated, cut after 30 characters, and annotated for the till.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

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
