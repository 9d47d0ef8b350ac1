"""The documentation is held to the code: what is named in one stands in the other, with the same figures."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from integrations.engine.kinds import KINDS
from integrations.engine.verdict import VERDICTS, Fact, Hold
from integrations.models import AuthorRole, InterestLevel, OfferLikelihood, PriceOpinion, State
from integrations.operations.imports import feedback, tours
from integrations.providers import errors, registry
from integrations.sandbox.faults import FIELDS_BY_KIND
from reanna.bootstrap import DEVELOPMENT_COMMANDS
from reanna.celery import BEAT
from reanna.testing.commands import MODULES

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Read where a person never sets them: the surroundings that a private Redis is started with.
SURROUNDINGS = {"PATH", "LANG", "TZ"}
OURS = ("integrations", "monitoring", "alerts", "reanna")


@cache
def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = len(title) - len(title.lstrip("#"))
    found = re.search(rf"^{re.escape(title)}$\n(.*?)(?=^#{{1,{level}}} |\Z)", text(page), re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no heading “{title}”"
    return found[1]


def table(page: str, title: str) -> list[list[str]]:
    """The cells of the tables under a heading, without their headers."""
    lines = [line for line in section(page, title).splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [at for at, row in enumerate(rows) if all(set(cell) <= {"-", ":"} for cell in row)]
    heads = {at - 1 for at in rules}
    return [row for at, row in enumerate(rows) if at not in heads and at not in set(rules)]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


# --- environment and settings ------------------------------------------------------------------------------------


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in [ROOT / "manage.py", *(file for app in OURS for file in (ROOT / app).rglob("*.py"))]:
        yield path, ast.parse(path.read_text("utf-8"))


@cache
def variables_read() -> dict[str, object]:
    """Each variable the code reads, and its default where it stands beside the name."""
    found: dict[str, object] = {}
    for path, tree in sources():
        if path.name == "test.py" and path.parent.name == "settings":
            continue
        for node in ast.walk(tree):
            name: ast.expr | None = None
            if isinstance(node, ast.Call) and re.search(r"(environ|env\.read|read|env)\.\w+$", ast.unparse(node.func)):
                name = node.args[0] if node.args else None
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                name = node.slice
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.isupper():
                defaults = [word.value for word in getattr(node, "keywords", []) if word.arg == "default"]
                default = ast.literal_eval(defaults[0]) if defaults else found.get(name.value)
                found[name.value] = default
    return found


def test_the_scan_sees_variables_however_they_are_read() -> None:
    assert {"REANNA_DATA", "DATABASE_URL", "CI", "REANNA_LEASE_S", "FERNET_KEYS"} <= variables_read().keys()


def test_every_variable_the_code_reads_is_documented_and_no_other() -> None:
    page = "docs/configuration.md"
    documented = [
        name for title in ("## Environment", "## Settings") for row in table(page, title) for name in names(row[0])
    ]
    assert sorted(documented) == sorted(variables_read().keys() - SURROUNDINGS)


@pytest.mark.parametrize("row", table("docs/configuration.md", "## Settings"), ids=lambda row: row[0].strip("`"))
def test_a_documented_default_is_the_default(row: list[str]) -> None:
    default = variables_read()[row[0].strip("`")]
    said = row[1].strip("`").replace("empty", "")
    assert (said == default) if isinstance(default, str) else (float(said) == default)


def test_every_setting_of_ours_is_documented() -> None:
    tree = ast.parse(text("reanna/settings/base.py"))
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.startswith("REANNA_")
    }
    assert {name for name in assigned if f"`{name}`" not in text("docs/configuration.md")} == set()


def test_what_production_demands_is_marked_as_required() -> None:
    found = re.search(r"for _name in \((.*?)\)", text("reanna/settings/production.py"))
    assert found is not None
    demanded = re.findall(r'"(\w+)"', found[1])
    said = [
        names(row[0])[0]
        for row in table("docs/configuration.md", "## Environment")
        if "Required in production" in row[2]
    ]
    assert sorted(said) == sorted(demanded)


# --- commands ----------------------------------------------------------------------------------------------------


def our_commands() -> list[str]:
    ours = {config.name for config in apps.get_app_configs() if config.name in OURS}
    return sorted(name for name, app in get_commands().items() if app in ours)


def commands_table() -> dict[str, str]:
    return {
        names(row[0])[0]: " ".join(row[1:]) for row in table("docs/configuration.md", "## Commands") if len(row) == 3
    }


def test_every_command_is_documented_and_no_other() -> None:
    assert sorted(commands_table()) == sorted([*our_commands(), *DEVELOPMENT_COMMANDS, "bootstrap"])


@pytest.mark.parametrize("command", our_commands())
def test_every_option_of_a_command_is_documented_and_no_other(command: str) -> None:
    def options(parser_of: BaseCommand) -> set[str]:
        actions = parser_of.create_parser("manage.py", command)._actions
        return {word for action in actions for word in action.option_strings if word.startswith("--")}

    own = options(load_command_class(get_commands()[command], command)) - options(BaseCommand()) - {"--data"}
    assert set(re.findall(r"`(--[a-z-]+)", commands_table()[command])) == own


def test_options_of_development_commands_are_documented() -> None:
    programs = [f"{name.replace('.', '/')}/__main__.py" for name in MODULES.values()]
    source = "".join(map(text, ["reanna/testing/commands.py", *programs]))
    added = set(re.findall(r'add_argument\("(--[a-z-]+)"', source))
    said = {option for name in DEVELOPMENT_COMMANDS for option in re.findall(r"`(--[a-z-]+)", commands_table()[name])}
    assert said == added


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_a_page_names_exists(page: Path) -> None:
    known = {*get_commands(), *DEVELOPMENT_COMMANDS, "bootstrap", "NAME"}
    said = re.findall(r"manage\.py(?: --[a-z-]+ \S+)* ([A-Za-z_]+)", page.read_text("utf-8"))
    assert [name for name in said if name not in known and name not in {"and", "itself"}] == []


def test_scripts_and_files_in_fenced_commands_exist() -> None:
    fenced = "\n".join(re.findall(r"```\w*\n(.*?)```", text("README.md"), re.DOTALL))
    named = re.findall(r"(?<![\w./-])(?:tests|docs|\.ci|requirements)/[\w./-]+|\.env\.example", fenced)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_scheduled_job_is_documented() -> None:
    said = {names(row[0])[0]: row[1] for row in table("docs/configuration.md", "## Scheduled jobs")}
    assert said == {job.name: f"{job.every_s} s" for job in BEAT}


# --- providers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", registry.slugs())
def test_every_provider_is_documented_with_its_fields_and_limits(slug: str) -> None:
    manifest = registry.manifest(slug)
    title = f"### {manifest.label} (`{slug}`)"
    said = {names(row[0])[0]: (row[1], row[2]) for row in table("docs/configuration.md", title)}
    yes_no = {True: "yes", False: "no"}
    assert said == {field.name: (yes_no[field.secret], yes_no[field.required]) for field in manifest.fields}
    for window in manifest.limits:
        assert f"`{window.name}` {window.limit} in {window.seconds} s" in section("docs/configuration.md", title)
    assert f"`REANNA_BASE_URL_{slug.upper()}`" in text("docs/configuration.md")
    assert f"{manifest.label} (`{slug}`)" in text("docs/adding-a-provider.md")


# --- the engine --------------------------------------------------------------------------------------------------


def test_the_table_of_facts_is_the_verdict_table() -> None:
    said = {
        names(row[0])[0]: (row[2:])
        for row in table("docs/architecture.md", "### What a try can end in")
        if len(row) == 9
    }
    expected = {
        str(fact): [
            f"`{verdict.state}`",
            f"`{verdict.reason}`" if verdict.reason else "–",
            str(verdict.doubt),
            "refunded" if verdict.refund else "counts",
            str(verdict.due),
            "–" if verdict.hold is Hold.NONE else str(verdict.hold),
            "yes" if verdict.breaker_counts else "–",
        ]
        for fact, verdict in VERDICTS.items()
    }
    assert said == expected
    assert list(said) == [str(fact) for fact in Fact]


def test_the_table_of_kinds_is_the_one_of_the_engine() -> None:
    rows = [row for row in table("docs/architecture.md", "## The records") if len(row) == 4]
    said = [(names(row[0])[0], row[1], names(row[2])) for row in rows]
    assert said == [(row.name, row.entity_type, list(row.needs)) for row in KINDS.values()]


def test_every_state_is_described() -> None:
    assert [names(row[0])[0] for row in table("docs/architecture.md", "### States")] == _in_order_of_the_page()


def _in_order_of_the_page() -> list[str]:
    order = [
        State.PENDING, State.LEASED, State.WAITING, State.RETRYABLE, State.UNKNOWN, State.NEEDS_PERSON,
        State.SUCCEEDED, State.DEAD, State.IGNORED, State.SUPERSEDED, State.CANCELLED,
    ]  # fmt: skip
    assert set(order) == set(State)
    return [state.value for state in order]


def test_reasons_of_moves_are_described() -> None:
    source = text("integrations/engine/states.py")
    given = set(re.findall(r'reason="(\w+)"', source))
    moves = section("docs/architecture.md", "### What a try can end in")
    assert {reason for reason in given if f"| `{reason}` |" not in moves} == set()


def test_every_reason_something_waits_for_says_what_to_do() -> None:
    page = section("docs/operating.md", "## Why does it wait?")
    waiting = {"waiting", "retryable", "unknown", "needs_person", "dead"}
    reasons = {
        verdict.reason for verdict in VERDICTS.values() if verdict.state in waiting or verdict.hold is Hold.UNTIL
    }
    reasons |= {"attempts_used_up", "poison", "worker_lost"}
    assert {reason for reason in reasons if f"| `{reason}` |" not in page} == set()


def test_files_that_the_page_of_hops_names_exist() -> None:
    page = text("docs/architecture.md")
    named = re.findall(r"`((?:integrations|reanna|tests|requirements)/[\w./-]+)`", page)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_layers_are_described_as_the_contract_has_them() -> None:
    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(
        one["layers"] for one in contracts if one["type"] == "layers" and one.get("containers") == ["integrations"]
    )
    built = {path.stem for path in (ROOT / "integrations").iterdir() if path.suffix == ".py" or path.is_dir()}
    expected = []
    for layer in layers:
        parts = {part.strip(" ()") for part in layer.split("|")} & built
        if parts:
            expected.append(parts)
    rows = table("docs/architecture.md", "## Packages and layers")
    said = [set(names(row[0])) for row in rows]
    assert said[-len(expected) :] == expected


# --- imports and the sandbox -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "columns"),
    [
        ("## Tours: one row a stop", tours.COLUMNS),
        ("## Feedback: one row an answer", (*feedback.COLUMNS, *feedback.OPTIONAL)),
    ],
)
def test_every_column_of_an_import_is_described(title: str, columns: tuple[str, ...]) -> None:
    said = [name for row in table("docs/importing.md", title) for name in names(row[0])]
    assert said == list(columns)


@pytest.mark.parametrize("choices", [AuthorRole, InterestLevel, OfferLikelihood, PriceOpinion])
def test_choices_of_feedback_are_named(choices: type[AuthorRole]) -> None:
    assert [value for value in choices.values if f"`{value}`" not in text("docs/importing.md")] == []


def test_every_fault_of_the_sandbox_is_named() -> None:
    page = section("docs/operating.md", "## The sandbox")
    words = set(FIELDS_BY_KIND) | {field for fields in FIELDS_BY_KIND.values() for field in fields}
    assert {word for word in words if f"`{word}`" not in page} == set()


# --- links and versions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        if not place.is_file() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_reached_from_the_index() -> None:
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text("docs/index.md"))}
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert pages - linked == set()


def test_pages_that_the_code_names_exist() -> None:
    named = set()
    files = [*(path for path, _ in sources()), ROOT / "requirements" / "base.in", ROOT / ".env.example"]
    for path in files:
        found = re.findall(r"(?<![\w/.])docs/[\w/.-]+?\.md", path.read_text("utf-8"))
        named |= set(found)
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert f"\n## [{version}]" in text("CHANGELOG.md")


def test_the_readme_stays_short() -> None:
    assert len(text("README.md").splitlines()) <= 120


def test_every_provider_error_is_in_the_error_flow() -> None:
    tree = [errors.ProviderError]
    for kind in tree:
        tree += [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    told = text("docs/error-flow.md")
    assert [kind.__name__ for kind in tree[1:] if f"`{kind.__name__}`" not in told] == []
