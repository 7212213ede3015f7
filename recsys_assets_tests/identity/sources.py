"""The event files that homes are built from: generated ones, and those that `RECSYS_TEST_DATA` holds.

They lie at the same place for every version, since their path is part of the fingerprints.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

VARIABLE: Final = "RECSYS_TEST_DATA"
_EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)
OTHER_SHOP: Final = "other_shop.csv"
"""The shop's events with another day to refuse."""
_REFUSED: Final = {"shop.csv": 17, OTHER_SHOP: 19}
"""The day on which two thirds of a file's events have no user, from 0."""
_STAMP: Final = 1_700_000_000


def generate(folder: Path) -> None:
    """Write the shop's events and a small MovieLens; the same bytes and times of change every time."""
    for name, refused in _REFUSED.items():
        _write(folder / name, ["customer,product,when,stars,price,qty", *_shop_rows(refused)])
    _write(folder / "movies" / "ratings.csv", ["userId,movieId,rating,timestamp", *_rating_rows()])
    titles = [f"{num},Film {num} ({1990 + num % 30}),Drama|Comedy" for num in range(1, 61)]
    _write(folder / "movies" / "movies.csv", ["movieId,title,genres", *titles])


def test_data() -> Path | None:
    """The folder of the public data sets; None where the variable is not set."""
    named = os.environ.get(VARIABLE)
    return Path(named).resolve() if named else None


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.utime(path, (_STAMP, _STAMP))


def _shop_rows(refused: int) -> Iterator[str]:
    rng = random.Random(7)
    for day in range(24):
        for place in range(120 + day % 5):
            user, item = int(rng.paretovariate(1.1)) % 60, int(rng.paretovariate(0.7)) % 40
            when = _EPOCH + timedelta(days=day, seconds=rng.randrange(86_400))
            who = "" if day == refused and place % 3 else f"c{user:02d}"
            rest = f"{rng.randint(1, 5)},{1 + item / 2:.2f},{rng.randint(1, 3)}"
            yield f"{who},p{item:02d},{when:%Y-%m-%dT%H:%M:%S},{rest}"


def _rating_rows() -> Iterator[str]:
    rng = random.Random(11)
    for day in range(14):
        for _ in range(90):
            when = int((_EPOCH + timedelta(days=day, seconds=rng.randrange(86_400))).timestamp())
            user, item = rng.randint(1, 40), 1 + int(rng.paretovariate(0.8)) % 60
            yield f"{user},{item},{rng.randint(1, 10) / 2},{when}"
