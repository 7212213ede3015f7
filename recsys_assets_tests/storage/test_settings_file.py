"""A settings file reads back to the values written, and a change keeps everything else."""

import tomllib
from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_assets.errors import SettingsError
from recsys_assets.settings import Settings
from recsys_assets.source_settings import SourceSettings
from recsys_assets.storage.settings_file import changed, defaults_as_comments, write_section
from recsys_assets.training_settings import TrainingSettings

SOURCE = {
    "spec": "completejourney",
    "first_day": date(2017, 1, 1),
    "last_day": date(2017, 1, 3),
    "follow": True,
}
TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)
SOURCES = st.fixed_dictionaries(
    {
        "spec": TEXT,
        "first_day": st.dates(),
        "last_day": st.dates(),
        "follow": st.booleans(),
        "columns": st.dictionaries(TEXT, TEXT, max_size=4),
    }
)
TRAININGS = st.fixed_dictionaries(
    {},
    optional={
        "embedding_size": st.integers(1, 1024),
        "regularization": st.floats(1e-9, 10),
        "half_life_days": st.floats(0.5, 1000),
        "device": st.sampled_from(["cpu", "cuda"]),
        "softmax": st.fixed_dictionaries({"epochs": st.integers(1, 50)}),
    },
)
DEFAULTS = defaults_as_comments(Settings)
OWN = """\
# my own notes
[training] # mine
epochs = 3   # enough here

# embedding_size = 32 was too small

[source]
last_day = 2017-01-02
spec = "completejourney"
first_day = 2017-01-01

[api]
log_requests = true
"""


@settings(max_examples=20, deadline=None)
@given(SOURCES, TRAININGS, TRAININGS)
def test_what_is_set_in_any_order_is_read_back(source, before, training):
    text = changed(DEFAULTS, TrainingSettings, ("training",), before)
    text = changed(text, SourceSettings, ("source",), source, note="read")
    text = changed(text, TrainingSettings, ("training",), training, note="searched")

    assert tomllib.loads(text) == {"source": source, "training": {**before, **training}}


@settings(max_examples=25, deadline=None)
@given(TRAININGS)
def test_a_change_keeps_the_comments_and_the_order_of_a_users_own_file(training):
    text = changed(OWN, TrainingSettings, ("training",), training, note="By `recsys tune`")

    kept = [line for line in OWN.splitlines() if line]
    assert [line for line in text.splitlines() if line in kept] == kept
    assert tomllib.loads(text) == {**tomllib.loads(OWN), "training": {"epochs": 3, **training}}


def test_a_change_stands_where_its_default_stood():
    text = changed(defaults_as_comments(Settings), TrainingSettings, ("training",), {"embedding_size": 32})

    assert "# Width of an embedding. 1 to 1024.\nembedding_size = 32\n# Passes" in text


def test_a_field_without_a_value_goes_back_to_its_default():
    text = changed(OWN, TrainingSettings, ("training",), {"epochs": None})

    assert tomllib.loads(text)["training"] == {}


@pytest.mark.parametrize(
    "own",
    [
        "training = {epochs = 3}\n",
        "training.epochs = 3\n",
        "[training.softmax]\nepochs = 5\n",
        "[index]\nthreads = 2\n\n[training]\nepochs = 3\n",
        "",
    ],
)
def test_a_section_may_be_written_in_any_way_that_toml_has(own):
    text = changed(own, TrainingSettings, ("training",), {"epochs": 9, "softmax": {"epochs": 7}})

    found = tomllib.loads(text)["training"]
    assert found == {"epochs": 9, "softmax": {"epochs": 7}}


@pytest.mark.parametrize("columns", [{"user_id": "me"}, {"user_id": "me", "item_id": "it"}, None])
def test_a_table_of_names_under_its_own_heading_stays_there(columns):
    own = '[source]\nspec = "x"\n\n[source.columns]\nuser_id = "who"\n\n# notes\n[training]\nepochs = 3\n'
    text = changed(own, SourceSettings, ("source",), {"spec": "y", "columns": columns})

    assert tomllib.loads(text)["source"] == {"spec": "y", "columns": columns or {}}
    assert tomllib.loads(text)["training"] == {"epochs": 3}
    assert "\n# notes\n" in text


def test_every_field_stands_there_with_its_docstring_and_bounds():
    text = defaults_as_comments(Settings)

    for section in msgspec.structs.fields(Settings):
        assert f"# [{section.name}]\n" in text
        for field in msgspec.structs.fields(section.type):
            assert f"# {field.name} =" in text or f"# [{section.name}.{field.name}]" in text
    assert "# Width of an embedding. 1 to 1024.\n# embedding_size = 64\n" in text
    assert "# Device that torch computes on. `cpu` or `cuda`.\n" in text


def test_a_new_file_sets_nothing():
    assert tomllib.loads(defaults_as_comments(Settings)) == {}


def test_commented_defaults_are_the_defaults():
    text = defaults_as_comments(Settings).replace("# [", "[")
    lines = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if (line.startswith(("[", "# ")) and "=" in line) or line.startswith("[")
    ]
    settable = [
        line
        for line in lines
        if (not line.endswith("=") and line.split(" ")[1:2] == ["="]) or line.startswith("[")
    ]

    found = tomllib.loads("\n".join(settable))
    for section in ("training", "index", "quality", "report", "api"):
        kind = next(field.type for field in msgspec.structs.fields(Settings) if field.name == section)
        assert msgspec.convert(found[section], kind) == kind()


@pytest.mark.parametrize(
    "section", [field.name for field in msgspec.structs.fields(Settings) if field.name != "source"]
)
def test_a_section_without_values_may_be_appended(section, tmp_path):
    file = tmp_path / "recsys.toml"
    write_section(file, Settings, "source", SOURCE, note="")

    assert section in tomllib.loads(file.read_text() + f"\n[{section}]\n")


@pytest.mark.parametrize(
    "earlier", ["", "[source] # 10, says `recsys init`\n", "# 10, `recsys init`\n[source]\n"]
)
def test_a_note_stands_above_its_heading_in_place_of_the_one_before(tmp_path, earlier):
    file = tmp_path / "recsys.toml"
    file.write_text(earlier)
    write_section(file, Settings, "source", SOURCE, note="11, says `recsys init`")
    write_section(file, Settings, "source", SOURCE, note="12, says `recsys init`")

    lines = file.read_text().splitlines()
    notes = [line for line in lines if ("`recsys init`" in line and line[:3] == "# 1") or line == "[source]"]
    assert notes == ["# 12, says `recsys init`", "[source]"]


def test_a_file_that_is_no_toml_stays_as_it_is(tmp_path):
    file = tmp_path / "recsys.toml"
    file.write_text("[source\n")

    with pytest.raises(SettingsError, match="not valid TOML"):
        write_section(file, Settings, "source", SOURCE, note="")
    assert file.read_text() == "[source\n"


def test_no_description_is_wider_than_a_screen():
    lines = defaults_as_comments(Settings).splitlines()

    assert max(len(line) for line in lines if " = " not in line) <= 110
