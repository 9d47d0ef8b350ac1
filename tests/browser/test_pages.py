"""Every page as a browser shows it: no serious finding of axe-core, light and dark, no sideways scrolling at 360 px.

https://github.com/dequelabs/axe-core (the rules of WCAG 2.1 A and AA)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.template.loader import render_to_string
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import opened, signed_in
from tests.browser.world import World, held_worker
from tests.stack import Stack
from tests.tour_files import feedback_file, many_tours, tours_file

pytestmark = pytest.mark.stack
PHONE = {"viewport": {"width": 360, "height": 800}, "bypass_csp": True}
# What others' widgets draw and we cannot reach: the hints of Django's two-list boxes, and Swagger UI.
OTHERS = {"exclude": [[".selector .help-tooltip"], [".swagger-ui"]]}
# In the dark only the colours differ.
RULES = {
    "light": {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast"]}},
}


TOO_MUCH = """() => {
    const form = document.createElement("form");
    form.method = "post";
    form.append(...Array.from({length: 5001}, () => Object.assign(document.createElement("input"), {name: "a"})));
    document.body.append(form);
    form.submit();
}"""
"""A form of more fields than are read."""


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack, signed: Path) -> Iterator[Page]:
    """A telephone's page."""
    found = opened(browser, stack, storage_state=signed, **PHONE)
    yield found
    found.context.close()


@pytest.fixture(scope="module")
def world(stack: Stack, page: Page, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One of everything."""
    folder = tmp_path_factory.mktemp("files")
    stack.clear_faults()
    stack.manage("seed_demo")
    stack.manage("import_feedback", str(feedback_file(folder / "answers.csv", {"tour_ref": "DEMO-1"})))
    bad = tours_file(folder / "new.csv", {"tour_ref": "B-1"}, {"latitude": "north"})
    return World(stack, page, bad)


def findings(page: Page, name: str) -> list[str]:
    """What is wrong with the page that is open, as anybody would have to mend it."""
    found = []
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > 360:
        found.append(f"{name}: {width} px wide")
    page.evaluate(AXE_SCRIPT)
    for scheme, rules in RULES.items():
        # Unfold reads the scheme once, when a page is opened.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark")
        page.add_style_tag(content="* { transition: none !important; animation: none !important }")
        for violation in page.evaluate(
            f"axe.run({json.dumps(OTHERS)}, {json.dumps(rules)}).then(told => told.violations)"
        ):
            if violation["impact"] in ("serious", "critical"):
                nodes = [f"{node['target']} {node['html'][:160]}" for node in violation["nodes"]]
                found += [f"{name} {scheme}: {violation['id']} {node}" for node in nodes]
    page.emulate_media(color_scheme="light")
    return found


def test_no_page_has_a_serious_finding_or_scrolls_sideways(page: Page, world: World) -> None:
    found = []
    for name, address in world.pages():
        answer = page.goto(address)
        assert answer is not None
        if answer.status != (404 if name == "not-found" else 200):
            found.append(f"{name} {address}: status {answer.status}")
        found += findings(page, name)
    assert not found, "\n".join(found)


def test_what_those_see_who_are_kept_out(browser: Browser, stack: Stack, world: World) -> None:
    """Refused, not understood, broken, out of date, locked out."""
    found: list[str] = []
    page = signed_in(browser, stack, user=world.viewer, **PHONE)  # type: ignore[arg-type]

    def look(name: str, heading: str) -> None:
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        found.extend(findings(page, name))

    page.goto("/admin/integrations/connection/add/")
    look("403", "This is not yours to see or do")
    page.evaluate(TOO_MUCH)
    look("400", "This request could not be understood")
    page.route("**/broken/", _break)
    page.goto("/broken/")
    look("500", "Something went wrong here")
    page.context.clear_cookies()
    page.goto("/admin/login/")
    found += findings(page, "login")
    page.context.clear_cookies()
    _guess(page)
    look("403 csrf", "The form was out of date; nothing was done")
    page.goto("/admin/login/")
    _guess(page)
    found += findings(page, "login refused")
    for _ in range(2):
        _guess(page)
    look("locked out", "Too many wrong passwords")
    page.context.close()
    assert not found, "\n".join(found)


def _break(route: Route) -> None:
    """What an unexpected error is answered with; nothing in the product can be asked for one."""
    route.fulfill(status=500, content_type="text/html", body=render_to_string("500.html"))


def _guess(page: Page) -> None:
    page.get_by_label("Username").fill("mallory")
    page.get_by_label("Password").fill("guess")
    with page.expect_navigation():
        page.get_by_role("button", name="Log in").click()


def test_a_page_of_work_follows_it(page: Page, stack: Stack, world: World, tmp_path: Path) -> None:
    """The preview of a large file while no worker is there, and when one comes back."""
    loads: list[str] = []
    with held_worker(stack):
        page.goto("/admin/integrations/importrun/import/")
        page.locator("input[type=file]").set_input_files(many_tours(tmp_path / "large.csv", 200))
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_role("status")).to_contain_text("It waits for a worker.")
        found = findings(page, "preview in progress")
        page.on("framenavigated", lambda frame: loads.append(frame.url))
        with page.expect_response(page.url) as looked:
            pass
        assert looked.value.request.resource_type == "fetch"
        assert loads == []  # nobody loses their place while it waits
    expect(page.get_by_role("main")).to_contain_text("Tours to create", timeout=60_000)
    assert not page.get_by_role("main").get_attribute("data-again")
    assert not found, "\n".join(found)


def test_without_scripts_a_page_of_work_is_looked_at_again_by_hand(
    browser: Browser, stack: Stack, signed: Path, world: World
) -> None:
    page = opened(browser, stack, storage_state=signed, java_script_enabled=False)
    address = next(address for name, address in world.pages() if name == "operation_bulk-running")
    page.goto(address)
    page.get_by_role("link", name="Look again").click()
    expect(page).to_have_url(re.compile(f"{re.escape(address)}$"))
    page.context.close()
