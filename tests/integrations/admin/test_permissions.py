"""Role × page × method of the whole admin, made from its URLs and held to the table in `tests/who_may.py`."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat import models as beat

from integrations.models import ApiToken, ImportRun, LeftOut, Office, Operation, Tour
from integrations.operations import bulk
from integrations.operations.audit import Who
from integrations.operations.imports import uploads
from tests.admin_places import OF_ACCOUNTS, addresses, names
from tests.crm import AGENT_USERS, Crm, make_rollout_connection
from tests.factories import AuditEventFactory, ContactFactory, FeedbackFactory, ImportRunFactory, OperationFactory
from tests.integrations.admin.browsing import page
from tests.integrations.admin.conftest import signed_in
from tests.integrations.admin.importing import preview
from tests.integrations.api.asking import person, token
from tests.tour_files import DATA
from tests.webhooks import webhook_records
from tests.who_may import Page, Role, page_of

WRITE = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM|REPLACE INTO) "?(?!django_session|axes_)(\w+)', re.IGNORECASE)
LOGIN = "/admin/login/"
ROLES = [role for role in Role if role is not Role.NOBODY]


class World:
    """One record of everything, and the addresses of every page about them."""

    def __init__(self, tour: Tour, crm: Crm, staff: Client) -> None:
        self.tour, self.link, self.listed = tour, crm.connection, make_rollout_connection()
        stop = tour.stops.first()
        assert stop is not None
        crm.sandbox.account(users=AGENT_USERS)
        tour.agent.email = AGENT_USERS[0]["email"]
        tour.agent.save()
        operation = OperationFactory(connection=self.link, entity_id=stop.pk, state="dead", reason="rejected")
        self.left_out = LeftOut.objects.create(
            connection=self.link, entity_type="feedback", entity_id=FeedbackFactory(stop=stop).pk, reason="asked to"
        )
        run = bulk.make(Operation.objects.filter(pk=operation.pk), "retry", Who("ada", "admin"), chosen="all")
        event = AuditEventFactory(object_id=tour.pk)
        token("tours:read")
        address, text = preview(staff, DATA / "tours-small.csv")
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text)
        self.confirming = {name: value for name, value in hidden if name != "csrfmiddlewaretoken"}
        self.upload = address.rstrip("/").rsplit("/", 1)[-1]
        interval = beat.IntervalSchedule.objects.create(every=5, period="seconds")
        self.arguments: dict[str, Any] = {
            "stop_id": stop.pk,
            "connection_id": self.link.pk,
            "agent_id": tour.agent_id,
            "into_id": ContactFactory().pk,
            "left_out_id": self.left_out.pk,
            "event_id": event.pk,
            "run_id": run.pk,
            "token": self.upload,
            "kind": "tours",
            "way": "down",
            "content_type_id": ContentType.objects.get_for_model(Tour).pk,
            "app_label": "integrations",
        }
        self.records: dict[str, Any] = {
            "integrations_agent": tour.agent_id,
            "integrations_apitoken": ApiToken.objects.get().pk,
            "integrations_auditevent": event.pk,
            "integrations_connection": self.link.pk,
            "integrations_contact": tour.buyer_id,
            "integrations_feedback": self.left_out.entity_id,
            "integrations_importrun": ImportRunFactory(state=ImportRun.State.DONE).pk,
            **webhook_records(),
            "integrations_office": Office.objects.create(name="Main").pk,
            "integrations_operation": operation.pk,
            "integrations_tour": tour.pk,
            "auth_user": User.objects.get(username="ada").pk,
            "auth_group": Group.objects.get(name="manager").pk,
            "django_celery_beat_intervalschedule": interval.pk,
            "django_celery_beat_periodictask": beat.PeriodicTask.objects.create(
                name="a job", task="celery.backend_cleanup", interval=interval
            ).pk,
            "django_celery_beat_crontabschedule": beat.CrontabSchedule.objects.create().pk,
            "django_celery_beat_solarschedule": beat.SolarSchedule.objects.create(
                event="sunset", latitude=1, longitude=1
            ).pk,
            "django_celery_beat_clockedschedule": beat.ClockedSchedule.objects.create(clocked_time=tour.starts_at).pk,
        }

    def addresses(self) -> Iterator[tuple[str, str]]:
        """(page, address) of every page."""

        def key_of(name: str, _verb: str) -> Any:
            return self.listed.pk if name in OF_ACCOUNTS else None

        return addresses(self.records, self.arguments, self.listed.account_key, key_of)

    def body(self, name: str) -> dict[str, str]:
        """What a form needs to be taken."""
        return {
            "integrations_importrun_process_import": self.confirming,
            "integrations_tour_stop_status": {"value": "cancelled"},
            "integrations_tour_stop_outcome": {"value": "no_show"},
        }.get(name, {"reason": "because"})


@pytest.fixture
def world(tour: Tour, crm: Crm, staff: Client) -> World:
    return World(tour, crm, staff)


@pytest.fixture
def browser_of(world: World) -> Callable[[Role], Client]:
    """The browser of someone in that role."""

    def make(role: Role) -> Client:
        match role:
            case Role.ANYONE:
                return Client(raise_request_exception=False)
            case Role.STRANGER:
                user = User.objects.create_user("sam")
            case Role.STAFF:
                user = User.objects.create_user("tim", is_staff=True)
            case Role.SUPERUSER:
                user = User.objects.get(username="ada")
            case _:
                user = person(role.name.lower())
        client = signed_in(user)
        client.raise_request_exception = False
        return client

    return make


def test_somebody_decided_about_every_page() -> None:
    assert sorted({name for name, _ in names() if page_of(name) is None}) == []


def outcome(answer: HttpResponse) -> str:
    """What became of a request, in a word. "home": as for a record that is not there."""
    if answer.status_code == 302:
        to = str(answer["Location"])
        return "login" if to.startswith(LOGIN) else "home" if to == reverse("admin:index") else "done"
    return {200: "done", 403: "refused", 404: "refused", 405: "refused"}.get(
        answer.status_code, str(answer.status_code)
    )


def asked(client: Client, method: str, address: str, body: dict[str, str]) -> tuple[str, list[str]]:
    """What became of it, and the tables that were written to; afterwards everything is as before."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        with CaptureQueriesContext(connection) as queries:
            answer = client.post(address, body) if method == "POST" else client.generic(method, address)
            b"".join(answer) if answer.streaming else answer.content
        transaction.set_rollback(True)
    client.cookies = cookies
    return outcome(answer), [found[1] for query in queries if (found := WRITE.match(query["sql"]))]


