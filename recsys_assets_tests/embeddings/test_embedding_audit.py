import pytest

from recsys_assets.embeddings.embedding_audit import ends_above_lowest, rising_epochs


def test_epochs_that_rise_by_more_than_rounding_are_named():
    assert rising_epochs([3.0, 2.0, 2.5, 2.5 * (1 + 1e-7), 2.6]) == [3, 5]


def test_one_epoch_cannot_rise():
    assert rising_epochs([3.0]) == []
    assert not ends_above_lowest([3.0])


@pytest.mark.parametrize(
    ("losses", "found"),
    [([3.0, 2.0, 2.2, 1.9], False), ([3.0, 2.0, 2.01], False), ([3.0, 2.0, 2.1], True), ([3.0, 3.1], True)],
    ids=["one rise", "noise at the end", "a rise at the end", "above the start"],
)
def test_only_an_end_well_above_the_lowest_loss_counts(losses, found):
    assert ends_above_lowest(losses) is found
