"""What a stranger may write into a CRM or a file, on every page that shows it: it is text, whatever it looks like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import opened
from tests.stack import Stack
from tests.tour_files import feedback_file, tours_file

pytestmark = pytest.mark.stack

IMG = '<img src=x onerror="window.ran=1;alert(1)">'
SCRIPT = '"><script>window.ran=1;alert(1)</script>'
LINK = "javascript:alert(1)"
TURNED = "Ev\u202eil\u2066 one\u200b"
CURLY = "{{7*7}}${7*7}{% now %}"
LONG = "W" * 150
ENDLESS = "M" * 4_900
HOME = "/admin/integrations/"
WIDTHS = (1440, 360)


@pytest.fixture(scope="module")
def hostile(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tours, people and answers of that kind in the product and in both CRMs; and a file with more of it."""
    folder = tmp_path_factory.mktemp("hostile")
    stack.sandbox(
        "POST",
        "/_sandbox/accounts",
        {
            "provider": "gohighlevel",
            "account": "loc_demo",
            "users": [
                {"id": "u1", "name": IMG, "email": "ann@brokerage.example"},
                {"id": "u2", "name": LONG, "email": "bob@brokerage.example"},
                {"id": "u3", "name": "N" * 10_000, "email": "nan@brokerage.example"},
            ],
        },
    )
    people = {"buyer_first_name": IMG[:40], "buyer_last_name": TURNED, "agent_name": SCRIPT}
    tours = tours_file(
        folder / "tours.csv",
        {**people, "tour_ref": LINK, "title": f"{IMG} {CURLY}", "street": f"{TURNED} {LONG}"[:100], "city": "null"},
        {
            "tour_ref": "<b>B-2",
            "title": LONG,
            "street": SCRIPT,
            "buyer_last_name": "None",
            "buyer_email": "",
            "buyer_phone": "+19165550002",
            "agent_email": "other@brokerage.example",
            "agent_name": LONG[:80],
        },
    )
    said = {"likes": f"{IMG}|{CURLY}", "dislikes": LONG[:80], "comments": f"{TURNED} {ENDLESS}"}
    answers = feedback_file(folder / "answers.csv", {**said, "tour_ref": LINK}, {**said, "tour_ref": "<b>B-2"})
    stack.manage("import_tours", str(tours))
    stack.await_settled(within_s=90)
    refusal = {"message": f"{IMG} {TURNED} {SCRIPT} {LONG}", "errors": ["W" * 10_000], "statusCode": 422}
    stack.fault("status", status=422, body=refusal, times=None, match={"method": "POST"})
    stack.manage("import_feedback", str(answers))
    stack.await_settled(within_s=90)
    stack.manage("shell", "-v", "0", "-c", LEAVE_OUT)
    wrong = {"appointment_status": IMG, "buyer_phone": SCRIPT, "time_zone": LONG, "latitude": CURLY, "street": LINK}
    return tours_file(
        folder / f"{'x' * 60}<img src=x>.csv".replace("<", "_"), {**people, **wrong, "title": LONG}, people
    )


LEAVE_OUT = f"""
from integrations.models import Connection, Tour
from integrations.operations import left_out
from integrations.operations.audit import Who
left_out.leave_out('tour', Tour.objects.latest('pk').pk, Connection.objects.earliest('pk').pk,
    {IMG + " " + TURNED + " " + LONG[:60]!r}, Who({LONG[:60]!r}, 'admin'))
"""


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack, signed: Path, hostile: Path) -> Iterator[Page]:
    """A window; its policy stands, and whatever runs or is stopped is written down."""
    found = opened(browser, stack, storage_state=signed)
    yield found
    found.context.close()


