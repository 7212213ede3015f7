"""`recsys init`: a source read once, its days written to `recsys.toml`, and moved on when the source grows.

A category of Amazon Reviews 2023 is downloaded first, from the place and in the layout of
https://amazon-reviews-2023.github.io (Hou et al. 2024, "Bridging Language and Items for Retrieval and
Recommendation").
"""

import difflib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from recsys_assets.errors import InputError, SettingsError, SourceFormatError
from recsys_assets.lake.download import Progress, fetch
from recsys_assets.lake.source_days import DaysReading, SourceDays
from recsys_assets.lake.sources.date_range import choose_range
from recsys_assets.lake.sources.registry import Spec, open_source, preset_of, table_of
from recsys_assets.lake.sources.survey import Survey
from recsys_assets.lake.wish_defaults import set_wish_defaults, unknown_kinds_in_words, wishes_in_words
from recsys_assets.settings import Settings, load_settings
from recsys_assets.source_settings import BAD_ROWS, Given, ReadingSettings, SourceSettings
from recsys_assets.storage.home import Home
from recsys_assets.storage.settings_file import read_table, write_section

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
        folder: the folder of the two files.
        base_url: the URL above `raw/review_categories/` and `raw/meta_categories/`.
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
    """Return the paths of a category's reviews and metadata, downloaded or not."""
    return folder / f"{category}.jsonl.gz", folder / f"meta_{category}.jsonl.gz"


AMAZON_URL_VARIABLE: Final = "RECSYS_SOURCE__AMAZON_URL"


def initialise(
    home: Home,
    spec: str,
    *,
    days: int | None = None,
    first: date | None = None,
    last: date | None = None,
    read_on: date | None = None,
    columns: Mapping[str, str] | None = None,
    reading: ReadingSettings | None = None,
    bad_rows: float | None = None,
    amazon_url: str | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    watch: Callable[[pl.DataFrame], None] | None = None,
) -> Settings:
    """Read the source once, write the days that it covers to `<home>/recsys.toml`, and return the settings now.

    `amazon-2023:CATEGORY` is downloaded to `<home>/downloads` first and is an `amazon` source from then on.
    An earlier `recsys.toml` keeps everything outside of `[source]`, but a `rating_positive` that was chosen here.

    Args:
        home: made where missing.
        spec: the source; relative paths are made absolute.
        days: take only the first N days, >= 1, and do not follow the source; None takes all and follows.
        first: the first day, whatever the source has; None chooses it by `choose_range`.
        last: the last day, in the same way; a given one does not follow the source.
        read_on: today, UTC; None reads the clock.
        columns: for `tabular`, our column name -> the file's; what is left out is guessed by name.
        reading: for `tabular`, the way that its files are read; what is left out is recognised.
        bad_rows: share of rows that may be unreadable; None for the default.
        amazon_url: the place of `amazon-2023`; None takes the variable, the earlier `recsys.toml`'s or the published.
        progress: called after each chunk of a download.
        say: called with one line on the events that count as a wish.
        watch: called with each batch of events.

    Raises:
        InputError: the source cannot be downloaded or read, or a question about it is open; the settings file stays
            as it is.
        SettingsError: `days` < 1 or beside `last`, `last` before `first`, or an earlier `recsys.toml` cannot be read.
    """
    _require_days(days, first, last)
    kept = read_table(home.settings_file)
    url = amazon_url or os.environ.get(AMAZON_URL_VARIABLE) or kept.get("source", {}).get("amazon_url")
    written = _fetched(home, spec, url or PUBLISHED, progress)
    given, chosen = _decided(written, Given(columns=columns or {}, reading=reading or ReadingSettings()))
    survey, counted, name = _counted(written, given, bad_rows, watch)
    found = choose_range(counted.rows, name=name, read_on=read_on or _today(), first=first, last=last)
    limit = found.last_day if days is None else found.first_day + timedelta(days=days - 1)
    last_day = min(found.last_day, limit)
    source: dict[str, Any] = {"spec": written, "first_day": found.first_day, "last_day": last_day}
    source["rows_to"] = None
    source |= {"columns": dict(given.columns) or None, "bad_rows": bad_rows, "amazon_url": url or None}
    source |= {"follow": days is None and last is None, **_reading_values(given.reading, kept)}
    write_source(home, source, counted)
    ratings = survey.ratings if table_of(written, given.reading) is not None else None
    set_wish_defaults(home.settings_file, ratings, chosen=chosen)
    if say is not None:
        _say_wishes(home, written, survey, say)
    return load_settings(home)


def _fetched(home: Home, spec: str, base_url: str, progress: Progress | None) -> str:
    """Return the spec as `recsys.toml` has it, after a download where the source is one."""
    parts = Spec.parse(spec)
    if parts.kind == "amazon-2023":
        fetch_category(parts.path, home.downloads, base_url=base_url, progress=progress)
    return spec_as_written(home, spec)