def wanted(decided: Page, role: Role, method: str) -> str:
    if method not in ("GET", "POST"):
        return "refused"
    if role >= (decided.look if method == "GET" else decided.do):
        return "done"
    return "login" if role < Role.STAFF else "refused"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name.lower())
def test_each_role_gets_what_the_table_says(role: Role, world: World, browser_of: Callable[[Role], Client]) -> None:
    client, wrong = browser_of(role), []
    for name, address in world.addresses():
        decided = page_of(name)
        if decided is None:
            continue  # another test names it
        if role is Role.SUPERUSER and max(decided.look, decided.do) < role:
            continue  # as for a manager
        for method in ("GET", "POST", "PUT", "DELETE"):
            became, written = asked(client, method, address, world.body(name))
            expected = wanted(decided, role, method)
            if became == "home" and name in ("login", "logout"):
                continue
            if became != expected:
                wrong.append(f"{role.name} {method} {address}: {became}, not {expected}")
            if written and (method != "POST" or decided.shows or expected != "done"):
                wrong.append(f"{role.name} {method} {address}: wrote {written}")
    assert not wrong, "\n".join(wrong)
    if role < Role.MANAGER:
        assert [upload.token for upload in uploads.looked_at()] == [world.upload]


def test_nothing_is_taken_without_the_forms_token(world: World, staff: Client) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = staff.cookies
    taken = []
    for name, address in world.addresses():
        became, written = asked(browser, "POST", address, world.body(name))
        if became != "refused" or written:
            taken.append(address)
    assert taken == []


def test_who_may_only_look_sees_no_buttons(viewer: Client, tour: Tour) -> None:
    text = page(viewer, "tour_change", tour.pk)
    assert [
        word
        for word in ("/leave-out/", "/take-back/", "../edit/", "../cancel/", "/status/", "../delete/")
        if word in text
    ] == []


def test_a_form_that_may_not_be_saved_has_no_button(viewer: Client, tour: Tour) -> None:
    assert 'value="Save"' not in page(viewer, "contact_change", tour.buyer_id)
