"""The questions that people ask of a table, each answered by several checks: at most ten a table.

A day has some fifty checks; Dagster's Checks tab and the page's Quality tab show them under these questions. The
ledger keeps each check by its own name. A test holds that every check of a table belongs to one question.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question of a table."""

    name: str
    """Name of the asset check: the question in lower case, with underscores."""
    asks: str
    """The question."""
    why: str
    """One sentence: the harm where the answer is no."""
    remedy: str
    """One sentence: the first thing to do then."""
    checks: tuple[str, ...]
    """Names of the checks that answer it."""

    @property
    def description(self) -> str:
        """The question, its reason and the first thing to do, for the Dagster UI."""
        return f"{self.asks} {self.why} If not: {self.remedy}"


def _question(asks: str, *checks: str, why: str, remedy: str) -> Question:
    name = asks.lower().rstrip("?").replace(",", "").replace(" ", "_")
    return Question(name=name, asks=asks, why=why, remedy=remedy, checks=checks)


_RAW: Final = (
    _question(
        "Can it be read?",
        "schema",
        "rating_finite",
        "quantity_finite",
        "value_finite",
        "drift_numbers_not_finite",
        why="A column that is missing, renamed or of another type makes every row useless.",
        remedy="compare the file's header with the mapping in recsys.toml.",
    ),
    _question(
        "Did it all come?",
        "drift_rows",
        "drift_users",
        "drift_items",
        "drift_regular_users",
        "drift_bestseller_rows",
        "drift_missing_hours",
        why="Half a delivery teaches that what is missing is unwanted.",
        remedy="ask the source for the day again, then run `recsys land --from DAY`.",
    ),
    _question(
        "Did it come once?",
        "drift_duplicate_rows",
        "drift_redelivered_rows",
        "drift_visits_with_duplicates",
        why="Rows that come twice, or yesterday's file as today's, count wishes that nobody had.",
        remedy="look at the failing rows; deliver the day once.",
    ),
    _question(
        "Whose is it?",
        "user_id_not_null",
        "user_id_matches",
        "drift_null_users",
        "drift_odd_user_ids",
        "drift_untrimmed_user_ids",
        "drift_new_users",
        "drift_repeated_pairs",
        "drift_top_user_rows",
        "drift_top_user_visits",
        "drift_repeat_visits",
        "drift_mean_log_rows_a_user",
        why="Lost, padded or re-hashed ids make strangers of known users; one bot can outweigh a thousand people.",
        remedy="look at the ids in the failing rows; have the source restore them or leave the account out.",
    ),
    _question(
        "Of what is it?",
        "item_id_not_null",
        "item_id_matches",
        "drift_null_items",
        "drift_odd_item_ids",
        "drift_untrimmed_item_ids",
        "drift_new_items",
        "drift_top_items_rows",
        "drift_items_not_in_catalogue",
        "drift_department_mix",
        "drift_category_mix",
        why="Items under new or broken ids lose their history, and one that floods the day rises in every list.",
        remedy="compare the ids in the failing rows with the catalogue.",
    ),
    _question(
        "When did it happen?",
        "timestamp_not_null",
        "timestamp_between",
        "drift_rows_outside_day",
        "drift_hour_shape",
        why="Times in another zone or unit put events into the wrong day, and the order of wishes is lost.",
        remedy="check the time zone and the unit of the source's time column.",
    ),
    _question(
        "How much, at what price?",
        "quantity_positive",
        "value_not_negative",
        "drift_null_quantities",
        "drift_null_values",
        "drift_quantities_not_positive",
        "drift_negative_values",
        "drift_mean_log_value",
        "drift_mean_log_quantity",
        "drift_mean_log_price",
        "drift_value_shape",
        "drift_quantity_shape",
        "drift_price_shape",
        why="Another currency or unit, or returns booked as sales, distort weights and prices.",
        remedy="check currency, unit and sign in the source.",
    ),
    _question(
        "How was it rated?",
        "drift_null_ratings",
        "drift_unseen_ratings",
        "drift_mean_rating",
        "drift_rating_shape",
        why="A scale that starts at another number turns dislikes into wishes.",
        remedy="check the rating scale of the source.",
    ),
    _question(
        "Is it free of recalled rows?",
        "recalled",
        why="Rows that were found to be bad after their release would be learnt from again.",
        remedy="correct the day in the source, then `recsys build`.",
    ),
)

