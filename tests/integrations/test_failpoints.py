"""Places at which a process can be made to die: nothing happens unless it was asked for, and then once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from integrations import checks, failpoints

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.disarm()


def test_a_place_does_nothing_while_nothing_is_armed() -> None:
    for point in failpoints.POINTS:
        failpoints.reach(point)


def test_the_nth_arrival_is_struck_and_no_other() -> None:
    failpoints.arm("after_claim", "raise", 2)
    failpoints.reach("after_claim")
    failpoints.reach("after_answer")
    with pytest.raises(failpoints.InjectedError, match="after_claim"):
        failpoints.reach("after_claim")
    failpoints.reach("after_claim")


@pytest.mark.parametrize("told", ["", "nowhere:kill", "after_claim", "after_claim:explode", "in_sweep:kill:0"])
def test_what_is_not_understood_is_refused(told: str) -> None:
    with pytest.raises(ValueError, match=r"POINT:ACTION|invalid literal"):
        failpoints.arm_as_told(told)


def test_sigkill_is_real() -> None:
    code = "from integrations import failpoints as f; f.arm_as_told('in_sweep:kill'); f.reach('in_sweep'); print('on')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_sigstop_is_real() -> None:
    code = "from integrations import failpoints as f; f.arm_as_told('in_sweep:stop'); f.reach('in_sweep'); print('on')"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        os.kill(process.pid, signal.SIGCONT)
        assert process.communicate() == ("on\n", None)


def test_a_start_is_refused_where_people_rely_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.no_failpoint_is_armed() == []
    monkeypatch.setenv("REANNA_FAILPOINT", "after_claim:kill")
    assert [error.id for error in checks.no_failpoint_is_armed()] == ["integrations.E011"]


def test_the_chaos_settings_may(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setenv("REANNA_FAILPOINT", "after_claim:kill")
    settings.REANNA_FAILPOINT = "after_claim:kill"
    assert checks.no_failpoint_is_armed() == []


def test_no_other_settings_read_the_variable() -> None:
    assert not hasattr(django_settings, failpoints.VARIABLE)
    readers = [path.name for path in (ROOT / "reanna" / "settings").glob("*.py") if "FAILPOINT" in path.read_text()]
    assert readers == ["chaos.py"]
