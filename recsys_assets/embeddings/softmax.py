"""The second objective: a sampled softmax over cosines and popularity, in a plain loop of seeded batches of users.

Base embeddings start from the leading singular vectors of the degree-normalised matrix and are averaged with
their neighbours' in the user-item graph (as LightGCN's, He et al. 2020); the averages are trained by a softmax
against sampled items (Wu et al. 2022, "On the Effectiveness of Sampled Softmax Loss for Item Recommendation")
from which the user's own are left out. Per observed pair, with S items sampled of I and n_i the users of item i,

    z_ui = cos_ui / τ + γ log n_i
    -log( e^{z_ui} / (e^{z_ui} + I/S Σ_{j sampled, j not u's} e^{z_uj}) )

so that the cosine need only say what popularity doesn't (logit adjustment, Menon et al. 2021). What is served is
τ z as an inner product: the last of the D dimensions holds the popularity, the others the cosine. Shapes as in
`ials`; R users of a chunk, S sampled items, n its observed pairs, E = D - 1.
"""

import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, entries_of
from recsys_assets.embeddings.memory_plan import MEGABYTE, PeakWatch, plan_memory
from recsys_assets.embeddings.training import Factorisation, Start, StopAfter, with_strengths
from recsys_assets.embeddings.user_item_graph import UserItemGraph, spectral_embeddings
from recsys_assets.errors import TrainingDataError
from recsys_assets.settings import TrainingSettings

LEAST_SIZE = 2
"""Dimensions: one for the popularity and at least one for a direction."""
_CHUNK_USERS = 128
_USER_POPULARITY = 4.0
"""Every user's last coordinate: the items' is as much shorter, so that cosines of items hardly know of it."""
_COPIES_OF_ROWS = 12
"""Base, averaged and normalised embeddings, their gradients, Adam's two moments and what is in between."""


def train(
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    start: Start | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    stop_after: StopAfter | None = None,
) -> Factorisation:
    """Embed users and items by the softmax objective; arguments, seed and errors as in `ials.train`.

    Observed pairs all count the same here. `losses` are the mean loss of a pair in each epoch, while it ran.
    `start` takes the place of the singular vectors, all but its last dimension, which is the popularity; new rows
    in it, which are zero, get their neighbours' average.

    Raises:
        TrainingDataError: also for an embedding of one dimension.
    """
    if settings.embedding_size < LEAST_SIZE:
        raise TrainingDataError(
            f"`embedding_size` is {settings.embedding_size}; the softmax objective takes {LEAST_SIZE} or more"
        )
    began = time.perf_counter()
    options = settings.softmax
    plan = plan_memory(
        shape=matrix.shape, entries=matrix.entries, settings=settings, more_rows=_COPIES_OF_ROWS
    )
    losses: list[float] = []
    with PeakWatch() as watch:
        graph = UserItemGraph.of(matrix, device=settings.device)
        given = (
            _carried(graph, start)
            if start
            else spectral_embeddings(graph, settings.embedding_size - 1, settings.seed)
        )
        base = [side.to(settings.device).requires_grad_() for side in given]
        optimiser = torch.optim.Adam(base, lr=options.learning_rate)
        rng = np.random.default_rng(settings.seed)
        for epoch in range(1, options.epochs + 1):
            losses.append(_epoch(matrix, graph, base, optimiser, settings=settings, rng=rng))
            if not np.isfinite(losses[-1]):
                raise TrainingDataError(
                    f"the loss is {losses[-1]} after epoch {epoch}; lower `learning_rate`"
                )
            if on_epoch is not None:
                on_epoch(epoch, losses[-1])
            if stop_after is not None and stop_after(epoch, *published(graph, base, settings)):
                break
        users_UD, items_ID = published(graph, base, settings)
    return Factorisation(
        user_embeddings=users_UD.cpu().numpy(),
        item_embeddings=items_ID.cpu().numpy(),
        confidences=np.ones(matrix.entries, np.float32),
        losses=losses,
        seconds=time.perf_counter() - began,
        settings=with_strengths(settings, matrix),
        memory_mb={**plan.megabytes(), "measured_peak_mb": round(watch.peak / MEGABYTE, 1)},
    )


