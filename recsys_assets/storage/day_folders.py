"""The folders of days: a daily table, quarantine and reports keep one a UTC day, named `date=YYYY-MM-DD`.

The name is that of Hive partitions, which polars, DuckDB, Spark and others read.
"""

import os
from datetime import date
from pathlib import Path
from typing import Final

_DAY_PREFIX: Final = "date="
PART: Final = "part-0.parquet"
"""The file of a day of a table."""
JOURNAL: Final = ".days.jsonl"
"""Facts about the days of a table, in its folder: a journal in a home, a table of all days in an object store."""


def day_folder(root: Path, day: date) -> Path:
    """Return the folder of one day under `root`: a daily table, `Home.quarantine` or `Home.reports`."""
    return root / day_name(day)


def day_name(day: date) -> str:
    """Return the name of a day's folder, as `date=2017-01-01`."""
    return f"{_DAY_PREFIX}{day.isoformat()}"


def days_under(root: Path) -> list[date]:
    """Return the days that have a folder under `root`, oldest first; none if `root` is missing."""
    try:
        names = os.listdir(root)  # noqa: PTH208  half the time of a Path a folder
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(
        date.fromisoformat(name.removeprefix(_DAY_PREFIX)) for name in names if name.startswith(_DAY_PREFIX)
    )
