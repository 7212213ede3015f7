"""The second objective: a sampled softmax over cosines and popularity, in seeded batches of users.

Base embeddings start from the leading singular vectors of the degree-normalised matrix and are averaged with
their neighbours' in the user-item graph (as LightGCN's, He et al. 2020); the averages are trained by a softmax
against sampled items (Wu et al. 2022, "On the Effectiveness of Sampled Softmax Loss for Item Recommendation")
from which the user's own are left out. Per observed pair, with S items sampled of I and n_i the users of item i,

    z_ui = cos_ui / τ + γ log n_i
    -log( e^{z_ui} / (e^{z_ui} + I/S Σ_{j sampled, j not u's} e^{z_uj}) )

so that the cosine need only say what popularity doesn't (logit adjustment, Menon et al. 2021). The embeddings served
give τ z as an inner product: the last of the D dimensions holds the popularity, the others the cosine. Shapes as in
`ials`; R users of a chunk, S sampled items, n the chunk's observed pairs, E = D - 1.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from recsys_assets.embeddings.factorisation import Start
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix
from recsys_assets.embeddings.user_item_graph import UserItemGraph, spectral_embeddings
from recsys_assets.errors import TrainingDataError
from recsys_assets.training_settings import TrainingSettings

LEAST_SIZE = 2
"""Dimensions: one for the popularity and at least one for a direction."""
_CHUNK_USERS = {"cpu": 128, "cuda": 1024}
"""Users whose scores are in memory at once."""
_USER_POPULARITY = 4.0
"""Every user's last coordinate. The items' is shorter by the same factor, so that it hardly moves their cosines."""


class Softmax:
    """The softmax objective in training. An epoch is one pass over the users in seeded random batches.

    The base starts from the singular vectors, or from `start` without its last dimension, which is the popularity;
    new rows of a start, which are zero, get their neighbours' average. Observed pairs all count the same.
    """

    remedy = "lower `learning_rate`"

    def __init__(
        self, matrix: InteractionMatrix, settings: TrainingSettings, *, start: Start | None = None
    ) -> None:
        """Build the graph, the base embeddings and their optimiser.

        Raises:
            TrainingDataError: the embedding has one dimension.
        """
        if settings.embedding_size < LEAST_SIZE:
            raise TrainingDataError(
                f"`embedding_size` is {settings.embedding_size}; the softmax objective takes {LEAST_SIZE} or more"
            )
        self._matrix, self._settings = matrix, settings
        self._graph = UserItemGraph.of(matrix, device=settings.device)
        given = (
            _base_from(self._graph, start)
            if start
            else spectral_embeddings(self._graph, settings.embedding_size - 1, settings.seed)
        )
        self._base = [side.to(settings.device).requires_grad_() for side in given]
        self._optimiser = torch.optim.Adam(self._base, lr=settings.softmax.learning_rate)
        self._rng = np.random.default_rng(settings.seed)
        self._popularity_I = settings.softmax.popularity_weight * self._graph.item_degrees.clamp(min=1).log()

    def epoch(self) -> float:
        """Train on all users once; return the mean loss of a pair while the epoch ran."""
        options, users = self._settings.softmax, len(self._matrix.users)
        order = torch.from_numpy(self._rng.permutation(users)).to(self._settings.device)
        total = 0.0
        for first in range(0, users, options.batch_users):
            total += self._step(order[first : first + options.batch_users])
        return total / self._matrix.entries

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Return (U, D) and (I, D): unit vectors, and the popularity in the last dimension."""
        options = self._settings.softmax
        users_UE, items_IE = self._graph.smooth(*self._base, layers=options.smoothing_layers)
        popularity_I = options.temperature * self._popularity_I / _USER_POPULARITY
        last_U = torch.full((len(users_UE), 1), _USER_POPULARITY, device=users_UE.device)
        return torch.hstack([normalize(users_UE), last_U]), torch.hstack(
            [normalize(items_IE), popularity_I[:, None]]
        )

    def finish(self) -> None:
        """Do nothing: the base is final after the last epoch."""

    def _step(self, batch: Tensor) -> float:
        """Train on a batch of users; return the summed loss of their pairs."""
        options, items = self._settings.softmax, len(self._matrix.items)
        sampled = self._rng.choice(items, min(options.sampled_items, items), replace=False)
        smoothed = [
            side.requires_grad_() for side in self._graph.smooth(*self._base, layers=options.smoothing_layers)
        ]
        units = [normalize(side) for side in smoothed]
        with torch.no_grad():
            loss, gradients = loss_and_gradients(
                self._graph,
                batch,
                torch.from_numpy(sampled).to(self._settings.device),
                users_UE=units[0],
                items_IE=units[1],
                popularity_I=self._popularity_I,
                temperature=options.temperature,
            )
        torch.autograd.backward(units, [gradient / len(batch) for gradient in gradients])
        carried = self._graph.smooth(smoothed[0].grad, smoothed[1].grad, layers=options.smoothing_layers)
        for side, gradient in zip(self._base, carried, strict=True):
            side.grad = gradient
        self._optimiser.step()
        return loss


