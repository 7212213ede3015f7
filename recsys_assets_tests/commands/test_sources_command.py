"""`recsys sources` lists every kind of source."""

import json

from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.lake.sources.preset_format import preset_names


def run(*arguments):
    return CliRunner().invoke(main, ["sources", *arguments])


def test_every_preset_is_listed_with_its_title():
    printed = run().output

    assert [name for name in preset_names() if f"\n{name}:" not in printed] == []
    assert "shopify:orders_export.csv" in printed


def test_one_source_is_described_with_its_files():
    printed = run("mind").output

    assert "the day before the log begins" in printed
    assert "Events are in behaviors.tsv." in printed
    assert "news.tsv" in printed


def test_the_list_is_also_json():
    assert {"name", "title", "example", "note"} <= json.loads(run("olist", "--json").output).keys()


def test_raises_with_a_suggestion_when_a_source_is_none():
    result = run("olits")

    assert result.exit_code == 2
    assert "did you mean 'olist'?" in result.output
