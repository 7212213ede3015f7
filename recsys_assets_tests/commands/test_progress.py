"""A long command says from its first second what it is doing."""

import io
import itertools
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from recsys_assets.commands.progress import ConsoleWatcher


class _Pipe:
    """A watcher that writes into a pipe, and looks at a clock that the test moves on."""

    def __init__(self) -> None:
        self.now, self.file = 0.0, io.StringIO()
        self.watcher = ConsoleWatcher(Console(file=self.file, width=200), clock=lambda: self.now)

    def wait(self, seconds: float) -> list[tuple[float, str]]:
        """Tick five times a second; return each line with its second."""
        came = []
        for _ in range(round(seconds * 5)):
            self.now += 0.2
            before = len(self.lines())
            self.watcher.tick()
            came += [(self.now, line) for line in self.lines()[before:]]
        return came

    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


@pytest.fixture
def pipe():
    return _Pipe()


def _row(stage, status):
    return SimpleNamespace(stage=stage, status=status, seconds=3.0, detail="", warnings=())


def test_no_stage_is_silent_for_three_seconds_whatever_it_reports(pipe):
    moments = [0.0, *(at for at, _ in pipe.wait(20))]
    pipe.watcher.begin("evaluation", "")
    moments += [at for at, _ in pipe.wait(60)]
    pipe.watcher.report("factorisation", 1, 15)
    moments += [at for at, _ in pipe.wait(20)]

    silences = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert max(silences) < 3
    assert min(silences) >= 1 - 1e-6


def test_a_stage_that_counts_shows_its_rate_and_the_time_left(pipe):
    pipe.watcher.begin("raw_interactions", "60 days")
    pipe.wait(0.8)
    pipe.watcher.report("raw_interactions", 20, 60)

    assert pipe.wait(0.2) == [(1.0, "raw_interactions: 20 of 60 days, 20 days a second, 2 s left …")]


def test_a_stage_that_has_counted_all_is_finishing(pipe):
    pipe.watcher.begin("raw_interactions", "60 days")
    pipe.watcher.report("raw_interactions", 60, 60)

    assert pipe.wait(1)[0][1] == "raw_interactions: 60 of 60 days, finishing: 1 s …"


def test_a_stage_that_cannot_count_shows_the_seconds(pipe):
    pipe.watcher.begin("evaluation", "")

    assert [line for _, line in pipe.wait(3)] == ["evaluation: 1 s …", "evaluation: 3 s …"]


def test_a_download_shows_megabytes(pipe):
    pipe.watcher.download("Books.jsonl.gz", 5_000_000, 20_000_000)

    assert pipe.wait(1)[-1][1] == "download of Books.jsonl.gz: 5 of 20 MB, 5.0 MB a second, 3 s left …"


def test_between_stages_it_says_that_it_looks_for_what_is_stale(pipe):
    pipe.watcher.begin("interactions", "3 days")
    pipe.watcher.end(_row("interactions", "built"))
    pipe.watcher.end(_row("release", "fresh"))

    assert pipe.lines() == ["interactions: 3 days …", "interactions: built in 3.0 s"]
    assert pipe.wait(1)[0][1] == "looking for what is stale: 1 s …"


def test_a_terminal_gets_a_bar_with_rate_and_time_left():
    file = io.StringIO()
    with ConsoleWatcher(Console(file=file, force_terminal=True, width=160)) as watcher:
        watcher.begin("raw_interactions", "60 days")
        for day in range(1, 61):
            watcher.report("raw_interactions", day, 60)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())

    assert "raw_interactions" in shown
    assert "60/60" in shown
    assert "days a second" in shown


_FIRST_LINE = """\
import sys, click
from click.testing import CliRunner
from recsys_assets.cli import main
heavy = {"dagster", "polars", "torch", "numpy", "rich"}
printed = click.echo
def echo(text=None, **given):
    printed(f"{text} {sorted(heavy & set(sys.modules))}", **given)
    raise KeyboardInterrupt
click.echo = echo
main(sys.argv[1:])
"""


@pytest.mark.parametrize("command", ["up", "build", "init", "land --next 1"])
def test_the_first_line_comes_before_anything_heavy_is_imported(tmp_path, command):
    arguments = [*command.split(), "--home", str(tmp_path / "home")]
    said = subprocess.run(
        [sys.executable, "-c", _FIRST_LINE, *arguments], capture_output=True, text=True, check=False
    )
    first, *_ = said.stdout.splitlines()
    assert first.endswith("… []"), said
