"""MovieLens' two forms become the same events."""

from datetime import UTC, datetime

import pytest

from recsys_assets.errors import SourceFormatError, SourceNotFoundError
from recsys_assets.lake.sources.registry import open_source
from recsys_assets.lake.sources.source import Source

EVENTS = [
    ("1", "1193", datetime(2000, 12, 31, 22, 12, 40, tzinfo=UTC), 5.0, None, None, None),
    ("2", "661", datetime(2000, 12, 31, 22, 35, 9, tzinfo=UTC), 3.5, None, None, None),
]


def movielens(path) -> Source:
    return open_source(f"movielens:{path}")


def in_csv(folder):
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,1193,5.0,978300760\n2,661,3.5,978302109\n"
    )
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n661,"Giant, The ""Peach"" (1996)",Animation|Musical\n'
        "1193,Nest (1975),(no genres listed)\n"
    )
    return folder


def in_dat(folder, encoding="latin-1"):
    (folder / "ratings.dat").write_text("1::1193::5::978300760\n2::661::3.5::978302109\n")
    (folder / "movies.dat").write_text('661::Misérables, "Les" (1995)::Drama|War\n', encoding=encoding)
    return folder


@pytest.mark.parametrize("written", [in_csv, in_dat])
def test_ratings_are_events(tmp_path, written):
    assert movielens(written(tmp_path)).scan().collect().rows() == EVENTS


def test_the_ratings_file_may_be_named_itself(tmp_path):
    source = movielens(in_csv(tmp_path) / "ratings.csv")

    assert [file.name for file in source.files()] == ["ratings.csv", "movies.csv"]


def test_the_catalogue_of_csv_has_title_and_genres(tmp_path):
    assert movielens(in_csv(tmp_path)).catalogue().rows() == [
        ("1193", "Nest (1975)", None, None, None, None),
        ("661", 'Giant, The "Peach" (1996)', "Animation", "Animation | Musical", None, None),
    ]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_the_catalogue_of_dat_is_read_in_its_encoding(tmp_path, encoding):
    assert movielens(in_dat(tmp_path, encoding)).catalogue().rows() == [
        ("661", 'Misérables, "Les" (1995)', "Drama", "Drama | War", None, None)
    ]


def test_without_movies_there_is_no_catalogue(tmp_path):
    (in_csv(tmp_path) / "movies.csv").unlink()

    assert movielens(tmp_path).catalogue() is None


def test_raises_when_a_folder_has_no_ratings(tmp_path):
    (tmp_path / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,2,x,3\n")

    with pytest.raises(SourceNotFoundError, match=r"no events of movielens .*ratings\.csv or .*ratings\.dat"):
        movielens(tmp_path)


def test_raises_when_the_file_has_other_columns(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item\n1,2\n")

    with pytest.raises(
        SourceFormatError, match=r"is not of movielens .*: no column 'userId', only user, item"
    ):
        movielens(tmp_path / "ratings.csv")


def test_raises_with_the_line_when_a_timestamp_is_wrong(tmp_path):
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n1::1193::5::soon\n")

    with pytest.raises(SourceFormatError, match="line 2, column 'timestamp': 'soon'"):
        movielens(tmp_path).date_range()
