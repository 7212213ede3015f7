"""One of the processes that train iALS together, started by torchrun; it reports to Dagster's log over pipes.

`python -m torch.distributed.run … -m recsys_assets.orchestration.multiprocess MATRIX_FOLDER OUT_FOLDER SETTINGS_JSON`.
Only `dagster_pipes` is imported here: importing all of Dagster would cost each process a second.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch.distributed as dist
from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

from recsys_assets.embeddings.ials import load_matrix, load_start, save_result
from recsys_assets.embeddings.training import train_in_group
from recsys_assets.training_settings import TrainingSettings


def torchrun_command(matrix_folder: Path, out: Path, settings: TrainingSettings) -> list[str]:
    """Return the command that trains in `settings.processes` processes of this machine."""
    return [
        sys.executable,
        *("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={settings.processes}"),
        *("-m", "recsys_assets.orchestration.multiprocess", str(matrix_folder), str(out)),
        msgspec.json.encode(settings).decode(),
    ]


def main(matrix_folder: Path, out: Path, settings: TrainingSettings) -> None:
    """Train in the group that torchrun made; rank 0 writes the result into `out`."""
    dist.init_process_group("gloo")
    try:
        with _log() as log:
            result = train_in_group(
                load_matrix(matrix_folder),
                settings,
                start=load_start(matrix_folder),
                on_epoch=lambda epoch, loss: log(
                    f"epoch {epoch} of {settings.epochs}: objective {loss:.6f} a pair"
                ),
            )
        if dist.get_rank() == 0:
            save_result(out, *result)
    finally:
        dist.destroy_process_group()


@contextmanager
def _log() -> Iterator[Callable[[str], None]]:
    """Dagster's log in rank 0 of a group that Dagster started; elsewhere nothing is logged."""
    if dist.get_rank() or DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield lambda _: None
        return
    with open_dagster_pipes() as pipes:
        yield pipes.log.info


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=TrainingSettings))