def paths(stack: Stack) -> list[str]:
    """Every page that shows what came from outside."""

    def ids(table: str, where: str = "1=1", at_most: int = 2) -> list[int]:
        sql = f"SELECT id FROM integrations_{table} WHERE {where} ORDER BY id LIMIT {at_most}"  # noqa: S608  our own words
        return [int(row["id"]) for row in stack.database.rows(sql)]

    lists = ("tour", "contact", "feedback", "agent", "connection", "operation", "importrun", "auditevent")
    found = ["/admin/", *(f"{HOME}{name}/" for name in lists), f"{HOME}tour/?q=javascript"]
    for name in ("tour", "contact", "feedback", "agent", "importrun", "connection"):
        found += [f"{HOME}{name}/{pk}/change/" for pk in ids(name)]
    found += [f"{HOME}operation/{pk}/change/" for pk in ids("operation", "state = 'dead'")]
    found += [f"{HOME}operation/{pk}/do/retry/" for pk in ids("operation", "state = 'dead'", 1)]
    found += [f"{HOME}auditevent/{pk}/change/" for pk in ids("auditevent", "object_type = 'tour'")]
    found += [f"{HOME}tour/{pk}/{page}/" for pk in ids("tour") for page in ("edit", "cancel", "delete")]
    found += [
        f"{HOME}operation/{pk}/do/{verb}/"
        for pk in ids("operation", "state = 'dead'", 1)
        for verb in ("leave-out", "cancel")
    ]
    (first, second), (tour, *_) = ids("contact"), ids("tour")
    stop = ids("tourstop", f"tour_id = {tour}", 1)[0]
    found += [f"{HOME}contact/{first}/{page}/" for page in ("merge", f"merge/{second}", "archive", "delete")]
    found += [f"{HOME}tour/{tour}/stop/{stop}/{page}/" for page in ("status", "outcome", "delete", "shift/down")]
    agent, link = ids("agent", at_most=1)[0], ids("connection", at_most=1)[0]
    found += [f"{HOME}connection/{link}/{page}/" for page in ("agents", f"agents/{agent}", "pause", "delete")]
    found += [f"{HOME}tour/{tour}/crm/{link}/leave-out/", f"{HOME}contact/{first}/crm/{link}/leave-out/"]
    return [*found, f"{HOME}importrun/{ids('importrun')[0]}/undo/", f"{stack.sandbox_url}/"]


def watched(page: Page) -> list[str]:
    """Whatever runs that should not, or is stopped by the policy, while the page is used."""
    told: list[str] = []
    page.on("dialog", lambda dialog: (told.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: told.append(f"script {error}"))
    page.on("console", lambda line: told.append(line.text) if line.type == "error" else None)
    return told


def wrong_with(page: Page) -> list[str]:
    """Scripts that ran, elements that were made of text, characters that turn lines round; sideways scrolling."""
    found: dict[str, object] = json.loads(
        page.evaluate(
            """() => JSON.stringify({
            ran: window.ran ?? null,
            made: document.querySelectorAll('img[src="x"], a[href^="javascript:alert"]').length
                + [...document.querySelectorAll('b')].filter(one => one.textContent.includes('B-2')).length,
            turned: /[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.documentElement.outerHTML),
            worked: document.body.innerText.includes('4949') ? 1 : 0,
        })"""
        )
    )
    wrong = [f"{name} {value}" for name, value in found.items() if value]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        needed = page.evaluate("document.documentElement.scrollWidth")
        if needed > width:
            wrong.append(f"{needed} px wide in {width}")
    return wrong


def test_hostile_text_is_text_on_every_page(page: Page, stack: Stack) -> None:
    told, wrong, shown = watched(page), [], ""
    for path in paths(stack):
        answer = page.goto(path)
        assert answer is not None
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        shown += page.locator("body").inner_text() + "".join(
            page.locator("input, textarea").evaluate_all("all => all.map(one => one.value)")
        )
        wrong += [f"{path}: {what}" for what in wrong_with(page)]
        if answer.status != 200:
            wrong.append(f"{path}: status {answer.status}")
        wrong += [f"{path}: {line}" for line in told]
        told.clear()
    assert not wrong, "\n".join(wrong)
    assert [text for text in (IMG, SCRIPT, LINK, CURLY, LONG, ENDLESS, "N" * 100) if text not in shown] == []


def test_a_hostile_file_is_text_in_its_preview(page: Page, hostile: Path) -> None:
    told = watched(page)
    page.goto(f"{HOME}importrun/import/")
    page.locator("input[type=file]").set_input_files(hostile)
    page.get_by_role("button", name="Check the file").click()
    expect(page).to_have_url(re.compile("/preview/"))
    expect(page.get_by_role("main")).to_contain_text(IMG[:20])
    wrong = [*wrong_with(page), *told]
    assert not wrong, "\n".join(wrong)


def test_the_whole_of_a_long_text_can_be_reached(page: Page, stack: Stack) -> None:
    """Shortened where it is one of many, whole where it is the subject."""
    page.goto(f"{HOME}feedback/")
    page.locator("#result_list tbody tr").first.get_by_role("link").first.click()
    assert page.get_by_label("Comments").input_value().endswith(ENDLESS)
