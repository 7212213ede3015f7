"""A line on an answer that is no names the day and the command that shows it."""

from datetime import date
from pathlib import Path

import pytest

from recsys_assets.orchestration.question_checks import answers
from recsys_assets.orchestration.run_results import answer_in_words
from recsys_assets.quality.expectations import CheckResult
from recsys_assets.storage.home import Home


@pytest.mark.parametrize(("verdict", "command"), [("warn", "report"), ("block", "quarantine show")])
def test_the_day_and_the_command_that_shows_it_are_named(verdict, command):
    result = CheckResult(
        table="raw_interactions",
        check="drift_rows",
        day=date(2024, 1, 5),
        verdict=verdict,
        detail="2 rows, 90 expected",
    )
    found = answers([result], table="raw_interactions", asset="raw_interactions")
    (answer,) = (one for one in found if not one.passed)
    assert answer.metadata["look"].value == f"recsys {command} 2024-01-05"
    said = answer_in_words(answer, home=Home(Path("/shop")))
    assert said == (
        "raw_interactions: did it all come: no (2024-01-05, drift_rows: 2 rows, 90 expected); "
        f"see `recsys {command} 2024-01-05 --home /shop`"
    )
