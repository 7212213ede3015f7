"""What an item is called and belongs to, by item number, from the feature tables, for the serving path."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from recsys_assets.errors import ReleaseError
from recsys_assets.storage.home import FEATURE_DATABASE
from recsys_assets.storage.string_table import StringTable, Vocabulary

TITLES: Final = "titles"
CATEGORIES: Final = "categories"

_COLUMNS: Final = {TITLES: "title", CATEGORIES: "category"}


def write_item_strings(folder: Path) -> list[Path]:
    """Write `titles.*` and `categories.*` for the items of `folder`'s vocabulary; return the files.

    An item without title or category has the empty string.

    Raises:
        ReleaseError: an item of the vocabulary has no row in `item_features`.
    """
    items = Vocabulary.load(folder, "items")
    database = folder / FEATURE_DATABASE
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
        rows = {
            row[0]: row[1:]
            for row in connection.execute("SELECT item_id, title, category FROM item_features")
        }
    missing = next((item for item in items if item not in rows), None)
    if missing is not None:
        raise ReleaseError(
            f"{database}: no row for item {missing!r}, which has an embedding; build features and embeddings"
            " from the same interactions"
        )
    written = []
    for place, name in enumerate(_COLUMNS):
        StringTable.from_strings(rows[item][place] for item in items).save(folder, name)
        written += sorted(folder.glob(f"{name}.*.npy"))
    return written
