"""One Parquet file a day, replaced atomically."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from recsys_assets.storage import day_frames
from recsys_assets.storage.day_folders import JOURNAL
from recsys_assets.storage.partition_store import PartitionStore

SCHEMA = pl.Schema({"user_id": pl.String, "timestamp": pl.Datetime("us", "UTC")})
FIRST, SECOND = date(2017, 1, 1), date(2017, 1, 2)


def day_of(user: str, day: date) -> pl.DataFrame:
    return pl.DataFrame(
        {"user_id": [user], "timestamp": [datetime(day.year, day.month, day.day, 12, tzinfo=UTC)]},
        schema=SCHEMA,
    )


@pytest.fixture
def store(tmp_path):
    return PartitionStore(root=tmp_path / "lake" / "raw", schema=SCHEMA)


def test_a_store_without_a_folder_has_no_days(store):
    assert store.days() == []
    assert store.scan([]).collect().schema == SCHEMA


def test_a_day_is_read_as_it_was_written(store):
    frame = day_of("u", FIRST)

    path = store.write(FIRST, frame)

    assert path.parts[-2:] == ("date=2017-01-01", "part-0.parquet")
    assert store.read(FIRST).equals(frame)


def test_writing_a_day_again_replaces_it_and_leaves_one_file(store):
    store.write(FIRST, day_of("old", FIRST))
    path = store.write(FIRST, day_of("new", FIRST))

    assert store.read(FIRST)["user_id"].to_list() == ["new"]
    assert [file.name for file in path.parent.iterdir()] == ["part-0.parquet"]


def test_a_reader_keeps_the_file_it_opened(store):
    opened = store.write(FIRST, day_of("old", FIRST)).open("rb")
    store.write(FIRST, day_of("new", FIRST))

    with opened:
        assert pl.read_parquet(opened)["user_id"].to_list() == ["old"]


def test_days_are_in_order_of_date_not_of_writing(store):
    store.write(SECOND, day_of("b", SECOND))
    store.write(FIRST, day_of("a", FIRST))

    assert store.days() == [FIRST, SECOND]
    assert store.scan(store.days()).collect()["user_id"].to_list() == ["a", "b"]


def test_a_staged_file_of_a_killed_write_is_no_day(store):
    folder = store.path(FIRST).parent
    folder.mkdir(parents=True)
    (folder / ".part-0.parquet.staged").write_bytes(b"half")

    assert store.days() == []


def test_an_empty_day_keeps_its_schema(store):
    store.write(FIRST, SCHEMA.to_frame())

    assert store.read(FIRST).schema == SCHEMA
    assert store.days() == [FIRST]


def test_the_checksum_is_of_the_content(store):
    store.write(FIRST, day_of("a", FIRST))
    before = store.checksum(FIRST)
    store.write(FIRST, day_of("a", FIRST))
    again = store.checksum(FIRST)
    store.write(FIRST, day_of("b", FIRST))

    assert before == again != store.checksum(FIRST)


def test_a_day_removed_is_gone_and_may_be_removed_again(store):
    store.write(FIRST, day_of("a", FIRST))

    store.remove(FIRST)
    store.remove(FIRST)

    assert store.days() == []


def test_a_day_keeps_its_provenance(tmp_path):
    store = PartitionStore(
        root=tmp_path, schema=SCHEMA, provenance=lambda day: {"made-from": f"source of {day}"}
    )
    store.write(FIRST, day_of("a", FIRST))

    assert store.file(FIRST).provenance["made-from"] == "source of 2017-01-01"
    assert store.file(SECOND) is None


def test_chunks_hold_each_day_with_a_file_its_rows_and_the_common_columns(store, monkeypatch):
    monkeypatch.setattr(day_frames, "CHUNK_DAYS", 3)
    monkeypatch.setattr(day_frames, "CHUNK_ROWS", 5)
    heights = [1, 0, 2, 4, 7, 0, None, 2]
    days = [FIRST + timedelta(days=n) for n in range(len(heights))]
    for day, height in zip(days, heights, strict=True):
        if height is not None:
            frame = pl.concat([SCHEMA.to_frame(), *[day_of(f"{day}", day)] * height])
            store.write(day, frame.with_columns(extra=pl.lit(1)).select("timestamp", "user_id", "extra"))

    chunks = list(store.read_chunks(days))

    assert [[frame.height for _, frame in chunk] for chunk in chunks] == [[1, 0, 2], [4], [7], [0, 2]]
    found = [day for chunk in chunks for day in chunk]
    assert [day for day, _ in found] == [
        day for day, height in zip(days, heights, strict=True) if height is not None
    ]
    for day, frame in found:
        assert frame.equals(store.read(day).select(list(SCHEMA)))


def test_files_with_other_columns_are_read_together(store):
    store.write(FIRST, day_of("a", FIRST).with_columns(extra=pl.lit(1)))
    store.write(SECOND, day_of("b", SECOND))

    (chunk,) = store.read_chunks([FIRST, SECOND])

    assert [frame["user_id"].to_list() for _, frame in chunk] == [["a"], ["b"]]
    assert all(frame.schema == SCHEMA for _, frame in chunk)


def test_empty_days_among_others_change_nothing_of_a_scan(store):
    third = SECOND + timedelta(days=1)
    store.write(FIRST, SCHEMA.to_frame())
    assert store.scan([FIRST]).collect().equals(SCHEMA.to_frame())
    store.write(SECOND, day_of("b", SECOND))
    store.write(third, SCHEMA.to_frame())

    assert store.scan([FIRST, SECOND, third]).collect()["user_id"].to_list() == ["b"]


def test_a_scan_of_a_broken_or_missing_day_raises(store):
    store.write(FIRST, day_of("a", FIRST))
    store.path(FIRST).write_bytes(b"PAR1 no more")

    with pytest.raises(pl.exceptions.ComputeError):
        store.scan([FIRST]).collect()
    with pytest.raises(FileNotFoundError):
        store.scan([FIRST, SECOND]).collect()


def test_a_column_that_an_older_file_lacks_is_null_beside_newer_files(store):
    older = day_of("old", FIRST).drop("timestamp").with_columns(shop=pl.lit("s"))
    store.write(FIRST, older)
    second = FIRST + timedelta(days=1)
    store.write(second, day_of("new", second))

    assert store.read(FIRST).columns == [*SCHEMA, "shop"]
    for days in ([FIRST, second], [second, FIRST]):
        read = store.scan(days).collect()
        assert read.schema == SCHEMA
        assert dict(read.rows())["old"] is None
        assert [frame.schema for _, frame in next(store.read_chunks(days))] == [SCHEMA, SCHEMA]


def read_all(store, **how) -> list[pl.DataFrame]:
    (chunk,) = store.read_chunks(store.days(), every_column=True, **how)
    return [frame for _, frame in chunk]


def test_days_are_read_together_with_the_columns_of_their_own(store):
    for day in (FIRST, SECOND):
        store.write(day, day_of("u", day).with_columns(order=pl.lit("o")))
    store.write(FIRST + timedelta(days=2), day_of("u", FIRST).clear())
    assert [frame.columns for frame in read_all(store)] == [["user_id", "timestamp", "order"]] * 3
    assert [frame.height for frame in read_all(store)] == [1, 1, 0]


@pytest.mark.parametrize("later", [{"line": "1", "order": "o"}, {"order": 7}, {}])
def test_days_of_two_versions_are_read_together(store, later):
    store.write(FIRST, day_of("u", FIRST).with_columns(order=pl.lit("o")))
    store.write(
        SECOND, day_of("v", SECOND).with_columns(pl.lit(value).alias(name) for name, value in later.items())
    )
    first, second = read_all(store)
    assert first.schema == second.schema
    assert (first["order"].to_list(), first["user_id"].to_list()) == (["o"], ["u"])
    assert second["order"].to_list() == [str(later["order"]) if later else None]


def test_some_rows_of_many_days_are_read(store):
    for day, user in ((FIRST, "u"), (SECOND, "v")):
        store.write(day, day_of(user, day))
    found = read_all(store, where=lambda rows: rows.filter(pl.col("user_id") == "v"))
    assert [frame["user_id"].to_list() for frame in found] == [[], ["v"]]


def test_facts_about_the_rows_are_found_without_opening_the_file(store):
    noting = PartitionStore(root=store.root, schema=SCHEMA, note=lambda frame: {"rows": str(frame.height)})
    noting.write(FIRST, day_of("u", FIRST))
    assert store.file(FIRST).provenance["rows"] == "1"


def test_the_same_rows_from_other_inputs_have_the_same_content(tmp_path):
    found = []
    for number in ("1", "2"):
        made = PartitionStore(
            root=tmp_path / number, schema=SCHEMA, provenance=lambda _, n=number: {"from": n}
        )
        made.write(FIRST, day_of("u", FIRST))
        made.settle()
        (tmp_path / number / JOURNAL).unlink()
        found.append(PartitionStore(root=tmp_path / number, schema=SCHEMA).file(FIRST))
    assert found[0].checksum != found[1].checksum
    assert found[0].content == found[1].content


def test_other_rows_or_columns_have_another_content(store):
    found = set()
    for frame in (day_of("u", FIRST), day_of("v", FIRST), day_of("u", FIRST).rename({"user_id": "visitor"})):
        store.write(FIRST, frame)
        found.add(store.file(FIRST).content)
    assert len(found) == 3
