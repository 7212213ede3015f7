"""`up`, `serve`, `recommend`, `doctor`: the first commands of a new user, and servers side by side."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from recsys_assets.api_settings import ApiSettings
from recsys_assets.commands.replica_options import ReplicaOptions, replica_options
from recsys_assets.commands.shared import (
    days_option,
    examined_home_option,
    example,
    home_option,
    run_build,
    settings_for,
    source_option,
)
from recsys_assets.errors import ServerStoppedError
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home

if TYPE_CHECKING:
    from recsys_assets.commands.progress import ConsoleWatcher
    from recsys_assets.orchestration.build_outcome import BuildOutcome

_SHOWN_USERS: Final = 3
_SHOWN_ITEMS: Final = 5
_GRACE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.2
_TAIL_LINES: Final = 15
_PORT: Final = click.IntRange(1, 65_535)


@click.command(epilog=example("recsys up", "recsys up --days 60 --port 8001 --dagster-port 3001"))
@home_option
@source_option
@days_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that both servers listen on.")
@click.option("--port", default=8000, show_default=True, type=_PORT, help="Port of the API and its page.")
@click.option("--dagster-port", default=3000, show_default=True, type=_PORT, help="Port of the Dagster UI.")
def up(
    home: Path | None, spec: str | None, days: int | None, host: str, port: int, dagster_port: int
) -> None:
    """Build everything, then serve API, page and Dagster UI."""
    place = Home.locate(home)

    def run(watcher: "ConsoleWatcher") -> "BuildOutcome":
        from recsys_assets.api.serving.server import claimed_port  # noqa: PLC0415

        with (
            claimed_port(host, port, option="--port"),
            claimed_port(host, dagster_port, option="--dagster-port"),
        ):
            pass
        from recsys_assets.orchestration.build import build as build_home  # noqa: PLC0415

        return build_home(place, settings_for(place, spec, days, watcher), watcher)

    if run_build(f"Building {place.root}", run).failed:
        sys.exit(1)
    from recsys_assets.orchestration.instance import child_environment  # noqa: PLC0415

    _show_some(place)
    api = own_command("serve", "--home", str(place.root), "--host", host, "--port", str(port))
    dagster = [sys.executable, "-m", "dagster", "dev", "-m", "recsys_assets.definitions", "-h", host]
    click.echo(f"API and page   http://{host}:{port}/")
    click.echo(f"Dagster UI     http://{host}:{dagster_port}/")
    click.echo(f"Logs           {place.logs}")
    click.echo("Ctrl-C ends all of them.")
    run_until_stopped(
        [
            Server(
                name="the API",
                command=api,
                log=place.logs / "api.log",
                environment=_with_dagster_url(place, f"http://{host}:{dagster_port}"),
            ),
            Server(
                name="Dagster",
                command=[*dagster, "-p", str(dagster_port)],
                log=place.logs / "dagster.log",
                environment=child_environment(place),
            ),
        ]
    )
    click.echo("Ended.")


@click.command(
    epilog=example("recsys serve --port 8000 --workers 2", "recsys serve --from s3://bucket/home --workers 2")
)
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=_PORT, help="Port of the API and its page.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Server processes.")
@click.option(
    "--fallback-previous", is_flag=True, help="Serve the release before if the current one is broken."
)
@replica_options
def serve(
    home: Path | None, host: str, port: int, workers: int, fallback_previous: bool, replica: ReplicaOptions
) -> None:
    """Serve the API and its page from the current release."""
    if replica.url is not None:
        sys.exit(replica.serve(host=host, port=port, workers=workers))
    from recsys_assets.api.serving.server import serve as serve_api  # noqa: PLC0415
    from recsys_assets.api.serving.store_follower import following  # noqa: PLC0415

    place = Home.locate(home)
    with following(place):
        serve_api(place, host=host, port=port, workers=workers, fallback_previous=fallback_previous)


@click.command(epilog=example("recsys recommend 1 -k 5", "recsys recommend 1 --scenario home --explain"))
@home_option
@click.argument("user")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 500), help="Number of items.")
@click.option("--scenario", default=None, help="Apply this scenario of the rules; by default none.")
@click.option(
    "--explain",
    is_flag=True,
    help="Explain the list; without --scenario by the default one.",
)
def recommend(home: Path | None, user: str, k: int, scenario: str | None, explain: bool) -> None:
    """Print recommendations for USER, by name."""
    from recsys_assets.api.serving.answers import recommend_once  # noqa: PLC0415
    from recsys_assets.commands.console import open_console, print_recommendations  # noqa: PLC0415

    if scenario is not None or explain:
        from recsys_assets.api.serving.answers import recommend_by_rules  # noqa: PLC0415
        from recsys_assets.commands.console import print_trace  # noqa: PLC0415

        found = recommend_by_rules(Home.locate(home), user, k, scenario=scenario, explain=explain)
        print_recommendations(open_console(), found)
        print_trace(open_console(), found)
        return
    print_recommendations(open_console(), recommend_once(Home.locate(home), user, k))


@click.command(epilog=example("recsys doctor"))
@examined_home_option
def doctor(home: Path | None) -> None:
    """Show versions, places, the state of all, and the next step."""
    from recsys_assets.commands.console import open_console  # noqa: PLC0415
    from recsys_assets.commands.doctor import examine, print_findings  # noqa: PLC0415

    print_findings(open_console(), examine(Home.locate(home)))


def _with_dagster_url(home: Home, url: str) -> dict[str, str]:
    """Return this process's variables, with the page's link to the UI that is started here unless one is set."""
    is_set = load_settings(home).api.dagster_url != ApiSettings().dagster_url
    return dict(os.environ) if is_set else {**os.environ, "RECSYS_API__DAGSTER_URL": url}


def _show_some(home: Home) -> None:
    """Print recommendations for a few users of the current release, by name."""
    from recsys_assets.api.serving.answers import recommend_once  # noqa: PLC0415
    from recsys_assets.commands.console import open_console, print_recommendations  # noqa: PLC0415
    from recsys_assets.embeddings.model_files import load_embeddings  # noqa: PLC0415

    users = load_embeddings(home.artifact("embeddings")).users
    for user_id in itertools.islice(users, _SHOWN_USERS):
        print_recommendations(open_console(), recommend_once(home, user_id, _SHOWN_ITEMS))


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server to run as a child process."""

    name: str
    """Its name in messages."""
    command: Sequence[str]
    """Program and arguments."""
    log: Path
    """The file that its output is added to."""
    environment: Mapping[str, str] | None = None
    """All of its variables; None for those of this process."""


