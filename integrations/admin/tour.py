"""Tours: a list, the page that says what is in each CRM and what waits, the form, and what can be done to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from integrations.engine.clock import db_now
from integrations.models import AppointmentStatus, Outcome, Tour, TourStatus, TourStop
from integrations.operations import deletion, moments, tour_search, tour_state, tours
from integrations.operations.refusals import NotPossible

from .imports import FromImport
from .left_out import LeavesOut
from .pages import VIA, ArchivedFilter, Question, ReasonForm, ask, view_path, who
from .tour_forms import TourPage
from .tour_list import SyncFilter, TourList, WhenFilter
from .tour_presses import TourPresses


@admin.register(Tour)
class TourAdmin(TourPresses, LeavesOut):
    """The change view is the tour's page; the form has a page of its own."""

    entity_type = "tour"
    list_display = ("reference", "title", "starts", "status", "in_crms", "agent", "buyer", "stop_count", "archived")
    list_filter = (
        WhenFilter, SyncFilter, "status", ("agent", AutocompleteSelectFilter), "agent__office", ArchivedFilter,
        FromImport,
    )  # fmt: skip
    list_filter_submit = True  # the agent is typed, not clicked
    search_fields = ("reference",)  # shows the search box; `get_search_results` searches
    search_help_text = "Reference, title, the buyer's last name or the agent's name"
    date_hierarchy = "starts_at"
    ordering = ("-starts_at", "-id")
    list_select_related = ("agent", "buyer")
    list_per_page = 50
    deleting = staticmethod(deletion.delete_tour)
    delete_instead = "A tour that a CRM knows of is refused: cancel it, then archive it."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tour]:
        rows: QuerySet[Tour] = super().get_queryset(request).select_related("agent__office", "buyer")
        # A join would count the stops of every tour there is before the page's are chosen.
        stops = TourStop.objects.filter(tour=OuterRef("pk")).order_by().values("tour").annotate(n=Count("pk"))
        return rows.annotate(stop_total=Coalesce(Subquery(stops.values("n")), 0))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Tour], search_term: str
    ) -> tuple[QuerySet[Tour], bool]:
        """Each word by itself."""
        for word in search_term.split():
            queryset = tour_search.matching(queryset, word)
        return queryset, False

    @admin.display(description="starts", ordering="starts_at")
    def starts(self, tour: Tour) -> str:
        zone = tour_state.zone_of(tour)
        return f"{moments.day(tour.starts_at, zone)}, {moments.clock(tour.starts_at, zone, now=tour.starts_at)}"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TourList

    @admin.display(description="in the CRMs")
    def in_crms(self, tour: Any) -> str:
        standing = tour.standing
        return format_html('<span class="rr-badge rr-state-{}">{}</span>', standing.state, standing.words)

    @admin.display(description="stops")
    def stop_count(self, tour: Any) -> int:
        return int(tour.stop_total)

    @admin.display(description="archived")
    def archived(self, tour: Tour) -> str:
        return "Archived" if tour.archived_at else "—"

    def get_urls(self) -> list[Any]:
        own = [
            view_path(self, "edit", self.edit_view, "edit"),
            *self.left_out_urls(),
            *self.press_urls(),
            view_path(self, "archive", self.archive_view, "archive"),
            view_path(self, "unarchive", self.unarchive_view, "unarchive"),
            view_path(self, "stop/<int:stop_id>/status", self.stop_status_view, "stop_status"),
            view_path(self, "stop/<int:stop_id>/outcome", self.stop_outcome_view, "stop_outcome"),
        ]
        return [*own, *super().get_urls()]

    # --- the page and the form ----------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            return self._form(request, None)
        tour = self.found(request, object_id)
        if tour is None:
            return self.gone(request, object_id)
        if not self.has_view_permission(request, tour):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        state = tour_state.load(tour, db_now())
        standing = tour.status in (TourStatus.DRAFT, TourStatus.SCHEDULED, TourStatus.IN_PROGRESS)
        context = self.frame(
            request, tour, str(tour), state=state, standing=standing, archived=tour.archived_at is not None
        )
        return TemplateResponse(request, "admin/integrations/tour/page.html", context)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form of a stored tour and its stops."""
        tour = self.found(request, object_id)
        if tour is None:
            return self.gone(request, object_id)
        if tour.archived_at is not None:
            self.message_user(request, "This tour is archived; bring it back from the archive first.", messages.WARNING)
            return HttpResponseRedirect(self.change_url(tour.pk))
        return self._form(request, tour)

    def _form(self, request: HttpRequest, tour: Tour | None) -> HttpResponse:
        allowed = self.has_change_permission(request, tour) if tour else self.has_add_permission(request)
        if not allowed:
            raise PermissionDenied
        page = TourPage.build(tour, request.POST if request.method == "POST" else None)
        if request.method == "POST":
            saved = page.save(who(request))
            if saved is not None:
                self.message_user(request, f"Tour “{saved}” was saved; the CRMs follow.", messages.SUCCESS)
                return HttpResponseRedirect(self.change_url(saved.pk))
        title = f"Edit {tour}" if tour else "Add tour"
        media = self.media + page.form.media
        context = self.frame(request, tour, title, page=page, media=media)
        return TemplateResponse(request, "admin/integrations/tour/form.html", context)

    # --- verbs --------------------------------------------------------------------------------------------------

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Put a finished tour away."""
        says = ("It leaves the lists' first view. Nothing is sent.",)
        return self._ask(
            request, object_id, "Archive tour", says, lambda pk, **by: tours.archive_tour(pk, now=timezone.now(), **by)
        )

    def unarchive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Bring a tour back."""
        says = ("It comes back as it was. Nothing is sent.",)
        return self._ask(request, object_id, "Bring back from the archive", says, tours.unarchive_tour)

    def stop_status_view(self, request: HttpRequest, object_id: str, stop_id: int) -> HttpResponse:
        """Confirm, deny or cancel one stop."""
        return self._stop(request, object_id, stop_id, "appointment_status", AppointmentStatus, tours.set_stop_status)

    def stop_outcome_view(self, request: HttpRequest, object_id: str, stop_id: int) -> HttpResponse:
        """Showed, or no-show."""
        return self._stop(request, object_id, stop_id, "outcome", Outcome, tours.set_stop_outcome)

    def _stop(
        self, request: HttpRequest, object_id: str, stop_id: int, name: str, choices: Any, verb: Callable[..., bool]
    ) -> HttpResponse:
        tour = self.found(request, object_id)
        stop = TourStop.objects.filter(pk=stop_id, tour=tour).first() if tour and stop_id < 2**63 else None
        if stop is None:
            return self.gone(request, object_id)

        class ChoiceForm(ReasonForm):
            value = forms.ChoiceField(label=_words(name).capitalize(), choices=choices.choices)
            field_order = ("value", "reason")

        def act(form: forms.Form) -> str:
            by = who(request, form.cleaned_data["reason"])
            done = verb(stop.pk, form.cleaned_data["value"], actor=by.actor, via=VIA, reason=by.reason)
            return f"Stop {stop} was changed; the CRMs follow." if done else f"Stop {stop} was so already."

        question = Question(
            title=f"Stop {stop.sequence}, {stop.street}: change {_words(name)}",
            button="Change",
            says=("Each CRM that shows this stop is told. Denied and cancelled stops are cancelled there.",),
            act=act,
            form=ChoiceForm,
            initial={"value": getattr(stop, name)},
        )
        return self._allowed(request, tour, question)

    def _ask(
        self,
        request: HttpRequest,
        object_id: str,
        label: str,
        says: tuple[str, ...],
        verb: Callable[..., bool],
    ) -> HttpResponse:
        tour = self.found(request, object_id)
        if tour is None:
            return self.gone(request, object_id)

        def act(form: forms.Form) -> str:
            by = who(request, form.cleaned_data["reason"])
            try:
                done = verb(tour.pk, actor=by.actor, via=VIA, reason=by.reason)
            except Tour.DoesNotExist:
                raise NotPossible("This tour was deleted meanwhile.") from None
            return f"{label}: done." if done else f"{label}: nothing to do, it was so already."

        question = Question(
            title=f"{label} “{tour}”?",
            button=label,
            says=says,
            act=act,
            form=ReasonForm,
            items=[str(stop) for stop in tour.stops.order_by("sequence")],
        )
        return self._allowed(request, tour, question)

    def _allowed(self, request: HttpRequest, tour: Tour, question: Question) -> HttpResponse:
        if not self.has_change_permission(request, tour):
            raise PermissionDenied
        return ask(self, request, tour, question, reverse("admin:integrations_tour_change", args=[tour.pk]))


def _words(name: str) -> str:
    return name.replace("_", " ")
