"""Meaning of an event for the next list of its user."""

from datetime import UTC, date, datetime

import pytest

from recsys_assets.event_settings import EventsSettings
from recsys_assets.intake.event_meaning import (
    HIDDEN,
    NOTHING,
    RATED_FROM,
    WISH,
    EventMeaning,
    EventOptions,
)
from recsys_assets.lake.sources.preset_format import preset_names
from recsys_assets.lake.sources.registry import rating_positive_of
from recsys_assets.settings import InteractionsSettings


def meaning(*, source: str = "", more: tuple[str, ...] = (), **interactions: object) -> EventMeaning:
    options = EventOptions(
        events=EventsSettings(kinds=list(more)),
        interactions=InteractionsSettings(**interactions),  # type: ignore[arg-type]
        source=source,
    )
    return EventMeaning.of(options)


@pytest.mark.parametrize(
    ("kind", "rating", "expected"),
    [
        ("view", None, WISH),
        ("purchase", None, WISH),
        ("rating", 4.0, WISH),
        ("rating", 3.5, HIDDEN),
        ("hide", None, HIDDEN),
        ("dislike", None, HIDDEN),
        ("other", None, HIDDEN),
        ("impression", None, NOTHING),
        ("sampled", None, WISH),
    ],
)
def test_kinds_and_ratings_mean_what_they_mean_in_the_lake(
    kind: str, rating: float | None, expected: int
) -> None:
    assert meaning(rating_positive=4.0).of_event(kind, rating) == expected


def test_a_kind_of_no_weight_that_does_not_hide_means_nothing() -> None:
    found = meaning(more=("Scrolled",), seen=["purchase"])
    weightless = meaning(seen=["purchase"], kinds={"view": 0.0})
    assert "scrolled" in found.accepted
    assert weightless.of_event("view", None) == NOTHING
    assert meaning(seen="all", kinds={"view": 0.0}).of_event("view", None) == HIDDEN


def test_kinds_of_the_settings_are_accepted_but_no_impression() -> None:
    found = meaning(more=(" Quiz ",), kinds={"Sample": 0.3}).accepted
    assert {"view", "hide", "quiz", "sample"} <= set(found)
    assert "impression" not in found


def test_the_least_rating_of_a_wish_is_that_of_the_sources_format() -> None:
    rated = {name: rating_positive_of(f"{name}:x") for name in preset_names()}
    rated["amazon"] = rating_positive_of("amazon:Books")
    assert {name: least for name, least in rated.items() if least is not None} == RATED_FROM
    assert meaning(source="amazon:Books").rating_positive == 4.0
    assert meaning(source="amazon:Books", rating_positive=2.0).rating_positive == 2.0


@pytest.mark.parametrize(
    ("first_day", "earliest"),
    [
        (None, datetime(1990, 1, 1, tzinfo=UTC)),
        (date(2017, 1, 1), datetime(1990, 1, 1, tzinfo=UTC)),
        (date(1975, 6, 1), datetime(1975, 6, 1, tzinfo=UTC)),
    ],
)
def test_events_of_1990_and_of_the_home_s_own_days_are_never_too_early(
    first_day: date | None, earliest: datetime
) -> None:
    found = EventOptions(first_day=first_day).earliest
    assert found == int(earliest.timestamp()) * 1_000_000
