"""Damaged files of a home: `doctor` names each, a build mends each, and no command ends with a traceback."""

import os
import random
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.doctor import Findings, examine
from recsys_assets.intake.event_store import store_rows
from recsys_assets.intake.rows import EventRow
from recsys_assets.orchestration.build import build
from recsys_assets.orchestration.build_outcome import BuildOutcome
from recsys_assets.release.current import read_current
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.orchestration.homes import SilentWatcher

EVENT = EventRow("e", "1", "2", "view", 1_483_228_800_000_000, 1_483_228_801_000_000)
NOTHING_LOST = (
    "*.lock", ".days.jsonl", "*.complete", "*.err", "*.out", "artifacts/rules/*", ".verified/*",
    "dagster/history/runs/*-*.db", "*-wal", "*-shm", "landings.jsonl", "build_costs.json", ".gate/*",
    "artifacts/.evaluation_fit/*",
)  # fmt: skip
"""Files that are made again whenever they are needed, logs of text, and the log of one run, which pruning removes."""
COMMANDS = (
    ["recommend", "1"],
    ["releases", "list"],
    ["releases", "verify"],
    ["quarantine", "list"],
    ["rules", "check"],
    ["prune", "--dry-run"],
)


class ListeningWatcher(SilentWatcher):
    """Keeps the lines that a build says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def remove(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def garble(file: Path) -> None:
    file.write_bytes(random.Random(7).randbytes(max(file.stat().st_size, 16)))


HARMS = (remove, cut, garble)
GROUP = 7
"""Files that are damaged at the same time."""


@pytest.fixture
def home(built_home, tmp_path) -> Home:
    copy = tmp_path / "home"
    shutil.copytree(built_home, copy, symlinks=True)
    return Home(copy)


def built(home: Home) -> tuple[BuildOutcome, list[str]]:
    watcher = ListeningWatcher()
    return build(home, load_settings(home), watcher), watcher.lines


def stages(outcome: BuildOutcome) -> list[str]:
    return [row.stage for row in outcome.rows if row.status == "built"]


def damaged(found: Findings) -> set[Path]:
    return {damage.path for damage in found.damage}


def is_named(home: Home, file: Path, found: set[Path]) -> bool:
    """Tell whether a damaged file is named: itself, another of its folder, or the record of its artifact."""
    is_one = file.is_relative_to(home.releases) or file.parent == home.catalogue_now  # written as a whole
    of_folder = is_one and {file.parent} & {*found, *(p.parent for p in found)}
    records = {path.with_name(f".{path.name}.inputs") for path in (file, *file.parents) if path.name}
    of_report = file.parent == home.reports  # a page without its record is written again
    return bool(file in found or of_folder or of_report or records & found)


def a_file(home: Home, pattern: str) -> Path:
    return min(home.root.glob(pattern))


def test_nothing_is_damaged_in_a_home_that_was_built_or_copied(home):
    found = examine(home)
    assert found.damage == []
    assert found.next_step.startswith("recsys serve")


def test_one_build_mends_many_damages_and_each_is_named_with_its_path(home):
    release = read_current(home.releases)
    array = home.artifact("embeddings") / "item_embeddings.npy"
    damage = {
        home.releases / "current": garble,
        home.releases / release / "users.bytes.npy": cut,
        array: cut,
        home.artifact("choice") / "choice.json": garble,
        a_file(home, "lake/raw/date=*/part-0.parquet"): garble,
        sorted(home.root.glob("lake/interactions/date=*/part-0.parquet"))[1]: cut,
        home.catalogue: garble,
        home.source_days: cut,
        home.row_account: remove,
        home.dagster_yaml: cut,
        home.dagster / "history" / "runs.db": garble,
        a_file(home, "reports/date=*/increment_report.html"): remove,
    }
    before = array.read_bytes()
    for file, harm in damage.items():
        harm(file)
    found = examine(home)
    assert damaged(found) >= damage.keys()
    assert found.next_step.startswith(f"recsys build{home.option}: mends")
    outcome, lines = built(home)
    assert not outcome.failed, outcome.rows
    assert not {"model_choice", "user_embeddings + item_embeddings", "evaluation"} & set(stages(outcome))
    assert any("users.bytes.npy" in line for line in lines)
    assert array.read_bytes() == before
    assert read_current(home.releases) == release
    assert examine(home).damage == []
    assert stages(built(home)[0]) == []


def test_what_lies_in_place_of_a_file_or_a_folder_is_moved_away_and_nothing_is_trained_for_it(home):
    cleaned = sorted(home.root.glob("lake/interactions/date=*"))
    pipe = a_file(home, "lake/raw/date=*/part-0.parquet")
    in_folders = [home.artifact("embeddings"), cleaned[1]]
    in_files = [
        home.releases / "current",
        sorted(home.root.glob("lake/raw/date=*/part-0.parquet"))[1],
        cleaned[0] / "part-0.parquet",
        home.raw / ".days.jsonl",
        home.source_account,
        home.source_days,
        home.catalogue,
        home.artifact("index") / "item_index.json",
        home.artifacts / ".features.inputs",
    ]
    for folder in in_folders:
        shutil.rmtree(folder)
        folder.write_text("mine")
    for file in in_files:
        file.unlink()
        file.mkdir()
        (file / "note").write_text("mine")
    pipe.unlink()
    os.mkfifo(pipe)
    assert damaged(examine(home)) >= {*in_folders, *in_files, pipe}
    for command in COMMANDS:
        result = CliRunner().invoke(main, [*command, "--home", str(home.root)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    outcome, lines = built(home)
    assert not outcome.failed, outcome.rows
    assert not {"model_choice", "user_embeddings + item_embeddings", "evaluation"} & set(stages(outcome))
    assert any(f"{home.catalogue}: a folder in its place; moved to .item_catalogue" in line for line in lines)
    assert next(home.raw.parent.glob(".item_catalogue.parquet.damaged-*/note")).read_text() == "mine"
    assert examine(home).damage == []
    assert stages(built(home)[0]) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize(
    "pattern", ["quality.sqlite", "releases/*/users.bytes.npy", "releases/*/manifest.json"]
)
def test_a_file_that_may_not_be_read_is_named_and_not_moved_away(home, pattern):
    file = a_file(home, pattern)
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read everything")
    assert damaged(examine(home)) == {file}
    with pytest.raises(PermissionError, match=file.name):
        built(home)
    file.chmod(0o600)
    assert stages(built(home)[0]) == []


def test_databases_that_may_only_be_read_are_not_damaged(home):
    folders = (home.root, *(path for path in home.root.rglob("*") if path.is_dir()))
    for folder in folders:
        folder.chmod(0o500)
    try:
        if os.access(home.root, os.W_OK):
            pytest.skip("this user may write everywhere")
        assert examine(home).damage == []
    finally:
        for folder in folders:
            folder.chmod(0o700)


@pytest.mark.parametrize("harm", [remove, garble])
def test_what_is_whole_is_recorded_again_and_not_built_where_dagster_lost_its_history(home, harm):
    index = home.dagster / "history" / "runs" / "index.db"
    harm(index)
    assert damaged(examine(home)) == {index}
    assert stages(built(home)[0]) == []
    assert examine(home).damage == []


def test_days_are_audited_again_and_accepted_days_kept_where_the_ledger_is_damaged(home):
    with sqlite3.connect(home.quality_db) as ledger:
        ledger.execute(
            "INSERT INTO acceptances VALUES ('raw_interactions', '2017-01-02', 'f', 'ann', 'as it was', "
            "'2017-01-03T00:00:00+00:00', 0)"
        )
        (before,) = ledger.execute("SELECT count(*) FROM day_results WHERE day <> ''").fetchone()
        ((page,),) = ledger.execute("SELECT rootpage FROM sqlite_master WHERE name = 'profiles'").fetchall()
    ledger.close()
    with home.quality_db.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))
    release = read_current(home.releases)
    outcome, lines = built(home)
    assert stages(outcome) == ["raw_interactions", "interactions"]
    assert "1 accepted days were kept" in lines[0]
    with sqlite3.connect(home.quality_db) as ledger:
        assert ledger.execute("SELECT who, why FROM acceptances").fetchall() == [("ann", "as it was")]
        assert ledger.execute("SELECT count(*) FROM day_results WHERE day <> ''").fetchone() == (before,)
    ledger.close()
    assert read_current(home.releases) == release


def test_events_that_can_be_read_are_kept_and_a_server_takes_the_new_file(home):
    store_rows(home.events_db, [EVENT._replace(event_id=f"e{number}") for number in range(2000)])
    content = bytearray(home.events_db.read_bytes())
    content[-8192:] = bytes(8192)
    home.events_db.write_bytes(content)
    assert home.events_db in damaged(examine(home))
    _, lines = built(home)
    kept = next(line for line in lines if "events.sqlite" in line)
    assert "moved to events.sqlite.damaged-" in kept
    assert store_rows(home.events_db, [EVENT]).accepted == 1
    (number,) = re.findall(r"([\d,]+) were kept", kept)
    assert 1_000 < int(number.replace(",", "")) < 2_000


def test_a_settings_file_that_is_gone_is_named_with_the_source_of_the_days(home):
    home.settings_file.unlink()
    assert "--source completejourney" in examine(home).next_step
    done = CliRunner().invoke(main, ["build", "--home", str(home.root)])
    assert (done.exit_code, "--source completejourney" in done.stderr) == (2, True)


def one_of_each_form(home: Home) -> list[Path]:
    """A file of each name, days, numbers and ids aside, in an order drawn by a seed."""
    forms = {}
    for file in sorted(home.root.rglob("*")):
        name = file.relative_to(home.root)
        lost = any(name.match(pattern) for pattern in NOTHING_LOST)
        if file.is_file() and file.stat().st_size and not lost:
            forms[re.sub(r"[0-9a-f]{10,}|[\d-]+", "*", str(name))] = file
    files = [file for form, file in forms.items() if form != "recsys.toml"]
    random.Random(7).shuffle(files)
    return files


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_file_of_every_form_is_named_and_mended_in_groups(home):
    release, files, problems = read_current(home.releases), one_of_each_form(home), []
    for first in range(0, len(files), GROUP):
        group = enumerate(files[first : first + GROUP])
        harmed = {file: HARMS[n % len(HARMS)] for n, file in group if file.exists()}
        for file, harm in harmed.items():
            harm(file)
        names = {str(file.relative_to(home.root)): harm.__name__ for file, harm in harmed.items()}
        found = damaged(examine(home))
        problems += [f"{names}: {file} not named" for file in harmed if not is_named(home, file, found)]
        for command in COMMANDS:
            done = CliRunner().invoke(main, [*command, "--home", str(home.root)])
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                problems.append(f"{names}: {command}: {done.exception!r}")
        outcome, _ = built(home)
        problems += [f"{names}: {row.stage}: {row.detail}" for row in outcome.rows if row.status == "failed"]
        problems += [f"{names}: after a build {damage}" for damage in examine(home).damage]
        if read_current(home.releases) != release:
            problems.append(f"{names}: another release")
            release = read_current(home.releases)
    assert problems == []
