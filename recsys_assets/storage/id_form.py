"""The one form of an id, whatever file, batch or request it comes from.

Ids are text.

Blanks around them are no part of them. A spreadsheet or pandas turns the whole numbers of a column
with gaps into `17850.0`: that is 17850. Leading zeros stay, since `007` and `7` may be two products. The words that
programs write for a missing value are no id. The source of a table does the same to whole columns
(`lake/sources/cell_values.py`), and a property test holds the two equal.

An id of a request is looked for as it is written first, since a release may hold ids of a source that is no table.
"""

import re
from typing import Final

BLANKS: Final = " \t\n\r\v\f\u00a0\u2007\u202f\u3000\ufeff"
"""Characters that are no part of an id at its ends."""
NULL_WORDS: Final = ("", "NaN", "nan", "null", "NULL", "None", r"\N", "<NA>")
"""Texts that say that there is no value."""
WHOLE_NUMBER: Final = r"^(-?[0-9]+)\.0+$"
"""A whole number that was written with a fraction; the group is the id."""

_WHOLE_NUMBER: Final = re.compile(WHOLE_NUMBER.replace("$", r"\Z"))


def normal_id(text: str) -> str | None:
    """Return the one form of an id.

    Examples: `17850.0` and ` 17850` are `17850`; `007` stays `007`, and `1.5` stays `1.5`; `NaN` is None.

    Args:
        text: as a file or a request has it.

    Returns:
        The id; None where the text says that there is none.
    """
    stripped = text.strip(BLANKS)
    if stripped in NULL_WORDS:
        return None
    found = _WHOLE_NUMBER.match(stripped)
    return found[1] if found else stripped
