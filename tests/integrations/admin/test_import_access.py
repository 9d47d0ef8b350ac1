"""Who may import, and what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from integrations.models import ImportRun
from integrations.operations.imports import uploads
from tests.integrations.admin.browsing import page
from tests.integrations.admin.conftest import signed_in
from tests.integrations.admin.importing import IMPORT, confirm, errors_of, hand_in, preview
from tests.tour_files import DATA, feedback_file


@pytest.fixture
def with_rights(db: None) -> Callable[..., Client]:
    """A browser of staff with these rights and those to look."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user("una", is_staff=True)
        rights = Permission.objects.filter(codename__in=codenames) | Permission.objects.filter(
            codename__startswith="view_"
        )
        user.user_permissions.set(rights)
        return signed_in(user)

    return make


def test_who_may_only_look_cannot_import(viewer: Client, staff: Client) -> None:
    url, text = preview(staff, DATA / "tours-small.csv")
    assert viewer.get(reverse(IMPORT)).status_code == 403
    assert hand_in(viewer, DATA / "tours-small.csv").status_code == 403
    assert viewer.get(url).status_code == 403
    assert viewer.get(f"{url}bad-rows.csv").status_code == 403
    assert viewer.post(f"{url}cancel/").status_code == 403
    assert confirm(viewer, text).status_code == 403
    assert (ImportRun.objects.count(), len(uploads.looked_at())) == (0, 1)
    assert "importrun/import/" not in page(viewer, "importrun_changelist")


def test_a_stranger_is_sent_to_the_login(stranger: Client) -> None:
    assert stranger.get(reverse(IMPORT)).url.startswith("/admin/login/")
    assert confirm(stranger, "").url.startswith("/admin/login/")


def test_who_may_change_feedback_may_import_feedback_alone(with_rights: Callable[..., Client], staff: Client) -> None:
    una = with_rights("add_importrun", "add_feedback", "change_feedback")
    url, text = preview(staff, DATA / "tours-small.csv")
    form = una.get(reverse(IMPORT)).content.decode()
    assert "Feedback: " in form
    assert "Tours: " not in form
    assert una.get(url).status_code == 403
    assert confirm(una, text).status_code == 403
    # The second place in the form is not there for them.
    assert hand_in(una, DATA / "feedback-small.csv", "feedback").status_code == 200
    file = SimpleUploadedFile("f.csv", (DATA / "feedback-small.csv").read_bytes())
    answer = una.post(reverse(IMPORT), {"resource": "0", "format": "0", "import_file": file})
    assert uploads.find(answer.url.rstrip("/").rsplit("/", 1)[-1]).kind == "feedback"  # type: ignore[union-attr]


def test_who_may_change_tours_alone_may_not_import_them(with_rights: Callable[..., Client], staff: Client) -> None:
    una = with_rights("add_tour", "change_tour")
    assert una.get(reverse(IMPORT)).status_code == 403
    assert hand_in(una, DATA / "tours-small.csv").status_code == 403


def test_taking_back_needs_a_right_of_its_own(with_rights: Callable[..., Client], staff: Client) -> None:
    confirm(staff, preview(staff, DATA / "tours-small.csv")[1])
    run = ImportRun.objects.get()
    una = with_rights("add_importrun", "add_tour", "change_tour")
    url = reverse("admin:integrations_importrun_undo", args=[run.pk])
    assert una.post(url).status_code == 403
    assert "../undo/" not in page(una, "importrun_change", run.pk)
    run.refresh_from_db()
    assert run.state == "done"


def test_a_post_without_its_token_is_refused(admin_user: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    assert hand_in(browser, DATA / "tours-small.csv").status_code == 403
    assert uploads.looked_at() == []


def test_the_answers_file_is_read_as_answers(staff: Client, tmp_path: Path) -> None:
    answer = hand_in(staff, feedback_file(tmp_path / "f.csv", {}), "tours")
    assert "unknown column “submitted_at”" in errors_of(answer)
