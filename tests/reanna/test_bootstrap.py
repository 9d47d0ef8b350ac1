"""The bootstrap on a checkout of its own: a tiny lock file, real virtual environments, real installs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.reanna.running import ROOT, clean_environ

pytestmark = pytest.mark.stack

# One small wheel that needs nothing, at the version and with the hashes of our own lock.
PACKAGE = "sqlparse"


def base_python() -> str:
    return sys._base_executable  # type: ignore[attr-defined]  # the interpreter our environment was made from


def locked(package: str) -> str:
    lines = (ROOT / "requirements" / "base.lock").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = next(number for number in range(start + 1, len(lines)) if not lines[number].startswith("    --hash"))
    return "\n".join(lines[start:end]).rstrip(" \\") + "\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a first start reads, with one package to install, in a path with a space."""
    root = tmp_path / "my checkout"
    (root / "reanna").mkdir(parents=True)
    (root / "requirements").mkdir()
    for name in ("manage.py", "reanna/bootstrap.py"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    for name in ("base", "dev"):
        (root / "requirements" / f"{name}.lock").write_text(locked(PACKAGE))
    return root


def bootstrap(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [base_python(), str(root / "manage.py"), "bootstrap", *arguments],
        check=False,
        env=clean_environ(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def wheel(folder: Path, name: str, version: str, *metadata: str) -> str:
    """Write an empty wheel and return its line of a lock."""
    info = f"{name}-{version}.dist-info"
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(head) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def has_package(root: Path) -> bool:
    found = subprocess.run(
        [str(root / ".venv/bin/python"), "-c", f"import {PACKAGE}"], check=False, capture_output=True
    )
    return found.returncode == 0


def loaded() -> ModuleType:
    """The bootstrap as manage.py loads it: by path."""
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", ROOT / "reanna" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_first_start_installs_in_a_path_with_a_space_and_the_second_does_nothing(checkout: Path) -> None:
    first = bootstrap(checkout)

    assert first.returncode == 0, first.stderr
    assert "Installing 1 packages from requirements/base.lock" in first.stdout
    assert "WARNING" not in first.stdout + first.stderr
    assert has_package(checkout)
    stamp = json.loads((checkout / ".venv/.reanna-stamp.json").read_text())
    assert sorted(stamp) == ["base", "python"]

    second = bootstrap(checkout)

    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_a_changed_lock_is_installed_and_a_development_stamp_serves_both(checkout: Path) -> None:
    assert bootstrap(checkout).returncode == 0
    lock = checkout / "requirements" / "dev.lock"
    lock.write_text("# changed\n" + lock.read_text())

    assert "requirements/dev.lock" in bootstrap(checkout, "--dev").stdout
    assert sorted(json.loads((checkout / ".venv/.reanna-stamp.json").read_text())) == ["base", "dev", "python"]
    assert bootstrap(checkout).stdout == ""
    assert bootstrap(checkout, CI="true").stdout == ""


def test_an_environment_of_another_python_is_rebuilt(checkout: Path) -> None:
    assert bootstrap(checkout).returncode == 0
    config = checkout / ".venv" / "pyvenv.cfg"
    config.write_text(config.read_text().replace("version = 3.11", "version = 3.12"))

    again = bootstrap(checkout)

    assert again.returncode == 0
    assert f"Rebuilding {checkout / '.venv'} (made by another Python)." in again.stdout
    assert "version = 3.11" in config.read_text()
    assert has_package(checkout)


def test_an_interrupted_install_is_redone_from_an_empty_environment(checkout: Path) -> None:
    with subprocess.Popen(
        [base_python(), str(checkout / "manage.py"), "bootstrap"],
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as first:
        assert first.stdout is not None
        assert any(line.startswith("Installing") for line in first.stdout)
        os.killpg(first.pid, signal.SIGKILL)
    leftover = checkout / ".venv" / "half-written"
    leftover.write_text("")

    again = bootstrap(checkout)

    assert again.returncode == 0
    assert "(left by an install that did not end)" in again.stdout
    assert not leftover.exists()
    assert has_package(checkout)


def test_two_at_once_install_once(checkout: Path) -> None:
    both = [
        subprocess.Popen(
            [base_python(), str(checkout / "manage.py"), "bootstrap"],
            env=clean_environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [each.communicate(timeout=120)[0] for each in both]

    assert [each.returncode for each in both] == [0, 0]
    assert sum("Installed 1 packages" in text for text in said) == 1
    assert sum("Another process is installing packages; waiting for it." in text for text in said) == 1
    assert has_package(checkout)


def test_a_wrong_hash_stops_with_pips_last_lines_and_leaves_no_stamp(checkout: Path) -> None:
    lock = checkout / "requirements" / "base.lock"
    lines = lock.read_text().splitlines()
    lock.write_text(lines[0].split()[0] + " --hash=sha256:" + "0" * 64 + "\n")

    result = bootstrap(checkout)

    assert result.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in result.stderr
    assert "Check the network and PIP_INDEX_URL, then start again." in result.stderr
    assert not (checkout / ".venv/.reanna-stamp.json").exists()
    assert not has_package(checkout)


def test_a_newer_release_of_what_another_asks_for_with_an_extra_changes_nothing(checkout: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    asked = wheel(wheels, "asked", "1.0", "Provides-Extra: more")
    asks = wheel(wheels, "asks", "1.0", "Requires-Dist: asked[more]>=1.0")
    wheel(wheels, "asked", "1.1", "Provides-Extra: more")
    (checkout / "requirements/base.lock").write_text(asked + asks)

    result = bootstrap(checkout, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))

    assert result.returncode == 0, result.stderr
    found = sorted(path.name for path in checkout.glob(".venv/lib/*/site-packages/ask*.dist-info"))
    assert found == ["asked-1.0.dist-info", "asks-1.0.dist-info"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")
def test_a_user_who_may_not_enter_his_home_can_start(checkout: Path) -> None:
    python = Path("/usr/bin/python3.11")
    with_pip = [str(python), "-c", "import ensurepip, pip"]
    if not python.exists() or subprocess.run(with_pip, check=False, capture_output=True).returncode != 0:
        pytest.skip("no Python 3.11 with pip that every user may run")
    with tempfile.TemporaryDirectory() as temporary:  # pytest closes its own folders to other users
        root = Path(temporary) / "my checkout"
        shutil.copytree(checkout, root)
        for path in (Path(temporary), root, *root.rglob("*")):
            os.chown(path, 65534, 65534)
        result = subprocess.run(
            [str(python), str(root / "manage.py"), "bootstrap"],
            check=False,
            env=clean_environ(HOME=str(checkout.parent)),  # pytest's, closed to others
            cwd=root,
            user=65534,
            group=65534,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

        assert result.returncode == 0, result.stderr
        assert "WARNING" not in result.stdout + result.stderr
        assert has_package(root)


def test_without_ensurepip_the_base_pip_installs(checkout: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "ensurepip"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise SystemExit(1)")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bootstrap\n"
        "plain = bootstrap.run\n"
        "def run(command, environ=None):\n"
        "    made = '-m venv --clear' in ' '.join(command) and '--without-pip' not in command\n"
        "    return plain([command[0], '-c', 'raise SystemExit(1)'], environ) if made else plain(command, environ)\n"
        "bootstrap.run = run\n"
        "bootstrap.Environment(bootstrap.Path(sys.argv[2]), 'base').ensure()\n"
    )
    result = subprocess.run(
        [base_python(), "-c", code, str(ROOT / "reanna"), str(checkout)],
        check=False,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert result.returncode == 0, result.stderr
    assert not (checkout / ".venv/lib/python3.11/site-packages/pip").exists()
    assert has_package(checkout)


def test_a_pip_wheel_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "pip.whl"
    wheel.write_bytes(b"not pip")
    monkeypatch.setenv("REANNA_PIP_WHEEL", str(wheel))
    module = loaded()

    with pytest.raises(module.BootstrapError, match="its hash differs"):
        module.pip_wheel(tmp_path)

    assert list(tmp_path.iterdir()) == [wheel]


def test_neither_pip_nor_a_way_to_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REANNA_PIP_WHEEL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    module = loaded()

    with pytest.raises(module.BootstrapError, match="apt-get install python3-venv"):
        module.pip_wheel(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "rest", "data"),
    [
        (["up", "--data", "/x"], ["up"], "/x"),
        (["import_tours", "file.csv", "--data=/x"], ["import_tours", "file.csv"], "/x"),
        (["--data", "/a b", "up", "--port", "1"], ["up", "--port", "1"], "/a b"),
        (["up", "--data", "/x", "--data", "/y"], ["up"], "/y"),
        (["test", "--", "--data", "/x"], ["test", "--", "--data", "/x"], None),
        (["up"], ["up"], None),
    ],
)
def test_data_is_taken_in_any_position(arguments: list[str], rest: list[str], data: str | None) -> None:
    assert loaded().take_data(["manage.py", *arguments]) == (["manage.py", *rest], data)


def test_a_relative_data_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert loaded().take_data(["manage.py", "up", "--data", "x"])[1] == str(tmp_path / "x")


@pytest.mark.parametrize("arguments", [["--data"], ["--data", ""], ["--data="], ["--data", "--port"]])
def test_data_without_a_folder_is_refused(checkout: Path, arguments: list[str]) -> None:
    result = bootstrap(checkout, *arguments)

    assert result.returncode == 2
    assert result.stderr == "--data needs a folder, for example: --data /srv/reanna\n"
    assert not (checkout / ".venv").exists()


def test_an_older_python_is_told_what_to_install(checkout: Path) -> None:
    code = (
        "import sys, runpy; sys.version_info = (3, 9, 2, 'final', 0); sys.version = '3.9.2 (default)'\n"
        "sys.argv = [sys.argv[1], 'up']; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    result = subprocess.run(
        [base_python(), "-c", code, str(checkout / "manage.py")],
        check=False,
        env={"PATH": "/nonexistent"},
        capture_output=True,
        text=True,
    )

    assert result.returncode == 1
    assert "REanna Router needs Python 3.11" in result.stderr
    assert "this is Python 3.9.2" in result.stderr
