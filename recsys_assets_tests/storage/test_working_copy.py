"""A home as a copy of an object store: two machines with one store, kills, and changes on both sides."""

import sqlite3
from contextlib import ExitStack, closing
from shutil import rmtree

import pytest

from recsys_assets.errors import (
    BuildRunningError,
    ObjectChangedError,
    ObjectStoreError,
    StoreUnavailableError,
)
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import build_lock
from recsys_assets.storage.open_copy import working_copy
from recsys_assets.storage.store_binding import bind
from recsys_assets.storage.store_place import place_of
from recsys_assets.storage.store_writing import moved_current, push_changes, push_now, refresh
from recsys_assets_tests.storage.machines import put

MOVE = '{"at":"2024-05-01T12:00:00Z","move":"promote","before":null,"after":"20240501-0123456789"}\n'
FILES = {
    "artifacts__features__features.json": "{}",
    "artifacts__.features.inputs": "{}",
    "quarantine__date=2024-05-01__raw.json": "[]",
    "recalls.jsonl": "{}\n",
    "rules.toml": "# none\n",
}
OWN = {
    "logs__api.log": "…",
    "events.sqlite": "…",
    "dagster__dagster.yaml": "…",
    ".source.lock": "",
    "a.bin": "…",
}


@pytest.fixture
def one(machines) -> Home:
    return machines.home("one")


@pytest.fixture
def other(machines) -> Home:
    return machines.home("other")


def text(home: Home, name: str) -> str:
    return (home.root / name).read_text()


def test_a_second_machine_has_every_shared_file_and_none_of_a_machine_s_own(machines, one, other):
    machines.write(one, **FILES, **OWN)
    refresh(other.root)
    assert {name: text(other, name.replace("__", "/")) for name in FILES} == FILES
    assert not any((other.root / name.replace("__", "/")).exists() for name in OWN)


def test_an_empty_home_gets_the_settings_too(machines, one, tmp_path):
    machines.write(one, **FILES)
    empty = Home(tmp_path / "empty")
    bind(empty, {"RECSYS_STORAGE__ROOT": f"file://{machines.store}"})
    refresh(empty.root)
    assert empty.settings_file.read_bytes() == one.settings_file.read_bytes()


def test_a_home_with_the_same_settings_that_no_command_was_given_has_no_store(one, tmp_path):
    staged = Home(tmp_path / "staged")
    put(staged, **{"recsys.toml": one.settings_file.read_text()})
    assert place_of(staged.root) is None
    with build_lock(staged):
        put(staged, **FILES)


def test_a_file_that_is_removed_is_removed_everywhere_with_its_folder(machines, one, other):
    machines.write(one, **FILES)
    refresh(other.root)
    with build_lock(one):
        (one.quarantine / "date=2024-05-01" / "raw.json").unlink()
    refresh(other.root)
    assert not (other.quarantine / "date=2024-05-01").exists()


def test_the_changes_of_a_killed_writer_are_pushed_on_where_nobody_pushed_since(machines, one, other):
    machines.write(one, **FILES)
    put(one, **{"artifacts__features__features.json": "killed"})
    machines.write(one)
    refresh(other.root)
    assert text(other, "artifacts/features/features.json") == "killed"


def test_the_changes_of_a_killed_writer_are_kept_aside_where_somebody_pushed_since(
    machines, one, other, capfd
):
    machines.write(one, **FILES)
    put(one, **{"artifacts__features__features.json": "killed", "artifacts__choice__choice.json": "killed"})
    machines.write(other, **{"artifacts__features__features.json": "newer"})
    refresh(one.root)
    assert text(one, "artifacts/features/features.json") == "newer"
    assert not one.artifact("choice").exists()
    kept = {path.relative_to(one.copy / "aside").as_posix() for path in one.copy.glob("aside/**/*.json")}
    assert kept == {"1/artifacts/features/features.json", "1/artifacts/choice/choice.json"}
    assert f"{one.copy / 'aside'}/1/artifacts/features/features.json" in capfd.readouterr().err


def test_a_person_s_change_of_a_document_stays_and_is_pushed_though_somebody_pushed_since(
    machines, one, other
):
    machines.write(one, **FILES)
    put(one, **{"rules.toml": "# mine\n"})
    machines.write(other, **{"artifacts__choice__choice.json": "{}"})
    refresh(one.root)
    assert text(one, "rules.toml") == "# mine\n"
    push_changes(one.root)
    refresh(other.root)
    assert text(other, "rules.toml") == "# mine\n"


def test_a_writer_whose_store_was_changed_by_another_loses_and_says_who(machines, one):
    machines.write(one, **FILES)
    held = ExitStack()
    held.enter_context(build_lock(one))
    put(one, **{"rules.toml": "# late\n"})
    machines.objects.put(".head", b'{"number":9,"who":"another","at":"2024-05-01"}')
    with pytest.raises(ObjectChangedError, match="push 9"):
        held.close()
    assert machines.objects.get("rules.toml").content == b"# none\n"


def test_only_one_machine_writes_at_a_time(one, other):
    with build_lock(one), pytest.raises(BuildRunningError, match="process"), build_lock(other):
        pass


def test_what_is_pushed_after_a_stage_is_there_before_the_end(one, other):
    with build_lock(one):
        put(one, **FILES)
        push_now(one.root)
        refresh(other.root)
        assert text(other, "rules.toml") == "# none\n"


