"""Every module that writes into a home, its lock, and commands that wait for one another."""

import ast
import re
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands import quarantine_commands, shared
from recsys_assets.errors import BuildRunningError
from recsys_assets.quality.quarantine import RejectedDay, rejected_days
from recsys_assets.release.release_store import MOVING, PUBLISHING, ReleaseStore
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock, locked
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE

PACKAGE = Path(__file__).parents[2] / "recsys_assets"
WRITING = {
    "replace_file", "replaced_file", "replaced_folder", "staging_folder", "put_in_place", "put_folder_in_place",
    "remove_file", "remove_folder", "write_section", "write_bytes", "write_text", "write_parquet", "unlink", "rmtree",
    "mkdir", "make_folder", "rename", "create_array", "copyfile", "ParquetWriter", "savez", "touch",
}  # fmt: skip
"""Functions that change files."""

BUILD, PUBLISH, MOVE = "build_lock(", "locked(home.releases / PUBLISHING)", "locked(self.root / MOVING)"
TAKEN_IN = {
    BUILD: (
        "orchestration/build.py",
        "orchestration/replay.py",
        "orchestration/planning/applying.py",
        "orchestration/planning/plan.py",
        "orchestration/retention.py",
        "orchestration/resources.py",
        "commands/quarantine_commands.py",
        "commands/making.py",
        "commands/shared.py",
        "orchestration/forgetting/forget_users.py",
    ),
    PUBLISH: ("release/publish.py", "release/rewrite_release.py"),
    MOVE: ("release/release_store.py",),
    'locked(home.lock("keys"))': ("api/http/auth.py",),
    'locked(home.lock("rules"), wait=False)': ("rules/last_good_rules.py",),
    'locked(home.lock("experiments"), wait=False)': ("experiments/last_good_experiments.py",),
    'locked(home.lock("source"))': ("lake/source_days.py",),
    'locked(home.lock("events"))': ("lake/event_days.py",),
    'locked(home.lock("reports"))': (
        "interactions/report_page.py",
        "orchestration/forgetting/reports_step.py",
        "orchestration/replay_report.py",
    ),
    'locked(home.lock("forgets"))': ("orchestration/forgetting/forget_users.py",),
    "locked(file.with_name(_LOCK))": ("storage/settings_file.py",),
    "locked(home.copy / _LOCK)": ("storage/store_binding.py",),
    "locked(Home(copy.root).copy / _INDEX_LOCK)": ("storage/store_writing.py",),
    "locked(self._lock, wait=False)": ("exports/export_state.py",),
    'locked(home.lock("replica"), wait=False)': ("api/serving/replica.py",),
    'locked(self._beside / "lock")': ("storage/local_objects.py",),
}
"""Lock -> the modules that take it."""

NONE = {
    "commands/running.py": "the log of a server, appended to by its process alone",
    "api/serving/smoke_test.py": "a temporary home",
    "api/http/limits.py": "a temporary file of one server's workers, with a lock of its own",
    "embeddings/interaction_matrix.py": "a frame's columns",
    "lake/download.py": "one download a file: a part is appended to and compared with its version",
    "lake/merged_rows.py": "the same content by every process, replaced as one",
    "intake/merged_users.py": "SQLite's own lock",
    "lake/files/url_tables.py": "a temporary folder",
    "lake/sources/preset_table.py": "a frame's columns",
    "launching/torchrun.py": "a temporary folder",
    "orchestration/known_then.py": "a temporary home",
    "orchestration/planning/staged_home.py": "a temporary home",
    "orchestration/dagster_yaml.py": "the same content by every process, replaced as one",
    "notices/outbox.py": "SQLite's own lock",
    "intake/events_database.py": "SQLite's own lock",
    "intake/states_database.py": "SQLite's own lock",
    "release/manifest.py": "stamps: the last one counts, half of one is read as none",
    "rules/testing/difference.py": "a temporary home",
    "release/without_users.py": "a staging folder of its callers",
    "release/release_objects.py": "a staging folder, put in place as one; its callers hold the home or the cache",
    "embeddings/shard_files.py": "a folder of one training, each process writes its own files",
    "embeddings/shard_worker.py": "a folder of one training, each process writes its own files",
    "index/list_shards.py": "a folder of one step, each task writes its own files",
    "storage/handover.py": "a folder of one piece of work",
    "storage/memory_objects.py": "a new file of its callers",
    "storage/s3_objects.py": "a new file of its callers",
    "storage/arrays.py": "does what its callers do",
    "storage/atomic.py": "does what its callers do",
    "storage/day_frames.py": "a day's content in memory",
    "storage/day_objects.py": "copies of a store's days, verified, each replaced as one",
    "storage/day_journal.py": "appended to in one write; behind the files, never wrong",
    "storage/line_log.py": "does what its callers do",
    "storage/locks.py": "the lock files",
    "storage/private_files.py": "permissions",
    "storage/rejected_init.py": "a note of the command that runs, replaced as one",
    "deploy/deployment_files.py": "a folder that the user names, each file replaced as one",
    "exports/redis_target.py": "keys of a server",
    "benchmarks": "temporary homes",
}
"""Modules or folders that need none, and why."""

