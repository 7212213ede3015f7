"""Presets are files; an error names file and key."""

import pytest

from recsys_assets.errors import InputError
from recsys_assets.lake.sources.preset_format import load_preset, preset_names
from recsys_assets.lake.sources.registry import kinds

GOOD = """\
title = "T"
example = "a.csv"
[[forms]]
[[forms.events]]
files = ["a.csv"]
[forms.events.columns]
user_id = "who"
item_id = "COALESCE(sku, name)"
"""


def written(folder, text):
    (folder / "mine.toml").write_text(text)
    return load_preset("mine", folder)


def test_every_packaged_preset_is_in_the_format():
    assert [load_preset(name).title for name in preset_names()]
    assert set(preset_names()) <= set(kinds())


def test_a_new_preset_is_a_file(tmp_path):
    assert written(tmp_path, GOOD).forms[0].events[0].columns["user_id"] == "who"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", r"unknown field `titel`"),
        ('files = ["a.csv"]', "files = []", r"length >= 1 - at `forms\[0\]\.events\[0\]\.files"),
        ("COALESCE(sku", "COALESC(sku", r"events\[0\]\.columns\.item_id: 'COALESC.*unsupported function"),
        ('user_id = "who"', "", r"events\[0\]\.columns: 'user_id' is missing"),
        ('files = ["a.csv"]', 'files = ["a"]\njoins = { o = "k" }', "joins: no table 'o'"),
        ("[[forms]]", "[interactions]\nreturns = 1\n[[forms]]", "returns"),
        ('title = "T"', "title = ", "mend the preset"),
    ],
)
def test_raises_with_file_and_key_when_a_preset_is_wrong(tmp_path, old, new, message):
    with pytest.raises(InputError, match=r"mine\.toml.*" + message):
        written(tmp_path, GOOD.replace(old, new))
