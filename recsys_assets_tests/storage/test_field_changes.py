"""Two mappings and two lineages compared."""

from datetime import date

from recsys_assets.storage.field_changes import DayChanges, FieldChange, changed_fields, day_changes

FIRST, SECOND, THIRD = (date(2024, 3, day) for day in (1, 2, 3))


def test_values_are_compared_by_dotted_name_in_the_order_of_the_first():
    before = {"training": {"epochs": 15, "softmax": {"epochs": 3}}, "same": [1]}
    after = {"training": {"softmax": {"epochs": 4}, "epochs": 20}, "same": [1]}
    assert changed_fields(before, after) == [
        FieldChange(name="training.epochs", before=15, after=20),
        FieldChange(name="training.softmax.epochs", before=3, after=4),
    ]


def test_a_missing_value_is_the_same_as_none_and_an_empty_table_as_no_table():
    assert changed_fields({"a": None, "b": {}}, {}) == []
    assert changed_fields({}, {"b": {"c": 0}}) == [FieldChange(name="b.c", before=None, after=0)]


def test_days_are_added_rebuilt_or_removed():
    found = day_changes({FIRST: "a", SECOND: "b"}, {SECOND: "c", THIRD: "d"})
    assert found == DayChanges(added=[THIRD], rebuilt=[SECOND], removed=[FIRST])
    assert day_changes({FIRST: "a"}, {FIRST: "a"}) == DayChanges()