LOCK_OF = {
    BUILD: {
        "commands/making.py", "drift/seen_snapshot.py", "embeddings/fold_in.py",
        "experiments/results.py",
        "embeddings/model_files.py", "embeddings/score_recipe.py", "evaluation/comparison.py",
        "evaluation/evaluated_users.py", "evaluation/kept_fit.py", "evaluation/model_choice.py",
        "experiments/impression_days.py", "experiments/online_results.py", "features/feature_database.py",
        "index/build_index.py",
        "index/candidate_rows.py", "index/neighbour_rows.py",
        "index/choose_index.py", "index/index_report.py", "interactions/returns.py",
        "intake/events_of_home.py", "intake/newest_catalogue.py",
        "lake/home_account.py", "lake/initialise.py", "lake/item_catalogue.py", "lake/landing.py", "lake/live_days.py",
        "lake/wish_defaults.py", "orchestration/assets/embeddings.py", "orchestration/assets/exports.py",
        "orchestration/assets/release.py",
        "orchestration/forgetting/artifacts_step.py", "orchestration/forgetting/changed_files.py",
        "orchestration/forgetting/forget_users.py", "orchestration/forgetting/kept_rows_steps.py",
        "orchestration/forgetting/lake_step.py", "orchestration/forgetting/other_steps.py",
        "orchestration/forgetting/releases_step.py", "orchestration/forgetting/taken_out_files.py",
        "orchestration/planning/applying.py", "orchestration/planning/costs.py",
        "orchestration/repair/damaged_databases.py",
        "orchestration/repair/made_artifacts.py",
        "orchestration/retention.py", "orchestration/run_history.py", "orchestration/streaming.py", "quality/ledger.py",
        "quality/quarantine.py", "release/gate_report.py", "rules/rules_file.py", "storage/day_versions.py",
        "storage/partition_store.py",
    },
    PUBLISH: {"release/publish.py", "release/rewrite_release.py"},
    'locked(home.lock("forgets"))': {"storage/forgotten.py"},
    MOVE: {
        "orchestration/repair/damaged_releases.py", "release/current.py", "release/recalls.py",
        "release/release_store.py",
    },
    'locked(home.lock("keys"))': {"api/http/auth.py"},
    'locked(home.lock("rules"), wait=False)': {"rules/last_good_rules.py"},
    'locked(home.lock("events"))': {"lake/event_days.py"},
    'locked(home.lock("experiments"), wait=False)': {"experiments/last_good_experiments.py"},
    'locked(home.lock("source"))': {"lake/source_days.py"},
    'locked(home.lock("reports"))': {
        "interactions/report_page.py", "orchestration/forgetting/reports_step.py", "orchestration/replay_report.py",
    },
    "locked(file.with_name(_LOCK))": {"storage/settings_file.py"},
    "locked(home.copy / _LOCK)": {"storage/store_binding.py"},
    "locked(Home(copy.root).copy / _INDEX_LOCK)": {
        "storage/copy_index.py", "storage/current_form.py", "storage/working_copy.py",
    },
    "locked(self._lock, wait=False)": {
        "exports/database_target.py", "exports/export_state.py", "exports/file_target.py",
    },
    'locked(home.lock("replica"), wait=False)': {
        "api/serving/replica.py", "api/serving/replica_documents.py", "api/serving/replica_note.py",
        "api/serving/replica_room.py", "release/current_object.py",
    },
    'locked(self._beside / "lock")': {"storage/local_objects.py"},
}  # fmt: skip
"""Lock -> the modules whose files it protects."""


def writing_modules() -> set[str]:
    """The modules that call a function which changes files, as paths in the package."""
    return {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if any(
            isinstance(node, ast.Call) and (_name(node.func) in WRITING or _opens_to_write(node))
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        )
    }


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _opens_to_write(call: ast.Call) -> bool:
    modes = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return _name(call.func) == "open" and any(
        re.fullmatch("[rwabx+]*[wax+][rwabx+]*", mode) for mode in modes
    )


