"""Tests of the ingest benchmark: both sides convert the same events."""

import gzip
import json

import pytest

from recsys_assets.benchmarks.bench_ingest import land_audited, run, write_reviews
from recsys_assets.quality.ledger import Ledger
from recsys_assets.storage.day_folders import days_under
from recsys_assets.storage.home import Home

pytest.importorskip("duckdb")


@pytest.fixture
def _generated_input(monkeypatch):
    monkeypatch.delenv("RECSYS_TEST_DATA", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("_generated_input")
def test_the_products_path_is_measured_beside_the_bare_conversion_and_duckdb():
    found = run(rows=300, rounds=1)

    assert found["same_events"] is True
    assert found["input"] == "generated"
    seconds = found["duckdb"]["seconds"]
    for name in ("audited", "unaudited"):
        assert found[f"{name}_to_duckdb"] == pytest.approx(found[name]["seconds"] / seconds)
        assert found[name]["rows"] == 300
        assert found[name]["peak_rss_mb"] > 0
    assert found["rejected_days"] == 0
    json.dumps(found)


def test_the_audited_conversion_keeps_check_results_and_empty_days(tmp_path, monkeypatch):
    monkeypatch.delenv("RECSYS_TEST_DATA", raising=False)
    write_reviews(tmp_path / "f.jsonl.gz", rows=3)
    home = Home(tmp_path / "home")

    assert land_audited(tmp_path / "f.jsonl.gz", home.root)() == {"rejected_days": 0}

    days = days_under(home.raw)
    assert len(days) == (days[-1] - days[0]).days + 1 > 3
    with Ledger(home.quality_db) as ledger:
        assert {row.day for row in ledger.results()} == set(days)


@pytest.mark.usefixtures("_generated_input")
def test_a_repetition_has_other_users_and_items(tmp_path):
    write_reviews(tmp_path / "f.jsonl.gz", rows=40_000)

    reviews = [
        json.loads(line) for line in gzip.decompress((tmp_path / "f.jsonl.gz").read_bytes()).splitlines()
    ]

    users = [{review["user_id"] for review in part} for part in (reviews[:16_000], reviews[16_000:32_000])]
    assert len(reviews) == 40_000
    assert not users[0] & users[1]