def loss_and_gradients(
    graph: UserItemGraph,
    batch: Tensor,
    sampled_S: Tensor,
    *,
    users_UE: Tensor,
    items_IE: Tensor,
    popularity_I: Tensor,
    temperature: float,
) -> tuple[float, tuple[Tensor, Tensor]]:
    """Return the summed loss of the batch's pairs, and its gradient by every user and item vector.

    In closed form, a chunk of users at a time: only a chunk's scores are ever in memory, where autograd would
    keep those of the batch several times over.

    Args:
        graph: the observed pairs, on the device of the vectors, like everything here.
        batch: user numbers, int64.
        sampled_S: item numbers, int64, each once.
        users_UE: unit vectors.
        items_IE: unit vectors.
        popularity_I: γ log n, added to each item's cosine / τ.
        temperature: τ.
    """
    by_user_UE, by_item_IE = torch.zeros_like(users_UE), torch.zeros_like(items_IE)
    place_I = torch.full((len(items_IE),), -1, device=items_IE.device)
    place_I[sampled_S] = torch.arange(len(sampled_S), device=items_IE.device)
    sampled_SE = items_IE[sampled_S]
    by_sampled_SE = torch.zeros_like(sampled_SE)
    size = _CHUNK_USERS[items_IE.device.type]
    scores_RS = torch.empty(size, len(sampled_S), device=items_IE.device)
    # e^(z - greatest possible z) can't overflow; the shift cancels in every quotient.
    added_I = popularity_I - popularity_I.max() - 1 / temperature
    added_S = added_I[sampled_S] + math.log(len(items_IE) / len(sampled_S))
    total = torch.zeros((), dtype=torch.float64, device=items_IE.device)
    for rows in batch.split(size):
        row_n, item_n, offsets = graph.entries_of(rows)
        users_RE, wanted_nE = users_UE[rows], items_IE[item_n]
        others_RS = torch.mm(users_RE, sampled_SE.T, out=scores_RS[: len(rows)])
        others_RS.div_(temperature).add_(added_S).exp_()
        own = place_I[item_n] >= 0
        others_RS[row_n[own], place_I[item_n[own]]] = 0
        wanted_n = ((users_RE[row_n] * wanted_nE).sum(1) / temperature + added_I[item_n]).exp()
        both_n = wanted_n + others_RS.sum(1)[row_n]
        total += (both_n.log() - wanted_n.log()).double().sum()
        pull_n = (1 - wanted_n / both_n) / temperature
        push_R = torch.zeros(len(rows), device=rows.device).index_add_(0, row_n, 1 / both_n) / temperature
        others_RS.mul_(push_R[:, None])
        pulled_RE = embedding_bag(
            item_n, items_IE, offsets, mode="sum", per_sample_weights=pull_n, include_last_offset=True
        )
        by_user_UE[rows] = others_RS @ sampled_SE - pulled_RE
        by_sampled_SE.addmm_(others_RS.T, users_RE)
        by_item_IE.index_add_(0, item_n, users_RE[row_n] * pull_n[:, None], alpha=-1)
    by_item_IE.index_add_(0, sampled_S, by_sampled_SE)
    return float(total), (by_user_UE, by_item_IE)


def _base_from(graph: UserItemGraph, start: Start) -> tuple[Tensor, Tensor]:
    """Return the start's directions, (U, E) and (I, E), and their neighbours' average where a row is new."""
    users_UE, items_IE = (
        torch.from_numpy(side[:, :-1]).to(graph.item_degrees.device)
        for side in (start.user_embeddings, start.item_embeddings)
    )
    near_UE, near_IE = graph.neighbours(users_UE, items_IE)
    new_U, new_I = (side.abs().sum(1, keepdim=True) == 0 for side in (users_UE, items_IE))
    return normalize(torch.where(new_U, near_UE, users_UE)), normalize(torch.where(new_I, near_IE, items_IE))
