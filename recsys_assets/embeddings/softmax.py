"""The second objective: a sampled softmax over cosines, in a plain loop of seeded batches of users.

Base embeddings start from the leading singular vectors of the degree-normalised matrix and are averaged with
their neighbours' in the user-item graph (as LightGCN's, He et al. 2020); the averages' cosines are trained by a
softmax against sampled items (Wu et al. 2022, "On the Effectiveness of Sampled Softmax Loss for Item
Recommendation") from which the user's own are left out. Per observed pair, z = cos / τ, S items sampled of I:

    -log( e^{z_ui} / (e^{z_ui} + I/S Σ_{j sampled, j not u's} e^{z_uj}) )

A cosine ranks a rare item with a lucky direction above a popular one, so the published item vectors get the
length popularity^exponent. Shapes as in `ials`; R users of a chunk, S sampled items, n its observed pairs.
"""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from recsys_assets.embeddings.graph import Graph, spectral_embeddings
from recsys_assets.embeddings.ials import Factorisation, StopAfter
from recsys_assets.embeddings.matrix import InteractionMatrix
from recsys_assets.embeddings.memory import MEGABYTE, PeakWatch, plan_memory
from recsys_assets.embeddings.ranking import entries_of
from recsys_assets.embeddings.strengths import with_strengths
from recsys_assets.embeddings.warm_start import Start
from recsys_assets.errors import TrainingDataError
from recsys_assets.settings import TrainingSettings

_CHUNK_USERS = 128
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
    `start` takes the place of the singular vectors; new rows in it, which are zero, get their
    neighbours' average.
    """
    began = time.perf_counter()
    options = settings.softmax
    plan = plan_memory(
        shape=matrix.shape, entries=matrix.entries, settings=settings, more_rows=_COPIES_OF_ROWS
    )
    losses: list[float] = []
    with PeakWatch() as watch:
        graph = Graph.of(matrix, device=settings.device)
        given = (
            _carried(graph, start)
            if start
            else spectral_embeddings(graph, settings.embedding_size, settings.seed)
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


def published(graph: Graph, base: list[Tensor], settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """What is served: unit user vectors, item vectors of length popularity^exponent; (U, D) and (I, D)."""
    users_UD, items_ID = graph.smooth(*base, layers=settings.softmax.smoothing_layers)
    lengths_I = graph.item_degrees.clamp(min=1) ** settings.softmax.popularity_exponent
    return normalize(users_UD), normalize(items_ID) * lengths_I[:, None]


def _epoch(
    matrix: InteractionMatrix,
    graph: Graph,
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
    order = rng.permutation(users)
    for first in range(0, users, options.batch_users):
        batch = order[first : first + options.batch_users]
        sampled = rng.choice(items, min(options.sampled_items, items), replace=False)
        smoothed = [side.requires_grad_() for side in graph.smooth(*base, layers=options.smoothing_layers)]
        units = [normalize(side) for side in smoothed]
        with torch.no_grad():
            loss, gradients = loss_and_gradients(
                matrix, batch, sampled, users_UD=units[0], items_ID=units[1], temperature=options.temperature
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
    users_UD: Tensor,
    items_ID: Tensor,
    temperature: float,
) -> tuple[float, tuple[Tensor, Tensor]]:
    """The summed loss of the batch's pairs, and its gradient by every user and item vector.

    In closed form, a chunk of users at a time: only a chunk's scores are ever in memory, where autograd would
    keep those of the batch several times over.

    Args:
        matrix: the observed pairs.
        batch: user numbers.
        sampled: item numbers, each once.
        users_UD: unit vectors.
        items_ID: unit vectors.
        temperature: τ.
    """
    by_user_UD, by_item_ID = torch.zeros_like(users_UD), torch.zeros_like(items_ID)
    sampled_S = torch.from_numpy(sampled).to(items_ID.device)
    place_I = torch.full((len(items_ID),), -1, device=items_ID.device)
    place_I[sampled_S] = torch.arange(len(sampled), device=items_ID.device)
    sampled_SD = items_ID[sampled_S]
    by_sampled_SD = torch.zeros_like(sampled_SD)
    scores_RS = torch.empty(_CHUNK_USERS, len(sampled), device=items_ID.device)
    # e^(z - 1/τ) can't overflow, since no cosine is above 1; the shift cancels in every quotient.
    shift, weight = 1 / temperature, len(items_ID) / len(sampled)
    total = 0.0
    for first in range(0, len(batch), _CHUNK_USERS):
        chunk = batch[first : first + _CHUNK_USERS]
        rows = torch.from_numpy(chunk).to(items_ID.device)
        row_n, item_n = (place.to(items_ID.device) for place in entries_of(matrix, chunk))
        users_RD, wanted_nD = users_UD[rows], items_ID[item_n]
        others_RS = torch.mm(users_RD, sampled_SD.T, out=scores_RS[: len(chunk)])
        others_RS.div_(temperature).sub_(shift).exp_().mul_(weight)
        own = place_I[item_n] >= 0
        others_RS[row_n[own], place_I[item_n[own]]] = 0
        wanted_n = ((users_RD[row_n] * wanted_nD).sum(1) / temperature - shift).exp()
        both_n = wanted_n + others_RS.sum(1)[row_n]
        total += float((both_n.log() - wanted_n.log()).double().sum())
        pull_n = (1 - wanted_n / both_n) / temperature
        push_R = torch.zeros(len(chunk), device=rows.device).index_add_(0, row_n, 1 / both_n) / temperature
        others_RS.mul_(push_R[:, None])
        offsets = torch.from_numpy(_offsets(matrix, chunk)).to(items_ID.device)
        pulled_RD = embedding_bag(
            item_n, items_ID, offsets, mode="sum", per_sample_weights=pull_n, include_last_offset=True
        )
        by_user_UD[rows] = others_RS @ sampled_SD - pulled_RD
        by_sampled_SD.addmm_(others_RS.T, users_RD)
        by_item_ID.index_add_(0, item_n, users_RD[row_n] * pull_n[:, None], alpha=-1)
    by_item_ID.index_add_(0, sampled_S, by_sampled_SD)
    return total, (by_user_UD, by_item_ID)


def _offsets(matrix: InteractionMatrix, users: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    lengths = matrix.indptr[users + 1] - matrix.indptr[users]
    return np.concatenate([[0], np.cumsum(lengths)])


def _carried(graph: Graph, start: Start) -> tuple[Tensor, Tensor]:
    users_UD, items_ID = torch.from_numpy(start.user_embeddings), torch.from_numpy(start.item_embeddings)
    near_UD, near_ID = graph.neighbours(users_UD, items_ID)
    new_U, new_I = (side.abs().sum(1, keepdim=True) == 0 for side in (users_UD, items_ID))
    return normalize(torch.where(new_U, near_UD, users_UD)), normalize(torch.where(new_I, near_ID, items_ID))
