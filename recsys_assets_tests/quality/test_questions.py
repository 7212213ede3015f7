"""Every check of a table answers one question, and every question's checks exist."""

from collections import Counter

import pytest

from recsys_assets.embeddings.embedding_audit import EMBEDDING_CHECKS
from recsys_assets.interactions.cleaned_days import INTERACTIONS_CHECKS
from recsys_assets.lake.item_catalogue import CATALOGUE_CHECKS
from recsys_assets.lake.raw_audit import RAW_CHECKS
from recsys_assets.quality.quarantine import RECALLED
from recsys_assets.quality.questions import QUESTIONS, question_of
from recsys_assets.release.list_audit import RECOMMENDATION_CHECKS

CHECKS = {
    "raw_interactions": (*RAW_CHECKS, RECALLED),
    "interactions": INTERACTIONS_CHECKS,
    "item_catalogue": CATALOGUE_CHECKS,
    "user_embeddings": EMBEDDING_CHECKS,
    "item_embeddings": EMBEDDING_CHECKS,
    "recommendations": RECOMMENDATION_CHECKS,
}


@pytest.mark.parametrize("table", CHECKS)
def test_every_check_answers_exactly_one_question(table: str) -> None:
    asked = Counter(check for question in QUESTIONS[table] for check in question.checks)
    assert asked == Counter(dict.fromkeys(CHECKS[table], 1))


@pytest.mark.parametrize("table", QUESTIONS)
def test_a_table_has_at_most_ten_questions_in_words(table: str) -> None:
    questions = QUESTIONS[table]
    assert len(questions) <= 10
    assert len({question.name for question in questions}) == len(questions)
    for question in questions:
        assert question.name.isidentifier()
        assert question.description.startswith(question.asks)
        assert question.asks.endswith("?")
        assert question.why.endswith(".")
        assert question.remedy.endswith(".")


def test_a_check_is_found_by_table_and_name() -> None:
    found = question_of("raw_interactions", "drift_rows")
    assert found is not None
    assert found.name == "did_it_all_come"
    assert question_of("user_features", "norm_finite") is None
