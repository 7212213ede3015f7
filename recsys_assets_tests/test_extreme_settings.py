"""Every setting is bounded, and the values at its bounds are computed with or rejected, never NaN."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect as types

from recsys_assets.drift.statistics import daily_rate, thresholds
from recsys_assets.embeddings.fit_release import fit_release
from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.errors import MemoryBudgetError, SettingsError, TrainingDataError
from recsys_assets.release.load import load_current
from recsys_assets.settings import (
    IndexSettings,
    InteractionsSettings,
    QualitySettings,
    Settings,
    load_settings,
)
from recsys_assets.storage.bounds import KeyPath, is_struct, mistake_in
from recsys_assets.storage.home import Home
from recsys_assets.training_settings import TrainingSettings
from recsys_assets_tests.api.world import publish_release
from recsys_assets_tests.embeddings.worlds import block_world

UNUSED = {"processes", "memory_budget_mb", "choice_seconds", "warm_start_epochs", "held_out_share"}
"""Fields that a fit of this size does not read, or that start processes."""
COSTLY = {"epochs": 6, "embedding_size": 32}
"""Fields whose greatest value only takes longer: the value tried."""
WORLD = block_world(blocks=2, users=12, items=10, days=30)


def fields(struct: type[msgspec.Struct], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for field in msgspec.structs.fields(struct):
        if is_struct(field.type):
            yield from fields(field.type, (*path, field.name))
        else:
            yield (*path, field.name), field.type


def numbers(info: types.Type) -> Iterator[tuple[types.IntType | types.FloatType, float]]:
    """Yield the numbers within a type, and the least one beside 0 where 0 has a meaning of its own."""
    match info:
        case types.IntType() | types.FloatType():
            yield info, 0.0
        case types.Metadata():
            least = (info.extra_json_schema or {}).get("least", 0.0)
            yield from ((number, least) for number, _ in numbers(info.type))
        case types.UnionType():
            for one in info.types:
                yield from numbers(one)
        case types.ListType() | types.VarTupleType():
            yield from numbers(info.item_type)
        case types.DictType():
            yield from numbers(info.value_type)


def at_the_bounds(kind: Any) -> list[float]:
    return [
        value
        for number, least in numbers(types.type_info(kind))
        for value in dict.fromkeys([number.ge, least or number.ge, number.le])
    ]


EXTREMES = {
    path: [min(value, COSTLY.get(path[-1], value)) for value in values]
    for path, kind in fields(TrainingSettings)
    if path[-1] not in UNUSED and (values := at_the_bounds(kind))
}


def test_every_number_has_a_least_and_a_greatest_value():
    unbounded = [
        path
        for path, kind in fields(Settings)
        for number, _ in numbers(types.type_info(kind))
        if number.ge is None or number.le is None
    ]
    assert unbounded == []


def fitted(model: str, values: dict[KeyPath, float]) -> None:
    """Fit a model with these settings; what can be fitted has finite scores for everybody."""
    table: dict[str, Any] = {"model": model, "embedding_size": 4, "epochs": 2, "softmax": {"epochs": 2}}
    for path, value in values.items():
        inner = table
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
    assert mistake_in(table, TrainingSettings) is None
    given = msgspec.convert(table, TrainingSettings, strict=False)
    spec = ModelSpec(model=model, prior_weight=1.0, own_half_life_days=9.0).given(given.score)
    try:
        model_fitted = fit_release(WORLD, spec, given).model
    except (TrainingDataError, MemoryBudgetError):
        return
    scores = model_fitted.score()(np.arange(len(model_fitted.matrix.users))).numpy()
    assert np.isfinite(scores).all(), values


@pytest.mark.parametrize("path", EXTREMES, ids=".".join)
def test_a_value_at_its_bound_gives_finite_scores_or_an_error(path):
    model = {"softmax": "softmax", "item_item": "item_item"}.get(path[0], "ials")
    for value in EXTREMES[path]:
        fitted(model, {path: value})


@given(
    st.sampled_from(["ials", "ials+item_item", "softmax+item_item", "ials+softmax", "popular"]),
    st.fixed_dictionaries({}, optional={path: st.sampled_from(found) for path, found in EXTREMES.items()}),
)
@settings(max_examples=25, deadline=None)
def test_bounds_together_give_finite_scores_or_an_error(model, values):
    fitted(model, values)


@pytest.mark.parametrize("weight", at_the_bounds(dict(fields(InteractionsSettings))[("kinds",)]))
def test_weights_of_events_at_their_bounds_give_finite_scores(weight):
    assert weight == 0 or fit_release(
        WORLD.with_columns(weight=weight),
        ModelSpec(model="ials"),
        TrainingSettings(embedding_size=4, epochs=2),
    )


@pytest.mark.parametrize("of_bounds", [min, max])
def test_an_index_is_built_at_the_bounds_of_its_settings(tmp_path, of_bounds):
    values = {path[0]: of_bounds(at_the_bounds(kind)) for path, kind in fields(IndexSettings)}
    home = Home(tmp_path)
    publish_release(home, users=6, items=20, index=IndexSettings(**values))
    assert load_current(home.releases).items


def test_budgets_of_false_alarms_at_their_bounds_give_finite_thresholds():
    largest = np.abs(np.random.default_rng(0).normal(size=60)) + 1
    kinds = dict(fields(QualitySettings))
    for alarms in at_the_bounds(kinds["alarms_per_year",]):
        for blocks in at_the_bounds(kinds["blocks_per_year",]):
            rates = {"warn_rate": daily_rate(alarms), "block_rate": daily_rate(blocks)}
            found = thresholds(largest, checks=30, **rates)
            assert np.isfinite([found.warn, found.block]).all()
            assert 0 < rates["warn_rate"] <= 1


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("[training.score]\nprior_weight = 1e39", "give a number, 0 to 1000"),
        ("[training.softmax]\ntemperature = 1e-30", "give a number, 0.01 to 10"),
        ("[training.score]\nown_half_life_days = 1e-50", "give 0, or 0.01 to 100000"),
        ("[training]\nregularization = 1e-300", "give 0, or 1e-06 to 1000000"),
        ("[interactions]\nkinds = {view = 1e-40}", "each 0, or 0.001 to 1000"),
        ("[retention]\nrun_days = 1000000000000", "give a whole number, 0 to 100000"),
        ("[quality]\nalarms_per_year = 1e9", "give a number, 0.001 to 365"),
        ("[training]\nseed = 99999999999999999999", "a whole number of more than 18 digits"),
        ("[api]\nrequests_per_second = 1e300", "give a number, at least 0"),
        ('[export]\nto = "a\\u0000b"', "text of one line"),
        ('[interactions]\nseen = ["a\\nb"]', "text of one line"),
    ],
)
def test_a_value_beyond_sense_is_rejected(tmp_path, setting, said):
    home = Home(tmp_path)
    source = '[source]\nspec = "completejourney"\nfirst_day = 2017-01-01\nlast_day = 2017-01-31\n'
    home.settings_file.write_text(source + setting + "\n")
    with pytest.raises(SettingsError) as raised:
        load_settings(home)
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(("first", "last"), [("0001-01-01", "2017-01-31"), ("2017-01-01", "9999-12-31")])
def test_days_beyond_the_calendar_of_the_libraries_are_rejected(tmp_path, first, last):
    home = Home(tmp_path)
    home.settings_file.write_text(f'[source]\nspec = "x"\nfirst_day = {first}\nlast_day = {last}\n')
    with pytest.raises(SettingsError, match="is not allowed; give a day, 1900-01-01 to 2199-12-31"):
        load_settings(home)
