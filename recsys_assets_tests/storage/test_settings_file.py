"""recsys.toml as text reads back to the same values."""

import tomllib
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.settings import Settings
from recsys_assets.storage.settings_file import render

SOURCE = {
    "spec": "completejourney",
    "first_day": date(2017, 1, 1),
    "last_day": date(2017, 1, 3),
    "follow": True,
}
TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


@given(
    spec=TEXT,
    columns=st.dictionaries(TEXT, TEXT, max_size=4),
    embedding_size=st.integers(1, 1024),
    regularization=st.floats(1e-9, 10),
    device=st.sampled_from(["cpu", "cuda"]),
)
def test_what_is_set_is_read_back(spec, columns, embedding_size, regularization, device):
    training = {"embedding_size": embedding_size, "regularization": regularization, "device": device}
    values = {"source": {**SOURCE, "spec": spec, "columns": columns}, "training": training}

    assert tomllib.loads(render(values, notes={})) == values


def test_every_field_stands_there_with_its_docstring():
    text = render({"source": SOURCE}, notes={})

    for section in msgspec.structs.fields(Settings):
        assert f"[{section.name}]" in text
        for field in msgspec.structs.fields(section.type):
            assert f"{field.name} =" in text or f"[{section.name}.{field.name}]" in text
    assert "# Width of an embedding, 1-1024.\n# embedding_size = 64\n" in text


def test_defaults_are_comments():
    assert tomllib.loads(render({"source": SOURCE}, notes={})) == {"source": SOURCE}


@pytest.mark.parametrize(
    "section", [field.name for field in msgspec.structs.fields(Settings) if field.name != "source"]
)
def test_a_section_without_values_may_be_appended(section):
    assert section in tomllib.loads(render({"source": SOURCE}, notes={}) + f"\n[{section}]\n")


def test_commented_defaults_are_the_defaults():
    text = render({"source": SOURCE}, notes={})
    start = text.index("# [report]")
    section = (
        text[start : text.index("\n\n", start)].replace("# [report]", "[report]").replace("# days", "days")
    )

    assert (
        tomllib.loads("\n".join(line for line in section.splitlines() if not line.startswith("#")))["report"][
            "days"
        ]
        == 7
    )


def test_a_note_stands_under_its_heading():
    assert "[source]\n# 12 events.\n" in render({"source": SOURCE}, notes={"source": "12 events."})


def test_no_description_is_wider_than_a_screen():
    lines = render({"source": SOURCE}, notes={}).splitlines()

    assert max(len(line) for line in lines if " = " not in line) <= 110
