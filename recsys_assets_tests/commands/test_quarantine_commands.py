"""`recsys quarantine`: days and spans are dropped at once, or nothing is."""

from datetime import date
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from recsys_assets.commands.quarantine_commands import quarantine
from recsys_assets.errors import QuarantineError
from recsys_assets.quality.quarantine import RejectedDay, rejected_days


def rejected_home(tmp_path, days) -> Path:
    """A home with nothing but rejected deliveries of these days of September 2017."""
    for day in days:
        folder = tmp_path / "quarantine" / f"date=2017-09-{day:02d}"
        folder.mkdir(parents=True)
        note = RejectedDay(table="raw", day=date(2017, 9, day), rows=day, fingerprint="", reasons=[])
        (folder / "raw.json").write_bytes(msgspec.json.encode(note))
    return tmp_path


@pytest.mark.parametrize(
    ("days", "dropped"),
    [
        (["2017-09-03"], [3]),
        (["2017-09-05", "2017-09-01"], [1, 5]),
        (["2017-09-02..2017-09-05"], [3, 4, 5]),
        (["2017-08-01..2017-12-31", "2017-09-03"], [1, 3, 4, 5, 8]),
    ],
)
def test_many_days_are_dropped_at_once(tmp_path, days, dropped):
    home = rejected_home(tmp_path, [1, 3, 4, 5, 8])
    done = CliRunner().invoke(quarantine, ["drop", "--home", str(home), *days])
    assert done.exit_code == 0, done.output
    lines = [line.split()[:3] for line in done.output.splitlines()]
    assert lines == [[f"2017-09-{d:02d}", "raw:", str(d)] for d in dropped]
    left = [one.day.day for one in rejected_days(home / "quarantine")]
    assert left == sorted({1, 3, 4, 5, 8} - set(dropped))


def test_a_span_without_rejected_days_drops_nothing(tmp_path):
    home = rejected_home(tmp_path, [1])
    done = CliRunner().invoke(
        quarantine, ["drop", "--home", str(home), "2017-09-01", "2017-10-01..2017-10-31"]
    )
    assert isinstance(done.exception, QuarantineError)
    assert "2017-10-01..2017-10-31 is not in quarantine; in quarantine are 2017-09-01" in str(done.exception)
    assert len(rejected_days(home / "quarantine")) == 1


@pytest.mark.parametrize("argument", ["2017-09-05..2017-09-01", "2017-09", "2017-09-01..", "yesterday"])
def test_an_argument_that_is_neither_day_nor_span_is_an_error(tmp_path, argument):
    done = CliRunner().invoke(quarantine, ["drop", "--home", str(rejected_home(tmp_path, [1])), argument])
    assert (done.exit_code, len(rejected_days(tmp_path / "quarantine"))) == (2, 1)
