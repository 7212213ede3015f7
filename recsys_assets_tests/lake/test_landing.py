"""Events become one frame a day, in bounded memory."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SourceFormatError
from recsys_assets.lake.files.rows_aside import RowsAside
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.completejourney import CompleteJourney
from recsys_assets.lake.sources.source import Source, raw_contract

FIRST = datetime(2017, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 12 * 86_400 * 10**6 - 1).map(lambda offset: FIRST + timedelta(microseconds=offset))


class InMemory(Source):
    """A source of given moments; the item id counts the events."""

    contract = raw_contract()

    def __init__(self, batches: Sequence[Sequence[datetime]], *, broken: bool = False) -> None:
        self._batches = batches
        self._broken = broken

    def files(self) -> Sequence[Path]:
        return [Path("memory")]

    def read(self, aside: RowsAside) -> Generator[pl.DataFrame]:  # noqa: ARG002
        number = 0
        for moments in self._batches:
            rows = [
                ("u", str(number + n), moment, None, None, None, None) for n, moment in enumerate(moments)
            ]
            number += len(rows)
            yield pl.DataFrame(rows, schema=self.contract.polars_schema(), orient="row")
        if self._broken:
            raise SourceFormatError("memory: line 9 is broken")

    def catalogue(self) -> None:
        return None


def days_from(first: int, count: int) -> list[date]:
    return [FIRST.date() + timedelta(days=first + n) for n in range(count)]


@given(
    batches=st.lists(st.lists(MOMENTS, max_size=12), max_size=8),
    days=st.lists(st.integers(-2, 14), unique=True, max_size=8),
    run_rows=st.integers(1, 40),
)
def test_each_day_has_its_events_in_the_order_of_the_source(tmp_path_factory, batches, days, run_rows):
    asked = [FIRST.date() + timedelta(days=day) for day in days]
    scratch = tmp_path_factory.mktemp("scratch")

    landed = list(iter_days(InMemory(batches), asked, scratch=scratch, run_rows=run_rows))

    everything = [(moment, str(n)) for n, moment in enumerate(m for batch in batches for m in batch)]
    assert [day for day, _ in landed] == sorted(asked)
    for day, frame in landed:
        assert frame.schema == InMemory.contract.polars_schema()
        assert frame.select("timestamp", "item_id").rows() == [e for e in everything if e[0].date() == day]
    assert not any(scratch.iterdir())


def test_all_days_are_those_from_the_first_event_to_the_last(tmp_path):
    batches = [[FIRST + timedelta(days=4)], [FIRST + timedelta(days=2)]]

    landed = iter_days(InMemory(batches), None, scratch=tmp_path, run_rows=1)

    assert [(day, frame.height) for day, frame in landed] == list(
        zip(days_from(2, 3), [1, 0, 1], strict=True)
    )


def test_all_days_of_no_event_are_none(tmp_path):
    assert list(iter_days(InMemory([[]]), None, scratch=tmp_path)) == []


def test_the_last_microsecond_of_a_day_is_its_own(tmp_path):
    midnight = FIRST + timedelta(days=1)
    moments = [FIRST, midnight - timedelta(microseconds=1), midnight]

    heights = [frame.height for _, frame in iter_days(InMemory([moments]), days_from(0, 2), scratch=tmp_path)]

    assert heights == [2, 1]


def test_no_day_comes_from_a_source_that_breaks_at_its_end(tmp_path):
    source = InMemory([[FIRST] * 10], broken=True)

    with pytest.raises(SourceFormatError, match="line 9"):
        next(iter_days(source, days_from(0, 1), scratch=tmp_path, run_rows=3))
    assert not any(tmp_path.iterdir())


def test_leaving_early_leaves_nothing_behind(tmp_path):
    days = iter_days(InMemory([[FIRST]] * 10), days_from(0, 3), scratch=tmp_path, run_rows=2)
    next(days)

    days.close()

    assert not any(tmp_path.iterdir())


def test_only_the_runs_of_killed_processes_are_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"landing-{ended.pid}-x"
    used = tmp_path / f"landing-{os.getpid()}-x"
    for folder in (left, used):
        folder.mkdir()
        (folder / "0.arrow").write_bytes(b"rows")

    list(iter_days(InMemory([[FIRST]]), days_from(0, 1), scratch=tmp_path))

    assert list(tmp_path.iterdir()) == [used]


def test_no_days_read_no_source(tmp_path):
    assert list(iter_days(InMemory([], broken=True), [], scratch=tmp_path / "none")) == []
    assert not (tmp_path / "none").exists()


def test_the_default_lands_whole(tmp_path):
    source = CompleteJourney()

    landed = {day: frame.height for day, frame in iter_days(source, days_from(0, 366), scratch=tmp_path)}

    assert sum(landed.values()) == 1_469_307
    assert [day for day, rows in landed.items() if not rows] == [date(2017, 12, 25)]
    assert landed[date(2018, 1, 1)] == 534


PEAK_MEMORY_OF_LANDING = """
import sys
from datetime import date, timedelta
from pathlib import Path
from recsys_assets.benchmarks.harness import peak_rss_mb
from recsys_assets.lake.landing import iter_days
from recsys_assets.lake.sources.amazon import Amazon

_, reviews, scratch, count = sys.argv
days = [date(2020, 1, 1) + timedelta(days=n) for n in range(int(count))]
landed = iter_days(Amazon(Path(reviews)), days, scratch=Path(scratch), run_rows=30_000)
rows = sum(frame.height for _, frame in landed)
print(rows, peak_rss_mb())
"""


@pytest.mark.parametrize("count", [1, 100], ids=["one day", "all days"])
def test_peak_memory_does_not_grow_with_the_source(tmp_path, count):
    rows, peaks = [], []
    for thousands in (400, 1200):  # below a few blocks' worth, memory does grow with the source
        path = tmp_path / f"{thousands}.jsonl.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write("".join(map(review, range(1000))).encode() * thousands)
        done = subprocess.run(
            [sys.executable, "-c", PEAK_MEMORY_OF_LANDING, path, tmp_path, str(count)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        rows.append(int(done.stdout.split()[0]))
        peaks.append(float(done.stdout.split()[1]))

    assert rows[1] == 3 * rows[0] == thousands * 1000 * count // 100
    assert peaks[1] < 1.15 * peaks[0]


def review(number: int) -> str:
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number % 100)
    text = {
        "user_id": f"user {number} with a long name",
        "parent_asin": f"B{number % 5000:09}",
        "text": "so " * 30,
    }
    return json.dumps({**text, "timestamp": int(moment.timestamp() * 1000), "rating": 5.0}) + "\n"
