"""A graph's time and depth on all items follow from two samples, and a clear loss differs from an open race."""

import msgspec
import pytest

from recsys_assets.index.forecast import MOST_EXPANSION, exact_wins, foresee, worthwhile_seconds
from recsys_assets.index.index_report import Trial

TARGET = 0.99


def trial(items, query_us, *, expansion=100, recall=0.995):
    return Trial(
        kind="usearch",
        expansion_search=expansion,
        recall=recall,
        query_us=query_us,
        build_seconds=1,
        items=items,
    )


def wins(smaller, larger, *, items, exact_us):
    return exact_wins(foresee(smaller, larger, items=items), exact_us=exact_us, recall_target=TARGET)


def test_the_time_grows_with_the_logarithm_of_the_items():
    found = foresee(trial(1_500, 40.0), trial(6_000, 50.0), items=96_000)

    assert found.query_us == pytest.approx(50 + 2 * 10)
    assert found.expansion_search == 100


def test_the_nodes_to_visit_grow_by_a_power():
    found = foresee(trial(1_500, 40, expansion=150), trial(6_000, 80, expansion=300), items=24_000)

    assert found.expansion_search == pytest.approx(600)


def test_noise_does_not_make_a_graph_faster_on_more_items():
    assert foresee(trial(1_500, 60.0), trial(6_000, 50.0), items=24_000).query_us == pytest.approx(55)


@pytest.mark.parametrize("items", [1, 4, 6_000])
def test_a_sample_that_is_the_whole_catalogue_is_its_own_forecast(items):
    assert foresee(trial(max(1, items // 4), 30.0), trial(items, 50.0), items=items).query_us == 50


@pytest.mark.parametrize(
    ("smaller", "larger", "items", "exact_us", "expected"),
    [
        # the default: on 68,260 items a graph then took 59 to 86 µs
        (trial(1_500, 36), trial(6_000, 47), 68_260, 33, True),
        # exact search takes longer than the graph: it is built and measured
        (trial(1_500, 36), trial(6_000, 47), 68_260, 400, False),
        # about as fast as each other: a graph finds less and takes seconds to build
        (trial(1_500, 40), trial(6_000, 50), 24_000, 57, True),
        # a graph would be twice as fast: measured
        (trial(1_500, 40), trial(6_000, 50), 24_000, 120, False),
        # a million: fast on the samples, but it would have to visit far too many nodes for the recall
        (trial(1_500, 80, expansion=200), trial(6_000, 150, expansion=450), 1_000_000, 3_000, True),
        # the recall is out of reach on 6,000 items already
        (trial(1_500, 300), trial(6_000, 900, expansion=MOST_EXPANSION, recall=0.88), 68_260, 2_000, True),
        # a recall that is missed by little may be reached by a thorough graph
        (trial(1_500, 90), trial(6_000, 99, recall=0.988), 68_260, 2_000, False),
    ],
)
def test_exact_search_is_foreseen_to_win_only_where_that_is_clear(smaller, larger, items, exact_us, expected):
    assert wins(smaller, larger, items=items, exact_us=exact_us) is expected


def test_the_build_is_foreseen_from_the_larger_sample():
    found = foresee(trial(1_500, 40.0), trial(6_000, 50.0), items=96_000)

    assert 16 < found.build_seconds < 24


def test_a_graph_whose_building_takes_longer_than_it_can_save_is_lost():
    slow = msgspec.structs.replace(trial(6_000, 50), build_seconds=30)
    assert worthwhile_seconds(70, exact_us=400) == pytest.approx(330)
    assert worthwhile_seconds(400, exact_us=70) == 0
    assert not wins(trial(1_500, 40), trial(6_000, 50), items=96_000, exact_us=400)
    assert wins(trial(1_500, 40), slow, items=96_000, exact_us=400)


def test_the_smallest_sample_decides_where_a_search_takes_as_long_there_already():
    alone = trial(1_500, 40)
    assert wins(alone, alone, items=90_000, exact_us=50)
    assert not wins(alone, alone, items=90_000, exact_us=500)
