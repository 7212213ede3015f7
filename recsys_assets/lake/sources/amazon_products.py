"""Amazon's product metadata (2014, 2018 and 2023) as an item catalogue.

The fields were scraped: some prices are style sheets, some categories are HTML, and titles hold entities. A price
that can't be read as one price of one piece is null, never zero and never the lower end of a range. The files
of 2014 hold Python literals instead of JSON; both are read.
"""

import ast
import html
import re
from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from recsys_assets import columns
from recsys_assets.errors import EmptySourceError, SourceFormatError
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.files.rows_aside import BAD_ROW, RowsAside
from recsys_assets.lake.files.text_blocks import Block, first_line, line_blocks

_PRICE: Final = re.compile(r"\s*(?:US)?\$?\s*(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?\s*")
_TAG: Final = re.compile(r"<[^>]*>")


class _Product(msgspec.Struct, gc=False, rename={"reviewer_id": "reviewerID"}):
    """Fields of all releases, and those that only a review has; a scraped field may hold any type."""

    parent_asin: str | None = None
    asin: str | None = None
    title: Any = None
    brand: Any = None
    store: Any = None
    price: Any = None
    main_category: Any = None
    main_cat: Any = None
    categories: Any = None
    category: Any = None
    user_id: Any = None
    reviewer_id: Any = None


def check(path: Path) -> None:
    """Check that the first line is a product.

    Raises:
        InputError: the file is missing, empty or not product metadata.
    """
    found = _decode(first_line(path))
    if isinstance(found, str):
        raise SourceFormatError(f"{path}: line 1 {found}; give product metadata")


def read(path: Path) -> pl.DataFrame:
    """Return one row a product, in `ITEM_CATALOGUE`'s schema, sorted by item id; of duplicates the first is kept.

    Raises:
        InputError: more lines than one in a thousand are no products, or as in `line_blocks`.
    """
    schema, aside = ITEM_CATALOGUE.polars_schema(), RowsAside()
    frames = [pl.DataFrame(rows, schema=schema, orient="row") for rows in _rows(path, aside)]
    aside.require_few()
    if not frames:
        raise EmptySourceError(f"{path}: holds no product; give a file with at least one")
    return pl.concat(frames).unique(columns.ITEM_ID, keep="first", maintain_order=True).sort(columns.ITEM_ID)


def price(found: Any) -> float | None:
    """Return the price of one piece, or None if `found` isn't exactly one price.

    `"$1,299.00"` and `12.5` are prices; `""`, `"$5.00 - $10.00"`, `"from 12.99"`, `"—"` and scraped style
    sheets are not.
    """
    if isinstance(found, bool):
        return None
    if isinstance(found, int | float):
        return float(found) if 0 <= found < float("inf") else None
    match = _PRICE.fullmatch(found) if isinstance(found, str) else None
    return None if match is None else float(match[1].replace(",", "") + (match[2] or ""))


def _rows(path: Path, aside: RowsAside) -> Iterator[list[tuple[str | float | None, ...]]]:
    for block in line_blocks(path):
        rows, bad = [], list[tuple[int, str]]()
        for number, line in block.records():
            product = _decode(line)
            if isinstance(product, str):
                bad.append((number, product))
            else:
                rows.append(_row(product))
        aside.kept += len(rows)
        if bad:
            example = partial(_example, block, *bad[0])
            aside.add(BAD_ROW, rows=len(bad), example=example)
        yield rows


def _example(block: Block, number: int, fault: str) -> str:
    return f"{block.path}: line {block.line(number)} {fault}"


def _decode(line: bytes) -> _Product | str:
    """Return a line's product, or the fault of the line."""
    try:
        product = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        literal = _literal(line)
        if literal is None:
            return f"is not a product ({error})"
        product = literal
    if product.user_id or product.reviewer_id or not (product.parent_asin or product.asin):
        return "is no product of Amazon's"
    return product


def _literal(line: bytes) -> _Product | None:
    """Read a line of 2014, the `repr` of a dict, without evaluating it; None if it is something else."""
    try:
        return msgspec.convert(ast.literal_eval(line.decode()), _Product)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _row(product: _Product) -> tuple[str | float | None, ...]:
    path = _path(product.categories or product.category)
    department = _text(product.main_category) or _text(product.main_cat) or (path[0] if path else None)
    return (
        product.parent_asin or product.asin,
        None if "getTime" in str(product.title) else _text(product.title),
        department,
        path[-1] if path else department,
        _text(product.brand) or _text(product.store),
        price(product.price),
    )


def _path(found: Any) -> list[str]:
    """Return the category path, from coarse to fine.

    In 2014 a product has several paths, and the first is taken. In 2018 a bare tag, `</span></span></span>`,
    separates the path from sentences about the product.
    """
    if isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    texts = (_text(part) for part in (found if isinstance(found, list) else [found]))
    return list(takewhile(bool, texts))  # type: ignore[arg-type]


def _text(found: Any) -> str | None:
    """Return scraped text without tags and entities, with single blanks; None if nothing is left."""
    if not isinstance(found, str):
        return None
    return " ".join(html.unescape(_TAG.sub(" ", found)).split()) or None


_DECODER: Final = msgspec.json.Decoder(_Product)
