"""A staged home reads as the real one, and what is written into it stays there."""

from datetime import date

import polars as pl
import pytest

from recsys_assets.orchestration.planning.staged_home import (
    bytes_staged,
    drop_raw,
    open_days,
    staged_home,
)
from recsys_assets.storage.home import Home
from recsys_assets.storage.partition_store import PartitionStore

FIRST, SECOND = date(2024, 1, 1), date(2024, 1, 2)
ONE, TWO = pl.DataFrame({"n": [1]}), pl.DataFrame({"n": [2, 3]})


def raw(home: Home) -> PartitionStore:
    return PartitionStore(root=home.raw, schema=ONE.schema)


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path)
    store = raw(home)
    for day in (FIRST, SECOND):
        store.write(day, ONE)
    store.settle()
    home.settings_file.write_text("# settings\n")
    return home


def everything(home: Home) -> dict[str, bytes]:
    return {
        str(file.relative_to(home.root)): file.read_bytes() for file in home.root.rglob("*") if file.is_file()
    }


def test_it_reads_as_the_home_and_knows_its_files_without_reading_them(home):
    with staged_home(home, settings_file=None, rules_file=None) as staged:
        assert raw(staged).files() == raw(home).files()
        assert staged.settings_file.read_text() == "# settings\n"


def test_a_proposed_file_stands_in_it(home, tmp_path):
    proposal = tmp_path / "proposal.toml"
    proposal.write_text("# proposed\n")
    with staged_home(home, settings_file=proposal, rules_file=proposal) as staged:
        assert staged.settings_file.read_text() == staged.rules_file.read_text() == "# proposed\n"


def test_a_day_written_into_it_leaves_the_home_as_it_is_and_nothing_is_left_over(home):
    before = everything(home)
    with staged_home(home, settings_file=None, rules_file=None) as staged:
        open_days(staged, home, [FIRST])
        store = raw(staged)
        assert store.read(FIRST).equals(ONE)
        store.write(FIRST, TWO)
        store.settle()
        assert raw(staged).read(FIRST).equals(TWO)
        assert raw(home).read(FIRST).equals(ONE)
        assert bytes_staged(staged) == store.path(FIRST).stat().st_size
    assert everything(home) == before


def test_a_raw_day_can_be_left_out(home):
    with staged_home(home, settings_file=None, rules_file=None) as staged:
        drop_raw(staged, [SECOND])
        assert raw(staged).days() == [FIRST]
    assert raw(home).days() == [FIRST, SECOND]


def test_one_that_a_killed_process_left_is_removed(home):
    left = home.scratch / "plan-999999999-abc"
    left.mkdir(parents=True)
    with staged_home(home, settings_file=None, rules_file=None):
        assert not left.exists()
