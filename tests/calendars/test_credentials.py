"""Access tokens: one refresh at a time, and no new token is ever lost."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from calendars.models import CalendarAccount
from calendars.oauth import Tokens
from calendars.providers import Connection, ReconnectNeeded, Throttled, Unreachable
from calendars.services import accounts, credentials
from calendars.services.credentials import TURN, TokenKeeper
from calendars.sync import engine
from tenancy.models import Company, CrmUser
from tests.calendars import vendor
from tests.calendars.mirror import synced
from tests.calendars.vendor import World
from tests.contracts import memory
from tests.together import at_once

pytestmark = pytest.mark.django_db
# TOKEN_ROTATIONS=1000 tries it for longer.
ROTATIONS = int(os.environ.get("TOKEN_ROTATIONS", "200"))


@pytest.fixture
def world(settings: LazySettings) -> World:
    settings.CALENDAR_OAUTH = vendor.FAKE
    settings.CALENDAR_PROVIDERS = {"google": "tests.calendars.test_credentials.TokenProvider"}
    memory.start()
    return vendor.start()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been slept."""
    slept: list[float] = []
    monkeypatch.setattr(credentials.time, "sleep", slept.append)
    return slept


@pytest.fixture
def account(world: World) -> CalendarAccount:
    return account_of_alice()


def account_of_alice(*, expires_in: timedelta = timedelta(seconds=-1), **values: Any) -> CalendarAccount:
    company, _ = Company.objects.get_or_create(url_id="acme")
    alice, _ = CrmUser.objects.get_or_create(company=company, unique_id="alice")
    stored = {"access_token": "access-0", "refresh_token": "refresh-0", "token_type": "Bearer", "scopes": []}
    facts = {
        "email": "alice@acme.example",
        "identity": "alice",
        "credentials": stored,
        "token_expires_at": timezone.now() + expires_in,
        "connected": True,
        "next_attempt_at": timezone.now(),
        **values,
    }
    return CalendarAccount.objects.create(company=company, user=alice, provider="google", **facts)


def fresh(account: CalendarAccount) -> CalendarAccount:
    return CalendarAccount.objects.get(pk=account.pk)


class TokenProvider(memory.MemoryProvider):
    """Shows its token at each listing; the vendor refuses the one named in `refused`."""

    refused = ""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.connection = connection

    def calendars(self) -> Any:
        if self.connection.access_token("") == self.refused:
            self.connection.access_token(self.refused)
        return super().calendars()


def test_token_that_is_valid_is_used_as_it_is(world: World) -> None:
    account = account_of_alice(expires_in=timedelta(minutes=5))
    assert TokenKeeper(account.pk).access_token("") == "access-0"
    assert world.refreshes == 0


def test_token_without_a_known_end_is_used_until_it_is_refused(world: World) -> None:
    account = account_of_alice(token_expires_at=None)
    keeper = TokenKeeper(account.pk)
    assert keeper.access_token("") == "access-0"
    assert keeper.access_token("access-0") == "access-1"
    assert world.refreshes == 1


def test_token_is_refreshed_shortly_before_it_expires(world: World) -> None:
    account = account_of_alice(expires_in=timedelta(seconds=59))
    assert TokenKeeper(account.pk).access_token("") == "access-1"


def test_new_tokens_are_stored_before_they_are_used(world: World, account: CalendarAccount) -> None:
    keeper = TokenKeeper(account.pk)
    assert keeper.access_token("") == "access-1"
    stored = fresh(account)
    assert (stored.credentials or {})["refresh_token"] == world.current == "refresh-1"
    assert stored.token_expires_at is not None
    assert stored.token_expires_at > timezone.now() + timedelta(minutes=59)
    assert (stored.credentials_version, stored.refresh_until) == (1, None)


def test_token_in_hand_costs_no_query_and_no_request(
    world: World, account: CalendarAccount, django_assert_num_queries: Any
) -> None:
    keeper = TokenKeeper(account.pk)
    keeper.access_token("")
    with django_assert_num_queries(0):
        assert keeper.access_token("") == "access-1"
    assert world.refreshes == 1


def test_token_that_somebody_else_has_replaced_is_not_refreshed_again(world: World, account: CalendarAccount) -> None:
    first, second = TokenKeeper(account.pk), TokenKeeper(account.pk)
    assert first.access_token("") == "access-1"
    assert second.access_token("access-0") == "access-1"
    assert world.refreshes == 1


def test_what_the_vendor_leaves_out_stays_as_it_was() -> None:
    old = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "scopes": ["x"], "login": "kept"}
    assert Tokens(access_token="b").replacing(old) == {**old, "access_token": "b"}


