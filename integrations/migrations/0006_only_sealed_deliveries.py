"""The plain columns of deliveries go. Apart from the sealing: PostgreSQL does not alter a table that it just wrote."""

import tenancy.encryption
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0005_sealed_deliveries")]

    operations = [
        # With a default, so that on the way back the column can stand before it is filled again.
        migrations.AlterField("webhookdelivery", "plain_body", models.BinaryField(default=b"")),
        migrations.RemoveField("webhookdelivery", "plain_body"),
        migrations.RemoveField("webhookdelivery", "plain_headers"),
        migrations.AlterField("webhookdelivery", "body", tenancy.encryption.EncryptedBytesField()),
        migrations.AlterField(
            "webhookdelivery", "headers", tenancy.encryption.EncryptedJSONField(default=dict, blank=True)
        ),
    ]
