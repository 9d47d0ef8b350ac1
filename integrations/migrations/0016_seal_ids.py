import uuid

from django.db import migrations, models


def name_rows(apps, schema_editor):
    """A column's default is worked out once for all rows; each needs one of its own."""
    connection = apps.get_model("integrations", "Connection")
    rows = connection.objects.using(schema_editor.connection.alias)
    for pk in rows.filter(seal_id=None).values_list("pk", flat=True):
        rows.filter(pk=pk).update(seal_id=uuid.uuid4())


class Migration(migrations.Migration):
    dependencies = [("integrations", "0015_consent_requests")]

    operations = [
        migrations.AddField("connection", "seal_id", models.UUIDField(null=True, editable=False)),
        migrations.RunPython(name_rows, migrations.RunPython.noop),
        migrations.AlterField(
            "connection", "seal_id", models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
        ),
    ]