def test_account_without_a_refresh_token_asks_for_the_user(world: World) -> None:
    account = account_of_alice(credentials={"access_token": "access-0"})
    with pytest.raises(ReconnectNeeded):
        TokenKeeper(account.pk).access_token("")
    assert world.refreshes == 0


def test_account_that_was_disconnected_meanwhile_asks_for_the_user(world: World, account: CalendarAccount) -> None:
    account.delete()
    with pytest.raises(ReconnectNeeded):
        TokenKeeper(account.pk).access_token("")


def test_user_who_connects_again_during_a_refresh_keeps_the_new_tokens(world: World, account: CalendarAccount) -> None:
    def connect_again() -> None:
        tokens = Tokens(access_token="by-hand", refresh_token="new", expires_at=timezone.now() + timedelta(hours=1))
        accounts.change(account, tokens=tokens, now=timezone.now())

    world.before_answer = connect_again
    assert TokenKeeper(account.pk).access_token("") == "by-hand"
    assert (fresh(account).credentials or {})["refresh_token"] == "new"


def test_refusal_of_tokens_that_were_replaced_meanwhile_is_not_believed(
    world: World, account: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, old: Any) -> Tokens:
        tokens = Tokens(access_token="by-hand", refresh_token="new", expires_at=timezone.now() + timedelta(hours=1))
        accounts.change(account, tokens=tokens, now=timezone.now())
        raise ReconnectNeeded("The refresh token is not valid any more.")

    monkeypatch.setattr(vendor.FakeVendor, "refreshed", refuse)
    assert TokenKeeper(account.pk).access_token("") == "by-hand"


# One at a time -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_make_one_refresh_and_all_get_its_token(settings: LazySettings) -> None:
    """Row 22."""
    settings.CALENDAR_OAUTH = vendor.FAKE
    world = vendor.start()
    account = account_of_alice()
    found = at_once([lambda: TokenKeeper(account.pk).access_token("access-0")] * 8)
    assert set(found) == {"access-1"}
    assert world.refreshes == 1


@pytest.mark.django_db(transaction=True)
def test_rotations_by_rivals_make_one_refresh_each_and_lose_no_token(settings: LazySettings) -> None:
    settings.CALENDAR_OAUTH = vendor.FAKE
    world = vendor.start()
    account = account_of_alice()
    for number in range(1, ROTATIONS + 1):
        refused = f"access-{number - 1}"
        assert at_once([lambda: TokenKeeper(account.pk).access_token(refused)] * 2) == [f"access-{number}"] * 2  # noqa: B023
    assert world.refreshes == ROTATIONS
    assert (fresh(account).credentials or {})["refresh_token"] == world.current


def test_turn_of_a_worker_that_died_is_taken_over_when_it_ends(
    world: World, account: CalendarAccount, pauses: list[float]
) -> None:
    now = timezone.now()
    CalendarAccount.objects.update(refresh_until=now + TURN)
    clock = iter([now, now, *[now + TURN + timedelta(seconds=1)] * 20])
    assert TokenKeeper(account.pk, clock=lambda: next(clock)).access_token("") == "access-1"
    assert pauses


def test_while_another_refreshes_a_token_that_is_still_good_is_used(world: World, pauses: list[float]) -> None:
    account = account_of_alice(expires_in=timedelta(seconds=30), refresh_until=timezone.now() + TURN)
    assert TokenKeeper(account.pk).access_token("") == "access-0"
    assert (world.refreshes, pauses) == (0, [])


def test_waiting_for_another_asks_the_checkpoint_each_time(world: World, pauses: list[float]) -> None:
    class Stop(Exception):
        pass

    def checkpoint() -> None:
        raise Stop

    account = account_of_alice(refresh_until=timezone.now() + TURN)
    with pytest.raises(Stop):
        TokenKeeper(account.pk, checkpoint=checkpoint).access_token("")


# Failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [Unreachable("No answer in time."), Throttled("Later (429).")])
def test_passing_failure_keeps_the_account_connected_and_gives_the_turn_back(
    world: World, account: CalendarAccount, failure: Exception
) -> None:
    world.failure = failure
    verdict = synced(account)
    stored = fresh(account)
    assert verdict.failure is failure
    assert stored.connected
    assert stored.next_attempt_at is not None
    assert stored.refresh_until is None
    assert "again by itself" in stored.last_error


