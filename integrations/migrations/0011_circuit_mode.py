"""What a person puts in the place of a connection's circuit."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0010_bulk_and_holds")]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="circuit_mode",
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
    ]
