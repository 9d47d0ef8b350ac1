"""What django-import-export is told: which files there are, how one comes in, and that our own pipeline does the work.

Its forms, its places in the admin and its shape of a result are used. Its saving of rows is not: `import_data` hands
the whole file to `operations/imports`, so that there is one validation, one planning and one way to undo.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from import_export.formats.base_formats import CSV
from import_export.forms import ConfirmImportForm, ImportForm
from import_export.resources import Resource
from import_export.results import Result, RowResult
from import_export.tmp_storages import BaseStorage

from integrations.operations.imports import samples, uploads, work
from integrations.operations.imports.reader import CsvReader, UnreadableFileError
from integrations.operations.imports.runs import FORMATS

PERMISSIONS = {
    "tours": ("integrations.add_tour", "integrations.change_tour"),
    "feedback": ("integrations.add_feedback", "integrations.change_feedback"),
}
TITLES = {"tours": "Tours", "feedback": "Feedback"}


class PrivateStorage(BaseStorage):  # type: ignore[misc]  # the library is not typed
    """Keeps a file in the data folder, for its owner alone, until it is done with (`operations/imports/uploads.py`)."""

    def keep(self, chunks: Iterable[bytes], *, kind: str, file_name: str, actor: str) -> uploads.Upload:
        """As it comes in, never whole in memory."""
        upload = uploads.save(chunks, kind=kind, name=file_name, actor=actor)
        self.name = upload.token
        return upload

    def remove(self) -> None:
        upload = uploads.find(self.name or "")
        if upload:
            upload.remove()


class FileResource(Resource):  # type: ignore[misc]  # the library is not typed
    """One kind of file."""

    kind: ClassVar[str] = ""

    @classmethod
    def get_display_name(cls) -> str:
        return TITLES[cls.kind]

    def get_user_visible_headers(self) -> list[str]:
        return [name for name, _ in samples.columns(self.kind)]

    def import_data(self, dataset: uploads.Upload, dry_run: bool = False, **kwargs: Any) -> Result:
        """Looks at the file (`dry_run` is the only way here: a confirmed file is a run). Counts only what is known yet:
        a large file is looked at by a worker."""
        if not dry_run:
            raise NotImplementedError("A confirmed file is imported as a run, by operations/imports/work.py.")
        work.look(dataset)
        result = Result()
        found = dataset.preview()
        if found and not found["failed"]:
            tally = found["tally"]
            result.total_rows = found["rows"]
            result.totals[RowResult.IMPORT_TYPE_NEW] = tally["created"]
            result.totals[RowResult.IMPORT_TYPE_UPDATE] = tally["updated"]
            result.totals[RowResult.IMPORT_TYPE_SKIP] = tally["unchanged"]
            result.totals[RowResult.IMPORT_TYPE_INVALID] = found["bad_rows"]
        return result


class ToursResource(FileResource):
    kind = "tours"


class FeedbackResource(FileResource):
    kind = "feedback"


RESOURCES = (ToursResource, FeedbackResource)
KINDS = tuple(resource.kind for resource in RESOURCES)


class UploadForm(ImportForm):  # type: ignore[misc]  # the library is not typed
    """Which kind, which file. There is one format: CSV; XLSX would need another package."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["resource"].label = "What is in it"
        self.fields["resource"].required = True
        self.fields["format"].widget = forms.HiddenInput()
        self.fields["import_file"].label = "File"
        self.fields["import_file"].widget.attrs["accept"] = ".csv,text/csv"
        self.fields[
            "import_file"
        ].help_text = f"CSV in UTF-8, at most {settings.REANNA_IMPORT_MAX_MB} MB. From Excel: Save as, “CSV UTF-8”."

    @property
    def media(self) -> forms.Media:
        return forms.Media()  # the library's script guesses among formats; there is one

    def clean_import_file(self) -> Any:
        file = self.cleaned_data["import_file"]
        if file.size > settings.REANNA_IMPORT_MAX_MB * 1_000_000:
            most = f"{settings.REANNA_IMPORT_MAX_MB} MB"
            raise forms.ValidationError(
                f"This file has {file.size / 1_000_000:.1f} MB; at most {most} are taken here. Split it, or import it "
                "on the server: manage.py import_tours or import_feedback."
            )
        return file


class ConfirmForm(ConfirmImportForm):  # type: ignore[misc]  # the library is not typed
    """The file that was looked at, by its token and its hash."""

    digest = forms.CharField(widget=forms.HiddenInput(), max_length=64)
    skip_bad = forms.BooleanField(widget=forms.HiddenInput(), required=False)


def unreadable(upload: uploads.Upload) -> str:
    """What is wrong with the file's beginning (encoding, header, columns); empty when it can be read so far."""
    try:
        form = FORMATS[upload.kind]
        for _row in CsvReader(upload.path, form.COLUMNS, form.OPTIONAL):
            return ""
    except UnreadableFileError as error:
        return str(error)
    return "There is no row below the header."


FORMATS_TAKEN = [CSV]
