"""The documents' commands are those of this version, and their names, links and images exist."""

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

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    "recsys_assets/benchmarks/README.md",
]
BLOCKS = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.strip().splitlines()]
RECSYS = [
    shlex.split(line)[1:]
    for document in DOCUMENTS
    for block in re.findall(r"```console\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    for line in block.strip().splitlines()
    if re.match(r"(\.venv/bin/)?recsys ", line)
]


def test_the_two_commands_are_the_first():
    assert COMMANDS[0].endswith(".venv/bin/pip install -e . && .venv/bin/recsys up")
    assert COMMANDS[1].endswith(".venv/bin/pip install -e '.[dev]' && .venv/bin/pytest")


@pytest.mark.parametrize("arguments", RECSYS, ids=" ".join)
def test_every_recsys_command_has_the_options_it_is_shown_with(arguments):
    command, rest = main, list(arguments)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    command.make_context(arguments[0], rest)


def test_every_asset_is_named():
    names = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert names <= set(re.findall(r"`(\w+)`", README))


def test_it_is_read_in_one_sitting():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_and_image_leads_to_a_file(document):
    text = (ROOT / document).read_text()
    targets = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / document).parent.joinpath(target).is_file()] == []


@pytest.mark.parametrize("name", ["explorer.png", "lineage.png"])
def test_a_screenshot_is_shown_and_small(name):
    assert f".github/images/{name}" in README
    assert (ROOT / ".github" / "images" / name).stat().st_size <= 200_000


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
