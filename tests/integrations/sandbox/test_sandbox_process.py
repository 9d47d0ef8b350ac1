"""The process: starting, stopping, and refusing to start."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path

from tests.sandbox_server import ROOT, SandboxServer


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "integrations.sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_a_busy_port_is_named(sandbox: SandboxServer, tmp_path: Path) -> None:
    done = run("--port", str(sandbox.port), "--data", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"sandbox: port {sandbox.port} on 127.0.0.1 is in use by another program; stop it, or choose another --port\n"
    )


def test_a_directory_in_use_is_named(sandbox: SandboxServer) -> None:
    done = run("--port", "0", "--data", str(sandbox.data_dir))
    assert (done.returncode, done.stderr) == (
        2, f"sandbox: another sandbox is running on {sandbox.data_dir}; stop it, or choose another --data\n",
    )  # fmt: skip


def test_a_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("--port", "0", "--data", str(tmp_path / "file"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert run("--port", "99999", "--data", str(tmp_path)).returncode == 2


def test_sigterm_ends_cleanly_with_idle_connections_open(tmp_path: Path) -> None:
    server = SandboxServer(tmp_path).start()
    idle = http.client.HTTPConnection("127.0.0.1", server.port)
    idle.request("GET", "/_sandbox/health")
    idle.getresponse().read()
    assert server.stop() == 0
    idle.close()


def test_one_connection_carries_many_requests(sandbox: SandboxServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port)
    for path in ("/_sandbox/health", "/contacts/x", "/_sandbox/journal", "/"):
        connection.request("GET", path)
        own = connection.sock
        connection.getresponse().read()
        assert connection.sock is own
    connection.close()


def test_it_imports_nothing_of_ours_and_no_django(tmp_path: Path) -> None:
    code = (
        "import sys, integrations.sandbox.server;"
        "print([name for name in sys.modules if name.startswith(('integrations', 'django', 'celery'))"
        " and not name.startswith('integrations.sandbox')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "['integrations']\n"


def test_the_file_is_for_its_owner_alone(sandbox: SandboxServer) -> None:
    assert {file.stat().st_mode & 0o077 for file in sandbox.data_dir.glob("sandbox.sqlite3*")} == {0}
