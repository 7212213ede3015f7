"""`recsys doctor` on a home with an object store: it says what is wrong with that, and ends by itself."""

from shutil import rmtree

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.lake.initialise import initialise
from recsys_assets.launching.launcher import free_port
from recsys_assets.storage.open_copy import examined_store
from recsys_assets.storage.store_binding import bind
from recsys_assets_tests.storage.machines import Machines, rows

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RECSYS_STORAGE__ROOT")


@pytest.fixture
def home(tmp_path):
    machines = Machines(tmp_path)
    source = tmp_path / "log.csv"
    source.write_text("user_id,item_id,timestamp\nu1,i1,2024-05-01T10:00:00Z\n")
    home = machines.home("one")
    settings = home.settings_file.read_text()
    home.settings_file.unlink()
    initialise(home, f"tabular:{source}")
    with home.settings_file.open("a") as file:
        file.write(f"\n{settings}")
    return home


def examined(home):
    return CliRunner().invoke(main, ["doctor", "--home", str(home.root)], env=dict.fromkeys(KEYS))


@pytest.mark.parametrize("damaged", [".head", "releases/current"])
def test_a_damaged_store_is_named_among_the_other_facts(home, tmp_path, damaged):
    examined(home)  # puts what the home has
    Machines(tmp_path).objects.put(damaged, b"garbage")
    found = examined(home)
    assert found.exit_code == 0
    assert "python" in found.output
    assert "cannot be read" in found.output.replace("\n", " ")


def test_days_of_a_home_that_gets_a_store_are_put_there_before_they_are_looked_at(home, tmp_path):
    machines = Machines(tmp_path)
    note = home.copy
    for file in note.iterdir():
        file.unlink()
    note.rmdir()
    day = home.raw / "date=2024-05-01"
    day.mkdir(parents=True)
    rows(1).write_parquet(day / "part-0.parquet")
    found = examined(home)
    assert "part-0.parquet" not in found.output
    assert [one.key for one in machines.objects.list("lake/raw/date=")] == [
        "lake/raw/date=2024-05-01/part-0.parquet"
    ]
    assert bind(home, {}) is not None


def test_a_store_that_is_away_is_named_and_the_next_step_is_to_mend_it(home):
    pytest.importorskip("obstore")
    settings = home.settings_file.read_text()
    home.settings_file.write_text(settings[: settings.index("[storage]")])
    rmtree(home.copy)
    away = {
        "RECSYS_STORAGE__ROOT": "s3://lake/shop",
        "RECSYS_STORAGE__ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    found = CliRunner().invoke(main, ["doctor", "--home", str(home.root)], env=away)
    said = " ".join(found.output.split())
    assert found.exit_code == 0
    assert "s3://lake/shop cannot be used" in said
    assert "Next: mend the object store, or the way to it" in said
    assert examined_store(home.root) is None  # the next command of this process waits as ever
