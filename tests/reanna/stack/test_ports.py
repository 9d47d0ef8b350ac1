"""Who holds a port."""

from __future__ import annotations

import os
import socket

import pytest

from reanna.stack import ports
from tests.reanna.running import free_port


def test_a_free_port_is_fine() -> None:
    ports.ensure_free(free_port(), "web pages", "--port")


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")])
def test_a_listener_is_named_with_pid_and_command(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as holder:
        holder.bind((address, 0))
        holder.listen()
        port = holder.getsockname()[1]

        with pytest.raises(ports.PortBusyError) as busy:
            ports.ensure_free(port, "sandbox", "--sandbox-port")

    assert str(busy.value).startswith(f"Port {port} (sandbox) is in use by pid {os.getpid()} (")
    assert str(busy.value).endswith(f"Stop it, or choose another port: --sandbox-port {port + 1}")


def test_a_connection_that_only_waits_to_be_forgotten_does_not_hold_the_port() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # closing first leaves TIME_WAIT on the server's side
    ports.ensure_free(port, "web pages", "--port")


def test_a_command_line_is_shortened() -> None:
    assert len(ports.command_of(os.getpid())) <= 120
    assert ports.command_of(2**22 + 1) == "ended meanwhile"
