"""A file as it goes through the browser: handed in, looked at, confirmed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.integrations.admin.browsing import words_of

IMPORT = "admin:integrations_importrun_import"


def hand_in(client: Client, path: Path, kind: str = "tours", name: str = "") -> Any:
    """The answer to the upload form."""
    file = SimpleUploadedFile(name or path.name, path.read_bytes(), "text/csv")
    resource = str(("tours", "feedback").index(kind))
    return client.post(reverse(IMPORT), {"resource": resource, "format": "0", "import_file": file})


def preview(client: Client, path: Path, kind: str = "tours") -> tuple[str, str]:
    """The preview's address and text."""
    answer = hand_in(client, path, kind)
    assert answer.status_code == 302, errors_of(answer)
    return answer.url, words_of(client.get(answer.url))


def errors_of(answer: Any) -> str:
    return " ".join(re.findall(r'<ul class="errorlist".*?</ul>', answer.content.decode(), re.DOTALL))


def confirm(client: Client, text: str, **changes: str) -> Any:
    """Press the button of a preview."""
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    fields.pop("csrfmiddlewaretoken", None)
    return client.post(reverse("admin:integrations_importrun_process_import"), {**fields, **changes})


def told(text: str) -> dict[str, str]:
    """The facts of a page: name → value."""
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text, re.DOTALL)
    return {name: re.sub(r"<[^>]+>", "", value) for name, value in pairs}


def everything() -> dict[str, int]:
    """How many rows each table of ours holds."""
    return {model.__name__: model.objects.count() for model in apps.get_app_config("integrations").get_models()}
