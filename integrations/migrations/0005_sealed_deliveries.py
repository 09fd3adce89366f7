"""What was delivered is encrypted: new columns, and what stands in the old ones packed into them."""

from typing import Any

import tenancy.encryption
from django.db import migrations

BATCH = 500


def seal(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("integrations", "WebhookDelivery").objects.using(schema_editor.connection.alias)
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        for row in batch:
            row.body, row.headers = bytes(row.plain_body), row.plain_headers
        rows.bulk_update(batch, ["body", "headers"])
        last = batch[-1].pk


def unseal(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("integrations", "WebhookDelivery").objects.using(schema_editor.connection.alias)
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        for row in batch:
            row.plain_body, row.plain_headers = row.body, row.headers
        rows.bulk_update(batch, ["plain_body", "plain_headers"])
        last = batch[-1].pk


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_inbox")]

    operations = [
        migrations.RenameField("webhookdelivery", "body", "plain_body"),
        migrations.RenameField("webhookdelivery", "headers", "plain_headers"),
        migrations.AddField("webhookdelivery", "body", tenancy.encryption.EncryptedBytesField(null=True)),
        migrations.AddField("webhookdelivery", "headers", tenancy.encryption.EncryptedJSONField(null=True)),
        migrations.RunPython(seal, unseal),
    ]
