"""Gangs by torchrun: `python -m torch.distributed.run … -m recsys_assets.launching.torchrun FOLDER`.

Over several machines the same command is started on each with torchrun's rendezvous options, and the folder, where the
work is and the results go, is on a shared disk.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from recsys_assets.errors import LauncherError, WorkerKilledError
from recsys_assets.launching.launcher import LOOPBACK, InProcess, Member, free_port
from recsys_assets.launching.named_work import NamedWork, as_json, result_of
from recsys_assets.storage.atomic import replace_file

T = TypeVar("T")
R = TypeVar("R")

_WORK: Final = "work.json"
_ADDRESS: Final = "recsys.address"
_KILLED: Final = "(SIGKILL)"
"""In torchrun's own report of a process that was killed."""
_AGENT_STORE: Final = "TORCHELASTIC_USE_AGENT_STORE"
_FIRST_WAITS: Final = timedelta(seconds=60)
"""Time for rank 0 to name its port to the others."""


class Torchrun:
    """Processes of this machine that torchrun starts, watches and ends together; single tasks run in this process."""

    def __init__(self, *, scratch: Path | None = None) -> None:
        """Begin; `scratch` holds the work and its results while they run, None for the system's temporary folder."""
        self._scratch = scratch

    def map(self, work: Callable[[T], R], tasks: Sequence[T], *, tries: int = 3) -> Iterator[tuple[int, R]]:
        """Yield each task's place and result, as `InProcess` does: torchrun has no form for single tasks."""
        return InProcess().map(work, tasks, tries=tries)

    def gang(self, work: Callable[[Member, T], R], task: T, *, size: int) -> list[R]:
        """Run `work` in `size` processes; torchrun ends all where one fails."""
        with tempfile.TemporaryDirectory(prefix="recsys-gang-", dir=self._scratch) as name:
            folder = Path(name)
            replace_file(folder / _WORK, msgspec.json.encode(NamedWork.of(work, [task], size=size)))
            ended = subprocess.run(  # noqa: S603  our own module
                command(folder, size=size), capture_output=True, text=True, check=False
            )
            if ended.returncode:
                failure = _failure(folder, size)
                if not failure or _KILLED in ended.stderr:  # the others fail because of it
                    raise WorkerKilledError(_killed(ended.stderr, size))
                raise LauncherError(failure)
            return [result_of(work, _result(folder, rank).read_bytes()) for rank in range(size)]


def command(folder: Path, *, size: int) -> list[str]:
    """Return the command that runs the work of `folder` in `size` processes of this machine."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--local-addr={LOOPBACK}"),
        *(f"--nproc-per-node={size}", "-m", "recsys_assets.launching.torchrun", str(folder)),
    ]


def main(folder: Path) -> None:
    """Run one process of the gang, and write its result, or its failure, into `folder`."""
    named = msgspec.json.decode((folder / _WORK).read_bytes(), type=NamedWork)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    try:
        (task,) = named.decoded()
        result = as_json(named.found()(Member(rank, size, _address(rank)), task))
    except Exception as error:
        replace_file(folder / f"{rank}.failed", f"{type(error).__name__}: {error}".encode())
        raise
    replace_file(_result(folder, rank), bytes(result))


def _address(rank: int) -> str:
    """Return the address that rank 0 chose; all agree on it through torchrun's own store."""
    from torch.distributed import TCPStore  # noqa: PLC0415  torch takes a second to import

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(host, port, is_master=False, timeout=_FIRST_WAITS)
    if rank == 0:
        store.set(_ADDRESS, f"{host}:{free_port(host)}")
    address: bytes = store.get(_ADDRESS)
    os.environ.pop(_AGENT_STORE, None)  # else rank 0 would not listen at the address
    return address.decode()


def _result(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.json"


def _failure(folder: Path, size: int) -> str:
    """Return the first failure that a process wrote; those of the others often follow from it."""
    written = sorted(folder.glob("*.failed"), key=lambda file: file.stat().st_mtime_ns)
    if not written:
        return ""
    return f"process {written[0].stem} of {size} that work together failed: {written[0].read_text()}"


def _killed(log: str, size: int) -> str:
    last = log.strip().splitlines()[-1:] or ["no message"]
    return (
        f"a process of {size} that work together was killed, and the others were ended; look at the machine's memory"
        f" ({last[0]})"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
