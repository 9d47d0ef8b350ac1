"""The house rules that a machine can hold; the layers themselves are import-linter's contracts in pyproject.toml."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from inspect import signature
from pathlib import Path

import pytest
from celery import current_app

ROOT = Path(__file__).resolve().parents[1]
APPS = ("integrations", "monitoring", "alerts", "reanna")
LONGEST = 400
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "services", "service", "misc", "common"}
# Who may open a way out by HTTP at all: the guarded client and its socket.
HTTP_MAKERS = {"integrations/gateway.py", "integrations/transport/wire.py"}
HTTP_CALLS = {
    "Client", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport", "request", "stream",
    "get", "post", "put", "patch", "delete", "head", "options",
}  # fmt: skip
# What talks over a network: none of it may run inside a transaction of ours.
NETWORK_MODULES = ("httpx", "httpcore", "requests", "urllib", "http", "socket", "redis")
NETWORK_NAMES = {"exchange", "http", "gate", "redis", "doorbell", "urlopen", "renew_token", "lookup", "apply_async"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def ours(*folders: str) -> list[Path]:
    files = [ROOT / "manage.py"] if not folders else []
    for folder in folders or APPS:
        files += (path for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts)
    return sorted(files)


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def found(paths: list[Path], judge: Callable[[ast.AST], bool]) -> list[str]:
    """Where a node is that the judge does not like."""
    return [
        f"{short(path)}:{getattr(node, 'lineno', 0)}" for path in paths for node in ast.walk(tree(path)) if judge(node)
    ]


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module


def imports(path: Path, *modules: str) -> bool:
    return any(name.split(".")[0] in modules for node in ast.walk(tree(path)) for name in imported(node))


def test_the_import_contracts_hold() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_no_file_is_too_long() -> None:
    files = [*ours(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "integrations").rglob("*.lua")]
    lengths = {short(path): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_modules_are_named_for_what_they_do() -> None:
    files = [*ours(), *(ROOT / "tests").rglob("*.py")]
    assert [short(path) for path in files if FORBIDDEN_NAMES & {path.stem, *path.relative_to(ROOT).parts}] == []


def test_there_are_no_model_signals() -> None:
    modules = {"django.db.models.signals", "django.dispatch", "django.core.signals"}
    names = {"signals", "receiver", "pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed"}

    def judge(node: ast.AST) -> bool:
        from_django = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django")
        named = from_django and bool(names & {alias.name for alias in node.names})  # type: ignore[attr-defined]
        return named or any(name in modules for name in imported(node))

    assert found(ours(), judge) == []


def test_http_clients_are_made_in_the_gateway_and_its_transport_only() -> None:
    def judge(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in {"httpx", "httpcore", "requests"}
            and node.func.attr in HTTP_CALLS
        )

    outside = [path for path in ours() if short(path) not in HTTP_MAKERS]
    assert found(outside, judge) == []
    hidden = [path for path in outside if imports(path, "requests", "aiohttp", "urllib3", "httpcore")]
    assert [short(path) for path in hidden] == []


def test_names_of_httpx_are_not_imported_past_that_rule() -> None:
    def judge(node: ast.AST) -> bool:
        bare = isinstance(node, ast.ImportFrom) and node.module in {"httpx", "httpcore", "requests"}
        return bare and bool(HTTP_CALLS & {alias.name for alias in node.names})  # type: ignore[attr-defined]

    assert found(ours(), judge) == []


def test_the_standard_librarys_http_reaches_only_our_own_processes() -> None:
    """urllib speaks to the package index and to our own loopback processes, never to a provider."""
    users = {short(path) for path in ours() if imports(path, "urllib") and "urlopen" in path.read_text("utf-8")}
    users |= {short(path) for path in ours() if "build_opener" in path.read_text("utf-8")}
    assert users == {"reanna/bootstrap.py", "reanna/stack/plan.py", "integrations/management/sandbox_accounts.py"}


def test_the_encrypted_field_library_is_imported_in_one_file() -> None:
    assert [short(path) for path in ours() if imports(path, "fernet_fields")] == ["integrations/fields.py"]


def test_forms_and_serializers_name_their_fields() -> None:
    def judge(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id in {"fields", "exclude"} for target in node.targets)
            and isinstance(node.value, ast.Constant)
            and node.value.value == "__all__"
        )

    assert found(ours(), judge) == []


def _transactions(path: Path) -> Iterator[ast.AST]:
    """Blocks and functions that run in a transaction."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.With) and any("atomic" in ast.unparse(item.context_expr) for item in node.items):
            yield node
        if isinstance(node, ast.FunctionDef) and any("atomic" in ast.unparse(each) for each in node.decorator_list):
            yield node


