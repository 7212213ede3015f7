"""Training by several processes of this machine, started by torchrun through Dagster's pipes client."""

import json
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg
import msgspec
import numpy as np

from recsys_assets.embeddings.ials_sharded import save_matrix
from recsys_assets.embeddings.interaction_matrix import InteractionMatrix, confidence
from recsys_assets.embeddings.memory_plan import plan_memory
from recsys_assets.embeddings.training import Factorisation, Start, with_strengths
from recsys_assets.settings import TrainingSettings


def fit_by_processes(
    context: dg.AssetExecutionContext,
    matrix: InteractionMatrix,
    settings: TrainingSettings,
    *,
    scratch: Path,
    start: Start | None = None,
) -> Factorisation:
    """`ials.train` in `settings.processes` processes; their log is in the run's.

    Args:
        context: of the asset that trains.
        matrix: the observed pairs.
        settings: how.
        scratch: an existing folder to hand the matrix and the result over in.
        start: embeddings to go on from.

    Raises:
        MemoryBudgetError: the processes would need more memory than they may have.
        dagster.DagsterPipesExecutionError: a process failed; the run's log says why.
    """
    began = time.perf_counter()
    settings = with_strengths(settings, matrix)
    plan = plan_memory(
        shape=matrix.shape, entries=matrix.entries, settings=settings, processes=settings.processes
    )
    with tempfile.TemporaryDirectory(prefix="training-", dir=scratch) as folder:
        given, out = Path(folder) / "matrix", Path(folder) / "out"
        save_matrix(given, matrix, start)
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        worker = ["-m", "recsys_assets.embeddings.ials_sharded", str(given), str(out)]
        dg.PipesSubprocessClient().run(
            context=context,
            command=[
                *torchrun,
                f"--nproc-per-node={settings.processes}",
                *worker,
                msgspec.json.encode(settings).decode(),
            ],
        )
        return Factorisation(
            user_embeddings=np.load(out / "user_embeddings.npy", allow_pickle=False),
            item_embeddings=np.load(out / "item_embeddings.npy", allow_pickle=False),
            confidences=confidence(matrix, settings),
            losses=json.loads((out / "losses.json").read_text(encoding="utf-8")),
            seconds=time.perf_counter() - began,
            settings=settings,
            memory_mb=plan.megabytes(),
        )
