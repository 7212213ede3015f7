"""Work on a Ray cluster from outside of it: one job for each call, sent to the cluster's dashboard.

The job's driver (`main`) works through `RayCluster`, and prints each result as a line that `RayJobs` reads.
"""

import base64
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from recsys_assets import errors
from recsys_assets.errors import LauncherError, RecsysError
from recsys_assets.launching.launcher import Launcher, Member
from recsys_assets.launching.named_work import NamedWork, as_json, result_of
from recsys_assets.launching.ray_cluster import RayCluster
from recsys_assets.launching.ray_import import import_ray

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

T = TypeVar("T")
R = TypeVar("R")

MODULE: Final = "recsys_assets.launching.ray_jobs"
"""Run by the `python` that the nodes have on their PATH."""
_WORK: Final = "RECSYS_RAY_WORK"
_LINE: Final = "@recsys "
"""Begin of a line of the driver that is for `RayJobs`: a `_Line`, as JSON."""
_MOST_TEXT: Final = 120_000
"""Bytes; Linux allows 131,072 a variable, with its name."""
_POLL_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 60.0
"""Time that a dashboard may be silent while a job runs."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    place: int = 0
    result: msgspec.Raw = msgspec.Raw(b"null")
    failed: str = ""
    message: str = ""
    said: str = ""


class RayJobs:
    """A cluster that takes jobs at its dashboard's address."""

    def __init__(
        self,
        address: str,
        *,
        say: Callable[[str], None] = lambda _: None,
        printed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Connect to a cluster.

        Args:
            address: `http://host:8265`.
            say: takes a line on what is waited for, or was done again.
            printed: takes the other lines that a job prints.

        Raises:
            SettingsError: Ray is not installed.
            LauncherError: nothing answers there.
        """
        self._address, self._say, self._printed = address, say, printed
        self._client = job_client(address)

    def map(self, work: Callable[[T], R], tasks: Sequence[T], *, tries: int = 3) -> Iterator[tuple[int, R]]:
        """Run one job, and yield each task's place and result as they end."""
        named = NamedWork.of(work, list(tasks))
        for line in self._lines(named, tries=tries):
            yield line.place, result_of(work, line.result)

    def gang(self, work: Callable[[Member, T], R], task: T, *, size: int) -> list[R]:
        """Run one job whose driver starts the gang."""
        found = list(self._lines(NamedWork.of(work, [task], size=size), tries=1))
        return [result_of(work, line.result) for line in sorted(found, key=lambda line: line.place)]

    def _lines(self, named: NamedWork, *, tries: int) -> Iterator[_Line]:
        """Send the job, and yield the results that its driver prints, until it ends; the job ends with the caller."""
        job = self._client.submit_job(
            entrypoint=f"python -m {MODULE} {tries}",
            runtime_env={"env_vars": {_WORK: _packed(named)}},
        )
        read, ended = 0, False
        try:
            while not ended:
                ended, log = self._look(job)
                lines = log.splitlines() if ended else log.splitlines()[: log.count("\n")]
                for text in lines[read:]:
                    yield from self._heard(text)
                read = len(lines)
                if not ended:
                    time.sleep(_POLL_SECONDS)
        finally:
            if not ended:
                self._client.stop_job(job)
        info = self._client.get_job_info(job)
        if info.status != "SUCCEEDED":
            raise LauncherError(f"{self._address}: job {job} ended as {info.status}: {info.message}")

    def _look(self, job: str) -> tuple[bool, str]:
        """Return whether the job has ended, and all that its driver printed.

        Raises:
            LauncherError: the dashboard was silent for too long.
        """
        begun = time.monotonic()
        while True:
            try:
                ended = self._client.get_job_status(job).is_terminal()
                return ended, self._client.get_job_logs(job)
            except (ConnectionError, RuntimeError) as error:
                waited = time.monotonic() - begun
                if waited > _PATIENCE_SECONDS:
                    raise LauncherError(
                        f"{self._address}: no answer about job {job} for {waited:.0f} s; look at the cluster, then "
                        "run it again"
                    ) from error
                self._say(f"{self._address}: no answer for {waited:.0f} s; waiting")
                time.sleep(_POLL_SECONDS)

    def _heard(self, text: str) -> Iterator[_Line]:
        """Yield a result; raise a failure; pass other lines on."""
        if not text.startswith(_LINE):
            self._printed(text)
            return
        line = msgspec.json.decode(text.removeprefix(_LINE), type=_Line)
        if line.failed:
            raise error_of(line.failed, line.message)
        if line.said:
            self._say(line.said)
        else:
            yield line


def job_client(address: str) -> "JobSubmissionClient":
    """Return the client of a cluster's dashboard.

    Raises:
        SettingsError: Ray is not installed.
        LauncherError: nothing answers at the address.
    """
    jobs = import_ray().job_submission
    try:
        client: JobSubmissionClient = jobs.JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise no_cluster(address) from error
    return client


def no_cluster(address: str) -> LauncherError:
    """Return the error of an address at which no cluster's dashboard answers."""
    return LauncherError(
        f"{address}: no Ray cluster answers; start one (`ray start --head`), or set [launcher] address to its dashboard"
    )


def main(named: NamedWork, cluster: Launcher, *, tries: int) -> int:
    """Do the work on the cluster, and print each result; return the exit status."""
    try:
        work, tasks = named.found(), named.decoded()
        gang = cluster.gang(work, tasks[0], size=named.size) if named.size else []
        for place, result in enumerate(gang) if named.size else cluster.map(work, tasks, tries=tries):
            _print(_Line(place=place, result=as_json(result)))
    except Exception as error:  # noqa: BLE001  the sender raises it, whatever it is
        _print(_Line(failed=type(error).__name__, message=str(error)))
        return 1
    return 0


def _packed(named: NamedWork) -> str:
    """Return work as the text of a variable, without `$`: Ray expands `$NAME` in variables.

    Raises:
        LauncherError: it is longer than Linux allows.
    """
    text = base64.b64encode(zlib.compress(msgspec.json.encode(named))).decode()
    if len(text) > _MOST_TEXT:
        raise LauncherError(
            f"{named.function}: its {len(named.tasks)} tasks are {len(text):,} bytes, at most {_MOST_TEXT:,} go with a "
            "Ray job; write them to files, and send the paths"
        )
    return text


def _unpacked(text: str) -> NamedWork:
    return msgspec.json.decode(zlib.decompress(base64.b64decode(text)), type=NamedWork)


def error_of(name: str, message: str) -> RecsysError:
    """Return the product's own error that a job's driver met, or a LauncherError with the text of another.

    Args:
        name: of the error's class.
        message: its text.
    """
    own = getattr(errors, name, None)
    if isinstance(own, type) and issubclass(own, RecsysError) and own.__init__ is RecsysError.__init__:
        return own(message)
    return LauncherError(message if own is not None else f"{name}: {message}")


def _print(line: _Line) -> None:
    print(_LINE + msgspec.json.encode(line).decode(), flush=True)  # noqa: T201  the sender reads it


if __name__ == "__main__":
    sys.exit(
        main(
            _unpacked(os.environ[_WORK]),
            RayCluster(say=lambda text: _print(_Line(said=text))),
            tries=int(sys.argv[1]),
        )
    )
