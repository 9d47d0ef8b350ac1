"""Handing in a file, seeing what it would do, deciding; and taking an import back. Nothing happens on GET."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import content_disposition_header
from import_export.admin import ImportMixin

from integrations.models import ImportRun
from integrations.operations import moments, wording
from integrations.operations.imports import samples, undo_planned, undo_words, uploads, work
from integrations.operations.imports.undo import undo_plan, undoable
from integrations.operations.refusals import NotPossible

from .choosing import is_id
from .entities import UTC
from .import_files import (
    FORMATS_TAKEN,
    KINDS,
    PERMISSIONS,
    RESOURCES,
    TITLES,
    ConfirmForm,
    PrivateStorage,
    UploadForm,
    unreadable,
)
from .pages import Page, Question, ask, view_path

PER_PAGE = 100
SHOWN = undo_words.SHOWN
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
NOUNS = {"tours": "tours", "feedback": "answers"}


def may_import(request: HttpRequest, kind: str) -> bool:
    """Whoever may make import runs, and add and change such records by hand."""
    return request.user.has_perms(("integrations.add_importrun", *PERMISSIONS[kind]))


class ImportPages(ImportMixin, Page):  # type: ignore[misc]  # the library is not typed
    """The pages around an import, by django-import-export's places and forms."""

    resource_classes = RESOURCES
    empty_words = "Each import stands here, with what it changed."
    import_form_class = UploadForm
    confirm_form_class = ConfirmForm
    tmp_storage_class = PrivateStorage
    import_template_name = "admin/integrations/importrun/import.html"
    import_export_change_list_template = None
    list_before_template = "admin/integrations/importrun/above_list.html"

    def get_import_formats(self) -> list[Any]:
        return FORMATS_TAKEN

    def has_import_permission(self, request: HttpRequest) -> bool:
        return any(may_import(request, kind) for kind in KINDS)

    def get_urls(self) -> list[Any]:
        def own(route: str, view: Any, name: str) -> Any:
            return path(route, self.admin_site.admin_view(view), name=self.url_name(name))

        return [
            own("preview/<slug:token>/", self.preview_view, "preview"),
            own("preview/<slug:token>/bad-rows.csv", self.bad_rows_view, "bad_rows"),
            own("preview/<slug:token>/cancel/", self.cancel_view, "cancel"),
            own("sample/<slug:kind>.csv", self.sample_view, "sample"),
            view_path(self, "undo", self.undo_view, "undo"),
            *super().get_urls(),
        ]

    # --- handing in ---------------------------------------------------------------------------------------------

    def get_import_resource_classes(self, request: HttpRequest) -> list[Any]:
        return [resource for resource in RESOURCES if may_import(request, resource.kind)]

    def get_import_form_initial(self, request: HttpRequest) -> dict[str, Any]:
        kinds = [resource.kind for resource in self.get_import_resource_classes(request)]
        wanted = request.GET.get("kind")
        return {"format": "0", "resource": str(kinds.index(wanted)) if wanted in kinds else "0"}

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The form; POST keeps the file, looks at it and goes to its preview."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        form = self.create_import_form(request)
        if request.method == "POST" and form.is_valid():
            upload = self._kept(request, form)
            if upload is not None:
                return HttpResponseRedirect(reverse(f"admin:{self.url_name('preview')}", args=[upload.token]))
        kinds = [resource.kind for resource in self.get_import_resource_classes(request)]
        context = self.frame(
            request,
            None,
            "Import",
            form=form,
            kinds=[(kind, TITLES[kind], samples.columns(kind)) for kind in kinds],
        )
        return TemplateResponse(request, self.import_template_name, context)

    def _kept(self, request: HttpRequest, form: Any) -> uploads.Upload | None:
        """The file, looked at or to be looked at by a worker; None with the reason on the form."""
        resource = self.choose_import_resource_class(form, request)()
        file = form.cleaned_data["import_file"]
        storage = self.get_tmp_storage_class()()
        actor = request.user.get_username()
        try:
            upload: uploads.Upload = storage.keep(file.chunks(), kind=resource.kind, file_name=file.name, actor=actor)
        except OSError as error:
            form.add_error("import_file", f"The file could not be kept on this server: {error.strerror}.")
            return None
        wrong = unreadable(upload)
        if not wrong:
            resource.import_data(upload, dry_run=True)
            wrong = (upload.preview() or {}).get("failed", "")
        if wrong:
            storage.remove()
            form.add_error("import_file", wrong)
            return None
        return upload

    def sample_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        """A file to begin with."""
        if kind not in KINDS:
            raise Http404
        if not (may_import(request, kind) or self.has_view_permission(request)):
            raise PermissionDenied
        answer = HttpResponse(samples.sample(kind), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = content_disposition_header(True, f"{kind}-sample.csv")
        return answer

    # --- looking and deciding -------------------------------------------------------------------------------------

    def _upload(self, request: HttpRequest, token: str) -> uploads.Upload | None:
        upload = uploads.find(token)
        if not (may_import(request, upload.kind) if upload else self.has_import_permission(request)):
            raise PermissionDenied
        return upload

    def _nothing_here(self, request: HttpRequest) -> HttpResponse:
        text = "That file is not here any more: it was imported, given up, or waited longer than a day."
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.list_url())

    def preview_view(self, request: HttpRequest, token: str) -> HttpResponse:
        """What the file would do; while a worker still looks at it, how far it is."""
        upload = self._upload(request, token)
        if upload is None:
            return self._nothing_here(request)
        found = upload.preview()
        title = f"{TITLES[upload.kind]} from {upload.name}"
        context = self.frame(request, None, title, upload=upload, nouns=NOUNS[upload.kind], found=found)
        if found is None:
            context |= {"refresh": 3, "progress": _progress(upload), "silent": upload.silent_for()}
        elif not found["failed"]:
            context |= self._decision(request, upload, found)
        return TemplateResponse(request, "admin/integrations/importrun/preview.html", context)

    def _decision(self, request: HttpRequest, upload: uploads.Upload, found: dict[str, Any]) -> dict[str, Any]:
        page = max(1, int(page)) if (page := request.GET.get("page", "1")).isdecimal() and len(page) < 9 else 1
        problems = list(upload.bad_rows((page - 1) * PER_PAGE, PER_PAGE + 1))
        kinds = [resource.kind for resource in self.get_import_resource_classes(request)]
        initial = {
            "import_file_name": upload.token,
            "original_file_name": upload.name,
            "format": "0",
            "resource": str(kinds.index(upload.kind)),
            "digest": upload.digest,
            "skip_bad": bool(found["bad_rows"]),
        }
        earlier = ImportRun.objects.filter(kind=upload.kind, file_hash=upload.digest)
        return {
            "confirm_form": ConfirmForm(initial=initial),
            "changes": bool(found["tally"]["created"] or found["tally"]["updated"]),
            "going": [
                (going["label"], [(wording.kind(kind), number) for kind, number in going["operations"].items()])
                for going in found["going"]
            ],
            "earlier": list(earlier[:5]),
            "problems": problems[:PER_PAGE],
            "page": page,
            "next_page": page + 1 if len(problems) > PER_PAGE else None,
            "left_out": found["left_out_names"][:SHOWN],
        }

    def bad_rows_view(self, request: HttpRequest, token: str) -> HttpResponse | StreamingHttpResponse:
        """Every problem as CSV."""
        upload = self._upload(request, token)
        if upload is None:
            return self._nothing_here(request)
        answer = StreamingHttpResponse(_bad_lines(upload), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = content_disposition_header(True, f"bad rows of {upload.name}")
        return answer

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Import what was looked at."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = ConfirmForm(request.POST)
        if not form.is_valid():
            return self._nothing_here(request)
        token = form.cleaned_data["import_file_name"]
        self._upload(request, token)
        try:
            run, began = work.confirm(
                token,
                form.cleaned_data["digest"],
                skip_bad=form.cleaned_data["skip_bad"],
                actor=request.user.get_username(),
            )
        except NotPossible as error:
            self.message_user(request, str(error), messages.WARNING)
            return HttpResponseRedirect(self.list_url())
        if not began:
            self.message_user(request, f"This file was confirmed already: import {run.pk}.", messages.INFO)
        return HttpResponseRedirect(self.change_url(run.pk))

    def cancel_view(self, request: HttpRequest, token: str) -> HttpResponse:
        """Give the file up."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        upload = self._upload(request, token)
        if upload is None:
            return self._nothing_here(request)
        upload.remove()
        self.message_user(request, f"“{upload.name}” was given up; nothing was stored.", messages.SUCCESS)
        return HttpResponseRedirect(self.list_url())

    # --- taking back ------------------------------------------------------------------------------------------

    def may_undo(self, request: HttpRequest, run: ImportRun) -> bool:
        rights = ("integrations.change_importrun", *PERMISSIONS.get(run.kind, ()))
        return request.user.has_perms(rights)

    def undo_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The plan first; POST does it. That of a large import is worked out by a worker and frozen."""
        run = self.found(request, object_id)
        if run is None:
            return self.gone(request, object_id)
        if not self.may_undo(request, run):
            raise PermissionDenied
        back = self.change_url(run.pk)
        if not work.at_once(run.rows):
            return self._large_undo(request, run, back)

        def act(_form: forms.Form) -> str:
            done = work.take_back(run.pk, actor=request.user.get_username())
            if done.state == ImportRun.State.UNDONE:
                return f"Import {run.pk} was taken back."
            return f"Import {run.pk} is being taken back; this page shows how far it is."

        says: list[str] = []
        items: list[str] = []
        if request.method != "POST":
            try:
                plan = undo_plan(run.pk)
            except NotPossible as error:
                self.message_user(request, str(error), messages.WARNING)
                return HttpResponseRedirect(back)
            says, items = undo_words.sentences(plan), undo_words.names(plan)
        question = Question(
            title=f"Take back import {run.pk}: {run.file_name}?",
            button="Take it back",
            says=says,
            items=items,
            act=act,
            danger=True,
        )
        return ask(self, request, run, question, back)

    def _large_undo(self, request: HttpRequest, run: ImportRun, back: str) -> HttpResponse:
        """GET shows the plan as it is; POST has it worked out, or does it."""
        try:
            undoable(run)
            if request.method == "POST" and "plan" in request.POST:
                undo_planned.ask(run.pk, actor=request.user.get_username())
                return HttpResponseRedirect(request.path)
            if request.method == "POST":
                seen = request.POST.get("seen", "")
                plan_id = int(seen) if is_id(seen) else 0  # no plan has it
                work.take_back(run.pk, actor=request.user.get_username(), plan_id=plan_id)
                self.message_user(request, f"Import {run.pk} is being taken back; this page shows how far it is.")
                return HttpResponseRedirect(back)
        except NotPossible as error:
            self.message_user(request, str(error), messages.WARNING)
            return HttpResponseRedirect(back if request.method != "POST" else request.path)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "POST"])
        planned = undo_planned.of(run)
        working = planned is not None and planned.made_at is None and not planned.failed
        context = self.frame(
            request,
            run,
            f"Take back import {run.pk}: {run.file_name}?",
            planned=planned,
            working=working,
            percent=planned.done * 100 // max(1, planned.total) if planned else 0,
            refresh=3 if working else None,
            made=moments.clock(planned.made_at, UTC) if planned and planned.made_at else "",
            back=back,
        )
        return TemplateResponse(request, "admin/integrations/importrun/undo.html", context)


def _progress(upload: uploads.Upload) -> dict[str, Any] | None:
    told = upload.progress()
    return told and {**told, "percent": told["done"] * 100 // max(1, told["of"])}


def _bad_lines(upload: uploads.Upload) -> Iterator[str]:
    rows = csv.writer(_Echo())
    yield "\ufeff" + rows.writerow(["line", "column", "value", "reason"])
    for problem in upload.bad_rows():
        given = f"'{problem.value}" if problem.value.startswith(_FORMULA) else problem.value
        yield rows.writerow([problem.line, problem.field, given, problem.reason])


class _Echo:
    """A file that hands back what is written."""

    def write(self, text: str) -> str:
        return text
