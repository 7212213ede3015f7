"""Fits of the factorisation and of its peers, each on the same split and in a process of its own."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from recsys_assets.benchmarks.harness import peak_rss_mb, print_result, run_apart
from recsys_assets.training_settings import SPINS

THREADS = 2
SIZE = 64

Factors = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def fit_in_process(model: str, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Fit `model` on the split in `folder` (as `save_split` writes it) and measure it.

    Args:
        model: `ours`, `implicit_als`, `implicit_bpr` or `lenskit_als`.
        folder: of the split.
        options: of the model; for ours also `unobserved_times`, `threshold_times` and `until_ndcg20`, see `GRIDS`.

    Returns:
        `model`, `options`, `seconds` and `peak_rss_mb` (MiB) of the fit alone, `ndcg20`, `recall20`; with
        `until_ndcg20` also the seconds and epochs until ours first reached it, where it did.

    Raises:
        RuntimeError: the process failed; with the end of its error output.
    """
    # how waiting threads behave is each library's own matter
    threads: dict[str, str | None] = {SPINS[0]: None}
    threads |= {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "MKL", "BLIS")}
    if model == "ours":
        threads = {"OMP_NUM_THREADS": str(THREADS), **dict([SPINS])}
    return run_apart(__name__, model, str(folder), json.dumps(options), env=threads)


def save_split(folder: Path, split: Any) -> None:
    """Write a `Split` as plain arrays, so that a peer's process can read it without our modules."""
    folder.mkdir(parents=True)
    np.save(folder / "shape.npy", np.array(split.train.shape))
    for part, matrix in (("train", split.train), ("truth", split.truth)):
        for field in ("indptr", "item_nums", "weights", "last_day"):
            np.save(folder / f"{part}.{field}.npy", getattr(matrix, field))
    np.save(folder / "seen.indptr.npy", split.train.seen.indptr)
    np.save(folder / "seen.item_nums.npy", split.train.seen.item_nums)


def _load(folder: Path, part: str) -> dict[str, npt.NDArray[Any]]:
    return {
        name: np.load(folder / f"{part}.{name}.npy")
        for name in ("indptr", "item_nums", "weights", "last_day")
    }


def _matrix(folder: Path, part: str) -> Any:
    # not in a peer's measured part
    from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, SeenPairs  # noqa: PLC0415
    from recsys_assets.storage.string_table import Vocabulary  # noqa: PLC0415

    users, items = (Vocabulary.from_strings(map(str, range(rows))) for rows in np.load(folder / "shape.npy"))
    seen = SeenPairs(
        indptr=np.load(folder / "seen.indptr.npy"), item_nums=np.load(folder / "seen.item_nums.npy")
    )
    arrays: dict[str, Any] = _load(folder, part)
    return InteractionMatrix(
        users=users, items=items, others_seen=seen if part == "train" else None, **arrays
    )


def _ours(folder: Path, options: dict[str, Any]) -> tuple[Callable[[], Factors], dict[str, Any]]:
    import torch  # noqa: PLC0415  each process imports only what it measures

    from recsys_assets.embeddings.training import train  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    until = options.pop("until_ndcg20", None)
    matrix = _matrix(folder, "train")
    settings = _around_the_untuned(matrix, options)
    notes: dict[str, Any] = {}

    def fit() -> Factors:
        began = time.perf_counter()
        paused = 0.0

        def reached(epoch: int, users_UD: Any, items_ID: Any) -> bool:
            nonlocal paused
            now = time.perf_counter()
            if until is None or "seconds_to_peer_best" in notes:
                return False
            if _quality(folder, users_UD.numpy(), items_ID.numpy())["ndcg20"] >= until:
                notes.update(seconds_to_peer_best=now - began - paused, epochs_to_peer_best=epoch)
            paused += time.perf_counter() - now
            return False

        found = train(matrix, settings, stop_after=None if until is None else reached)
        return found.user_embeddings, found.item_embeddings

    return fit, notes


def _around_the_untuned(matrix: Any, options: dict[str, Any]) -> Any:
    """The untuned settings, with α₀ and the threshold that λ is chosen by each multiplied by a factor."""
    from recsys_assets.embeddings.factorisation import with_strengths  # noqa: PLC0415
    from recsys_assets.training_settings import TrainingSettings  # noqa: PLC0415

    alpha_times, threshold_times = options.pop("unobserved_times", 1.0), options.pop("threshold_times", 1.0)
    untuned = with_strengths(TrainingSettings(embedding_size=SIZE, **options), matrix)
    alpha = untuned.unobserved_weight * alpha_times
    chosen = with_strengths(replace(untuned, unobserved_weight=alpha, regularization=0.0), matrix)
    return replace(chosen, regularization=chosen.regularization * threshold_times)


def _implicit(folder: Path, options: dict[str, Any], kind: str) -> Callable[[], Factors]:
    from scipy.sparse import csr_matrix  # noqa: PLC0415

    train, shape = _load(folder, "train"), tuple(np.load(folder / "shape.npy"))
    values = train["weights"] ** options.pop("count_exponent", 0.0)
    found = csr_matrix((values.astype(np.float32), train["item_nums"], train["indptr"]), shape=shape)
    if kind == "als":
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415

        model = AlternatingLeastSquares(
            factors=SIZE, iterations=15, num_threads=THREADS, random_state=0, **options
        )
    else:
        from implicit.cpu.bpr import BayesianPersonalizedRanking  # noqa: PLC0415

        model = BayesianPersonalizedRanking(factors=SIZE - 1, num_threads=THREADS, random_state=0, **options)

    def fit() -> Factors:
        model.fit(found, show_progress=False)
        return model.user_factors, model.item_factors

    return fit


def _lenskit(folder: Path, options: dict[str, Any]) -> Callable[[], Factors]:
    import pandas as pd  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from lenskit.als import ImplicitMFScorer  # noqa: PLC0415
    from lenskit.data import from_interactions_df  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    train, (users, items) = _load(folder, "train"), np.load(folder / "shape.npy")
    frame = pd.DataFrame(
        {"user_id": np.repeat(np.arange(users), np.diff(train["indptr"])), "item_id": train["item_nums"]}
    )
    data = from_interactions_df(frame)
    model = ImplicitMFScorer(embedding_size=SIZE, epochs=15, **options)

    def fit() -> Factors:
        model.train(data)
        factors = np.zeros((users, SIZE), np.float32), np.zeros((items, SIZE), np.float32)
        factors[0][data.users.ids()] = model.user_embeddings
        factors[1][data.items.ids()] = model.item_embeddings
        return factors

    return fit


def _quality(
    folder: Path, users_UD: npt.NDArray[np.float32], items_ID: npt.NDArray[np.float32]
) -> dict[str, float]:
    from recsys_assets.benchmarks.datasets import quality  # noqa: PLC0415  after the peak was taken

    return quality(_matrix(folder, "train"), _matrix(folder, "truth"), users_UD, items_ID)


def main(model: str, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Fit and measure in this process."""
    notes: dict[str, Any] = {}
    shown = dict(options)
    if model == "ours":
        fit, notes = _ours(folder, options)
    elif model == "lenskit_als":
        fit = _lenskit(folder, options)
    else:
        fit = _implicit(folder, options, model.removeprefix("implicit_"))
    began = time.perf_counter()
    factors = fit()
    seconds = time.perf_counter() - began
    peak = peak_rss_mb()
    quality = _quality(folder, *(np.ascontiguousarray(side, dtype=np.float32) for side in factors))
    return {"model": model, "options": shown, "seconds": seconds, "peak_rss_mb": peak, **quality, **notes}


if __name__ == "__main__":
    print_result(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
