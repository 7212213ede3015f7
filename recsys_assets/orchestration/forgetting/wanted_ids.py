"""The ids of users to be forgotten: where a value or a text names one, and the same value without it.

The rule. An id with a letter and a digit, or with another sign, is *distinctive*: nothing else is written like it, so
it is found everywhere, in all its spellings. An id of digits alone, or of letters alone, may be a price, a day or a
word. It is found where a field, column or key holds users, and in text behind a word for users (`user 12`,
`/users/12`, `"user_id": "12"`). An id is a whole token: `u17` is neither in `u170` nor in `u17-b` nor in
`u17@shop.org`. Fields that hold items never count.
"""

import html
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote, quote_plus

_IN_PLACE: Final = ("(forgotten)", "(gone)", "(***)", "(+++)")
"""Texts that are put where an id was; the first that no id is a part of."""
USER_WORDS: Final = ("user", "household", "customer", "visitor", "reviewer", "member")
"""Words that fields and texts call users by."""
_NAMES: Final = f"(?:{'|'.join(USER_WORDS)})"
_A_NAME: Final = re.compile(_NAMES, re.IGNORECASE)
_USER_FIELD: Final = re.compile(rf"(?:\w+_)?{_NAMES}s?(?:_?ids?)?|(?:from|to)_user|userid", re.IGNORECASE)
_ID_FIELD: Final = re.compile(rf"(?:\w+_)?{_NAMES}s?_?ids?|(?:\w+_)?{_NAMES}", re.IGNORECASE)
_ITEM_FIELD: Final = re.compile(r"(?:items?|products?)(?:_ids?)?|category|title|brand|price", re.IGNORECASE)
_BEFORE: Final = r"(?:(?<!\w)|(?<=\\n)|(?<=\\t)|(?<=\\r)|(?<=%[0-9A-Fa-f]{2}))(?<!\w[-.@+])"
_AFTER: Final = r"(?!\w)(?![-.@+]\w)"
_SIGNS: Final = r"(?:\\[ntr]|&\w{1,6};|&#\w{1,6};|%[0-9A-Fa-f]{2}|<[^<>]{0,60}>|[^\w\n.;<]){1,12}"
_OTHERS: Final = r"""(?:\(?[\w.@+-]{1,64}\)?\\?["']?,\s?\\?["']?){0,100}?"""
_TABLE: Final = re.compile(r"<table\b.*?</table>", re.IGNORECASE | re.DOTALL)
_ROW: Final = re.compile(r"<tr\b.*?</tr>", re.IGNORECASE | re.DOTALL)
_CELL: Final = re.compile(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")


class WantedIds:
    """Some users' ids."""

    def __init__(self, ids: Collection[str]) -> None:
        """Take the ids as the lake has them."""
        self.ids: Final = tuple(sorted(set(ids)))
        self._ids = frozenset(self.ids)
        self._distinctive = frozenset(filter(is_distinctive, self.ids))
        self.in_place: Final = next(
            text for text in _IN_PLACE if not any(one.casefold() in text for one in self.ids if one)
        )
        """Text in place of an id in sentences that stay."""
        self.spellings: Final = tuple(sorted({form for one in self.ids for form in _spellings(one)}))
        """Every spelling of every id, as text."""
        sure = sorted({form for one in self._distinctive for form in _spellings(one)})
        self.sure_spellings: Final = tuple(sure)
        """Every spelling of the distinctive ones."""
        singular = rf"{_NAMES}(?:s?[ _-]?ids?)?{_SIGNS}"
        plural = rf"{_NAMES}s(?:{_SIGNS})?(?:[/\"'\[]|%2F|&quot;)"  # `users: 12` is their number
        word = rf"{singular}|{plural}"
        named = rf"(?:{word}){_OTHERS}{_BEFORE}(?P<named>{_any_of(self.spellings)}){_AFTER}"
        parts = [rf"(?i:(?<![A-Za-z]){named})"]
        if sure:
            parts.insert(0, rf"{_BEFORE}(?P<sure>{_any_of(sure)}){_AFTER}")
        self._pattern = re.compile("|".join(parts))

    def may_be_in(self, text: str) -> bool:
        """Return False where a look at the characters already says that a text names none of the users."""
        if any(form in text for form in self.sure_spellings):
            return True
        return any(form in text for form in self.spellings) and _A_NAME.search(text) is not None

    def is_cell(self, text: str, field: str) -> bool:
        """Return True where a cell of `field` is an id of a user."""
        if text not in self._ids or _ITEM_FIELD.fullmatch(field):
            return False
        return text in self._distinctive or holds_users(field)

    def cells_of(self, field: str) -> Sequence[str]:
        """Return the ids that a cell of `field` would mean a user by."""
        return [one for one in self.ids if self.is_cell(one, field)]

    def count_in_text(self, text: str) -> int:
        """Return the number of times that a text names a user."""
        if not self.may_be_in(text):
            return 0
        return len(self.spans_in(text)) + sum(1 for _ in self._table_rows(text))

    def spans_in(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each id in a text, by character; of a list only one, until that is replaced."""
        return [
            found.span("named" if found["named"] is not None else "sure")
            if "sure" in found.re.groupindex
            else found.span("named")
            for found in self._pattern.finditer(text)
        ]

    def blank(self, text: str) -> tuple[str, int]:
        """Return a text without the ids, and their number; rows of HTML tables about a user are taken out."""
        if not self.may_be_in(text):
            return text, 0
        rows = list(self._table_rows(text))
        for start, end in reversed(rows):
            text = text[:start] + text[end:]
        total = len(rows)
        while spans := self.spans_in(text):  # a list has several behind one word
            for start, end in reversed(spans):
                text = text[:start] + self.in_place + text[end:]
            total += len(spans)
        return text, total

    def count_in(self, value: Any, field: str = "") -> int:
        """Return the number of cells and tokens in a JSON value that name a user; `field` is the key it is under."""
        if isinstance(value, str):
            return int(self.is_cell(value, field)) or (
                0 if _ITEM_FIELD.fullmatch(field) else self._in_string(value)
            )
        if isinstance(value, dict):
            return sum(self.count_in(v, str(k)) + self._is_key(str(k), field) for k, v in value.items())
        if isinstance(value, list | tuple):
            return sum(self.count_in(one, field) for one in value)
        return int(_is_number(value) and is_id_field(field) and self.is_cell(str(value), field))

    def without(self, value: Any, field: str = "") -> tuple[Any, int]:
        """Return a JSON value without the ids, and the number taken out.

        A row about a user, which is an object in a list with the id in one of its fields for users, goes whole. So do
        a user's name in a list and a user's key. Elsewhere the id is replaced by `(forgotten)`.
        """
        if isinstance(value, str):
            if self.is_cell(value, field):
                return self.in_place, 1
            return (value, 0) if _ITEM_FIELD.fullmatch(field) else self._blank_string(value)
        if isinstance(value, dict):
            kept = {k: self.without(v, str(k)) for k, v in value.items() if not self._is_key(str(k), field)}
            gone = len(value) - len(kept) + sum(number for _, number in kept.values())
            return {k: found for k, (found, _) in kept.items()}, gone
        if isinstance(value, list | tuple):
            others = (one for one in value if not self._is_row(one, field))
            rows = [self.without(one, field) for one in others]
            return [found for found, _ in rows], len(value) - len(rows) + sum(number for _, number in rows)
        if self.count_in(value, field):
            return None, 1
        return value, 0

    def _in_string(self, value: str) -> int:
        if not self.may_be_in(value):
            return 0
        inner = _as_json(value)
        return self.count_in_text(value) if inner is None else self.count_in(inner)

    def _blank_string(self, value: str) -> tuple[str, int]:
        if not self.may_be_in(value):
            return value, 0
        inner = _as_json(value)
        if inner is None:
            return self.blank(value)
        found, number = self.without(inner)
        return (json.dumps(found), number) if number else (value, 0)

    def _is_key(self, key: str, field: str) -> bool:
        return self.is_cell(key, field)

    def _is_row(self, value: Any, field: str) -> bool:
        if isinstance(value, dict):
            inner = value.get("data", value)
            fields = inner if isinstance(inner, dict) else value
            return any(
                ((isinstance(v, str) and holds_users(str(k))) or (_is_number(v) and is_id_field(str(k))))
                and str(v) in self._ids
                for k, v in fields.items()
            )
        if _is_number(value):
            return is_id_field(field) and self.is_cell(str(value), field)
        return isinstance(value, str) and holds_users(field) and self.is_cell(value, field)

    def _table_rows(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each row of an HTML table that has an id in a column of users."""
        for table in _TABLE.finditer(text):
            names: list[str] = []
            for row in _ROW.finditer(text, *table.span()):
                cells = [_plain(cell) for cell in _CELL.findall(row[0])]
                if "<th" in row[0] and any(map(holds_users, cells)):
                    names = cells
                elif any(name and self.is_cell(cell, name) for name, cell in zip(names, cells, strict=False)):
                    yield row.span()


def is_distinctive(user_id: str) -> bool:
    """Return True for an id that no price, day, number or word is written like."""
    return len(user_id) > 2 and not (user_id.isdigit() or user_id.isalpha())  # noqa: PLR2004  `a1` is in any text


def holds_users(field: str) -> bool:
    """Return True where the name of a field, column or key says that its values are users."""
    return _USER_FIELD.fullmatch(field.strip()) is not None


def is_id_field(field: str) -> bool:
    """Return True where numbers of a field are ids of users; in `users` they are their number."""
    return _ID_FIELD.fullmatch(field.strip()) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _spellings(user_id: str) -> set[str]:
    escaped = {json.dumps(user_id)[1:-1], json.dumps(user_id, ensure_ascii=False)[1:-1]}
    escaped |= {json.dumps(one)[1:-1] for one in escaped}  # JSON in JSON
    percent = {quote(user_id, safe=""), quote(user_id), quote(user_id, safe="/:@+,;="), quote_plus(user_id)}
    percent |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in percent}
    marked = {
        html.escape(user_id),
        html.escape(user_id, quote=False),
        html.escape(user_id).replace("&#x27;", "&#39;"),
    }
    slashed = {one.replace("/", r"\/") for one in escaped}
    return {user_id, *escaped, *percent, *marked, *slashed}


def _any_of(forms: Collection[str]) -> str:
    return "|".join(re.escape(one) for one in sorted(set(forms), key=lambda one: (-len(one), one)))


def _plain(cell: str) -> str:
    return html.unescape(_TAG.sub("", cell)).strip().strip("\"'“”")


def _as_json(text: str) -> Any:
    """Return the value of a text that is a JSON object or list; None of any other."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
