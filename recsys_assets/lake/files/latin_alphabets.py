"""The encoding of text in Latin letters, recognised by the alphabets of languages.

Each encoding of one byte a letter gives some text for any bytes. The right one gives letters that one language has, in
the case of their word, and no sign within a word: `Käse` and not `K‰se`, `Čaj` and not `Èaj` beside `Žito`.
"""

import re
from collections import Counter
from typing import Final

_WESTERN: Final = (
    "äöüßéèàâçêëîïôùûœæÿ",  # German, French and Italian, as in Switzerland
    "äöüßåæøéèà",  # German and Nordic
    "áéíóúñüçàèïò",  # Spanish and Catalan
    "áàâãçéêíóôõúü",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "áðéíóúýþæö",  # Icelandic
    "éèëïöüçáóíú",  # Dutch
)
_CENTRAL: Final = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýžäöüľĺŕô",  # Czech and Slovak
    "áéíóöőúüű",  # Hungarian
    "čćđšž",  # Croatian and Slovene
    "ăâîşţșț",  # Romanian
    "äöüßé",  # German
)
_ALPHABETS: Final = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "iso8859-2": _CENTRAL,
    "cp1254": ("çğıöşüâîûİ",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
    "mac-roman": _WESTERN,
    "cp850": _WESTERN,
}
"""Encoding -> the letters of languages beyond ASCII; of those that explain the text alike the first is taken."""
_SIGNS: Final = frozenset("«»„“”‚‘’‹›–—…•·€£¥§©®™°±²³½¼¾¿¡×º ª\xa0´`")
"""Signs between words."""
_RUN: Final = re.compile("[^\\W\\d_]{3,}")
"""A word. One without any letter of ASCII is of another alphabet."""
_ENOUGH: Final = 0.9
"""Share of the letters beyond ASCII that a language must have."""
_BETTER: Final = 0.05
"""Another encoding than the one before must explain this much more."""


def latin_encoding(text: bytes) -> str | None:
    """Return the encoding of text in Latin letters; None where no language explains it.

    Args:
        text: some lines with bytes beyond ASCII.
    """
    best, found = 0.0, None
    for encoding, alphabets in _ALPHABETS.items():
        share = _explained(text.decode(encoding, errors="replace"), alphabets)
        if share >= _ENOUGH and share > best + _BETTER * (found is not None):
            best, found = share, encoding
    return found


def _explained(text: str, alphabets: tuple[str, ...]) -> float:
    """Return the share of the signs beyond ASCII that belong where they are."""
    high = Counter[str]()
    for before, sign, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if sign <= "\x7f":
            continue
        if not sign.isalpha():
            within = before.isalpha() and after.isalpha()
            high[sign if sign in _SIGNS and (not within or sign in "’·") else ""] += 1
        else:
            high["" if sign.isupper() and before.islower() else sign] += 1
    letters = Counter[str]()
    for sign, count in high.items():
        lower = sign.lower()
        letters[lower if len(lower) == 1 else sign] += count  # that of İ are two
    signs = sum(count for sign, count in letters.items() if sign in _SIGNS)
    total = letters.total()
    known = max(sum(letters[letter] for letter in alphabet) for alphabet in alphabets)
    words = _RUN.findall(text)
    foreign = sum(1 for word in words if min(word) > "\x7f")
    if not total or foreign > _BETTER * len(words):
        return 0.0
    return (known + signs) / total
