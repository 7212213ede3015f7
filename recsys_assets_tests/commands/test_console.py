"""Texts of other people on a terminal."""

import io
import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from recsys_assets.api.http.logs import printable
from recsys_assets.api.schemas.recommendation_schemas import ScoredItem, UserRecommendations
from recsys_assets.cli import PrintableStream
from recsys_assets.commands.console import open_console, print_recommendations
from recsys_assets.commands.doctor import Findings, print_findings


def test_brackets_in_a_title_are_printed(capsys):
    item = ScoredItem(item_id="[b]", title="Soup [red] 500 g", category="[/]", score=0.5)
    found = UserRecommendations(release="r", id="", user_id="[u]", source="user", reason=None, items=[item])
    print_recommendations(open_console(), found)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("Soup [red] 500 g", "[b]", "[/]", "Recommendations for [u]"))


ODD = "\x1b[31mred\x1b]0;title\x07 \x9b2J back\x08 line\rover \u202egnp.exe half\udc80"
SHOWN = r"\u001b[31mred\u001b]0;title \u009b2J back lineover \u202egnp.exe half\udc80"
"""As rich shows it, which leaves out bell, backspace and carriage return."""


def squeezed(text):
    return "".join(text.split())


@pytest.mark.parametrize("colours", [False, True])
def test_control_characters_of_a_title_are_shown_and_rich_keeps_its_own(monkeypatch, colours):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setenv("COLUMNS", "400")
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
    item = ScoredItem(item_id=ODD, title=ODD, category=ODD, score=0.5)
    found = UserRecommendations(release="r", id="", user_id=ODD, source="user", reason=None, items=[item])
    print_recommendations(open_console(), found)
    open_console().print(Text("own", "green"))
    printed = re.sub(r"\x1b\[\d+m", "", written.getvalue()) if colours else written.getvalue()
    assert squeezed(printed).count(squeezed(SHOWN)) == 4
    assert not set(printed) & set("\x1b\x07\x08\r\x9b\u202e\udc80")
    assert ("\x1b[32mown" in written.getvalue()) == colours


def test_a_title_of_10_000_words_is_one_short_row(capsys):
    item = ScoredItem(item_id="i", title="word " * 10_000, category="c" * 50_000, score=0.5)
    found = UserRecommendations(
        release="r", id="", user_id="u" * 50_000, source="user", reason=None, items=[item]
    )
    print_recommendations(open_console(), found)
    assert len(capsys.readouterr().out) < 2_000


def test_an_error_and_the_echo_of_a_command_show_control_characters_and_are_cut(recsys, tmp_path):
    odd = "\x1b[31m" + "x" * 9_000
    done = recsys("recommend", odd, home=tmp_path / "\x9bhome")
    assert "\x1b" not in done.stderr + done.stdout
    assert "\x9b" not in done.stderr + done.stdout
    assert all(len(line) < 5_000 for line in done.stderr.splitlines())


def test_json_of_a_command_is_the_same_text_and_never_cut(capsys):
    stream = PrintableStream(sys.stdout)
    stream.writelines([json.dumps({"title": ODD[:-1] + "x" * 9_000}, ensure_ascii=False), "\n"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"title": ODD[:-1] + "x" * 9_000}
    assert "\x9b" not in printed


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_written_as_utf_8_without_control_characters(text):
    shown = printable(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
    assert shown.encode().decode() == shown
    assert shown == text or not (text.isascii() and text.isprintable())


def test_a_user_who_has_seen_everything_is_told_so(capsys):
    found = UserRecommendations(release="r", id="", user_id="u", source="user", reason=None, items=[])
    print_recommendations(open_console(), found)
    assert "No item is left" in capsys.readouterr().out


def test_brackets_in_a_finding_are_printed(capsys):
    found = Findings(facts=[("settings", "line 6: [training] epochs")], next_step="recsys build --home [x]")
    print_findings(open_console(), found)
    printed = capsys.readouterr().out
    assert "line 6: [training] epochs" in printed
    assert "recsys build --home [x]" in printed


def test_printing_recommendations_and_findings_loads_no_dagster():
    code = (
        "import sys, recsys_assets.commands.console, recsys_assets.commands.doctor, recsys_assets.api.serving.answers;"
        " print(*({'dagster', 'polars', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
