"""Every page as a browser shows it: no serious finding of axe-core, light and dark, no sideways scrolling at 360 px.

https://github.com/dequelabs/axe-core (the rules of WCAG 2.1 A and AA)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import signed_in
from tests.stack import Stack

pytestmark = pytest.mark.stack
LISTS = (
    "tour",
    "contact",
    "feedback",
    "agent",
    "office",
    "connection",
    "operation",
    "importrun",
    "auditevent",
    "apitoken",
)
# In the dark only the colours differ.
RULES = {
    "light": {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast"]}},
}


@pytest.fixture(scope="module", params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """The colours a browser asks for."""
    return str(request.param)


@pytest.fixture(scope="module")
def page(scheme: str, browser: Browser, stack: Stack) -> Iterator[Page]:
    """A telephone's page; the demo tours are there."""
    stack.manage("seed_demo")
    stack.await_settled(within_s=90)
    viewport = {"width": 360, "height": 800}
    opened = signed_in(browser, stack, viewport=viewport, color_scheme=scheme, bypass_csp=True)
    yield opened
    opened.context.close()


def paths(stack: Stack) -> list[str]:
    """Every list and one page of each kind."""
    found = ["/admin/", *(f"/admin/integrations/{name}/" for name in LISTS)]
    for table, name in (
        ("tour", "tour"),
        ("contact", "contact"),
        ("operation", "operation"),
        ("connection", "connection"),
    ):
        (row,) = stack.database.rows(f"SELECT MIN(id) AS id FROM integrations_{table}")  # noqa: S608  our own words
        found.append(f"/admin/integrations/{name}/{row['id']}/change/")
    found += [f"/admin/integrations/{name}/add/" for name in ("tour", "contact", "feedback", "agent", "apitoken")]
    return [*found, "/admin/integrations/connection/add/?provider=gohighlevel", "/admin/integrations/importrun/import/"]


def test_no_page_has_a_serious_finding_or_scrolls_sideways(page: Page, scheme: str, stack: Stack) -> None:
    found: list[str] = []
    for path in paths(stack):
        answer = page.goto(path)
        assert answer is not None
        if answer.status != 200:
            found.append(f"{path}: status {answer.status}")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            found.append(f"{path}: {width} px wide")
        page.wait_for_timeout(100)
        for violation in Axe().run(page, options=RULES[scheme]).response["violations"]:
            if violation["impact"] not in ("serious", "critical"):
                continue
            found += [f"{path}: {violation['id']} {node['target']} {node['html'][:160]}" for node in violation["nodes"]]
    assert not found, "\n".join(found)
