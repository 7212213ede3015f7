"""The difference between two releases: metrics, lists of real users, model, settings, features, rules and days.

The API imports this: neither torch, dagster, pandera, polars nor pyarrow.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from recsys_assets.embeddings.model_spec import ModelSpec
from recsys_assets.errors import BrokenReleaseError
from recsys_assets.evaluation.changed_lists import ListChanges
from recsys_assets.evaluation.evaluated_users import (
    EvaluatedUsers,
    paired_difference,
    read_evaluated_users,
)
from recsys_assets.evaluation.model_choice import ModelChoice
from recsys_assets.features.feature_changes import MOST_ROWS, TableChanges, compare_features
from recsys_assets.release.list_changes import compare_lists
from recsys_assets.release.load import load_release
from recsys_assets.release.manifest import WAY_OUT, Manifest
from recsys_assets.release.release_store import ReleaseStore
from recsys_assets.release.rule_changes import RuleChange, rule_changes
from recsys_assets.storage.field_changes import DayChanges, FieldChange, changed_fields, day_changes

_EVALUATION: Final = "evaluation.json"
_PAIRED_K: Final = 10
"""Depth of the metrics that are kept for each user."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its 95 % interval."""

    value: float
    """The value."""
    low: float | None = None
    """Lower bound; None where it is not a mean over users."""
    high: float | None = None
    """Upper bound."""


class MetricDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of the model of each release, on the held-out days of each."""

    metric: str
    """Name and depth, such as `ndcg@10`."""
    before: Measured | None
    """Value before; None where it was not measured."""
    after: Measured | None
    """Value after."""
    difference: Measured | None = None
    """Mean of after - before over the same users; None where no values of the same users are known."""


class ReleaseSide(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two releases."""

    release: str
    """Its id."""
    created_at: datetime
    """Time of its publication, UTC."""
    first_day: date
    """First UTC day of its events."""
    through_day: date
    """Last UTC day of its events."""
    model: str
    """Name of its model; empty where it does not say."""
    counts: dict[str, int]
    """Numbers of users, items, …"""
    evaluated_users: int
    """Users that its metrics are means of; 0 where nothing was measured."""
    best_baseline: str
    """Baseline with the highest NDCG at 10; empty where none was measured."""
    best_baseline_ndcg: float | None
    """That NDCG, 0-1."""


class ReleaseDiff(msgspec.Struct, frozen=True, kw_only=True):
    """All that differs between two releases."""

    before: ReleaseSide
    """One release."""
    after: ReleaseSide
    """The other."""
    metrics: list[MetricDifference]
    """Metrics on held-out days."""
    paired_users: int
    """Users that the differences of metrics are means of; 0 where there are none."""
    metrics_note: str
    """Reason why no metric has a difference on the same users; empty where some have."""
    lists: ListChanges
    """Lists of the same users, without rules."""
    model: list[FieldChange]
    """Parameters of the model that was chosen, and the kind of the index."""
    settings: list[FieldChange]
    """Settings of the builds."""
    features: list[TableChanges]
    """Features of users, then of items."""
    rules: list[RuleChange]
    """Rules, by scenario."""
    days: DayChanges
    """Days."""


def diff_releases(
    store: ReleaseStore, before: str, after: str, *, users: int = 500, seed: int = 0
) -> ReleaseDiff:
    """Compare two releases; the same two give the same result.

    Args:
        store: the folder of releases.
        before: id of one.
        after: id of the other.
        users: users whose lists are compared; all where there are fewer.
        seed: seed of the draw of users, and of the intervals.

    Raises:
        ReleaseError: no release has that id.
        BrokenReleaseError: one of them cannot be read.
    """
    one, other = (_Opened(store.path(name), store.manifest(name)) for name in (before, after))
    note, pair = _paired(one, other)
    lists = compare_lists(
        load_release(one.folder, verify=False),
        load_release(other.folder, verify=False),
        users=users,
        seed=seed,
    )
    return ReleaseDiff(
        before=one.side(),
        after=other.side(),
        metrics=_metric_changes(one, other, pair, seed=seed),
        paired_users=0 if pair is None else len(pair.places),
        metrics_note=note,
        lists=lists,
        model=changed_fields(one.chosen, other.chosen),
        settings=changed_fields(one.manifest.settings, other.manifest.settings),
        features=compare_features(one.folder, other.folder, rows=MOST_ROWS),
        rules=rule_changes(one.folder, other.folder),
        days=day_changes(one.manifest.lineage, other.manifest.lineage),
    )


class _EvaluationRow(msgspec.Struct, frozen=True):
    """One row of `evaluation.json`."""

    model: str
    metric: str
    k: int
    value: float
    low: float | None
    high: float | None
    users: int


