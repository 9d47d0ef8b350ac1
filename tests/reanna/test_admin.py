"""Pages of packages we use, drawn in our look."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_celery_beat.models import PeriodicTask

from reanna import schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(admin_client: Client) -> Client:
    schedule.ensure()
    return admin_client


@pytest.mark.parametrize(
    "path",
    [
        *(f"/admin/auth/{model}/{tail}" for model in ("user", "group") for tail in ("", "add/")),
        *(
            f"/admin/django_celery_beat/{model}/{tail}"
            for model in ("periodictask", "intervalschedule", "crontabschedule", "solarschedule", "clockedschedule")
            for tail in ("", "add/")
        ),
    ],
)
def test_lists_and_forms_are_drawn(page: Client, path: str) -> None:
    assert page.get(path).status_code == 200


def test_the_form_of_a_job_has_no_inline_script(page: Client) -> None:
    job = PeriodicTask.objects.get(name="purge")

    text = page.get(f"/admin/django_celery_beat/periodictask/{job.pk}/change/").content.decode()

    assert "periodic-task-overrides" not in text
    assert "integrations.purge" in text


def test_an_account_s_password_is_not_shown(page: Client) -> None:
    user = User.objects.get(username="admin")

    text = page.get(f"/admin/auth/user/{user.pk}/change/").content.decode()

    assert user.password not in text
