"""The `recsys` command at the terminal: help with examples, one-line errors, exit codes."""

import importlib
import inspect
import json
import socket

import click
import pytest
from click.testing import CliRunner

from recsys_assets.benchmarks.harness import BENCHMARKS
from recsys_assets.cli import main
from recsys_assets.errors import InputError, RecsysError


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += _commands(command, (*path, name))
    return found


def test_the_list_of_commands_cuts_no_summary():
    listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:")[2]
    assert "..." not in listed


@pytest.mark.parametrize("path", _commands(main), ids=" ".join)
def test_help_of_every_command_shows_an_example(path):
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0
    assert f"recsys {' '.join(path)}" in shown.output.split("Example:")[1]


def test_the_commands_of_the_issue_are_there():
    assert {"init", "build", "up", "serve", "recommend", "doctor", "bench"} <= set(main.commands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["init", "--source", "oracle:x"], "oracle"),
        (["init", "--source", "amazon:no-such-file.json.gz"], "no-such-file.json.gz"),
        (["bench", "nonsense"], "nonsense"),
        (["land", "--next", "1", "--from", "2017-01-01"], "--next"),
        (["land", "--from", "1999-01-01"], "1999-01-01"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, arguments, said, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.stderr.strip().splitlines()) == 1


def test_settings_of_landed_days_are_not_overwritten_unless_forced(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id,timestamp\nu,i,2024-01-01\nu,j,2024-01-02\n")
    init = ["init", "--source", f"tabular:{log}"]
    assert CliRunner().invoke(main, init).exit_code == 0
    assert CliRunner().invoke(main, [*init, "--days", "1"]).exit_code == 0
    (tmp_path / "home" / "lake" / "raw" / "date=2024-01-01").mkdir(parents=True)
    again = CliRunner().invoke(main, init)
    assert again.exit_code == 2
    assert "--force" in again.output
    assert CliRunner().invoke(main, [*init, "--force"]).exit_code == 0


def test_init_says_how_many_rows_are_outside_and_how_to_include_them(tmp_path):
    rows = "".join(f"u,i{n},2023-06-{1 + n % 28:02}\n" for n in range(100))
    log, home = tmp_path / "log.csv", ["--home", str(tmp_path / "home")]
    log.write_text(f"user_id,item_id,timestamp\nu,i,2099-01-01\n{rows}")

    said = CliRunner().invoke(main, ["init", *home, "--source", f"tabular:{log}"]).output
    doctor = CliRunner().invoke(main, ["doctor", *home]).output
    given = ["--force", "--to", "2099-01-01"]
    all_of_them = CliRunner().invoke(main, ["init", *home, "--source", f"tabular:{log}", *given]).output

    assert "100 of 101 rows are events, from 2023-06-01 to 2023-06-28. Left out:" in said
    outside = "1 outside of the days that are landed (outside_range): 1 on 2099-01-01"
    assert outside in said
    assert "recsys init --force --from DAY --to DAY" in said
    assert outside in " ".join(doctor.split())
    assert "2023-06-01 to 2099-01-01" in all_of_them
    assert "outside_range" not in all_of_them


def test_a_taken_port_is_named_with_the_option_that_changes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["up", "--dagster-port", str(port)])
    assert done.exit_code == 2
    assert str(port) in done.output
    assert "--dagster-port" in done.output


def test_recommend_prints_names(recsys, built_home):
    done = recsys("recommend", "1", "-k", "3", home=built_home)
    assert done.returncode == 0, done.stderr
    assert "Recommendations for 1" in done.stdout
    assert len(done.stdout.strip().splitlines()) == 4


def test_doctor_says_what_is_there_and_what_to_do_next(recsys, built_home, tmp_path):
    built = recsys("doctor", home=built_home).stdout
    assert "10 of 10 days" in built
    assert "recsys serve" in built
    assert "recsys up" in recsys("doctor", home=tmp_path / "nothing").stdout


def test_every_error_has_an_exit_code():
    assert RecsysError.exit_code == 1
    assert InputError.exit_code == 2


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_run_with_its_defaults(name):
    module, function = BENCHMARKS[name].split(":")
    found = getattr(importlib.import_module(f"recsys_assets.benchmarks.{module}"), function)
    arguments = inspect.signature(found).parameters
    assert all(argument.default is not inspect.Parameter.empty for argument in arguments.values())


def test_a_benchmark_prints_one_json_object(monkeypatch):
    monkeypatch.setattr("recsys_assets.benchmarks.bench_build.run", lambda: {"seconds": 1.5})
    done = CliRunner().invoke(main, ["bench", "build", "--json"])
    assert json.loads(done.output) == {"seconds": 1.5}


def test_benchmarks_are_listed_with_a_line_each():
    done = CliRunner().invoke(main, ["bench"])
    assert done.exit_code == 0
    assert [line.split(maxsplit=1)[0] for line in done.output.splitlines()] == list(BENCHMARKS)
    assert all(len(line.split()) > 3 for line in done.output.splitlines())
