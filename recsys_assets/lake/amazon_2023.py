"""Where Amazon Reviews 2023 publishes its categories, and the download of one.

The place and its layout are those of https://amazon-reviews-2023.github.io (Hou et al. 2024, "Bridging
Language and Items for Retrieval and Recommendation").
"""

import difflib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from recsys_assets.errors import InputError
from recsys_assets.lake.download import Progress, fetch
from recsys_assets.settings import SourceSettings

PUBLISHED: Final[str] = next(
    field.default for field in msgspec.structs.fields(SourceSettings) if field.name == "amazon_url"
)
"""The default of the setting `amazon_url`."""
CATEGORIES: Final = (
    "All_Beauty",
    "Amazon_Fashion",
    "Appliances",
    "Arts_Crafts_and_Sewing",
    "Automotive",
    "Baby_Products",
    "Beauty_and_Personal_Care",
    "Books",
    "CDs_and_Vinyl",
    "Cell_Phones_and_Accessories",
    "Clothing_Shoes_and_Jewelry",
    "Digital_Music",
    "Electronics",
    "Gift_Cards",
    "Grocery_and_Gourmet_Food",
    "Handmade_Products",
    "Health_and_Household",
    "Health_and_Personal_Care",
    "Home_and_Kitchen",
    "Industrial_and_Scientific",
    "Kindle_Store",
    "Magazine_Subscriptions",
    "Movies_and_TV",
    "Musical_Instruments",
    "Office_Products",
    "Patio_Lawn_and_Garden",
    "Pet_Supplies",
    "Software",
    "Sports_and_Outdoors",
    "Subscription_Boxes",
    "Tools_and_Home_Improvement",
    "Toys_and_Games",
    "Unknown",
    "Video_Games",
)
"""The names of the 2023 release's categories."""


def fetch_category(
    category: str,
    folder: Path,
    *,
    base_url: str,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[Path, Path]:
    """Download one category's reviews and product metadata into `folder`, unless they are there.

    Args:
        category: one of `CATEGORIES`.
        folder: where the two files go.
        base_url: what holds `raw/review_categories/` and `raw/meta_categories/`.
        progress: as in `fetch`.
        wait: as in `fetch`.

    Returns:
        The reviews and the metadata.

    Raises:
        InputError: no such category.
        DownloadError: as `fetch`.
    """
    if category not in CATEGORIES:
        close = difflib.get_close_matches(category, CATEGORIES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"give one of {', '.join(CATEGORIES)}"
        raise InputError(f"amazon-2023:{category}: no such category; {hint}")
    raw = f"{base_url.rstrip('/')}/raw"
    reviews, products = category_files(category, folder)
    fetch(f"{raw}/review_categories/{reviews.name}", reviews, progress=progress, wait=wait)
    fetch(f"{raw}/meta_categories/{products.name}", products, progress=progress, wait=wait)
    return reviews, products


def category_files(category: str, folder: Path) -> tuple[Path, Path]:
    """Where a category's reviews and metadata are or would be."""
    return folder / f"{category}.jsonl.gz", folder / f"meta_{category}.jsonl.gz"