@dataclass(frozen=True)
class _Opened:
    """A release's folder and manifest, and what the small files of the folder say."""

    folder: Path
    manifest: Manifest

    @cached_property
    def rows(self) -> list[_EvaluationRow]:
        """Metrics, the released model's first; none where nothing was held out."""
        file = self.folder / _EVALUATION
        try:
            return msgspec.json.decode(file.read_bytes(), type=list[_EvaluationRow])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenReleaseError(f"{file}: cannot be read ({error}); {WAY_OUT}") from error

    @cached_property
    def users(self) -> EvaluatedUsers | None:
        return read_evaluated_users(self.folder)

    @cached_property
    def spec(self) -> ModelSpec | None:
        try:
            return ModelChoice.load(self.folder).spec
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenReleaseError(
                f"{self.folder}: choice.json cannot be read ({error}); {WAY_OUT}"
            ) from error

    @property
    def measured_model(self) -> str:
        return self.rows[0].model if self.rows else ""

    @property
    def chosen(self) -> dict[str, Any]:
        spec = {} if self.spec is None else msgspec.structs.asdict(self.spec)
        return {**spec, "index": self.manifest.index.get("kind")}

    @property
    def metrics(self) -> dict[str, Measured]:
        own = [row for row in self.rows if row.model == self.measured_model]
        return {f"{row.metric}@{row.k}": Measured(value=row.value, low=row.low, high=row.high) for row in own}

    def side(self) -> ReleaseSide:
        manifest = self.manifest
        baselines = [
            (row.value, row.model)
            for row in self.rows
            if (row.metric, row.k) == ("ndcg", _PAIRED_K) and row.model != self.measured_model
        ]
        value, name = max(baselines, default=(None, ""))
        return ReleaseSide(
            release=manifest.release_id,
            created_at=manifest.created_at,
            first_day=manifest.first_day,
            through_day=manifest.through_day,
            model=self.measured_model if self.spec is None else self.spec.model,
            counts=manifest.counts,
            evaluated_users=self.rows[0].users if self.rows else 0,
            best_baseline=name,
            best_baseline_ndcg=value,
        )


@dataclass(frozen=True)
class _Pair:
    """Values of the users that both releases were measured on: R users."""

    places: list[tuple[int, int]]
    """Place of each among the users of either."""
    before: EvaluatedUsers
    after: EvaluatedUsers


def _paired(one: _Opened, other: _Opened) -> tuple[str, _Pair | None]:
    """Return why the metrics are not of the same users and days and None, else an empty text and the pair."""
    for each in (one, other):
        if not each.rows:
            return f"{each.manifest.release_id} was not measured on held-out days.", None
        if each.users is None:
            return f"{each.manifest.release_id} keeps no values of single users.", None
    before, after = one.users, other.users
    if before is None or after is None:  # said above
        return "", None
    held_out = [
        {day: lineage[day] for day in lineage if users.first_day <= day <= users.last_day}
        for lineage, users in ((one.manifest.lineage, before), (other.manifest.lineage, after))
    ]
    if held_out[0] != held_out[1]:
        spans = [f"{users.first_day} to {users.last_day}" for users in (before, after)]
        other_days = f"{spans[0]} and {spans[1]}" if spans[0] != spans[1] else f"two versions of {spans[0]}"
        return f"The two were measured on other held-out days: {other_days}.", None
    places = {user: place for place, user in enumerate(after.user_ids)}
    both = [(place, places[user]) for place, user in enumerate(before.user_ids) if user in places]
    if not both:
        return "The two were measured on no user in common.", None
    return "", _Pair(both, before, after)


def _metric_changes(one: _Opened, other: _Opened, pair: _Pair | None, *, seed: int) -> list[MetricDifference]:
    before, after = one.metrics, other.metrics
    differences: dict[str, Measured] = {}
    if pair is not None:
        at_before, at_after = np.array(pair.places).T
        for metric in ("ndcg", "recall"):
            values = [
                getattr(users, metric).get(side.measured_model)
                for users, side in ((pair.before, one), (pair.after, other))
            ]
            if None not in values:
                pairs_R = np.array(values[0])[at_before], np.array(values[1])[at_after]
                value, low, high = paired_difference(*pairs_R, seed=seed)
                differences[f"{metric}@{_PAIRED_K}"] = Measured(value=value, low=low, high=high)
    return [
        MetricDifference(
            metric=name, before=before.get(name), after=after.get(name), difference=differences.get(name)
        )
        for name in dict.fromkeys([*before, *after])
    ]