def test_passing_failure_shortly_before_the_end_does_not_matter_yet(world: World) -> None:
    account = account_of_alice(expires_in=timedelta(seconds=30))
    world.failure = Unreachable("No answer in time.")
    assert TokenKeeper(account.pk).access_token("") == "access-0"


def test_refusal_for_good_stops_the_polling_and_says_to_connect_again(world: World, account: CalendarAccount) -> None:
    world.failure = ReconnectNeeded("The vendor does not accept the connection any more.")
    synced(account)
    stored = fresh(account)
    assert (stored.connected, stored.next_attempt_at, stored.last_error_code) == (False, None, "reconnect_needed")
    assert stored.last_error == "The vendor does not accept the connection any more. Connect the account again."
    assert not CalendarAccount.objects.due(timezone.now() + timedelta(days=365)).exists()
    assert stored.credentials


def test_account_connected_again_during_its_last_refused_sync_stays_connected(
    world: World, account: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused_too_late(self: Any) -> Any:
        tokens = Tokens(access_token="by-hand", refresh_token="new")
        accounts.change(account, tokens=tokens, now=timezone.now())
        raise ReconnectNeeded("The vendor does not let us in any more.")

    monkeypatch.setattr(TokenProvider, "calendars", refused_too_late)
    synced(account)
    stored = fresh(account)
    assert (stored.connected, stored.last_error_code) == (True, "")
    assert stored.next_attempt_at is not None


def test_sync_with_an_expired_token_renews_it_on_the_way(world: World, account: CalendarAccount) -> None:
    assert synced(account).succeeded
    assert world.refreshes == 1


def test_sync_whose_token_is_refused_replaces_it_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenProvider, "refused", "access-0")
    account = account_of_alice(expires_in=timedelta(hours=1))
    assert synced(account).succeeded
    assert (world.refreshes, (fresh(account).credentials or {})["access_token"]) == (1, "access-1")
    assert engine.sync_account(account.pk) is None


# A database that hiccups ---------------------------------------------------------------------------------------------


@pytest.fixture
def hiccups(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How the next attempts to store tokens fail: True before the row changed, False after it."""
    planned: list[bool] = []
    true_update = QuerySet.update

    def update(rows: Any, **values: Any) -> int:
        if "credentials_version" not in values or not planned:
            return true_update(rows, **values)
        before = planned.pop(0)
        if not before:
            true_update(rows, **values)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(QuerySet, "update", update)
    return planned


def test_rotated_token_survives_a_database_that_is_away_for_a_moment(
    world: World, account: CalendarAccount, hiccups: list[bool], pauses: list[float]
) -> None:
    hiccups += [True, True, True]
    assert TokenKeeper(account.pk).access_token("") == "access-1"
    assert (fresh(account).credentials or {})["refresh_token"] == world.current
    assert (world.refreshes, len(pauses)) == (1, 3)


def test_commit_whose_answer_was_lost_counts(
    world: World, account: CalendarAccount, hiccups: list[bool], pauses: list[float]
) -> None:
    hiccups += [False]
    assert TokenKeeper(account.pk).access_token("") == "access-1"
    assert (world.refreshes, fresh(account).credentials_version) == (1, 1)


def test_token_that_the_database_would_not_take_is_stored_by_the_next_worker(
    world: World, account: CalendarAccount, hiccups: list[bool], pauses: list[float]
) -> None:
    hiccups += [True] * (1 + len(credentials.STORE_AGAIN_SECONDS))
    with pytest.raises(Unreachable):
        TokenKeeper(account.pk).access_token("")
    assert not hiccups
    CalendarAccount.objects.update(refresh_until=None)
    assert TokenKeeper(account.pk).access_token("") == "access-1"
    assert (fresh(account).credentials or {})["refresh_token"] == world.current
    assert world.refreshes == 1


def test_token_kept_in_the_cache_is_encrypted(
    world: World, account: CalendarAccount, hiccups: list[bool], pauses: list[float]
) -> None:
    hiccups += [True] * (1 + len(credentials.STORE_AGAIN_SECONDS))
    with pytest.raises(Unreachable):
        TokenKeeper(account.pk).access_token("")
    kept = cache.get(f"unstored-token:{account.pk}:0")
    assert kept
    assert b"refresh-1" not in kept


def test_tokens_appear_in_no_repr(world: World, account: CalendarAccount) -> None:
    keeper = TokenKeeper(account.pk)
    keeper.access_token("")
    said = f"{keeper!r} {keeper._stored!r} {Tokens(access_token='access-1', refresh_token='refresh-1')!r}"
    assert "access-1" not in said
    assert "refresh-1" not in said
