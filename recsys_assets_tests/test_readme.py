"""The README's commands are those of this version, and its tables those of the code."""

import os
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from recsys_assets.cli import main
from recsys_assets.definitions import defs
from recsys_assets_tests.conftest import BUILT_DAYS

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.strip().splitlines()]
RECSYS = [shlex.split(line)[1:] for line in COMMANDS if line.startswith("recsys ")]


def test_the_two_commands_are_the_first():
    assert COMMANDS[0].endswith(".venv/bin/pip install -e . && .venv/bin/recsys up")
    assert COMMANDS[1].endswith(".venv/bin/pip install -e '.[dev]' && .venv/bin/pytest")


@pytest.mark.parametrize("arguments", RECSYS, ids=" ".join)
def test_every_recsys_command_has_the_options_it_is_shown_with(arguments):
    command, rest = main, list(arguments)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    command.make_context(arguments[0], rest)


def test_the_asset_table_names_every_asset():
    names = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    rows = [line for line in README.splitlines() if line.startswith("| ")]
    assert names <= set(re.findall(r"`(\w+)`", "\n".join(rows)))


def test_nothing_is_left_to_fill_in():
    assert not re.findall(r"\b(TODO|TBD|API_EXAMPLE|FIXME)\b", README)


def test_the_releases_commands_run(recsys, built_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(built_home, home)
    assert recsys("releases", "list", home=home).stdout.startswith("* ")
    assert recsys("land", "--from", "2017-01-02", "--to", "2017-01-03", home=home).returncode == 0
    assert len(list((home / "lake" / "interactions").glob("date=*"))) == BUILT_DAYS


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_amazon_commands_run(recsys, tmp_path):
    data = os.environ.get("RECSYS_TEST_DATA")
    if not data:
        pytest.skip("RECSYS_TEST_DATA is not set: the Amazon commands were not run")
    file = Path(data) / "amazon_2014_Musical_Instruments_5.json.gz"
    home = tmp_path / "reviews"
    assert recsys("init", "--source", f"amazon:{file}", home=home).returncode == 0
    built = recsys("build", home=home, timeout=1700)
    assert built.returncode == 0, built.stdout + built.stderr
    assert (
        "Recommendations for A2IBPI20UZIR0U"
        in recsys("recommend", "A2IBPI20UZIR0U", "-k", "5", home=home).stdout
    )
