"""docker-compose.yml, Dockerfile and .env.example hold together, checked on their text: no daemon is needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from reanna import bootstrap
from tests.reanna.running import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("setup", "web", "worker", "beat")


def words(service: str) -> str:
    return " ".join(SERVICES[service]["command"])


def named_in_env_example() -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_the_services_are_these() -> None:
    assert sorted(SERVICES) == ["beat", "postgres", "redis", "setup", "web", "worker"]
    assert SERVICES["postgres"]["image"] == "postgres:17"
    assert SERVICES["redis"]["image"] == "redis:8"
    assert {SERVICES[name]["image"] for name in OURS} == {"reanna-router"}


@pytest.mark.parametrize("service", OURS)
def test_every_command_exists(service: str) -> None:
    called = re.findall(r"manage\.py (\w+)", words(service))
    assert called != []
    assert [name for name in called if name not in get_commands()] == []


@pytest.mark.parametrize("service", ["web", "worker", "beat"])
def test_processes_wait_for_migrations_and_for_servers_that_answer(service: str) -> None:
    assert SERVICES[service]["depends_on"] == {
        "setup": {"condition": "service_completed_successfully"},
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


def test_files_that_were_handed_in_reach_the_workers() -> None:
    assert SERVICES["web"]["volumes"] == SERVICES["worker"]["volumes"] == ["imports:/app/var/imports"]
    assert "imports" in COMPOSE["volumes"]
    assert "install -d -o reanna -m 0700 var/imports" in (ROOT / "Dockerfile").read_text()


def test_migrations_run_once_and_after_the_database_answers() -> None:
    assert SERVICES["setup"]["restart"] == "no"
    assert SERVICES["setup"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("service", ["web", "worker", "postgres", "redis"])
def test_servers_are_checked(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"]


def test_redis_keeps_every_write_and_evicts_nothing() -> None:
    assert "--appendonly yes" in words("redis")
    assert "--maxmemory-policy noeviction" in words("redis")
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_only_web_is_published_and_only_on_this_machine() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["127.0.0.1:8000:8000"]
    }


def test_no_secret_has_a_value_or_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|KEY)\w*)(.*?)\}", text)
    assert secrets != []
    assert [rest for _, rest in secrets if not rest.startswith(":?")] == []
    assert re.findall(r"://\w+:(?!\$\{)\S+@", text) == []
    assert "SECRET_KEY" not in text
    empty = re.findall(r"^[A-Z_]+=$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(empty) == len(named_in_env_example())


def test_env_example_names_all_that_production_asks_for() -> None:
    production = (ROOT / "reanna/settings/production.py").read_text()
    required = re.search(r"for _name in \(([^)]*)\)", production)
    assert required is not None
    asked = set(re.findall(r'"(\w+)"', required[1]))
    from_compose = set(SERVICES["web"]["environment"])
    interpolated = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked | interpolated <= from_compose | named_in_env_example()
    assert all(SERVICES[name]["env_file"] == ".env" for name in OURS)


def test_the_image_is_built_from_the_lock_and_runs_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.11-slim-bookworm"] * 2
    assert "python manage.py bootstrap" in text
    assert "pip install" not in text
    assert bootstrap.lock_name(["manage.py", "bootstrap"]) == "base"
    lines = text.splitlines()
    assert lines.index("USER reanna") > next(at for at, line in enumerate(lines) if "collectstatic" in line)


def test_state_and_secrets_of_a_checkout_stay_out_of_the_image() -> None:
    left_out = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".env", "var", ".venv", ".git"} <= set(left_out)