def published(graph: UserItemGraph, base: list[Tensor], settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """What is served, (U, D) and (I, D): unit vectors, and the popularity in the last dimension."""
    options = settings.softmax
    users_UE, items_IE = graph.smooth(*base, layers=options.smoothing_layers)
    popularity_I = options.temperature * _popularity(graph, settings) / _USER_POPULARITY
    last_U = torch.full((len(users_UE), 1), _USER_POPULARITY, device=users_UE.device)
    return torch.hstack([normalize(users_UE), last_U]), torch.hstack(
        [normalize(items_IE), popularity_I[:, None]]
    )


def _popularity(graph: UserItemGraph, settings: TrainingSettings) -> Tensor:
    """(I,): γ log n."""
    return settings.softmax.popularity_weight * graph.item_degrees.clamp(min=1).log()


def _epoch(
    matrix: InteractionMatrix,
    graph: UserItemGraph,
    base: list[Tensor],
    optimiser: torch.optim.Optimizer,
    *,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> float:
    """One pass over the users in random batches; the mean loss of a pair."""
    options = settings.softmax
    users, items = matrix.shape
    total = 0.0
    popularity_I = _popularity(graph, settings)
    order = rng.permutation(users)
    for first in range(0, users, options.batch_users):
        batch = order[first : first + options.batch_users]
        sampled = rng.choice(items, min(options.sampled_items, items), replace=False)
        smoothed = [side.requires_grad_() for side in graph.smooth(*base, layers=options.smoothing_layers)]
        units = [normalize(side) for side in smoothed]
        with torch.no_grad():
            loss, gradients = loss_and_gradients(
                matrix,
                batch,
                sampled,
                users_UE=units[0],
                items_IE=units[1],
                popularity_I=popularity_I,
                temperature=options.temperature,
            )
        torch.autograd.backward(units, [gradient / len(batch) for gradient in gradients])
        carried = graph.smooth(smoothed[0].grad, smoothed[1].grad, layers=options.smoothing_layers)
        for side, gradient in zip(base, carried, strict=True):
            side.grad = gradient
        optimiser.step()
        total += loss
    return total / matrix.entries


def loss_and_gradients(
    matrix: InteractionMatrix,
    batch: npt.NDArray[np.int64],
    sampled: npt.NDArray[np.int64],
    *,
    users_UE: Tensor,
    items_IE: Tensor,
    popularity_I: Tensor,
    temperature: float,
) -> tuple[float, tuple[Tensor, Tensor]]:
    """The summed loss of the batch's pairs, and its gradient by every user and item vector.

    In closed form, a chunk of users at a time: only a chunk's scores are ever in memory, where autograd would
    keep those of the batch several times over.

    Args:
        matrix: the observed pairs.
        batch: user numbers.
        sampled: item numbers, each once.
        users_UE: unit vectors.
        items_IE: unit vectors.
        popularity_I: what is added to each item's cosine / τ.
        temperature: τ.
    """
    by_user_UE, by_item_IE = torch.zeros_like(users_UE), torch.zeros_like(items_IE)
    sampled_S = torch.from_numpy(sampled).to(items_IE.device)
    place_I = torch.full((len(items_IE),), -1, device=items_IE.device)
    place_I[sampled_S] = torch.arange(len(sampled), device=items_IE.device)
    sampled_SE = items_IE[sampled_S]
    by_sampled_SE = torch.zeros_like(sampled_SE)
    scores_RS = torch.empty(_CHUNK_USERS, len(sampled), device=items_IE.device)
    # e^(z - greatest possible z) can't overflow; the shift cancels in every quotient.
    added_I = popularity_I - popularity_I.max() - 1 / temperature
    added_S = added_I[sampled_S] + math.log(len(items_IE) / len(sampled))
    total = 0.0
    for first in range(0, len(batch), _CHUNK_USERS):
        chunk = batch[first : first + _CHUNK_USERS]
        rows = torch.from_numpy(chunk).to(items_IE.device)
        row_n, item_n = (torch.from_numpy(place).to(items_IE.device) for place in entries_of(matrix, chunk))
        users_RE, wanted_nE = users_UE[rows], items_IE[item_n]
        others_RS = torch.mm(users_RE, sampled_SE.T, out=scores_RS[: len(chunk)])
        others_RS.div_(temperature).add_(added_S).exp_()
        own = place_I[item_n] >= 0
        others_RS[row_n[own], place_I[item_n[own]]] = 0
        wanted_n = ((users_RE[row_n] * wanted_nE).sum(1) / temperature + added_I[item_n]).exp()
        both_n = wanted_n + others_RS.sum(1)[row_n]
        total += float((both_n.log() - wanted_n.log()).double().sum())
        pull_n = (1 - wanted_n / both_n) / temperature
        push_R = torch.zeros(len(chunk), device=rows.device).index_add_(0, row_n, 1 / both_n) / temperature
        others_RS.mul_(push_R[:, None])
        offsets = torch.from_numpy(_offsets(matrix, chunk)).to(items_IE.device)
        pulled_RE = embedding_bag(
            item_n, items_IE, offsets, mode="sum", per_sample_weights=pull_n, include_last_offset=True
        )
        by_user_UE[rows] = others_RS @ sampled_SE - pulled_RE
        by_sampled_SE.addmm_(others_RS.T, users_RE)
        by_item_IE.index_add_(0, item_n, users_RE[row_n] * pull_n[:, None], alpha=-1)
    by_item_IE.index_add_(0, sampled_S, by_sampled_SE)
    return total, (by_user_UE, by_item_IE)


def _offsets(matrix: InteractionMatrix, users: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    lengths = matrix.indptr[users + 1] - matrix.indptr[users]
    return np.concatenate([[0], np.cumsum(lengths)])


def _carried(graph: UserItemGraph, start: Start) -> tuple[Tensor, Tensor]:
    users_UE, items_IE = (
        torch.from_numpy(side[:, :-1]) for side in (start.user_embeddings, start.item_embeddings)
    )
    near_UE, near_IE = graph.neighbours(users_UE, items_IE)
    new_U, new_I = (side.abs().sum(1, keepdim=True) == 0 for side in (users_UE, items_IE))
    return normalize(torch.where(new_U, near_UE, users_UE)), normalize(torch.where(new_I, near_IE, items_IE))
