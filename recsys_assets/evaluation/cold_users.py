"""Users without a past, measured: those whose first event is held out, as strangers and after their first day.

A stranger's list is that of the recency prior. After a user's first day its items are a session, which is folded in;
the wishes of later days are the truth. Shapes: U users, I items, D dimensions; R users ranked.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys_assets import columns
from recsys_assets.embeddings.components import ScoreUsers
from recsys_assets.embeddings.fit_model import FittedModel
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.item_item import RelatedItems, by_related_items
from recsys_assets.errors import NothingHeldOutError
from recsys_assets.evaluation.baselines import last_month
from recsys_assets.evaluation.held_out import Split, by_item_scores, entries_where, rank, without_pairs_of
from recsys_assets.evaluation.metrics import user_metrics
from recsys_assets.storage.arrays import Int64

K = 20
MOST_USERS = 2_000
"""Users ranked; more are sampled."""


@dataclass(frozen=True, kw_only=True)
class NewUserFigures:
    """NDCG at 20 for users whose first event is held out."""

    strangers: int
    """Such users with a wish for a known item, those ranked."""
    ndcg20_strangers: float
    """Of the prior's list, by all of their wishes."""
    ndcg20_last_month: float
    """Of the bestsellers of the month before, by the same."""
    returning: int
    """Those of them who wish for more on a later day."""
    ndcg20_session: float
    """Of the list for the items of their first day, by the wishes of later days."""
    ndcg20_session_popular: float
    """Of the prior's list without these items, by the same."""


def measure_new_users(
    model: FittedModel, interactions: pl.LazyFrame, first_held_out_day: date, *, seed: int = 0
) -> NewUserFigures:
    """Measure a model on users that it has not seen.

    Args:
        model: fitted to the days before.
        interactions: the columns of the INTERACTIONS contract, of all days.
        first_held_out_day: the first day that the model has not seen.
        seed: draws the users where there are more than `MOST_USERS`.

    Raises:
        NothingHeldOutError: no new user wishes for a known item.
    """
    known = pl.DataFrame({columns.USER_ID: list(model.matrix.users)}, schema={columns.USER_ID: pl.String})
    day = pl.col(columns.TIMESTAMP).dt.date()
    later = interactions.filter(day >= first_held_out_day).join(known.lazy(), on=columns.USER_ID, how="anti")
    truth = InteractionMatrix.from_interactions(later, items=model.matrix.items)
    nobody = entries_where(truth, np.zeros(truth.entries, np.bool_))
    strangers = Split(train=nobody, truth=truth)
    popular = by_item_scores(model.factorisation.item_embeddings[:, -1])
    first_day = pl.col(columns.TIMESTAMP).dt.date().min().over(columns.USER_ID)
    session = InteractionMatrix.from_interactions(
        later.filter(day == first_day), users=truth.users, items=truth.items
    )
    figures = NewUserFigures(
        strangers=len(strangers.sample_users(most_users=MOST_USERS, seed=seed)),
        ndcg20_strangers=_ndcg(strangers, popular, seed),
        ndcg20_last_month=_ndcg(strangers, last_month(model.matrix), seed),
        returning=0,
        ndcg20_session=float("nan"),
        ndcg20_session_popular=float("nan"),
    )
    try:
        afterwards = without_pairs_of(session, truth, first_held_out_day)
    except NothingHeldOutError:  # nobody came back
        return figures
    began_U = np.diff(session.indptr) > 0
    returning = Split(train=session, truth=entries_where(afterwards, began_U[afterwards.user_nums()]))
    users = returning.sample_users(most_users=MOST_USERS, seed=seed)
    if not len(users):
        return figures
    return replace(
        figures,
        returning=len(users),
        ndcg20_session=_ndcg(returning, session_score(model, session), seed),
        ndcg20_session_popular=_ndcg(returning, popular, seed),
    )


def session_score(model: FittedModel, sessions: InteractionMatrix) -> ScoreUsers:
    """Return the scores of sessions, a row each of the matrix, as the API computes them."""
    items_DI = torch.from_numpy(model.factorisation.item_embeddings).T
    related = model.parts.related
    rows = None
    if related is not None:
        rows = by_related_items(sessions, RelatedItems(items=related.items_IN, weights=related.weights_IN))

    def score(nums: Int64) -> Tensor:
        bounds = [sessions.indptr[num : num + 2].tolist() for num in nums]
        x_RD = np.stack([model.parts.fold_in.embed(sessions.item_nums[a:b]) for a, b in bounds])
        scores_RI = torch.from_numpy(x_RD) @ items_DI
        return scores_RI if rows is None else scores_RI.add_(rows(nums))

    return score


def _ndcg(split: Split, score: ScoreUsers, seed: int) -> float:
    users = split.sample_users(most_users=MOST_USERS, seed=seed)
    return float(user_metrics(rank(split.train, users, score, k=K), split.truth, k=K)["ndcg"].mean())
