"""Users taken out of lists that were exported: files, real databases and a real Redis."""

import gzip
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import adbc_driver_postgresql.dbapi as pg
import polars as pl
import pytest
import redis as client_library

from recsys_assets.errors import ExportError
from recsys_assets.exports.export_lists import ExportRequest, export_lists
from recsys_assets.exports.export_state import ExportState, exports_of
from recsys_assets.orchestration.forgetting.exports_step import forget_in_exports
from recsys_assets.release.release_store import ReleaseStore

ENDINGS = [".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz"]


def export(home, to, **given):
    return export_lists(home, ExportRequest(to=to, **given))


def forget(home, *users):
    return forget_in_exports(home, frozenset(users), number=1)


def users_in(path: Path) -> set[str]:
    if path.suffix == ".parquet":
        return set(pl.read_parquet(path)["user_id"])
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    frame = pl.read_csv(text, infer_schema=False) if ".csv" in path.name else pl.read_ndjson(text)
    return set(frame["user_id"])


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_loses_the_rows_of_the_user_and_nothing_else(home, tmp_path, ending):
    kept, changed = tmp_path / f"kept{ending}", tmp_path / f"lists{ending}"
    everyone = [f"u{n}" for n in range(40)]
    (home.root / "others.txt").write_text("\n".join(one for one in everyone if one != "u1"))
    export(home, str(changed), scenario="home")
    before = users_in(changed)
    result = forget(home, "u1")
    assert result.unfinished == ""
    assert users_in(changed) == before - {"u1"}
    assert result.changed == 11  # ten items, and the state
    export(home, str(kept), scenario="home", users=str(home.root / "others.txt"))
    if ending == ".csv":  # the time of export is the only difference
        rows = [
            pl.read_csv(path, infer_schema=False).drop("exported_at").sort(pl.all())
            for path in (kept, changed)
        ]
        assert rows[0].equals(rows[1])


def test_the_manifest_has_the_checksum_of_the_file_as_it_is_now(home, tmp_path):
    path = tmp_path / "lists.parquet"
    export(home, str(path))
    forget(home, "u1")
    manifest = json.loads((tmp_path / "lists.parquet.manifest.json").read_bytes())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_deltas_beside_a_file_lose_the_user_too(growing, tmp_path):
    store = ReleaseStore(growing.releases)
    other = next(one.release_id for one in store.list() if one.release_id != store.current_id())
    export(growing, str(tmp_path / "lists.jsonl.gz"))
    store.promote(other)
    export(growing, str(tmp_path / "lists.jsonl.gz"), delta=True)
    (delta,) = tmp_path.glob("lists.delta-*.jsonl.gz")
    user = min(users_in(delta))
    forget(growing, user)
    assert user not in users_in(delta) | users_in(tmp_path / "lists.jsonl.gz")


def test_the_next_delta_goes_on_from_the_state_without_the_user(home, tmp_path):
    export(home, str(tmp_path / "lists.parquet"))
    forget(home, "u1")
    others = home.root / "others.txt"
    others.write_text("\n".join(f"u{n}" for n in range(40) if n != 1))
    assert not export(home, str(tmp_path / "lists.parquet"), users=str(others), delta=True).written


def test_a_table_of_sqlite_loses_the_user_down_to_its_bytes(home, tmp_path):
    export(home, f"sqlite:{tmp_path / 'shop.db'}")
    forget(home, "u1")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        assert shop.execute("SELECT count(*) FROM recommendations WHERE user_id = 'u1'").fetchone() == (0,)
        assert shop.execute("SELECT count(DISTINCT user_id) FROM recommendations").fetchone() == (39,)
        assert shop.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_a_table_of_postgres_loses_the_user(home, postgres):
    export(home, f"{postgres}?table=forgotten_lists")
    assert forget(home, "u1").changed == 11
    with closing(pg.connect(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT user_id FROM forgotten_lists")
        found = {user for (user,) in cursor.fetchall()}
    assert found == {f"u{n}" for n in range(40)} - {"u1"}


def test_every_generation_of_redis_loses_the_user(home, redis):
    export(home, f"{redis}?prefix=f[o]rget", k=3)
    export(home, f"{redis}?prefix=f[o]rget", k=4)
    assert forget(home, "u1").changed == 3  # two generations, and the state
    with client_library.Redis.from_url(redis, decode_responses=True) as client:
        keys = list(client.scan_iter("f\\[o\\]rget:*"))
    assert not [key for key in keys if key.endswith(":u1")]
    assert len([key for key in keys if key.endswith(":u11")]) == 2


def test_a_file_that_cannot_be_read_leaves_the_forget_unfinished(home, tmp_path):
    folder = tmp_path / "mounted"
    export(home, str(folder / "lists.csv"))
    (folder / "lists.csv").write_bytes(b"\xff\xfe not ours")
    result = forget(home, "u1")
    assert "cannot be read" in result.unfinished
    assert ExportState(home, str(folder / "lists.csv")).read() is not None


def test_a_server_that_is_down_is_named_without_the_user(home, redis):
    export(home, f"{redis}?prefix=down")
    (known,) = exports_of(home)
    state = ExportState(home, known.target)
    closed = ExportState(home, "redis://127.0.0.1:9?prefix=down")
    closed.folder.mkdir()
    table = pl.read_parquet(state.folder / "lists.parquet")
    table.write_parquet(
        closed.folder / "lists.parquet",
        metadata={
            "export_id": "1",
            "base": "1",
            "sequence": "0",
            "target": "redis://127.0.0.1:9?prefix=down",
        },
    )
    result = forget(home, "u1")
    assert "redis://127.0.0.1:9" in result.unfinished
    assert "u1" not in result.unfinished
    assert "u1" in pl.read_parquet(closed.folder / "lists.parquet")["user_id"]


def test_an_export_that_runs_holds_its_target(home, tmp_path):
    export(home, str(tmp_path / "lists.csv"))
    with ExportState(home, str(tmp_path / "lists.csv")).locked():
        assert "another export to it is running" in forget(home, "u1").unfinished


def test_a_target_that_is_gone_has_no_rows(home, tmp_path):
    export(home, str(tmp_path / "lists.csv"))
    (tmp_path / "lists.csv").unlink()
    result = forget(home, "u1")
    assert (result.unfinished, result.changed) == ("", 1)


def test_a_state_that_cannot_be_read_is_an_error(home, tmp_path):
    export(home, str(tmp_path / "lists.csv"))
    state = ExportState(home, str(tmp_path / "lists.csv"))
    (state.folder / "lists.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(ExportError, match=r"lists\.parquet: cannot be read"):
        state.forget(["u1"])