_INTERACTIONS: Final = (
    _question(
        "Is it as declared?",
        "schema",
        "timestamp_not_null",
        "weight_not_null",
        "weight_least",
        "quantity_least",
        "value_least",
        why="Every later stage relies on these columns, types and bounds.",
        remedy="look at the failing rows; this is a fault of the cleaning, please report it.",
    ),
    _question(
        "Has every row a user and an item?",
        "user_id_not_null",
        "user_id_length",
        "item_id_not_null",
        "item_id_length",
        why="A row without one of them teaches nothing.",
        remedy="look at the failing rows; this is a fault of the cleaning, please report it.",
    ),
    _question(
        "Is every event there once?",
        "user_id_item_id_timestamp_kind_unique",
        why="An event that counts twice is a wish that nobody had.",
        remedy="look at the failing rows; this is a fault of the cleaning, please report it.",
    ),
    _question(
        "Was most of it kept?",
        "kept_by_cleaning",
        why="Where cleaning drops much, the source sends something else than it did.",
        remedy="look at the reasons in `left_out`, and at the raw day.",
    ),
    _question(
        "Is every kind known?",
        "kind_listed",
        why="A kind of event that no weight is given for counts as a whole wish, a page turned as a purchase.",
        remedy="give it a weight under `[interactions.kinds]` in recsys.toml.",
    ),
)

_CATALOGUE: Final = (
    _question(
        "Is it as declared?",
        "schema",
        "price_least",
        why="Features and rules rely on these columns, types and bounds.",
        remedy="look at the failing rows, and mend the metadata file.",
    ),
    _question(
        "Are there items?",
        "table_row_count",
        why="Without items nothing has a name, a category or a price.",
        remedy="check that the source's metadata file is there and not empty.",
    ),
    _question(
        "Has every item one id?",
        "item_id_not_null",
        "item_id_length",
        "item_id_matches",
        "item_id_unique",
        why="An item without an id, or with a padded or doubled one, is not found by its events.",
        remedy="look at the failing rows, and mend the ids in the metadata file.",
    ),
)

_RECOMMENDATIONS: Final = (
    _question(
        "Is every list whole?",
        "user_id_not_null",
        "user_id_length",
        "rank_not_null",
        "rank_least",
        "item_id_not_null",
        "item_id_length",
        "score_not_null",
        "score_finite",
        "score_descending",
        "user_id_item_id_unique",
        why="A list with gaps, doubles or a wrong order is shown to people as it is.",
        remedy="`recsys releases rollback`, then look at the failing rows.",
    ),
    _question(
        "Has everybody a full list?",
        "listed_any",
        "listed_full",
        why="An empty place on the page is a lost recommendation.",
        remedy="raise `[index] candidates_per_user`, or look at the rules that filter.",
    ),
    _question(
        "Is nothing listed that they have?",
        "seen_none",
        why="People are annoyed to be shown what they have already.",
        remedy="`recsys releases rollback`, and please report it.",
    ),
    _question(
        "Do the lists differ?",
        "distinct_share_mean",
        "popular_share_mean",
        why="The same popular items for everyone are no recommendation.",
        remedy="train longer or `recsys tune`; compare with `evaluation`.",
    ),
    _question(
        "Are they close to the lists before?",
        "overlap_with_previous_mean",
        why="Lists that change all at once show a fault more often than a better model.",
        remedy="compare the two releases' days and settings: `recsys releases list`.",
    ),
)

_EMBEDDINGS: Final = (
    _question(
        "Is every vector usable?",
        "norm_finite",
        "norm_not_zero",
        "norm_no_giants",
        why="A vector without direction is recommended nothing, and a giant is recommended to everybody.",
        remedy="look at the ids in the failing rows; train with more regularisation or other seeds.",
    ),
    _question(
        "Is every dimension used?",
        "deviation_alive",
        why="A dimension in which all are alike costs memory and says nothing.",
        remedy="lower `[training] embedding_size` or the regularisation.",
    ),
)

QUESTIONS: Final = {
    "raw_interactions": _RAW,
    "interactions": _INTERACTIONS,
    "item_catalogue": _CATALOGUE,
    "user_embeddings": _EMBEDDINGS,
    "item_embeddings": _EMBEDDINGS,
    "recommendations": _RECOMMENDATIONS,
}
"""Table -> its questions, in the order in which they are shown."""


def question_of(table: str, check: str) -> Question | None:
    """Return the question that a table's check answers; None for a table or check that has none."""
    return next((q for q in QUESTIONS.get(table, ()) if check in q.checks), None)
