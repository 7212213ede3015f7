"""The ingest benchmark compares like with like."""

import gzip
import json

import pytest

from recsys_assets.benchmarks.bench_ingest import run, write_reviews

pytest.importorskip("duckdb")


@pytest.fixture
def _generated_input(monkeypatch):
    monkeypatch.delenv("RECSYS_TEST_DATA", raising=False)


@pytest.mark.usefixtures("_generated_input")
def test_both_write_the_same_events_and_every_figure_is_there():
    found = run(rows=300, rounds=1)

    assert found["same_events"] is True
    assert found["rows"] == 300
    assert found["input"] == "generated"
    assert found["ratio_to_duckdb"] == pytest.approx(found["seconds"] / found["duckdb_seconds"])
    assert found["peak_rss_mb"] > 0
    json.dumps(found)


@pytest.mark.usefixtures("_generated_input")
def test_a_repetition_has_other_users_and_items(tmp_path):
    write_reviews(tmp_path / "f.jsonl.gz", rows=40_000)

    reviews = [
        json.loads(line) for line in gzip.decompress((tmp_path / "f.jsonl.gz").read_bytes()).splitlines()
    ]

    users = [{review["user_id"] for review in part} for part in (reviews[:16_000], reviews[16_000:32_000])]
    assert len(reviews) == 40_000
    assert not users[0] & users[1]
