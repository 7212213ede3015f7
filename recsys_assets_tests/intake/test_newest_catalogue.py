"""The newest catalogue as arrays: read as it was written, and a damaged file of it is named."""

import pytest

from recsys_assets.intake.newest_catalogue import CatalogueRow, damaged_in, read_newest, write_newest

ROWS = [CatalogueRow("b", "Tea", 2.5), CatalogueRow("a", None, None)]


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "catalogue_now"
    write_newest(found, ROWS)
    return found


def test_it_is_read_as_it_was_written(folder):
    found = read_newest(folder)
    assert [(found.category_of(item), found.price_of(item)) for item in "abc"] == [
        (None, None),
        ("Tea", 2.5),
        (None, None),
    ]


def test_each_landing_has_the_next_number(folder):
    write_newest(folder, ROWS)
    assert read_newest(folder).number == 2


def test_nothing_of_a_whole_one_is_damaged(folder, tmp_path):
    assert list(damaged_in(folder)) == list(damaged_in(tmp_path / "none")) == []


@pytest.mark.parametrize("content", [None, b"", b"\x00"])
def test_each_damaged_file_is_named(folder, content):
    for file in sorted(folder.iterdir()):
        write_newest(folder, ROWS)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        assert [path for path, _ in damaged_in(folder)] == [file]
