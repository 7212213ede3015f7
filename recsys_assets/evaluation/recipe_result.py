"""The result of fitting two recipes to the same sample of users, in numbers and in words. No torch: plans hold it."""

from datetime import date

import msgspec

from recsys_assets.evaluation.changed_lists import ListChanges


class MetricChange(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of both recipes on the same held-out users."""

    metric: str
    """Its name, such as `ndcg`."""
    k: int
    """Places of a list that it counts."""
    before: float
    """Mean over the users with the present recipe, 0-1."""
    after: float
    """The same with the proposed one."""
    difference: float
    """after - before."""
    low: float
    """Lower bound of the 95 % interval of the difference that all users would show."""
    high: float
    """Upper bound."""
    allowance: float = 0.0
    """Width that training on fewer users than all adds to the interval of the paired bootstrap; 0 for all."""


class RecipeComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The present and the proposed recipe on the same users. Each pair is (before, after)."""

    problem: str = ""
    """Reason why held-out metrics are missing; empty where they were measured."""
    share: float = 1.0
    """Share of the users that both recipes were fitted to, 0-1."""
    users: int = 0
    """Their number."""
    ranked_users: int = 0
    """Users with held-out items among them, whom the metrics are means over."""
    foreseen_seconds: float = 0.0
    """Time that the sizes foretell, on two busy cores."""
    first_held_out_day: date | None = None
    """First of the days that are held out; None where none are."""
    models: tuple[str, str] | None = None
    """The models that were fitted; None where none were."""
    metrics: list[MetricChange] = []
    """NDCG at 10 and at 20 on held-out days."""
    coverage: tuple[float, float] | None = None
    """Share of the catalogue among the first 10 items of all ranked users, 0-1; None where not measured."""
    diversity: tuple[float, float] | None = None
    """Mean intra-list diversity of those lists, both by the present recipe's item vectors; None where not measured."""
    lists: ListChanges | None = None
    """First 10 items of the sampled users after all days; None where not measured."""

    def in_words(self) -> str:
        """Return one line on the quality, and one on the lists where they were compared."""
        lines = [self._quality(), self.lists.in_words() if self.lists is not None else ""]
        return "\n".join(line for line in lines if line)

    def _quality(self) -> str:
        if self.problem:
            return f"quality was not measured: {self.problem}"
        if not self.metrics:
            return "quality was not measured"
        first = self.metrics[0]
        verdict = "better" if first.low > 0 else "worse" if first.high < 0 else "no difference beyond chance"
        sample = "all users" if self.share >= 1 else f"a sample of {self.share:.2g} of the users"
        return (
            f"NDCG@{first.k} {first.before:.4f} -> {first.after:.4f}, difference {first.difference:+.4f}"
            f" [{first.low:+.4f}, {first.high:+.4f}]: {verdict}; {self.ranked_users:,} users with held-out items,"
            f" {sample}"
        )
