"""Texts of other people on a terminal."""

import subprocess
import sys

from recsys_assets.api.schemas.recommendation_schemas import ScoredItem, UserRecommendations
from recsys_assets.commands.console import open_console, print_recommendations
from recsys_assets.commands.doctor import Findings, print_findings


def test_brackets_in_a_title_are_printed(capsys):
    item = ScoredItem(item_id="[b]", title="Soup [red] 500 g", category="[/]", score=0.5)
    found = UserRecommendations(release="r", user_id="[u]", source="user", reason=None, items=[item])
    print_recommendations(open_console(), found)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("Soup [red] 500 g", "[b]", "[/]", "Recommendations for [u]"))


def test_a_user_who_has_seen_everything_is_told_so(capsys):
    found = UserRecommendations(release="r", user_id="u", source="user", reason=None, items=[])
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
