"""Importing by browser: what is shown before anything is stored, what may be chosen, what happens then."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, Feedback, ImportRun, Operation, Tour
from integrations.operations.imports import samples, uploads
from tests.factories import AgentFactory, ConnectionFactory
from tests.integrations.admin.browsing import messages_of, page
from tests.integrations.admin.importing import IMPORT, confirm, errors_of, everything, hand_in, preview, told
from tests.tour_files import DATA, tours_file

# --- looking -----------------------------------------------------------------------------------------------------


def test_a_preview_says_what_an_import_would_do_and_stores_nothing(staff: Client) -> None:
    ConnectionFactory(label="Main CRM")
    ConnectionFactory(label="Late CRM", sync_from="2030-01-01T00:00Z")
    before = everything()

    _, text = preview(staff, DATA / "tours-small.csv")

    facts = told(text)
    assert (facts["File"], facts["Rows"], facts["Tours to create"][:1]) == ("tours-small.csv", "4, none wrong", "3")
    assert (facts["To update"], facts["Unchanged"]) == ("0", "0")
    assert "Main CRM: 2 × appointment, 3 × buyer" in text
    assert "Late CRM" not in text
    assert "Ann Agent is at S-1 stop 1 (line 2) when S-2 stop 1 begins." in text
    assert everything() == before


def test_what_a_preview_counts_is_what_the_import_plans(staff: Client, tmp_path: Path) -> None:
    ConnectionFactory(label="Main CRM")
    # Buyers shared by tours that fall into different transactions.
    rows = [{"tour_ref": f"R-{n}", "buyer_email": f"b{n % 7}@mail.example", "buyer_phone": ""} for n in range(120)]
    _, text = preview(staff, tours_file(tmp_path / "shared.csv", *rows))

    assert confirm(staff, text).status_code == 302

    counts = {kind: Operation.objects.filter(kind=kind).count() for kind in ("appointment.sync", "contact.link")}
    assert counts == {"appointment.sync": 120, "contact.link": 7}
    assert "Main CRM: 120 × appointment, 7 × buyer" in text


def test_every_wrong_field_is_named_with_what_was_given(staff: Client, tmp_path: Path) -> None:
    path = tours_file(
        tmp_path / "bad.csv",
        {"list_price": "-5", "state": "<b>"},
        {"tour_ref": "B-1"},
        {"tour_ref": "C-1", "street": ""},
        {"tour_ref": "D-1", "appointment_end": "2026-09-14T13:00"},
    )
    _, text = preview(staff, path)

    cells = re.findall(
        r"<tr><td>(\d+)</td><td><code>(\w+)</code></td><td>(.*?)</td><td class=.rr-long.>(.*?)</td>", text
    )
    assert [cell[:3] for cell in cells] == [
        ("2", "state", "&lt;b&gt;"),
        ("2", "list_price", "-5"),
        ("4", "street", "(empty)"),
        ("5", "appointment_end", "2026-09-14T13:00"),
    ]
    assert cells[1][3] == "The price must lie between 0 and 9999999999.99, not -5."
    assert told(text)["Rows"] == "4, 3 of them wrong"


def test_wrong_rows_are_paged_and_downloaded_whole(staff: Client, tmp_path: Path) -> None:
    path = tours_file(tmp_path / "bad.csv", *({"tour_ref": f"R-{n}", "list_price": "=1+1"} for n in range(150)))
    url, text = preview(staff, path)
    second = staff.get(url, {"page": "2"}).content.decode()

    assert (text.count("<code>list_price</code></td><td>=1+1"), second.count("<code>list_price</code>")) == (100, 50)
    answer = staff.get(f"{url}bad-rows.csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert rows[0] == ["line", "column", "value", "reason"]
    assert [row[0] for row in rows[1:]] == [str(line) for line in range(2, 152)]
    assert rows[1][2] == "'=1+1"
    assert answer["Content-Disposition"] == 'attachment; filename="bad rows of bad.csv"'


@pytest.mark.parametrize("number", ["0", "-3", "x", "99999999999999999999", "7"])
def test_any_page_number_is_answered(staff: Client, tmp_path: Path, number: str) -> None:
    url, _ = preview(staff, tours_file(tmp_path / "bad.csv", {"list_price": "x"}))
    assert staff.get(url, {"page": number}).status_code == 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,2\n", "unknown column “a”, “b”; missing column “tour_ref”"),
        (b"%PDF-1.7\n\x00\xff\xfe", "unknown column"),
        (b"\xff\xfet\x00o\x00", "The file is in UTF-16"),
        ("tour_ref,título".encode("latin-1"), "is not UTF-8"),
        (b"", "The submitted file is empty."),
        (b'"open', "this is not CSV as expected"),
    ],
)
def test_a_file_that_is_none_of_ours_is_an_error_of_the_field(
    staff: Client, tmp_path: Path, data_dir: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_bytes(content)
    answer = hand_in(staff, path)
    assert answer.status_code == 200
    assert said in errors_of(answer)
    assert list(data_dir.rglob("*.csv")) == []


def test_bytes_that_are_not_utf_8_are_an_error_wherever_they_stand(staff: Client, tmp_path: Path) -> None:
    path = tours_file(tmp_path / "late.csv", {}, {"stop_sequence": "2", "city": "XX"})
    path.write_bytes(path.read_bytes().replace(b"XX", b"\xe9"))
    assert "line 3: byte" in errors_of(hand_in(staff, path))


def test_a_header_alone_is_no_file(staff: Client, tmp_path: Path) -> None:
    assert "There is no row below the header." in errors_of(hand_in(staff, tours_file(tmp_path / "none.csv")))


def test_a_file_that_is_too_large_says_how_large_it_may_be(staff: Client, settings: Any) -> None:
    settings.REANNA_IMPORT_MAX_MB = 0
    text = errors_of(hand_in(staff, DATA / "tours-small.csv"))
    assert "at most 0 MB are taken here" in text
    assert uploads.looked_at() == []


def test_no_file_is_an_error_of_the_field(staff: Client) -> None:
    answer = staff.post(reverse(IMPORT), {"resource": "0", "format": "0"})
    assert "This field is required." in errors_of(answer)


def test_a_file_is_for_its_owner_alone(staff: Client, data_dir: Path) -> None:
    preview(staff, DATA / "tours-small.csv")
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    folders = [path for path in data_dir.rglob("*") if path.is_dir()]
    assert files
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o700"}


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\x00b.csv", "<img src=x>.csv", "é" * 300 + ".csv", "a\r\nb.csv"]
)
def test_a_strange_file_name_does_no_harm(staff: Client, data_dir: Path, name: str) -> None:
    answer = hand_in(staff, DATA / "tours-small.csv", name=name)
    if answer.status_code == 302:
        text = staff.get(answer.url).content.decode()
        assert "<img" not in text
        assert staff.get(f"{answer.url}bad-rows.csv").status_code == 200
    assert {path.name for path in data_dir.rglob("*.csv")} <= {"file.csv", "bad.csv"}


# --- deciding ----------------------------------------------------------------------------------------------------


def test_confirming_imports_and_removes_the_file(staff: Client, data_dir: Path) -> None:
    _, text = preview(staff, DATA / "tours-small.csv")

    answer = confirm(staff, text)

    run = ImportRun.objects.get()
    assert answer.url == reverse("admin:integrations_importrun_change", args=[run.pk])
    assert (run.state, run.actor, run.file_name, run.rows, run.created_count) == (
        "done",
        "ada",
        "tours-small.csv",
        4,
        3,
    )
    assert sorted(Tour.objects.values_list("reference", flat=True)) == ["S-1", "S-2", "S-3"]
    assert set(AuditEvent.objects.values_list("actor", "via")) == {("ada", "admin")}
    assert list((data_dir / "imports").iterdir()) == []


def test_confirming_twice_imports_once(staff: Client) -> None:
    ConnectionFactory()
    _, text = preview(staff, DATA / "tours-small.csv")
    confirm(staff, text)
    before = everything()

    again = confirm(staff, text)

    run = ImportRun.objects.get()
    assert again.url == reverse("admin:integrations_importrun_change", args=[run.pk])
    assert messages_of(again) == [f"This file was confirmed already: import {run.pk}."]
    assert everything() == before


def test_the_same_file_is_recognised_and_would_change_nothing(staff: Client) -> None:
    _, text = preview(staff, DATA / "tours-small.csv")
    confirm(staff, text)
    run = ImportRun.objects.get()

    _, again = preview(staff, DATA / "tours-small.csv")

    assert f">import {run.pk}</a> by ada, Done. Everything is as it says: nothing would change." in again
    assert "There is nothing to change: 0 tours would be created or updated." in again
    assert "Import all" not in again
    assert told(again)["Unchanged"] == "3"


def test_with_wrong_rows_only_the_rest_can_be_imported(staff: Client, tmp_path: Path) -> None:
    path = tours_file(tmp_path / "bad.csv", {"list_price": "-5"}, {"stop_sequence": "2"}, {"tour_ref": "B-1"})
    _, text = preview(staff, path)
    assert "Skip bad rows, import the rest" in text
    assert "Import all" not in text

    refused = confirm(staff, text, skip_bad="")
    assert messages_of(refused) == ["Some rows are wrong: correct them, or choose to leave them out."]
    assert Tour.objects.count() == 0

    confirm(staff, text)
    run = ImportRun.objects.get()
    assert list(Tour.objects.values_list("reference", flat=True)) == ["B-1"]
    assert (run.state, run.bad_count, run.skipped, run.created_count) == ("done", 1, ["A-1"], 1)


def test_nothing_but_wrong_rows_leaves_nothing_to_import(staff: Client, tmp_path: Path) -> None:
    _, text = preview(staff, tours_file(tmp_path / "bad.csv", {"list_price": "-5"}))
    assert "There is nothing to import: correct the rows below" in text
    assert "Skip bad rows" not in text


def test_another_hash_is_not_imported(staff: Client) -> None:
    _, text = preview(staff, DATA / "tours-small.csv")
    confirm(staff, text.replace(uploads.looked_at()[0].digest, "0" * 64))
    assert (ImportRun.objects.count(), Tour.objects.count()) == (0, 0)


@pytest.mark.parametrize("token", ["..", "0" * 32, "run-1", "x" * 500])
def test_a_token_that_is_none_leads_back(staff: Client, token: str) -> None:
    fields = {"import_file_name": token, "original_file_name": "a", "format": "0", "digest": "0" * 64}
    answer = staff.post(reverse("admin:integrations_importrun_process_import"), fields)
    assert answer.url == reverse("admin:integrations_importrun_changelist")
    assert ImportRun.objects.count() == 0


def test_a_file_can_be_given_up(staff: Client, data_dir: Path) -> None:
    url, text = preview(staff, DATA / "tours-small.csv")
    assert staff.get(f"{url}cancel/").status_code == 405
    answer = staff.post(f"{url}cancel/")
    assert messages_of(answer) == ["“tours-small.csv” was given up; nothing was stored."]
    assert list((data_dir / "imports").iterdir()) == []
    assert messages_of(confirm(staff, text))[-1:] == [
        "This file is not here any more: files wait a day for an answer. Hand it in again."
    ]
    assert staff.get(url).url == reverse("admin:integrations_importrun_changelist")


def test_importing_by_get_is_refused(staff: Client) -> None:
    assert staff.get(reverse("admin:integrations_importrun_process_import")).status_code == 405


def test_feedback_is_imported_on_the_tours_it_is_about(staff: Client) -> None:
    _, text = preview(staff, DATA / "feedback-small.csv", "feedback")
    assert told(text)["Rows"] == "3, 3 of them wrong"
    assert "There is no tour “S-1”." in text
    confirm(staff, preview(staff, DATA / "tours-small.csv")[1])

    _, text = preview(staff, DATA / "feedback-small.csv", "feedback")
    assert told(text)["Answers to create"] == "3"
    confirm(staff, text)

    assert Feedback.objects.count() == 3
    assert set(Feedback.objects.values_list("channel", flat=True)) == {"import"}


def test_a_changed_file_shows_what_it_updates(staff: Client, tmp_path: Path) -> None:
    ConnectionFactory(label="Main CRM")
    confirm(staff, preview(staff, tours_file(tmp_path / "a.csv", {}, {"tour_ref": "A-2"}))[1])

    _, text = preview(staff, tours_file(tmp_path / "b.csv", {"street": "9 Elm St"}, {"tour_ref": "A-2"}))

    facts = told(text)
    assert (facts["Tours to create"], facts["To update"], facts["Unchanged"]) == ("0", "1", "1")
    assert facts["Stops"] == "0 to create, 1 to change"
    assert "Main CRM: 1 × appointment<" in text


# --- samples and the page of the form ----------------------------------------------------------------------------


def test_samples_can_be_imported_without_a_wrong_row(staff: Client, tmp_path: Path) -> None:
    for kind, created in (("tours", "1"), ("feedback", "2")):
        answer = staff.get(reverse("admin:integrations_importrun_sample", args=[kind]))
        assert answer["Content-Disposition"] == f'attachment; filename="{kind}-sample.csv"'
        path = tmp_path / f"{kind}.csv"
        path.write_bytes(answer.content)
        _, text = preview(staff, path, kind)
        assert told(text)["Rows"] == "2, none wrong"
        assert told(text)[f"{'Tours' if kind == 'tours' else 'Answers'} to create"].startswith(created)
        confirm(staff, text)
    assert (Tour.objects.count(), Feedback.objects.count()) == (1, 2)


def test_the_form_lists_every_column(staff: Client) -> None:
    text = page(staff, "importrun_import", kind="feedback")
    for kind in ("tours", "feedback"):
        for name, column in samples.columns(kind):
            assert f"<code>{name}</code></th><td>{'required' if column.must else 'may be empty'}</td>" in text
    assert '<option value="1" selected>Feedback</option>' in text


def test_there_is_no_sample_of_anything_else(staff: Client) -> None:
    assert staff.get("/admin/integrations/importrun/sample/offices.csv").status_code == 404


# --- the list ----------------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do(staff: Client) -> None:
    text = page(staff, "importrun_changelist")
    assert "Nothing was imported yet" in text
    assert "?kind=tours" in text
    assert "?kind=feedback" in text
    assert "sample/tours.csv" in text


def test_the_list_says_who_what_and_when(staff: Client, django_assert_num_queries: Any) -> None:
    confirm(staff, preview(staff, DATA / "tours-small.csv")[1])
    run = ImportRun.objects.get()
    text = page(staff, "importrun_changelist")
    for words in (
        f"Import {run.pk}</a>",
        "tours-small.csv",
        ">ada<",
        ">Done</span>",
        f"import_run__id__exact={run.pk}",
    ):
        assert words in text
    assert "tours-small.csv" not in page(staff, "importrun_changelist", state__exact="running")


def test_a_run_leads_to_its_tours(staff: Client) -> None:
    AgentFactory()
    confirm(staff, preview(staff, DATA / "tours-small.csv")[1])
    run = ImportRun.objects.get()
    text = page(staff, "importrun_change", run.pk)
    tour = Tour.objects.get(reference="S-3")
    assert f"?import={run.pk}" in text
    assert reverse("admin:integrations_tour_change", args=[tour.pk]) in text
    assert "S-3" in page(staff, "tour_changelist", **{"import": run.pk})
    assert "S-3" not in page(staff, "tour_changelist", **{"import": run.pk + 1})
    assert "S-3" in page(staff, "tour_changelist", **{"import": "x' --"})
