"""Deliveries of an older version are sealed where they stand, and opened again when the version goes back."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from integrations.models import WebhookDelivery
from tests.integrations.calcom import acme

pytestmark = pytest.mark.django_db(transaction=True)
PLAIN = ("integrations", "0004_inbox")
BODY, HEADERS = b'{"triggerEvent": "PING", "payload": "canary\xff"}', {"User-Agent": "canary"}


@pytest.fixture
def back_to_plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Brings the tables to what they were before; at the end of the test they are as they are again."""
    # Several batches, of which the last is not full.
    monkeypatch.setattr(import_module("integrations.migrations.0005_sealed_deliveries"), "BATCH", 2)

    def migrate() -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([PLAIN])
        return executor.loader.project_state([PLAIN]).apps.get_model("integrations", "WebhookDelivery")

    yield migrate
    forward()


def forward() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def stored() -> list[tuple[Any, ...]]:
    """Bodies and headers as the database has them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT body, headers FROM integrations_webhookdelivery ORDER BY id")
        return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()]


def test_old_rows_are_sealed_in_batches_and_read_as_they_were(back_to_plain: Any) -> None:
    company = acme().pk
    WebhookDelivery.objects.create(company_id=company, body=BODY + b"0", headers=HEADERS, signed=True)
    old = back_to_plain()
    assert [(bytes(row.body), row.headers) for row in old.objects.all()] == [(BODY + b"0", HEADERS)]
    for number in range(1, 5):
        row = old.objects.create(
            company_id=company, body=BODY + b"%d" % number, headers=HEADERS, signed=True, received_at=timezone.now()
        )
        assert stored()[number][0] == bytes(row.body)
    forward()
    assert "canary" not in str(stored())
    found = [(row.body, row.headers) for row in WebhookDelivery.objects.order_by("pk")]
    assert found == [(BODY + b"%d" % number, HEADERS) for number in range(5)]
