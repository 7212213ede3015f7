"""A read-only home and a full disk are one line of every command, and no obstacle to those that read."""

import shutil
from collections.abc import Iterator

import click
import pytest

from recsys_assets.benchmarks.file_faults import compiled, shim_variables
from recsys_assets.benchmarks.harness import run_apart
from recsys_assets.cli import main
from recsys_assets_tests.benchmarks.unwritable import COMMANDS, NOT_RUN


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the shim is compiled")
@pytest.mark.timeout(900)
def test_no_command_has_more_than_a_line_where_nothing_can_be_written(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    module = "recsys_assets_tests.benchmarks.unwritable"
    found = run_apart(module, str(place), env=shim_variables(compiled(tmp_path)))
    assert found["wrong"] == {}
    assert found["ends"] == 2 * len(COMMANDS)


def names(command: click.Command, before: str = "") -> Iterator[str]:
    for name, one in command.commands.items() if isinstance(command, click.Group) else ():
        yield from names(one, f"{before}{name} ") if isinstance(one, click.Group) else (f"{before}{name}",)


def test_every_command_is_run_where_nothing_can_be_written():
    assert set(names(main)) - NOT_RUN == set(COMMANDS)
