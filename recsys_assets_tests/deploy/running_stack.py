"""The processes of `compose.yaml` on this machine: its own commands and checks, with loopback ports and folders."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from recsys_assets.benchmarks.ray_nodes import end_all
from recsys_assets.benchmarks.scale_servers import POSTGRES_BIN
from recsys_assets.deploy.deployment_files import Deployment, deployment_files, secrets_text
from recsys_assets_tests.database_servers import free_port
from recsys_assets_tests.deploy.written import variables, words

OURS = ("api", "builder", "code", "webserver", "daemon", "ray-head", "ray-worker")
HOSTS = re.compile(r"(?<=[@/=])(objects|postgres|nats|code|ray-head)(?=:\d)")
FOLDERS = {
    "/var/lib/recsys": "home",
    "/var/cache/recsys": "cache",
    "/etc/recsys": "workspace",
    "/var/lib/dagster": "dagster",
    "/etc/nats": "nats",
    "/var/lib/postgresql/data": "postgres",
}
START_SECONDS = 120.0
PORTS = (8000, 8001, 3000, 4000, 4222, 5432, 6379, 8222, 8265, 8333, 8888)
OF_RAY = {"ray-head": 10_002, "ray-worker": 10_202}
"""First port of each one's workers: a container has all of them for itself."""
OTHER_PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port.grpc",
    "s3.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip
"""Ports of the object store that its container has for itself."""