def test_every_module_that_writes_has_a_lock_or_a_reason_for_none():
    known = {module for modules in LOCK_OF.values() for module in modules} | NONE.keys()
    unknown = {
        module for module in writing_modules() if module not in known and module.split("/")[0] not in known
    }
    assert unknown == set()
    assert known - writing_modules() == {"benchmarks"}


@pytest.mark.parametrize("lock", TAKEN_IN)
def test_each_lock_is_taken_where_the_table_says(lock):
    without = [module for module in TAKEN_IN[lock] if lock not in (PACKAGE / module).read_text()]
    assert without == []
    assert LOCK_OF.keys() == TAKEN_IN.keys()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")


@pytest.fixture
def home(world, tmp_path):
    """Three releases, a key, and a rejected day."""
    for letter in "abc":
        world.publish(tmp_path, lineage=LINEAGE | {LAST_DAY: letter * 64})
    folder = tmp_path / "quarantine" / "date=2024-01-05"
    folder.mkdir(parents=True)
    note = RejectedDay(table="raw", day=date(2024, 1, 5), rows=1, fingerprint="", reasons=[])
    (folder / "raw.json").write_bytes(msgspec.json.encode(note))
    return Home(tmp_path)


def run(home, *arguments):
    return CliRunner().invoke(main, [*arguments, "--home", str(home.root)])


def releases_lock(name):
    return lambda home: home.releases / name


WAITING = {
    "keys add": (lambda home: home.lock("keys"), ["keys", "add", "shop"]),
    "releases rollback": (releases_lock(MOVING), ["releases", "rollback"]),
    "releases promote": (releases_lock(MOVING), ["releases", "promote", "OLDEST"]),
    "releases recall": (releases_lock(MOVING), ["releases", "recall", str(LAST_DAY), "--why", "x"]),
    "releases prune": (releases_lock(PUBLISHING), ["releases", "prune", "--keep", "1"]),
}


@pytest.mark.parametrize("command", WAITING)
def test_a_command_of_a_moment_waits_for_its_lock(home, command):
    lock, arguments = WAITING[command]
    oldest = ReleaseStore(home.releases).list()[-1].release_id
    arguments = [oldest if argument == "OLDEST" else argument for argument in arguments]
    before = sorted(home.root.rglob("*[!.lock]"))
    with ThreadPoolExecutor(1) as pool:
        with locked(lock(home)):
            done = pool.submit(run, home, *arguments)
            assert wait([done], timeout=0.5).not_done  # without the lock it could have ended by now
            assert sorted(home.root.rglob("*[!.lock]")) == before
        assert done.result().exception is None or command == "releases recall"


@pytest.mark.parametrize(
    "arguments",
    [
        ["quarantine", "drop", "2024-01-05"],
        ["quarantine", "accept", "2024-01-05", "--why", "x"],
        ["init", "--source", "completejourney", "--days", "2"],
        ["land", "--next", "1"],
        ["prune"],
    ],
)
def test_what_builds_change_is_not_changed_during_a_build(home, monkeypatch, arguments):
    for module in (quarantine_commands, shared):
        monkeypatch.setattr(module, "SHORTLY", 0.0)
    if arguments[0] != "init":
        home.settings_file.write_text(
            '[source]\nspec = "tabular:events.csv"\nfirst_day = 2024-01-01\nlast_day = 2024-01-31\n'
        )
    with locked(home.lock("build")):
        done = run(home, *arguments)
    assert done.exit_code == 1
    assert "another build of this home, or a command that changes it, is running" in done.output
    assert len(rejected_days(home.quarantine)) == 1


def test_a_process_that_builds_may_take_its_lock_again_and_others_wait(tmp_path):
    home = Home(tmp_path)
    with build_lock(home):
        with build_lock(home):
            pass
        with pytest.raises(BlockingIOError), locked(home.lock("build"), wait=False):
            pass
    with locked(home.lock("build")), pytest.raises(BuildRunningError, match=str(tmp_path)), build_lock(home):
        pass


def test_a_short_command_outlasts_another_one(tmp_path):
    home = Home(tmp_path)
    with ThreadPoolExecutor(1) as pool, locked(home.lock("build")):
        waiting = pool.submit(_take, home)
        assert not waiting.done()
    assert waiting.result() is True


def _take(home):
    with build_lock(home, patience=60):
        return True
