"""The paper model agrees with what was measured, and moves the right way with nodes and sizes."""

from dataclasses import replace

import pytest

from recsys_assets.benchmarks.scale_model import (
    HERE,
    LARGEST,
    NODE,
    ScaleProblem,
    compute_seconds,
    estimate,
    node_bytes,
    release_bytes,
    table,
)

GIGABYTE = 1e9
MEASURED = [
    (ScaleProblem(users=140_000, items=27_000, pairs=22_000_000), 40, 1.0),
    (ScaleProblem(users=700_000, items=60_000, pairs=124_000_000), 465, 4.7),
]
"""Trainings of `benchmarks/README.md`: seconds and gigabytes."""


@pytest.mark.parametrize(("problem", "seconds", "gigabytes"), MEASURED)
def test_time_and_memory_are_those_of_22_and_124_million_pairs(problem, seconds, gigabytes):
    assert compute_seconds(problem, nodes=1, machine=HERE) == pytest.approx(seconds, rel=0.15)
    assert node_bytes(problem, nodes=1) == pytest.approx(gigabytes * GIGABYTE, rel=0.15)


def test_the_processor_time_is_that_of_5_million_pairs_which_no_constant_was_chosen_by():
    problem = ScaleProblem(users=35_000, items=13_500, pairs=4_833_410, epochs=3)
    found = compute_seconds(problem, nodes=1, machine=replace(HERE, cores=1))
    assert found == pytest.approx(4.38, rel=0.2)


def test_the_release_has_the_bytes_of_one_that_was_built():
    built = ScaleProblem(users=2_170, items=92_333, pairs=190_569)
    assert release_bytes(built) == pytest.approx(122_142_599, rel=0.1)


def test_on_more_nodes_each_has_less_to_hold_and_to_compute_but_all_items():
    found = [estimate(LARGEST, nodes=nodes) for nodes in (2, 4, 8, 16)]
    assert [one.node_bytes for one in found] == sorted((one.node_bytes for one in found), reverse=True)
    assert found[-1].compute_seconds == pytest.approx(found[0].compute_seconds / 8, rel=0.1)
    assert found[-1].node_bytes > 2 * 4 * LARGEST.embedding_size * LARGEST.items


def test_one_node_sends_nothing_and_two_send_each_the_half_of_all_items():
    steps, rows = LARGEST.cg_steps, LARGEST.items
    numbers = LARGEST.epochs * rows * ((2 * steps + 1) * LARGEST.embedding_size + steps)
    assert estimate(LARGEST, nodes=1).sent_bytes == 0
    assert estimate(LARGEST, nodes=2).sent_bytes == 4 * numbers / 2


def test_the_table_has_a_row_for_each_number_of_nodes_and_dimensions():
    assert len(table()) == 8
    assert all(row.count("|") == 11 for row in table())


def test_a_free_machine_costs_nothing():
    assert estimate(LARGEST, nodes=4, machine=replace(NODE, dollars_an_hour=0.0)).dollars == 0