class Stack:
    """The services of one compose file, each a process with a log in the stack's folder."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """Write the files of the stack; `settings` are more variables, as a reader would add to settings.env."""
        self.folder = folder
        self.ports = {port: free_port() for port in PORTS}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        deployment, numbers = Deployment(kind="compose"), iter(range(99))
        texts = deployment_files(deployment)
        texts["secrets.env"] = secrets_text(deployment, lambda: f"k{next(numbers)}secret")
        self.files = {name: self._local(text) for name, text in texts.items()}
        self.services = yaml.safe_load(self.files["compose.yaml"])["services"]
        self.given = variables(self.files["settings.env"]) | dict(settings or {})
        self.secrets = variables(self.files["secrets.env"])
        self.image = dict(re.findall(r"^ +(\w+_HOME)=(\S+)", self.files["Dockerfile"], re.MULTILINE))
        for name in ("home", "dagster", "workspace", "nats", "cache"):
            (folder / name).mkdir(parents=True)
        for place, name in (
            ("dagster", "dagster.yaml"),
            ("workspace", "workspace.yaml"),
            ("nats", "nats.conf"),
        ):
            (folder / place / name).write_text(self.files[name].replace("/data", str(folder / "nats")))

    def _local(self, text: str) -> str:
        text = (
            HOSTS.sub("127.0.0.1", text)
            .replace("0.0.0.0", "127.0.0.1")
            .replace("host: code", "host: 127.0.0.1")
        )
        for there, name in FOLDERS.items():
            text = text.replace(there, str(self.folder / name))
        return re.sub(
            r"(?<![\d.])\d{4}(?![\d.])", lambda found: str(self.ports.get(int(found[0]), found[0])), text
        )

    def environment(self, name: str) -> dict[str, str]:
        """Variables of a service: this process's own, and those that its files name."""
        own = {
            key: value for key, value in os.environ.items() if not key.startswith(("RECSYS_", "AWS_", "PG"))
        }
        own |= self.image if name in OURS else {}
        files = {"settings.env": self.given, "secrets.env": self.secrets}
        for file in self.services[name].get("env_file", []):
            own |= files[file]
        own |= {key: str(value) for key, value in self.services[name].get("environment", {}).items()}
        return own

    def command(self, name: str) -> list[str]:
        """The service's command, with what keeps its other ports on loopback."""
        service = self.services[name]
        command = [*words(service.get("entrypoint", [])), *words(service.get("command", []))]
        if name == "objects":
            data = self.folder / "objects"
            data.mkdir(exist_ok=True)
            command = [word.replace("-dir=/data", f"-dir={data}") for word in command]
            command += [f"-{port}={free_port()}" for port in OTHER_PORTS]
        if name == "nats":
            command += ["--addr", "127.0.0.1"]
        if name in OF_RAY:
            first = OF_RAY[name]
            command += [f"--min-worker-port={first}", f"--max-worker-port={first + 199}"]
            command += [f"--temp-dir={self.folder}/ray"] if name == "ray-head" else []
        if name == "postgres":
            command = self._database()
        return command

    def _database(self) -> list[str]:
        """Do what the image does at its first start: a user and a database, and the password."""
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        data, given = self.folder / "postgres", self.environment("postgres")
        (data / "postmaster.pid").unlink(missing_ok=True)  # a container's processes have ids of their own
        server = [*user, str(POSTGRES_BIN[0] / "postgres"), "-D", str(data), "-k", "", "-h", "127.0.0.1"]
        if not data.exists():
            password = self.folder / "password"
            password.write_text(given["POSTGRES_PASSWORD"])
            data.mkdir()
            if user:
                shutil.chown(data, "postgres")
                shutil.chown(password, "postgres")
            initdb = [
                POSTGRES_BIN[0] / "initdb",
                "-D",
                data,
                "-A",
                "scram-sha-256",
                "-U",
                given["POSTGRES_USER"],
            ]
            subprocess.run([*user, *initdb, f"--pwfile={password}"], check=True, capture_output=True, cwd="/")
            create = subprocess.run(
                [*user, POSTGRES_BIN[0] / "postgres", "--single", "-D", data, "postgres"],
                input=f"CREATE DATABASE {given['POSTGRES_DB']}\n", text=True, capture_output=True, cwd="/", check=False,
            )  # fmt: skip
            assert create.returncode == 0, create.stderr
        return [*server, "-p", str(self.ports[5432])]

    def start(self, name: str, *, port: int = 8000) -> None:
        """Start a service; `port` is the published one of a replica of the API."""
        command, environment = self.command(name), self.environment(name)
        log = self.folder / f"{name}-{port}.log"
        if name == "api":
            first, own = str(self.ports[8000]), str(self.ports[port])
            command = [own if word == first else word for word in command]
            command = [f"{word}/{own}" if word.endswith("/cache") else word for word in command]
            environment["RECSYS_HOME"] = str(self.folder / f"home-{own}")  # each container has its own
        with log.open("ab") as output:
            self.processes[f"{name}-{port}"] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                cwd="/" if name == "postgres" else self.folder, start_new_session=True,
            )  # fmt: skip

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a service to its end, with another command where one is given, as `docker compose run` does."""
        return subprocess.run(
            [*command] or self.command(name), env=self.environment(name), cwd=self.folder, check=False,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    def is_healthy(self, name: str, *, port: int = 8000) -> bool:
        """Run the service's own check."""
        test = self.services[name]["healthcheck"]["test"][1:]
        if name == "api":
            test = [word.replace(str(self.ports[8000]), str(self.ports[port])) for word in test]
        if name == "postgres":
            test = [
                str(POSTGRES_BIN[0] / test[0]),
                *test[1:],
                "--host",
                "127.0.0.1",
                "--port",
                str(self.ports[5432]),
            ]
        return not subprocess.run(
            test, env=self.environment(name), check=False, capture_output=True
        ).returncode

    def wait_until_healthy(self, name: str, *, port: int = 8000) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.is_healthy(name, port=port):
            process = self.processes[f"{name}-{port}"]
            ended = process.poll() is not None
            assert not ended, f"{name} ended with {process.returncode}: {self.log(name, port=port)}"
            assert time.monotonic() < deadline, f"{name} is not healthy: {self.log(name, port=port)}"
            time.sleep(0.2)

    def log(self, name: str, *, port: int = 8000) -> str:
        return (self.folder / f"{name}-{port}.log").read_text(errors="replace")[-4_000:]

    def stop(self, name: str, *, port: int = 8000, number: int = signal.SIGTERM) -> None:
        """End a service's process group by its id."""
        process = self.processes.pop(f"{name}-{port}")
        if name in OF_RAY:
            end_all(process.pid, number)  # each of its servers is a group of its own
        for each in (number, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, each)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
        process.wait()

    def stop_all(self) -> None:
        for key in reversed(list(self.processes)):
            name, _, port = key.rpartition("-")
            self.stop(name, port=int(port))


@contextmanager
def running_stack(*, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """The stack, nothing of it started yet; all that was started is ended. Skips where a server is not installed.

    The folder is not pytest's, whose parent the user of Postgres cannot enter.
    """
    missing = [name for name in ("weed", "nats-server") if shutil.which(name) is None]
    if missing or not POSTGRES_BIN:
        pytest.skip(f"not installed: {', '.join(missing) or 'postgresql'}")
    with tempfile.TemporaryDirectory(prefix="recsys-stack-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        stack = Stack(folder, settings=settings)
        try:
            yield stack
        finally:
            stack.stop_all()
