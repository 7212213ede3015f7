"""`recsys init` chooses the rating that is a wish by the scale, and never changes a person's number."""

import pytest

from recsys_assets.lake.initialise import initialise
from recsys_assets.lake.wish_defaults import unknown_kinds_in_words
from recsys_assets.settings import InteractionsSettings, load_settings
from recsys_assets.storage.home import Home

KINDS = {"kind": "event"}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def source(tmp_path):
    """Return a writer of a source with these (kind, rating) pairs."""

    def written(*events: tuple[str, object]) -> str:
        path = tmp_path / "events.csv"
        lines = [f"u{n},i,2024-01-0{n % 5 + 1},{kind},{rating}" for n, (kind, rating) in enumerate(events)]
        path.write_text("\n".join(["user_id,item_id,timestamp,event,rating", *lines]) + "\n")
        return f"tabular:{path}"

    return written


@pytest.fixture
def stars(source):
    return source(*(("", rating) for rating in (1, 2, 3, 4, 5, 5)))


def test_the_rating_above_the_middle_is_written_with_its_reason(home, stars):
    settings = initialise(home, stars)

    assert settings.interactions.rating_positive == 4.0
    assert (
        "chosen by `recsys init`: the least above the middle of the ratings, 1 to 5"
        in home.settings_file.read_text()
    )


def test_a_persons_number_stays(home, stars):
    initialise(home, stars)
    text = home.settings_file.read_text()
    home.settings_file.write_text(text.replace("rating_positive = 4.0", "rating_positive = 3.0"))

    assert initialise(home, stars).interactions.rating_positive == 3.0


def test_the_number_of_an_earlier_source_is_chosen_again(home, stars, source):
    initialise(home, stars)

    assert initialise(home, source(("", 0), ("", 1))).interactions.rating_positive == 1.0
    assert initialise(home, source(("", 5), ("", 5))).interactions.rating_positive is None
    assert "rating_positive = " not in home.settings_file.read_text()


@pytest.mark.parametrize("rating", ["", 5])
def test_without_a_scale_nothing_is_written(home, source, rating):
    initialise(home, source(("", rating), ("", rating)))

    assert load_settings(home).interactions.rating_positive is None
    assert "# [interactions]" in home.settings_file.read_text()


def test_movielens_needs_no_number(home, tmp_path):
    (tmp_path / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,2,5.0,978300760\n1,3,1.0,978300761\n"
    )
    said = []
    settings = initialise(home, f"movielens:{tmp_path}", say=said.append)

    assert settings.interactions.rating_positive is None
    assert said == [
        "Wishes: of ratings 4 and above, 50% of 2 rated events. To change it: [interactions] in recsys.toml."
    ]


def test_one_line_says_the_kinds_and_ratings_that_are_wishes(home, source):
    said = []
    events = [("View", ""), ("view", ""), ("buy", ""), ("hide", ""), ("rating", 5), ("rating", 1)]
    initialise(home, source(*events), columns=KINDS, say=said.append)

    (line,) = said
    assert line.startswith(
        "Wishes: by kind and weight rating 1, view 0.2, purchase 1 (seen, but no wish: hide); of "
    )
    assert "of ratings 5 and above, 50% of 2 rated events. To change it: [interactions]" in line


def test_of_many_kinds_the_most_frequent_are_named(home, source):
    said = []
    events = [(f"k{n}", "") for n in range(12) for _ in range(12 - n)]
    initialise(home, source(*events), columns=KINDS, say=said.append)

    assert "k0 1, k1 1, k2 1, k3 1, k4 1, k5 1, k6 1, k7 1, 4 more. " in said[0]


def test_a_plain_log_says_that_every_event_is_a_wish(home, source):
    said = []
    initialise(home, source(("", ""), ("", "")), say=said.append)

    assert said == ["Wishes: every event."]


@pytest.mark.parametrize(
    ("given", "found", "words"),
    [
        ({}, ["view"], None),
        ({"kinds": {"view": 1.0, "like": 2.0}}, ["view"], None),
        ({"kinds": {"Veiw ": 1.0}}, ["view", "purchase"], "the kind `veiw` (do you mean `view`?)"),
        ({"seen": ["view", "purchse"]}, ["view", "purchase"], "the kind `purchse` (do you mean `purchase`?)"),
        ({"seen": ["xyz"]}, ["view"], "the kind `xyz`; the source has view."),
        ({"seen": ["xyz"]}, [], None),
        ({"seen": "all"}, ["view"], None),
    ],
)
def test_a_kind_that_the_source_has_not_is_reported_once(given, found, words):
    said = unknown_kinds_in_words(InteractionsSettings(**given), found)

    assert words in said if words else not said


def test_init_reports_a_mistyped_kind(home, source):
    events = source(("view", ""), ("purchase", ""))
    initialise(home, events)
    home.settings_file.write_text(home.settings_file.read_text() + '[interactions]\nseen = ["purchse"]\n')
    said = []

    initialise(home, events, say=said.append)

    assert [line for line in said if "`purchse` (do you mean `purchase`?)" in line]
