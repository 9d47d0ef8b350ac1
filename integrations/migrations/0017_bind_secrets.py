"""Ciphertexts of earlier versions are bound to their rows, in short transactions; interrupted, it goes on.

What cannot be read stays as it is: with its key back in FERNET_KEYS, `rotate_keys --bind` binds it.
"""

from django.db import migrations

from integrations.fields import Unreadable, master_keys
from integrations.models.ciphertexts import batches, encrypted_fields, exchange
from integrations.sealing import bind, unbind

BATCH = 200


def bind_all(apps, schema_editor):
    rewrite(apps, schema_editor.connection.alias, bind)


def unbind_all(apps, schema_editor):
    rewrite(apps, schema_editor.connection.alias, unbind)


def rewrite(apps, alias, how):
    for field in encrypted_fields([apps.get_model("integrations", "Connection")]):
        for batch in batches(field, BATCH, using=alias):
            changes = []
            for old in batch:
                try:
                    new = how(old.stored, old.place, master_keys())
                except Unreadable:
                    continue
                if new != old.stored:
                    changes.append((old, new))
            exchange(changes, using=alias)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("integrations", "0016_seal_ids")]

    operations = [migrations.RunPython(bind_all, unbind_all)]
