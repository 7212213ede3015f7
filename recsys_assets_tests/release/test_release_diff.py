"""The difference between two releases, part by part."""

import shutil
import subprocess
import sys
from datetime import date, timedelta

import msgspec
import numpy as np
import pytest

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.errors import BrokenReleaseError, ReleaseError
from recsys_assets.evaluation.evaluated_users import EvaluatedUsers
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.release.release_diff import diff_releases
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE, SETTINGS

HELD_OUT = LAST_DAY - timedelta(days=5)
USERS = 200


def measured(folder, model, ndcg, *, users=True, first=HELD_OUT):
    """Write what an evaluation and a choice leave, into the folders of two parts; the parts by name."""
    folder.mkdir(parents=True)
    rows = [
        {
            "model": name,
            "metric": "ndcg",
            "k": 10,
            "value": value,
            "low": value - 0.01,
            "high": value + 0.01,
            "users": USERS,
        }
        for name, value in ((model, float(np.mean(ndcg))), ("popularity", 0.2), ("item_knn", 0.3))
    ]
    (folder / "evaluation.json").write_bytes(msgspec.json.encode(rows))
    ModelChoice(spec=ModelSpec(model=model, prior_weight=2.0)).save(folder)
    if users:
        values = {model: [float(value) for value in ndcg]}
        ids = [f"u{num}" for num in range(len(ndcg))]
        EvaluatedUsers(first_day=first, last_day=LAST_DAY, user_ids=ids, ndcg=values, recall=values).save(
            folder
        )
    return {"evaluation": folder}


@pytest.fixture
def publish(world, tmp_path):
    """Publish with an evaluation of its own, and return the id."""
    number = iter(range(10))

    def run(model="ials", ndcg=None, *, users=True, first=HELD_OUT, **more):
        ndcg = np.full(USERS, 0.5) if ndcg is None else ndcg
        evaluation = measured(tmp_path / f"part{next(number)}", model, ndcg, users=users, first=first)
        return world.publish(tmp_path / "home", parts=world.parts | evaluation, **more).release_id

    return run


@pytest.fixture
def store(tmp_path):
    return ReleaseStore(tmp_path / "home" / "releases")


def test_a_release_does_not_differ_from_itself(publish, store):
    one = publish()
    found = diff_releases(store, one, one)
    assert (found.before, found.lists.changed) == (found.after, 0)
    assert (found.model, found.settings, found.rules) == ([], [], [])
    assert [(table.changed, table.columns) for table in found.features] == [(0, []), (0, [])]
    assert (found.days.added, found.days.rebuilt, found.days.removed) == ([], [], [])
    (ndcg,) = found.metrics
    assert (ndcg.difference.value, ndcg.difference.low, ndcg.difference.high) == (0, 0, 0)


def test_metrics_of_other_models_are_compared_on_the_same_users(publish, store):
    noise = np.random.default_rng(0).random(USERS) * 0.5
    one, other = publish("ials", noise), publish("softmax", noise + 0.01)
    found = diff_releases(store, one, other)
    (ndcg,) = found.metrics
    assert ndcg.metric == "ndcg@10"
    assert ndcg.before.high > ndcg.after.low  # the intervals overlap
    assert (ndcg.difference.low, ndcg.difference.high) == pytest.approx((0.01, 0.01))
    assert (found.paired_users, found.metrics_note) == (USERS, "")
    assert [(one.name, one.before, one.after) for one in found.model] == [("model", "ials", "softmax")]
    assert (found.before.best_baseline, found.before.best_baseline_ndcg) == ("item_knn", 0.3)


def test_users_whom_both_know_are_compared(publish, store):
    one, other = publish("ials", np.zeros(USERS)), publish("ials", np.ones(USERS - 50))
    assert diff_releases(store, one, other).paired_users == USERS - 50


def test_there_is_no_difference_of_metrics_on_other_held_out_days(publish, store):
    one, other = publish(), publish(first=HELD_OUT - timedelta(days=1))
    found = diff_releases(store, one, other)
    assert found.metrics[0].difference is None
    assert f"{HELD_OUT} to {LAST_DAY} and {HELD_OUT - timedelta(days=1)} to {LAST_DAY}" in found.metrics_note
    assert found.paired_users == 0


def test_there_is_none_where_a_held_out_day_was_rebuilt_and_one_where_another_day_was(publish, store):
    one, other = publish(), publish(lineage=LINEAGE | {LAST_DAY: "f" * 64})
    found = diff_releases(store, one, other)
    assert "two versions of" in found.metrics_note
    assert found.days.rebuilt == [LAST_DAY]
    earlier = publish(lineage=LINEAGE | {HELD_OUT - timedelta(days=1): "f" * 64})
    assert diff_releases(store, one, earlier).paired_users == USERS


def test_a_release_without_values_of_single_users_is_named(publish, world, store, tmp_path):
    one, other = publish(), publish(users=False)
    assert diff_releases(store, one, other).metrics_note == f"{other} keeps no values of single users."
    bare = world.publish(tmp_path / "home").release_id
    found = diff_releases(store, bare, one)
    assert found.metrics_note == f"{bare} was not measured on held-out days."
    assert [(one.before, one.after.value) for one in found.metrics] == [(None, 0.5)]
    assert (found.before.model, found.before.best_baseline_ndcg, found.before.evaluated_users) == (
        "",
        None,
        0,
    )


def test_settings_and_days_that_changed_are_named(publish, store):
    training = msgspec.structs.replace(SETTINGS.training, epochs=9)
    more = LINEAGE | {LAST_DAY + timedelta(days=1): "e" * 64}
    one = publish()
    other = publish(settings=msgspec.structs.replace(SETTINGS, training=training), lineage=more)
    found = diff_releases(store, one, other)
    assert [(one.name, one.before, one.after) for one in found.settings] == [("training.epochs", 3, 9)]
    assert found.days.added == [date(2024, 2, 1)]
    assert diff_releases(store, other, one).days.removed == [date(2024, 2, 1)]


def test_lists_that_changed_are_named_by_title(world, publish, store, tmp_path):
    one = publish()
    for part, artifacts in world.parts.items():
        shutil.copytree(artifacts, tmp_path / "changed" / part)
    file = tmp_path / "changed" / "index" / "candidates_items.npy"
    rows = np.load(file)
    gone, new = rows[7, 2], rows[7, 12]
    rows[7, 2], rows[7, 12] = new, gone
    np.save(file, rows)
    parts = {part: tmp_path / "changed" / part for part in world.parts}
    other = world.publish(tmp_path / "home", parts=parts).release_id
    lists = diff_releases(store, one, other).lists
    assert (lists.users, lists.changed) == (40, 1 / 40)
    assert [name.split()[0] for name in lists.examples[0].gone + lists.examples[0].new] == ["Thing"] * 2


def test_an_unknown_release_is_an_error_that_names_the_others(publish, store):
    one = publish()
    with pytest.raises(ReleaseError, match=f"no release '../x'; there are: {one}"):
        diff_releases(store, one, "../x")


def test_a_damaged_release_is_named(publish, store):
    one, other = publish(), publish("softmax")
    (store.path(other) / "evaluation.json").write_bytes(b"[{")
    with pytest.raises(BrokenReleaseError, match=f"{other}/evaluation.json"):
        diff_releases(store, one, other)


def test_it_loads_no_library_that_a_server_may_not_load():
    heavy = {"torch", "dagster", "pandera", "polars", "pyarrow"}
    code = f"import sys, recsys_assets.release.release_diff; print(*({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
