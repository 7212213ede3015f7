"""A TOML file of people is read, or has one fault with its line, whatever is in it."""

import os
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.errors import SettingsError
from recsys_assets.storage.settings_file import read_table
from recsys_assets.storage.toml_files import LARGEST_FILE, TomlError, content_of, line_of, parse_toml

FAULTS = {
    "not UTF-8": (b"a = 1\nb = '\xff'", 2, "not UTF-8"),
    "a quote left open": (b"a = 1\nb = 'x", 2, "not valid TOML"),
    "a key twice": (b"a = 1\na = 2", 2, "not valid TOML"),
    "brackets of 5,000": (b"a = 1\nb = " + b"[" * 5_000, 2, "8 deep"),
    "tables of 3,000": (b"a = 1\nb = " + b"{a = " * 3_000, 2, "8 deep"),
    "lists of 20": (b"a = 1\nb = " + b"[" * 20 + b"]" * 20, 2, "8 deep"),
    "a key of 10,000 parts": (b"a = 1\n" + b".".join([b"b"] * 10_000) + b" = 1", 2, "100 parts"),
    "a quoted key of 10,000 parts": (b"a = 1\n" + b".".join([b'"b"'] * 10_000) + b" = 1", 2, "100 parts"),
    "a heading of 10,000 parts": (b"a = 1\n[" + b".".join([b"b"] * 10_000) + b"]", 2, "100 parts"),
    "a number of 5,000 digits": (b"a = 1\nb = " + b"9" * 5_000, 2, "too long"),
    "a hexadecimal number of 5,000 digits": (b"a = 1\nb = 0x" + b"f" * 5_000, 2, "18 digits"),
    "a number of 30 digits": (b"a = 1\nb = " + b"9" * 30, 2, "18 digits"),
    "a text of 20,000 characters": (b"a = 1\nb = '" + b"x" * 20_000 + b"'", 2, "20,000 characters"),
    "a key of 1,000 characters": (b"a = 1\n" + b"x" * 1_000 + b" = 1", 2, "too long"),
    "a key with an escape": (b'a = 1\n"\\u001b[31m" = 1', 2, "cannot be printed"),
    "a day that no month has": (b"a = 1\nb = 2024-02-31", 2, "not valid TOML"),
    "a time that no day has": (b"a = 1\nb = 9999-12-31T23:59:59+99:99", 2, "not valid TOML"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_with_its_line(fault):
    content, line, words = FAULTS[fault]

    with pytest.raises(TomlError) as caught:
        parse_toml(content)

    assert (caught.value.line, words in caught.value.found) == (line, True), caught.value
    assert len(caught.value.found) < 300


@given(st.one_of(st.binary(max_size=40), st.text("ab.=[]{}'\"\\\n1exinf-:#, ", max_size=60).map(str.encode)))
def test_any_content_is_read_or_has_one_fault(content):
    try:
        text, table = parse_toml(content)
    except TomlError:
        return
    assert table == tomllib.loads(text) or "nan" in text


def test_ids_with_dots_and_rows_of_dots_are_no_keys():
    text = "# " + "." * 200 + "\nids = [" + ", ".join(["'a.b.c'"] * 200) + "]\n"

    assert len(parse_toml(text.encode())[1]["ids"]) == 200


def test_a_file_that_nobody_writes_to_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "recsys.toml")

    with pytest.raises(SettingsError, match=r"recsys\.toml: no regular file; mend or remove it"):
        read_table(tmp_path / "recsys.toml")


def test_a_file_without_end_is_not_read_to_its_end(tmp_path):
    (tmp_path / "recsys.toml").write_bytes(b"#" * (LARGEST_FILE + 1))
    (tmp_path / "zeros").symlink_to("/dev/zero")

    for name in ("recsys.toml", "zeros"):
        with pytest.raises(TomlError, match=r"500,000 bytes|no regular file"):
            content_of(tmp_path / name)


def test_a_folder_in_the_place_of_settings_is_reported(tmp_path):
    (tmp_path / "recsys.toml").mkdir()

    with pytest.raises(SettingsError, match=r"recsys\.toml: cannot be read \(Is a directory\)"):
        read_table(tmp_path / "recsys.toml")


def test_a_setting_of_too_many_digits_names_its_line(tmp_path):
    (tmp_path / "recsys.toml").write_text("[training]\nepochs = " + "1" * 5_000)

    with pytest.raises(SettingsError, match=r"recsys\.toml, line 2: a number too long"):
        read_table(tmp_path / "recsys.toml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[training]\n# epochs = 1\nepochs = 3\n", 3),
        ("[training.softmax]\nepochs = 1\n[training]\n\nepochs = 3\n", 5),
        ("training.epochs = 3\n", 1),
        ("\ntraining = {epochs = 3}\n", 2),
        ("[training]\nseed = 3\n", 1),
        ("[index]\nthreads = 3\n", None),
        ("x = [\n" + "1,\n" * 30 + "]\n[training]\nepochs = 3\n" + "y = [\n" + "1,\n" * 30 + "]\n", 34),
    ],
)
def test_the_line_of_a_value_is_found(text, line):
    assert line_of(text, ("training", "epochs")) == line


@given(
    st.lists(st.sampled_from(["v = 1", "l = [\n 1,\n 2]", "s = '''\nx = 1\n'''", "# x", ""]), max_size=12),
    st.integers(0, 11),
)
def test_the_line_of_any_table_of_a_list_is_found(bodies, place):
    rows = [row for body in bodies for row in ("[[case]]", body)]
    text = "\n".join(rows) + "\n"
    wanted = 1 + sum(row.count("\n") + 1 for row in rows[: 2 * place]) if place < len(bodies) else None

    assert line_of(text, ("case", place)) == (wanted or (1 if bodies else None))
