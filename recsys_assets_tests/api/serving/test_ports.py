"""Ports of servers: one that is taken, one that is claimed, and addresses that are not here."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from recsys_assets.api.serving.server import claimed_port
from recsys_assets.errors import PortInUseError
from recsys_assets.storage.home import Home
from recsys_assets_tests.api.servers import command, free_port


def test_a_taken_port_and_a_home_without_release_are_errors_of_one_line(home: Home, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = subprocess.run(command(home, port), capture_output=True, text=True, check=False)
        line = found.stderr.splitlines()[-1]
        assert f"127.0.0.1:{port}: Address already in use by process {os.getpid()} (" in line
        assert line.endswith("give another --port")
    found = subprocess.run(command(Home(tmp_path), free_port()), capture_output=True, text=True, check=False)
    assert "no release is current; run `recsys build` first" in found.stderr.splitlines()[-1]


def test_a_port_is_claimed_by_one_server_at_a_time_before_it_listens() -> None:
    port = free_port()
    with (
        claimed_port("127.0.0.1", port, option="--port"),
        pytest.raises(PortInUseError),
        claimed_port("127.0.0.1", port, option="--port"),
    ):
        pass
    with claimed_port("127.0.0.1", port, option="--port"):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no host"])
def test_an_address_that_is_not_here_is_named(host: str) -> None:
    with (
        pytest.raises(PortInUseError, match=f"^{host}:8000: .*; give another --host$"),
        claimed_port(host, 8_000, option="--port"),
    ):
        pass
