import re
import sys
import tomllib
from pathlib import Path

import pytest

from recsys_assets.benchmarks import harness
from recsys_assets.benchmarks.harness import BENCHMARKS, benchmarks, libraries_of, run_benchmark
from recsys_assets.errors import InputError

ROOT = Path(__file__).parents[2]
PACKAGES = {"faiss": "faiss-cpu", "prometheus_client": "prometheus-client"}
"""Modules that their package does not have the name of."""


def installed_by_the_extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *extras["dev"], *extras["bench"]]
    return {re.match(r"[\w.-]+", line)[0].lower() for line in listed}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_library_of_a_benchmark_is_in_the_dependencies_or_extras(name):
    needed = {PACKAGES.get(library, library) for library in libraries_of(name)}
    assert needed <= installed_by_the_extras()


def test_libraries_include_imports_in_functions_and_in_modules_that_are_started():
    assert {"lenskit", "implicit", "scipy", "pandas", "torch"} <= set(libraries_of("train"))
    assert {"fastapi", "uvicorn"} <= set(libraries_of("serve"))
    assert "duckdb" in libraries_of("ingest")


def test_a_missing_library_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setattr(harness, "find_spec", lambda name: None if name == "lenskit" else name)
    with pytest.raises(InputError) as raised:
        run_benchmark("train")
    assert str(raised.value) == (
        "benchmark 'train' needs lenskit, not installed: pip install -e '.[dev,bench]'"
    )


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="no benchmark 'speed'; there are: ablation, attack, build"):
        run_benchmark("speed")


def test_every_name_has_a_line_read_without_an_import():
    loaded = {name for name in sys.modules if name.startswith("recsys_assets.benchmarks.bench_")}
    lines = benchmarks()
    assert list(lines) == list(BENCHMARKS)
    assert all(20 < len(line) < 120 and line.endswith(".") for line in lines.values())
    assert {name for name in sys.modules if name.startswith("recsys_assets.benchmarks.bench_")} == loaded


def test_every_module_of_a_benchmark_is_in_the_list():
    found = {file.stem for file in (ROOT / "recsys_assets" / "benchmarks").glob("bench_*.py")}
    assert {entry.split(":")[0] for entry in BENCHMARKS.values()} == found


def test_every_benchmark_has_a_row_with_its_command_in_the_readme_of_the_benchmarks():
    rows = (ROOT / "recsys_assets" / "benchmarks" / "README.md").read_text().splitlines()
    for name in BENCHMARKS:
        assert any(row.startswith("|") and f"recsys bench {name}" in row for row in rows), name
