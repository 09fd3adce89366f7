"""Revoking at the vendor what a disconnected account was granted."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from calendars.models import CalendarAccount, Farewell
from calendars.providers import Misconfigured, Unreachable
from calendars.services import accounts, farewells
from calendars.services.farewells import AGAIN_AFTER, MOST_ATTEMPTS
from tests.calendars import vendor
from tests.calendars.mirror import mirrored_account
from tests.calendars.test_credentials import account_of_alice
from tests.calendars.vendor import World

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def world(settings: LazySettings) -> World:
    settings.CALENDAR_OAUTH = vendor.FAKE
    return vendor.start()


def left() -> Farewell:
    """What is left after alice's account was disconnected, unsaid."""
    accounts.disconnect(account_of_alice(), now=timezone.now())
    return Farewell.objects.get()


def test_disconnecting_revokes_after_its_commit(
    world: World, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    account = account_of_alice()
    with django_capture_on_commit_callbacks(execute=True):
        accounts.disconnect(account, now=timezone.now())
        assert world.revoked == []
    assert world.revoked == ["refresh-0"]
    assert not CalendarAccount.objects.exists()
    assert not Farewell.objects.exists()


def test_vendor_that_is_away_keeps_nobody_from_disconnecting(
    world: World, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    world.failure = Unreachable("No answer in time.")
    account = account_of_alice()
    with django_capture_on_commit_callbacks(execute=True):
        accounts.disconnect(account, now=timezone.now())
    assert not CalendarAccount.objects.exists()
    assert Farewell.objects.get().attempts == 1


def test_revocation_is_tried_again_later_and_given_up_with_its_secret(world: World) -> None:
    world.failure = Unreachable("No answer in time.")
    farewell, now = left(), timezone.now()
    for _ in range(MOST_ATTEMPTS + 3):
        farewells.say(farewell.pk, now=now)
        now += AGAIN_AFTER + timedelta(seconds=1)
    assert len(world.revoked) == MOST_ATTEMPTS
    assert not Farewell.objects.exists()


def test_two_workers_at_once_revoke_once(world: World) -> None:
    world.failure = Unreachable("No answer in time.")
    farewell, now = left(), timezone.now()
    farewells.say(farewell.pk, now=now)
    farewells.say(farewell.pk, now=now)
    assert len(world.revoked) == 1


def test_failure_that_time_does_not_mend_is_not_tried_again(world: World) -> None:
    world.failure = Misconfigured("The client secret is wrong.")
    farewells.say(left().pk, now=timezone.now())
    assert not Farewell.objects.exists()


def test_grant_that_another_account_lives_by_stays(world: World) -> None:
    farewell = left()
    account_of_alice(identity="again", email="Alice@acme.example")
    farewells.say(farewell.pk, now=timezone.now())
    assert world.revoked == []
    assert not Farewell.objects.exists()


def test_sweep_finds_what_nobody_rang_for(world: World) -> None:
    left()
    assert farewells.sweep(timezone.now()) == 1
    assert world.revoked == ["refresh-0"]


def test_account_with_a_password_has_nothing_to_revoke(world: World) -> None:
    accounts.disconnect(mirrored_account(), now=timezone.now())
    assert not Farewell.objects.exists()


def test_account_whose_secrets_no_key_opens_can_be_disconnected(world: World, settings: LazySettings) -> None:
    account = account_of_alice()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    accounts.disconnect(account, now=timezone.now())
    assert not CalendarAccount.objects.exists()


def test_secrets_of_a_farewell_are_encrypted(world: World) -> None:
    left()
    row = Farewell.objects.extra(select={"text": "credentials"}).values_list("text", flat=True)
    assert "refresh-0" not in str(list(row))
