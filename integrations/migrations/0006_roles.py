"""The groups a new installation starts with, as integrations/operations/roles.py had them when this was written."""

from django.apps import apps as current
from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWER = """
    view_agent view_agentuser view_attempt view_auditevent view_connection view_contact view_externalref
    view_feedback view_importitem view_importrun view_leftout view_office view_operation view_operationdependency
    view_tour view_tourstop
""".split()
OPERATOR = """
    add_tour change_tour add_tourstop change_tourstop add_feedback change_feedback add_contact change_contact
    add_leftout change_leftout delete_leftout change_operation
""".split()
MANAGER = """
    add_connection change_connection add_agent change_agent add_office change_office add_agentuser
    change_agentuser add_importrun change_importrun delete_tour delete_tourstop delete_contact delete_connection
    delete_agent delete_office delete_agentuser view_apitoken add_apitoken change_apitoken
""".split()
ROLES = {"viewer": VIEWER, "operator": VIEWER + OPERATOR, "manager": VIEWER + OPERATOR + MANAGER}


def make_groups(apps, schema_editor):
    """A group of that name that is there already keeps what it has, and gets what is missing."""
    config = current.get_app_config("integrations")
    create_permissions(config, verbosity=0, using=schema_editor.connection.alias)  # else made after all migrations
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for name, codenames in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        wanted = Permission.objects.filter(content_type__app_label="integrations", codename__in=codenames)
        group.permissions.add(*wanted)


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0005_api_access"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
