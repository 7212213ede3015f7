"""A warm replay trains its evaluation's model on from the item vectors that the evaluation before kept."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from recsys_assets.embeddings.fit_model import fit_model
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.evaluation.comparison import evaluate
from recsys_assets.evaluation.held_out import time_split
from recsys_assets.evaluation.kept_baselines import evaluate_beside
from recsys_assets.evaluation.kept_fit import fit_folder, keep_fit, kept_starts
from recsys_assets.storage.string_table import Vocabulary
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.embeddings.worlds import block_world

SETTINGS = TrainingSettings(embedding_size=8)
WARM = msgspec.structs.replace(SETTINGS, warm_start_epochs=1)


@pytest.fixture(scope="module")
def split():
    return time_split(block_world(), held_out_share=SETTINGS.held_out_share)


@pytest.mark.parametrize("model", ["ials", "softmax", "ials+softmax"])
def test_item_vectors_are_kept_and_users_are_not(model, split, tmp_path):
    spec = ModelSpec(model=model, first_share=0.5)
    fitted = fit_model(split.train, spec, SETTINGS)
    keep_fit(fitted, tmp_path / "kept")
    starts = kept_starts(tmp_path / "kept", split.train, spec, WARM)

    assert set(starts) == set(spec.components)
    for name, start in starts.items():
        part = fitted.parts.recipe.factors[name]
        own = fitted.factorisation.item_embeddings[:, part.first : part.end]
        np.testing.assert_allclose(start.item_embeddings[:, : own.shape[1]], own, rtol=1e-3, atol=1e-3)
        assert start.user_embeddings.shape == (len(split.train.users), 8)
        assert not start.user_embeddings.any()
    files = b"".join(file.read_bytes() for file in (tmp_path / "kept").iterdir())
    assert not any(user.encode() in files for user in split.train.users)


def test_items_are_found_by_id_and_new_ones_are_zero(split, tmp_path):
    keep_fit(fit_model(split.train, ModelSpec(model="ials"), SETTINGS), tmp_path / "kept")
    more = Vocabulary.from_strings([*split.train.items, "a new one"])
    wider = replace(split.train, items=more)
    start = kept_starts(tmp_path / "kept", wider, ModelSpec(model="ials"), WARM)["ials"]

    new = more.nums(["a new one"])[0]
    assert np.flatnonzero(~start.item_embeddings.any(axis=1)).tolist() == [new]


@pytest.mark.parametrize("name", ["ials.npy", "items.offsets.npy"])
def test_a_damaged_file_is_no_start(name, split, tmp_path):
    keep_fit(fit_model(split.train, ModelSpec(model="ials"), SETTINGS), tmp_path / "kept")
    (tmp_path / "kept" / name).write_bytes(b"\x93NUMPY")

    assert kept_starts(tmp_path / "kept", split.train, ModelSpec(model="ials"), WARM) == {}


def test_another_width_is_no_start(split, tmp_path):
    keep_fit(fit_model(split.train, ModelSpec(model="ials"), SETTINGS), tmp_path / "kept")
    wider = msgspec.structs.replace(WARM, embedding_size=16)

    assert kept_starts(tmp_path / "kept", split.train, ModelSpec(model="ials"), wider) == {}


def test_a_component_without_weight_is_not_kept(split, tmp_path):
    keep_fit(fit_model(split.train, ModelSpec(model="popular"), SETTINGS), tmp_path / "kept")

    assert kept_starts(tmp_path / "kept", split.train, ModelSpec(model="ials"), WARM) == {}


@pytest.mark.parametrize("model", ["ials", "softmax"])
def test_a_model_trained_on_is_about_as_good_after_one_epoch_as_after_all(model, tmp_path):
    spec, fitted = ModelSpec(model=model), []

    def on_fit(one):
        fitted.append(one)
        keep_fit(one, fit_folder(tmp_path / "evaluation"))

    whole = evaluate(block_world(), spec, SETTINGS, on_fit=on_fit)
    (tmp_path / "evaluation").mkdir()
    whole.save(tmp_path / "evaluation")
    again = evaluate_beside(block_world(), spec, WARM, tmp_path / "evaluation", on_fit=on_fit)

    assert [len(one.factorisation.losses) for one in fitted][1] == 1
    before, after = (np.mean(one.users.ndcg[model]) for one in (whole, again))
    assert after == pytest.approx(before, rel=0.05)