def _say_wishes(home: Home, written: str, survey: Survey, say: Callable[[str], None]) -> None:
    """Say a ready-made source's note, and the events that count as a wish."""
    preset = preset_of(written)
    if preset is not None and preset.note:
        say(preset.note)
    settings = load_settings(home)
    say(wishes_in_words(settings, survey))
    if unknown := unknown_kinds_in_words(settings.interactions, survey.kinds):
        say(unknown)


def _decided(written: str, given: Given) -> tuple[Given, Mapping[str, Any]]:
    """Return all decisions about a source, and the fields of `[interactions]` that it sets."""
    table = table_of(written, given.reading)
    if table is not None:
        from recsys_assets.lake.proposal import settled  # noqa: PLC0415  what only a table needs

        proposal = settled(table, given, take=False)
        pieces = {"identical_rows": "pieces"} if proposal.pieces else {}
        return Given(columns=proposal.columns, reading=proposal.reading), pieces
    preset = preset_of(written)
    if preset is None and given.reading != ReadingSettings():
        raise InputError(f"source {written!r}: is no table; leave out the options that say how to read one")
    return given, {} if preset is None else preset.interactions


def _counted(
    written: str, given: Given, bad_rows: float | None, watch: Callable[[pl.DataFrame], None] | None
) -> tuple[Survey, SourceDays, str]:
    """Read the whole source, and return its counts, and its first file, which errors name."""
    source = open_source(written, columns=given.columns, reading=given.reading)
    source.bad_rows = BAD_ROWS if bad_rows is None else bad_rows
    days = DaysReading(source)
    try:
        survey = Survey.of(days.batches() if watch is None else _watched(days.batches(), watch))
    except SourceFormatError as error:
        raise SourceFormatError(f"{error}{_hint(written, given)}") from None
    return survey, days.result(), str(source.files()[0])


def _hint(written: str, given: Given) -> str:
    """Return the words on a ready-made source that the files of a table are those of; empty where there is none."""
    table = table_of(written, given.reading)
    if table is None:
        return ""
    from recsys_assets.lake.proposal import ready_made  # noqa: PLC0415
    from recsys_assets.lake.sources.tabular import files_of  # noqa: PLC0415

    spec = ready_made(table, files_of(table, given.reading))
    return "" if spec is None else f"; or read it ready-made by --source '{spec}'"


def _watched(
    batches: Iterable[pl.DataFrame], watch: Callable[[pl.DataFrame], None]
) -> Iterator[pl.DataFrame]:
    for batch in batches:
        watch(batch)
        yield batch


def _reading_values(reading: ReadingSettings, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field of `[source]` that holds the way of reading; none where there is nothing to say."""
    values = {
        field.name: value if (value := getattr(reading, field.name)) != field.default and value else None
        for field in msgspec.structs.fields(ReadingSettings)
    }
    if reading.header is False:
        values["header"] = False
    said = any(value is not None for value in values.values())
    return {"reading": values} if said or kept.get("source", {}).get("reading") else {}


def _require_days(days: int | None, first: date | None, last: date | None) -> None:
    if days is not None and days < 1:
        raise SettingsError(f"days is {days}; give at least 1")
    if days is not None and last is not None:
        raise SettingsError(f"days is {days} and the last day {last}; give one of them")
    if first is not None and last is not None and last < first:
        raise SettingsError(f"the last day, {last}, is before the first, {first}")


def _today() -> date:
    return datetime.now(UTC).date()


def write_source(home: Home, source: Mapping[str, Any], counted: SourceDays) -> Settings:
    """Write fields of `[source]` with a note on its rows, then the counts by file and day and the account.

    Returns:
        The settings in force now.
    """
    first, last = source["first_day"], source.get("rows_to") or source["last_day"]
    note = f"{counted.rows.inside(first, last).total:,} events from {first} to {last} when `recsys init` read it."
    left_out = counted.rows.outside(first, last)
    if left_out.total:
        note += f" Not in these days (outside_range): {left_out}."
    write_section(home.settings_file, Settings, "source", source, note=note)
    settings = load_settings(home)
    counted.save(home, settings.source)
    return settings


def spec_as_written(home: Home, spec: str) -> str:
    """Return `spec` as `recsys.toml` has it: with absolute paths, and the files of a download.

    Raises:
        InputError: `spec` is not a source's.
    """
    parts = Spec.parse(spec)
    if parts.kind == "amazon-2023":
        reviews, products = category_files(parts.path, home.downloads)
        parts = Spec(kind="amazon", path=str(reviews), meta=str(products))
    return str(parts.absolute())