def _network_names(path: Path) -> set[str]:
    """Names that a file binds to something that talks over a network."""
    bound = set(NETWORK_NAMES)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import | ast.ImportFrom) and any(
            name.split(".")[0] in NETWORK_MODULES or name.startswith(("integrations.gateway", "integrations.transport"))
            for name in imported(node)
        ):
            bound |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return bound


def test_nothing_talks_over_a_network_inside_a_transaction() -> None:
    """Direct calls only; what a called function does is a matter of review."""
    guilty = []
    for path in ours("integrations", "monitoring", "alerts"):
        names = _network_names(path)
        for block in _transactions(path):
            calls = [node for node in ast.walk(block) if isinstance(node, ast.Call)]
            guilty += [
                f"{short(path)}:{call.lineno} {ast.unparse(call.func)}"
                for call in calls
                if names & set(re.findall(r"\w+", ast.unparse(call.func)))
            ]
    assert guilty == []


def _our_tasks() -> dict[str, object]:
    current_app.loader.import_default_modules()
    return {name: task for name, task in current_app.tasks.items() if name.split(".")[0] in APPS}


def test_celery_tasks_take_integer_ids_only() -> None:
    tasks = _our_tasks()
    assert "integrations.drain" in tasks
    wrong = {}
    for name, task in tasks.items():
        for parameter in signature(task.run).parameters.values():  # type: ignore[attr-defined]
            if parameter.annotation not in {int, "int"} or not parameter.name.endswith("_id"):
                wrong[f"{name}({parameter.name})"] = str(parameter.annotation)
    assert wrong == {}


def test_celery_carries_json_and_keeps_nothing() -> None:
    conf = current_app.conf
    assert (conf.task_serializer, conf.accept_content, conf.task_ignore_result) == ("json", ["json"], True)
    assert (conf.task_acks_late, conf.worker_prefetch_multiplier) == (True, 1)


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK"])
def test_nothing_is_left_for_later_in_the_code(word: str) -> None:
    marks = re.compile(rf"#.*\b{word}\b")
    assert [short(path) for path in ours() if marks.search(path.read_text("utf-8"))] == []


def test_no_exception_is_caught_bare() -> None:
    def judge(node: ast.AST) -> bool:
        return isinstance(node, ast.ExceptHandler) and node.type is None

    assert found(ours(), judge) == []


def test_a_broad_catch_logs_or_raises() -> None:
    def judge(node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler) or node.type is None:
            return False
        if ast.unparse(node.type) not in {"Exception", "BaseException"}:
            return False
        body = "\n".join(ast.unparse(line) for line in node.body)
        return "raise" not in body and "log" not in body

    assert found(ours(), judge) == []


def test_clocks_and_randomness_are_handed_to_what_is_pure() -> None:
    pure = [*ours("integrations/gate"), ROOT / "integrations/engine/states.py", ROOT / "integrations/engine/verdict.py"]
    pure += [ROOT / "integrations/routing.py", *ours("integrations/providers/gohighlevel")]
    assert [short(path) for path in pure if imports(path, "time", "random", "secrets", "uuid")] == []
