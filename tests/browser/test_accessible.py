"""Every page as a browser shows it: no serious finding of axe-core, light and dark, no sideways scrolling at 360 px.

https://github.com/dequelabs/axe-core (the rules of WCAG 2.1 A and AA)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.camera import lists
from tests.browser.conftest import signed_in
from tests.browser.world import World, troubled
from tests.stack import Stack
from tests.tour_files import feedback_file, tours_file

pytestmark = pytest.mark.stack
WIDTH = 360
LIGHT = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
# Of Django's picker of permissions: it names a span that has no role, which reads its own title.
NOT_OURS = {"exclude": [[".help-tooltip"]]}
DARK = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}  # in the dark only the colours differ


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A telephone's page."""
    viewport = {"width": WIDTH, "height": 800}
    opened = signed_in(browser, stack, viewport=viewport, color_scheme="light", bypass_csp=True)
    yield opened
    opened.context.close()


@pytest.fixture(scope="module")
def world(page: Page, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A product in which much went wrong."""
    folder: Path = tmp_path_factory.mktemp("files")
    troubled(stack)
    stack.manage("import_tours", str(tours_file(folder / "tours.csv", {})))
    stack.manage("import_feedback", str(feedback_file(folder / "answers.csv", {})))
    bad = tours_file(folder / "new.csv", {"tour_ref": "B-1"}, {"tour_ref": "B-2", "latitude": "north"})
    return World(stack, page, bad)


def wrong_with(page: Page) -> Iterator[str]:
    """Wider than the window, or found by axe-core in one of the schemes."""
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > WIDTH:
        yield f"{width} px wide"
    for scheme, rules in (("light", LIGHT), ("dark", DARK)):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(50)
        for violation in Axe().run(page, context=NOT_OURS, options=rules).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                for node in violation["nodes"]:
                    yield f"{scheme} {violation['id']} {node['target']} {node['html'][:160]}"
    page.emulate_media(color_scheme="light")


def test_no_page_has_a_serious_finding_or_scrolls_sideways(page: Page, world: World) -> None:
    found: list[str] = []
    for _, path in [*lists(""), *world.pages(), ("not-found", "/admin/nowhere/")]:
        answer = page.goto(path)
        assert answer is not None
        if answer.status != (404 if "nowhere" in path else 200):
            found.append(f"{path}: status {answer.status}")
        found += [f"{path}: {what}" for what in wrong_with(page)]
    assert not found, "\n".join(found)


def test_what_a_stranger_sees_has_none_either(browser: Browser, stack: Stack) -> None:
    page = browser.new_context(base_url=stack.url, viewport={"width": WIDTH, "height": 800}, bypass_csp=True).new_page()
    page.goto("/admin/login/")
    found = list(wrong_with(page))
    for _ in range(10):
        page.get_by_label("Username").fill("mallory")
        page.get_by_label("Password").fill("guess")
        with page.expect_navigation():
            page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Too many wrong passwords").wait_for()
    found += wrong_with(page)
    assert not found, "\n".join(found)
