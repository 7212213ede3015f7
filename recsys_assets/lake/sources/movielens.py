"""MovieLens' ratings: `ratings.csv` (with a header) or `ratings.dat` (separated by `::`), beside `movies.*`.

The formats are described in GroupLens' README files. PATH is the ratings file or its folder; the movies are
looked for in the same folder. Timestamps are UTC epoch seconds.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from recsys_assets import columns
from recsys_assets.errors import SourceFormatError, SourceNotFoundError
from recsys_assets.lake.contract import ITEM_CATALOGUE
from recsys_assets.lake.sources.rows_aside import RowsAside
from recsys_assets.lake.sources.source import Source, raw_contract, utc_from_epoch
from recsys_assets.lake.sources.text_blocks import first_line
from recsys_assets.lake.sources.text_records import Dialect, tables

_RATINGS: Final = ("userId", "movieId", "rating", "timestamp")
_MOVIES: Final = ("movieId", "title", "genres")
_NO_GENRES: Final = "(no genres listed)"


class MovieLens(Source):
    """One file of ratings and, if there is one, the file of movies beside it."""

    contract = raw_contract()
    rating_positive = 4.0
    """Of 0.5 to 5 stars, or 1 to 5 in the older sets."""

    def __init__(self, path: Path) -> None:
        """Find the files and recognise their format by the first lines.

        Raises:
            InputError: a file is missing, empty or in another format.
        """
        ratings = _beside(path, "ratings") if path.is_dir() else path
        if ratings is None:
            raise SourceNotFoundError(
                f"{path}: holds neither ratings.csv nor ratings.dat; give MovieLens' folder or ratings file"
            )
        self._ratings = ratings
        self._dialect = _dialect(self._ratings, _RATINGS)
        self._movies = _beside(self._ratings.parent, "movies")

    def files(self) -> Sequence[Path]:
        """Return the ratings and, if there are any, the movies."""
        return [self._ratings] if self._movies is None else [self._ratings, self._movies]

    def read(self, aside: RowsAside) -> Generator[pl.DataFrame]:
        """Yield about 600,000 ratings a batch."""
        for table in tables(self._ratings, self._dialect, aside):
            times = table.typed("timestamp", pl.Int64)
            utc = utc_from_epoch(times, microseconds=1_000_000).alias(columns.TIMESTAMP)
            table.reject("timestamp", utc.is_null(), "is no timestamp")
            events = table.frame.select(
                pl.col("userId").alias(columns.USER_ID),
                pl.col("movieId").alias(columns.ITEM_ID),
                utc,
                table.typed("rating", pl.Float32).alias(columns.RATING),
                pl.lit(None, pl.Float32).alias(columns.QUANTITY),
                pl.lit(None, pl.Float64).alias(columns.VALUE),
                pl.lit(None, pl.String).alias(columns.KIND),
            )
            yield table.finish(events, aside)

    def catalogue(self) -> pl.DataFrame | None:
        """Return the movies; the first genre is the department, all genres are the category."""
        if self._movies is None:
            return None
        aside = RowsAside()
        movies = [table.frame for table in tables(self._movies, _dialect(self._movies, _MOVIES), aside)]
        aside.kept = sum(frame.height for frame in movies)
        aside.require_few()
        genres = pl.col("genres").replace(_NO_GENRES, None).str.split("|")
        return (
            pl.concat(movies)
            .select(
                pl.col("movieId").alias(columns.ITEM_ID),
                pl.col("title").str.strip_chars().alias(columns.TITLE),
                genres.list.first().alias(columns.DEPARTMENT),
                genres.list.join(columns.SEVERAL).alias(columns.CATEGORY),
                pl.lit(None, pl.String).alias(columns.BRAND),
                pl.lit(None, pl.Float64).alias(columns.PRICE),
            )
            .unique(columns.ITEM_ID, keep="first", maintain_order=True)
            .sort(columns.ITEM_ID)
            .match_to_schema(ITEM_CATALOGUE.polars_schema())
        )


def _beside(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}{suffix}" for suffix in (".csv", ".dat", ".csv.gz", ".dat.gz"))
    return next((file for file in candidates if file.is_file()), None)


def _dialect(path: Path, names: tuple[str, ...]) -> Dialect:
    """Recognise the format of one of MovieLens' files.

    Raises:
        InputError: the file has neither of the two formats.
    """
    line = first_line(path).decode(errors="replace")
    if line.count("::") == len(names) - 1:
        return Dialect(separator="::", names=names, quoted=False)
    if set(names) <= set(line.split(",")):
        return Dialect()
    raise SourceFormatError(
        f"{path}: line 1 is {line[:60]!r}; MovieLens has the header {','.join(names)} or fields separated by "
        "`::`; for other files use `tabular:PATH`"
    )
