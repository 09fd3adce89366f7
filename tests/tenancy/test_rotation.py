"""Rotation beside a service that goes on writing."""

import pytest
from cryptography.fernet import Fernet

from integrations.models import CalcomSecret
from tenancy import rotation
from tenancy.encryption import EncryptedJSONField, fernet

pytestmark = pytest.mark.django_db

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def row(settings, acme):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    row = CalcomSecret.objects.create(company=acme, secret="before")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    return row


def interrupted(monkeypatch, settings, row, *, keys, times):
    """Another process, which knows `keys`, changes the row each time between our read and our write."""
    ring = fernet
    left = [times]

    def meanwhile():
        if left[0]:
            left[0] -= 1
            mine, settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS, keys
            CalcomSecret.objects.filter(pk=row.pk).update(secret=f"written {times - left[0]}")
            settings.FIELD_ENCRYPTION_KEYS = mine
        return ring()

    monkeypatch.setattr(rotation, "fernet", meanwhile)


def test_a_value_written_meanwhile_is_kept(monkeypatch, settings, row):
    interrupted(monkeypatch, settings, row, keys=[NEW, OLD], times=1)
    done = rotation.rotate(CalcomSecret, "secret")

    assert (done.rotated, done.current) == (0, 1)
    assert CalcomSecret.objects.get().secret == "written 1"


def test_a_value_written_meanwhile_with_the_old_key_is_kept_and_rotated(monkeypatch, settings, row):
    interrupted(monkeypatch, settings, row, keys=[OLD], times=2)
    done = rotation.rotate(CalcomSecret, "secret")
    settings.FIELD_ENCRYPTION_KEYS = [NEW]

    assert (done.rotated, done.current) == (1, 0)
    assert CalcomSecret.objects.get().secret == "written 2"


def test_a_row_that_changes_without_end_is_left_for_the_next_run(monkeypatch, settings, row):
    interrupted(monkeypatch, settings, row, keys=[OLD], times=100)
    done = rotation.rotate(CalcomSecret, "secret")

    assert (done.rotated, done.contended) == (0, [row.pk])


def test_a_row_that_is_deleted_meanwhile_is_no_trouble(monkeypatch, row):
    ring = fernet

    def meanwhile():
        CalcomSecret.objects.all().delete()
        return ring()

    monkeypatch.setattr(rotation, "fernet", meanwhile)
    done = rotation.rotate(CalcomSecret, "secret")

    assert (done.rotated, done.unreadable, done.contended) == (0, [], [])


def test_batches_cost_one_read_each(settings, acme, django_assert_num_queries):
    CalcomSecret.objects.bulk_create(CalcomSecret(company=acme, secret=n) for n in range(rotation.BATCH * 2))
    # Three reads (the last finds nothing) and two savepoints with their releases.
    with django_assert_num_queries(7):
        assert rotation.rotate(CalcomSecret, "secret").current == rotation.BATCH * 2


def test_no_encrypted_column_is_forgotten():
    found = {f"{model._meta.label}.{column}" for model, column in rotation.encrypted_columns()}

    assert found >= {
        "calendars.CalendarAccount.credentials",
        "icsfeeds.ICSToken.encrypted_token",
        "integrations.CalcomSecret.secret",
    }


def test_ciphertext_is_all_that_the_database_sees(row):
    raw = CalcomSecret.objects.extra(select={"raw": "secret"}).values_list("raw", flat=True).get()

    assert raw.startswith("gAAAA")
    assert "before" not in raw
    assert isinstance(CalcomSecret._meta.get_field("secret"), EncryptedJSONField)
