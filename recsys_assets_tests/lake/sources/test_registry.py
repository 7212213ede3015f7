"""Specs name sources."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recsys_assets.errors import InputError
from recsys_assets.lake.sources.completejourney import CompleteJourney
from recsys_assets.lake.sources.registry import Spec, open_source


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("completejourney", Spec(kind="completejourney")),
        ("amazon:/data/r.json.gz", Spec(kind="amazon", path="/data/r.json.gz")),
        ("amazon:/r.gz,meta=/m.gz", Spec(kind="amazon", path="/r.gz", meta="/m.gz")),
        ("amazon-2023:Gift_Cards", Spec(kind="amazon-2023", path="Gift_Cards")),
        ("tabular:C:/x, y/*.csv", Spec(kind="tabular", path="C:/x, y/*.csv")),
        ("sqlite:/x.db?query=SELECT 1", Spec(kind="sqlite", path="/x.db?query=SELECT 1")),
        ("postgres://u:p@h/d?query=SELECT ':'", Spec(kind="postgres", path="//u:p@h/d?query=SELECT ':'")),
        ("https://h/x.csv?a=1", Spec(kind="https", path="//h/x.csv?a=1")),
    ],
)
def test_a_spec_is_read_and_written_back(text, spec):
    assert Spec.parse(text) == spec
    assert str(spec) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown kind ''"),
        ("shopfy:/x", "unknown kind 'shopfy' .did you mean 'shopify'.."),
        ("amazon", "missing after `amazon:`"),
        ("tabular:", "missing after `tabular:`"),
        ("completejourney:/x", "takes no such part"),
        ("movielens:/x,meta=/y", "takes no such part"),
        ("amazon:/x,meta=", "takes no such part"),
    ],
)
def test_raises_with_the_forms_when_a_spec_is_none(text, message):
    with pytest.raises(InputError, match=f"{message}.*give `"):
        Spec.parse(text)


def test_relative_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert (
        str(Spec.parse("amazon:a.gz,meta=../m.gz").absolute())
        == f"amazon:{tmp_path}/a.gz,meta={tmp_path}/../m.gz"
    )


def test_a_home_folder_is_spelt_out():
    assert Spec.parse("tabular:~/a.csv").absolute().path == str(Path.home() / "a.csv")


def test_the_default_needs_no_file():
    assert isinstance(open_source("completejourney"), CompleteJourney)


def test_raises_when_a_download_was_not_initialised():
    with pytest.raises(InputError, match="recsys init --source amazon-2023:Gift_Cards"):
        open_source("amazon-2023:Gift_Cards")


def test_raises_when_a_source_takes_no_mapping():
    with pytest.raises(InputError, match="takes no column mapping"):
        open_source("completejourney", columns={"user_id": "who"})


def test_a_query_is_a_source(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE sold (user_id, item_id, timestamp)")
        database.execute("INSERT INTO sold VALUES ('u', 'i', '2024-01-02 10:00:00')")
        database.commit()

    source = open_source(f"sqlite:{tmp_path / 'shop.db'}?query=SELECT * FROM sold")

    assert next(source.batches())["item_id"].to_list() == ["i"]


def test_an_address_is_kept_without_its_password():
    spec = Spec.parse("postgres://ada:secret@host/shop?query=SELECT 1").absolute()

    assert "secret" not in str(spec)
    assert str(spec).startswith("postgres://ada@host/shop?query=")
