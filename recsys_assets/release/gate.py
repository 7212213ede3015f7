"""The judgement of the gate: figures of a candidate against those of the current release, and of the baselines.

Pure: what is compared is measured elsewhere (`orchestration.promotion_gate`), and nothing is read or written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from recsys_assets.evaluation.evaluated_users import EvaluatedUsers, mean_intervals, paired_difference
from recsys_assets.release.gate_report import GateName, GateResult
from recsys_assets.storage.arrays import Float64

_SEED: Final = 0
"""Of the bootstrap's draws, so that a judgement can be repeated."""


@dataclass(frozen=True, kw_only=True)
class ModelOnUsers:
    """One model, measured on the held-out items of single users."""

    model: str
    """Its name among the models of `users`."""
    users: EvaluatedUsers
    """One value a user."""


@dataclass(frozen=True, kw_only=True)
class PairedLoss:
    """NDCG@10 of two models on the same users."""

    users: int
    """Users that both were measured on."""
    before: float
    """Mean of the model to compare with, 0-1."""
    after: float
    """Mean of the model judged, 0-1."""
    difference: float
    """Mean of after - before."""
    low: float
    """Lower bound of its paired 95 % interval."""
    high: float
    """Upper bound."""

    def bound(self, margin: float) -> float:
        """Return the least difference that is no loss: minus a share of the mean before."""
        return -margin * self.before

    def is_loss(self, margin: float) -> bool:
        """Return True where it loses more than the margin, and that is not chance."""
        return self.difference < self.bound(margin) and self.high < 0

    def in_words(self) -> str:
        """Return both means, and the difference with its interval."""
        share = f", {self.difference / self.before:+.1%}" if self.before else ""
        return (
            f"NDCG@10 {self.after:.4f} against {self.before:.4f} for {self.users:,} users:"
            f" {self.difference:+.4f}{share} (95 % interval {self.low:+.4f} to {self.high:+.4f})"
        )


def paired_loss(before: ModelOnUsers, after: ModelOnUsers) -> PairedLoss | None:
    """Compare two models over the users that both were measured on; None where there are none."""
    place = {user: number for number, user in enumerate(before.users.user_ids)}
    both = [(place[user], number) for number, user in enumerate(after.users.user_ids) if user in place]
    if not both:
        return None
    rows = np.array(both)
    before_R = np.asarray(before.users.ndcg[before.model])[rows[:, 0]]
    after_R = np.asarray(after.users.ndcg[after.model])[rows[:, 1]]
    return _loss(before_R, after_R)


def _loss(before_R: Float64, after_R: Float64) -> PairedLoss:
    difference, low, high = paired_difference(before_R, after_R, seed=_SEED)
    return PairedLoss(
        users=len(before_R),
        before=float(before_R.mean()),
        after=float(after_R.mean()),
        difference=difference,
        low=low,
        high=high,
    )


def nothing_to_compare(name: GateName, why: str) -> GateResult:
    """Return a result that passes since nothing can be measured, and says why."""
    return GateResult(name=name, passed=True, detail=why)


def judge_held_out(loss: PairedLoss | None, *, margin: float, how: str, other_days: bool) -> GateResult:
    """Judge a candidate against the current release.

    Args:
        loss: the comparison; None where no user is in both.
        margin: share of NDCG@10 that it may lose.
        how: says what was compared, for the detail.
        other_days: the two were measured on other held-out days, so that a difference proves nothing.
    """
    if loss is None:
        return nothing_to_compare("held_out", f"no user was evaluated in both; {how}")
    failed = loss.is_loss(margin) and not other_days
    return GateResult(
        name="held_out",
        passed=not failed,
        value=loss.difference,
        bound=loss.bound(margin),
        detail=f"{loss.in_words()}; {how}",
    )


def best_baseline_of(found: ModelOnUsers) -> ModelOnUsers | None:
    """Return the baseline with the highest mean NDCG@10 on the same users; None where there is none."""
    others = {
        model: float(np.mean(values)) for model, values in found.users.ndcg.items() if model != found.model
    }
    if not others or not found.users.user_ids:
        return None
    return ModelOnUsers(model=max(others, key=others.__getitem__), users=found.users)


def judge_baseline(found: ModelOnUsers, *, margin: float, excuse: str) -> GateResult:
    """Judge a candidate against the best baseline on its own users.

    Args:
        found: the candidate.
        margin: share of NDCG@10 that it may be below.
        excuse: why it passes all the same, such as that nothing else is served; empty for none.
    """
    best = best_baseline_of(found)
    loss = None if best is None else paired_loss(best, found)
    if best is None or loss is None:
        return nothing_to_compare("best_baseline", "no baseline was measured")
    is_loss = loss.is_loss(margin)
    allowed = f"; it passes all the same: {excuse}" if is_loss and excuse else ""
    return GateResult(
        name="best_baseline",
        passed=not is_loss or bool(excuse),
        value=loss.difference,
        bound=loss.bound(margin),
        detail=f"{loss.in_words()}; the best baseline is {best.model}{allowed}",
    )


def is_below_baselines(metrics: Mapping[str, float], *, model: str, margin: float) -> bool:
    """Return True where the means of a manifest say that a release was below a baseline by more than the margin."""
    ours = metrics.get(f"{model}_ndcg@10")
    others = [
        value for name, value in metrics.items() if name.endswith("_ndcg@10") and name != f"{model}_ndcg@10"
    ]
    return ours is not None and bool(others) and ours < (1 - margin) * max(others)


def interval_in_words(found: ModelOnUsers) -> str:
    """Return the model's own NDCG@10 with its 95 % interval."""
    values = np.asarray(found.users.ndcg[found.model])
    if not len(values):
        return "no user was evaluated"
    value, low, high = mean_intervals({"ndcg": values}, seed=_SEED)["ndcg"]
    return f"NDCG@10 {value:.4f} ({low:.4f} to {high:.4f}) for {len(values):,} users"