def test_an_emptied_store_is_an_error_and_takes_no_file_away(machines, one):
    machines.write(one, **FILES)
    machines.objects.delete([entry.key for entry in machines.objects.list()])
    with pytest.raises(ObjectStoreError, match="was emptied"), build_lock(one):
        pass
    assert text(one, "rules.toml") == "# none\n"


def test_a_home_that_had_no_store_before_brings_its_files_along(machines, other, tmp_path):
    alone = Home(tmp_path / "alone")
    put(alone, **FILES)
    bind(alone, {"RECSYS_STORAGE__ROOT": f"file://{machines.store}"})
    machines.write(alone)
    refresh(other.root)
    assert text(other, "artifacts/features/features.json") == "{}"


def test_a_damaged_object_is_named_and_not_taken(machines, one, other):
    machines.write(one, **FILES)
    beside = {"sha256": "0" * 64, "mtime-ns": "1"}
    machines.objects.put("artifacts/features/features.json", b"[]", metadata=beside)
    with pytest.raises(ObjectStoreError, match=r"features\.json: SHA-256"):
        refresh(other.root)
    assert not (other.artifact("features") / "features.json").exists()


def test_a_database_is_copied_whole_while_it_is_open(machines, one, other):
    with closing(sqlite3.connect(one.quality_db)) as opened:
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("CREATE TABLE results (day TEXT)")
        opened.execute("INSERT INTO results VALUES ('2024-05-01')")
        opened.commit()
        machines.write(one)
    refresh(other.root)
    with closing(sqlite3.connect(other.quality_db)) as copy:
        assert copy.execute("SELECT day FROM results").fetchall() == [("2024-05-01",)]


def test_nothing_is_pushed_where_nothing_changed(machines, one):
    machines.write(one, **FILES)
    before = machines.objects.get(".head").tag
    machines.write(one)
    assert machines.objects.get(".head").tag == before


def test_current_is_one_object_with_its_moves_and_two_files_in_a_home(machines, one, other):
    put(one, **{"releases__20240501-0123456789__manifest.json": "{}"})
    put(one, **{"releases__current": "20240501-0123456789\n", "releases__promotions.jsonl": MOVE})
    machines.write(one)
    assert b'"release":"20240501-0123456789","number":1' in machines.objects.get("releases/current").content
    refresh(other.root)
    assert text(other, "releases/current") == "20240501-0123456789\n"
    assert text(other, "releases/promotions.jsonl") == MOVE


def test_of_two_machines_that_move_current_one_wins_and_the_other_has_its_move_then(machines, one, other):
    put(
        one,
        **{
            "releases__a__manifest.json": "{}",
            "releases__b__manifest.json": "{}",
            "releases__current": "a\n",
        },
    )
    machines.write(one)
    refresh(other.root)
    put(other, releases__current="b\n")
    moved_current(other.root, "b")
    put(one, releases__current="c\n")
    with pytest.raises(ObjectChangedError, match="moved by another machine"):
        moved_current(one.root, "a")
    assert text(one, "releases/current") == "b\n"


def test_a_manifest_is_put_after_the_files_of_its_release_and_never_replaced(machines, one):
    order = list[str]()
    copy = working_copy(one.root)
    with build_lock(one):
        copy.objects = _Noting(copy.objects, order)
        put(
            one, **{"releases__a__manifest.json": "{}", "releases__a__z.npy": "…", "releases__current": "a\n"}
        )
    assert order[-3:] == ["releases/a/manifest.json", "releases/current", ".head"]
    assert order.index("releases/a/z.npy") < order.index("releases/a/manifest.json")
    with build_lock(one):
        put(one, **{"releases__a__manifest.json": '{"other": 1}'})
    assert machines.objects.get("releases/a/manifest.json").content == b"{}"
    assert text(one, "releases/a/manifest.json") == "{}"


class _Noting:
    def __init__(self, objects, order) -> None:
        self._objects, self._order = objects, order

    def __getattr__(self, name):
        method = getattr(self._objects, name)
        if name not in {"put", "put_file", "create", "swap"}:
            return method

        def noted(key, *arguments, **options):
            self._order.append(key)
            return method(key, *arguments, **options)

        return noted


def test_a_folder_that_a_command_removed_without_the_lock_is_removed_everywhere(machines, one, other):
    machines.write(one, **FILES)
    refresh(other.root)
    rmtree(one.artifact("features"))
    push_changes(one.root)
    refresh(other.root)
    assert not other.artifact("features").exists()


def test_a_move_that_the_store_does_not_answer_is_put_there_by_the_next_command(machines, one, other):
    put(
        one,
        **{
            "releases__a__manifest.json": "{}",
            "releases__b__manifest.json": "{}",
            "releases__current": "a\n",
        },
    )
    machines.write(one)
    copy = working_copy(one.root)
    answering, copy.store = copy.store, _Silent()
    put(one, releases__current="b\n")
    with pytest.raises(StoreUnavailableError, match="b is current in this home alone"):
        moved_current(one.root, "b")
    copy.store = answering
    push_changes(one.root)
    refresh(other.root)
    assert text(other, "releases/current") == "b\n"


def test_who_only_reads_goes_on_with_the_files_that_are_here(machines, one, capfd):
    machines.write(one, **FILES)
    working_copy(one.root).store = _Silent()
    refresh(one.root)
    assert "going on with push 1" in capfd.readouterr().err
    assert text(one, "rules.toml") == "# none\n"


class _Silent:
    def __getattr__(self, name):
        def silent(*_arguments, **_options):
            raise StoreUnavailableError("s3://lake/shop: no answer for 8 s")

        return silent
