"""The pages of packages we use, in the look of ours: accounts, and the schedule."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django_celery_beat.admin import ClockedScheduleAdmin, CrontabScheduleAdmin, PeriodicTaskAdmin, PeriodicTaskForm
from django_celery_beat.admin import TaskSelectWidget as BeatTaskSelect
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

for model in (User, Group, PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(model)


@admin.register(User)
class AccountPage(UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Who may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupPage(GroupAdmin, ModelAdmin):  # type: ignore[type-arg]
    """What members may do."""


class TaskSelect(UnfoldAdminSelectWidget, BeatTaskSelect):  # type: ignore[misc]
    """The jobs there are."""


class JobForm(PeriodicTaskForm):  # type: ignore[misc]
    """The package's form with our widgets."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelect()


@admin.register(PeriodicTask)
class JobPage(PeriodicTaskAdmin, ModelAdmin):  # type: ignore[misc]
    """What runs on schedule, and how often."""

    form = JobForm
    change_form_template = None  # the package's has an inline script, which our policy forbids, for one sentence


@admin.register(IntervalSchedule, SolarSchedule)
class IntervalPage(ModelAdmin):  # type: ignore[type-arg]
    """Every so often."""


@admin.register(CrontabSchedule)
class CrontabPage(CrontabScheduleAdmin, ModelAdmin):  # type: ignore[misc]
    """At these minutes and hours."""


@admin.register(ClockedSchedule)
class ClockedPage(ClockedScheduleAdmin, ModelAdmin):  # type: ignore[misc]
    """Once."""