def run_until_stopped(servers: Sequence[Server]) -> None:
    """Start the servers and wait for Ctrl-C or SIGTERM; then end them and every process that they started.

    Each gets its own process group, so that ending the group ends its children too. Where this process is killed, each
    is interrupted.

    Raises:
        ServerStoppedError: one ended by itself; the others were ended, and the message has its last lines.
    """
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    running: list[tuple[Server, subprocess.Popen[bytes]]] = []
    try:
        for server in servers:
            running.append((server, _start(server)))  # noqa: PERF401  those started are ended if the next one fails
        while not stopped:
            for server, process in running:
                if process.poll() is not None:
                    raise ServerStoppedError(_last_lines(server, process.returncode))
            time.sleep(_POLL_SECONDS)
    finally:
        _end([process for _, process in running])
        for number, handler in previous.items():
            signal.signal(number, handler)


def _start(server: Server) -> "subprocess.Popen[bytes]":
    from recsys_assets.api.serving.server import end_with  # noqa: PLC0415

    parent = os.getpid()

    def prepare() -> None:
        # undo a shell's ignoring of SIGINT in background commands, which a child would inherit
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        end_with(parent, signal.SIGINT)

    server.log.parent.mkdir(parents=True, exist_ok=True)
    with server.log.open("ab") as log:  # the child has its own descriptor of it
        return subprocess.Popen(  # noqa: S603  our own command
            server.command,
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  nothing here runs a thread yet
        )


def own_command(*arguments: str) -> list[str]:
    """Return the `recsys` command of this installation."""
    return [sys.executable, "-m", "recsys_assets", *arguments]


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal_group(process, signal.SIGINT)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(_POLL_SECONDS)
    for process in processes:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # the whole group has ended


def _last_lines(server: Server, code: int) -> str:
    tail = "\n".join(server.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
    return f"{server.name} ended with code {code}; its log is {server.log}, and ends with\n{tail}"


COMMANDS = [up, serve, recommend, doctor]
