"""A day at the desk, in a browser: connect a CRM, import, watch a tour go in, see it fail, mend it.

The tests of this file follow one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import opened
from tests.stack import Stack
from tests.tour_files import many_tours

pytestmark = pytest.mark.stack
ACCOUNT = {"provider": "gohighlevel", "account": "loc_second", "token": "pit-second-0123", "calendar": "cal_second"}
APP = {"client_id": "app-7", "client_secret": "app-secret-0123"}
HUBSPOT = {"provider": "hubspot", "account": "4711", "oauth": APP}
LABEL = "Second office"
APPOINTMENTS = "/gohighlevel/calendars/events/appointments*"


@pytest.fixture(scope="module")
def desk(browser: Browser, stack: Stack, signed: Path) -> Iterator[Page]:
    page = opened(browser, stack, storage_state=signed)
    stack.sandbox("POST", "/_sandbox/accounts", ACCOUNT)
    yield page
    page.context.close()


def reload_until(page: Page, text: str | re.Pattern[str], seconds: int = 60) -> None:
    """The page is read again until it says so, as staff do."""
    for _ in range(seconds):
        if page.get_by_role("main").filter(has_text=text).count():
            return
        page.wait_for_timeout(1000)
        page.reload()
    expect(page.get_by_role("main")).to_contain_text(text)


def open_tour(page: Page, reference: str) -> None:
    page.goto("/admin/integrations/tour/")
    page.get_by_role("link", name=reference, exact=True).click()


def test_a_crm_is_connected_only_with_a_key_that_works(desk: Page, stack: Stack) -> None:
    desk.goto("/admin/integrations/connection/add/")
    desk.get_by_role("link", name="GoHighLevel").click()
    desk.get_by_label("Label *").fill(LABEL)
    desk.get_by_label("Sync tours from").fill("2026-01-01T00:00")
    desk.get_by_label("Location ID").fill("loc_second")
    desk.get_by_label("Calendar ID").fill("cal_second")
    for _ in range(30):  # the gate counts anew after a start; until then nothing may be asked
        desk.get_by_label("Private integration token").fill("pit-mistyped-0000")
        with desk.expect_navigation():
            desk.get_by_role("button", name="Save", exact=True).click()
        if not desk.get_by_text("Try again in a moment").count():
            break
        assert LABEL not in connections(stack)
        desk.wait_for_timeout(1000)

    expect(desk.get_by_role("main")).to_contain_text("GoHighLevel refused these credentials (401)")
    assert LABEL not in connections(stack)

    desk.get_by_label("Private integration token").fill("pit-second-0123")
    desk.get_by_role("button", name="Save", exact=True).click()

    expect(desk.get_by_text(f"Connection “{LABEL}” was saved.")).to_be_visible()
    assert LABEL in connections(stack)
    assert "pit-second-0123" not in desk.content()


def test_a_file_is_seen_before_it_is_imported(desk: Page, stack: Stack, tmp_path: Path) -> None:
    file = many_tours(tmp_path / "tours.csv", 3)
    desk.goto("/admin/integrations/importrun/")
    desk.get_by_role("link", name="Import tours").click()
    desk.locator("input[type=file]").set_input_files(file)
    desk.get_by_role("button", name="Check the file").click()

    expect(desk.get_by_role("main")).to_contain_text("Nothing is stored yet.")
    expect(desk.get_by_role("main")).to_contain_text(LABEL)
    assert tours(stack) == 0

    desk.get_by_role("button", name="Import all").click()

    expect(desk.get_by_role("main")).to_contain_text(re.compile("Created"))
    assert tours(stack) == 3


def test_a_tour_is_watched_going_in(desk: Page, stack: Stack) -> None:
    open_tour(desk, first_tour(stack))
    reload_until(desk, "In the CRM")
    stack.await_settled(within_s=60)
    desk.reload()

    table = desk.get_by_role("region", name="Stops and the CRMs")
    expect(table).to_contain_text(LABEL)
    expect(table).not_to_contain_text("Waits")
    assert stack.operations().keys() == {"succeeded"}


def test_what_the_crm_refuses_is_read_retried_and_seen_in(desk: Page, stack: Stack) -> None:
    no = {"message": "The calendar is closed", "statusCode": 422}
    stack.fault("status", status=422, body=no, times=None, match={"method": "PUT"})
    open_tour(desk, first_tour(stack))
    desk.get_by_role("link", name="Edit tour and stops").click()
    desk.locator("details.rr-stop summary").first.click()
    start = desk.get_by_label("Appointment start").first
    end = desk.get_by_label("Appointment end").first
    day = start.input_value()[:10]
    start.fill(f"{day}T06:00")
    end.fill(f"{day}T06:45")
    desk.get_by_role("button", name="Save", exact=True).first.click()
    reload_until(desk, "The calendar is closed")

    expect(desk.get_by_role("main")).to_contain_text("Failed")
    stack.clear_faults()
    failed = desk.get_by_role("cell").filter(has_text="The calendar is closed").first
    failed.get_by_role("link", name=re.compile("Operation")).click()
    expect(desk.get_by_role("main")).to_contain_text("The CRM refused it")
    desk.get_by_role("link", name="Retry").click()
    desk.get_by_role("button", name="Retry").click()
    reload_until(desk, "Done")

    assert stack.operations().get("dead", 0) <= 1  # the other connection's, which staff retry the same way


def test_a_crm_is_signed_in_at_on_its_own_page(desk: Page, stack: Stack) -> None:
    stack.sandbox("POST", "/_sandbox/accounts", HUBSPOT)
    desk.goto("/admin/integrations/connection/add/?provider=hubspot")
    desk.get_by_label("Label *").fill("By consent")
    desk.get_by_label("Account ID").fill("4711")
    desk.get_by_label("OAuth client ID").fill("app-7")
    desk.get_by_label("OAuth client secret").fill("app-secret-0123")
    desk.get_by_role("button", name="Save and sign in at HubSpot").click()
    expect(desk.get_by_label("Redirect URL")).to_have_value(f"{stack.url}/admin/integrations/connection/signed-in/")

    desk.get_by_role("button", name="Sign in at HubSpot").click()
    expect(desk).to_have_url(re.compile(f"^{re.escape(stack.sandbox_url)}/hubspot/oauth/authorize"))
    desk.get_by_role("button", name="Deny").click()
    expect(desk.get_by_text("Access was denied on HubSpot's page.")).to_be_visible()
    expect(desk.get_by_role("main")).to_contain_text("Nobody has signed in at HubSpot yet.")

    for _ in range(30):  # as above: until the gate has counted anew nothing may be asked
        desk.get_by_role("link", name="Sign in at HubSpot").click()
        desk.get_by_role("button", name="Sign in at HubSpot", exact=True).click()
        desk.get_by_role("button", name="Approve for 4711").click()
        expect(desk).to_have_url(re.compile(r"/admin/integrations/connection/\d+/change/$"))
        desk.wait_for_load_state()
        if not desk.get_by_text("being counted anew").count():
            break
        desk.wait_for_timeout(1000)

    expect(desk.get_by_text("Signed in at HubSpot: “By consent” works")).to_be_visible()
    (row,) = stack.database.rows("SELECT state FROM integrations_connection WHERE label = 'By consent'")
    assert row["state"] == "active"
    assert "app-secret-0123" not in desk.content()


def connections(stack: Stack) -> list[str]:
    return [row["label"] for row in stack.database.rows("SELECT label FROM integrations_connection")]


def tours(stack: Stack) -> int:
    (row,) = stack.database.rows("SELECT COUNT(*) AS n FROM integrations_tour")
    return int(row["n"])


def first_tour(stack: Stack) -> str:
    (row,) = stack.database.rows("SELECT reference FROM integrations_tour ORDER BY id LIMIT 1")
    return str(row["reference"])
