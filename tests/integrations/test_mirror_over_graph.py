"""The whole way: a simulated mailbox's calendars into the ledger, over the wire, with tokens that rotate."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from calendars.models import CalendarAccount
from tenancy.models import CrmUser
from tests.calendars.mirror import ledger, synced, titles
from tests.integrations.outlook import connected, simulated_graph, where
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.server import error, throttled

pytestmark = pytest.mark.django_db


@pytest.fixture
def graph(settings: Settings) -> Iterator[GraphSimulator]:
    with simulated_graph(settings, page_size=4) as running:
        for name, value in where(running).items():
            setattr(settings, name, value)
        running.alice.put_series("work", "standup", "2026-03-02T09:00", count=6, subject="Standup")
        running.alice.put("work", "lunch", "2026-03-20T12:00", subject="Lunch")
        yield running


@pytest.fixture
def account(alice: CrmUser, graph: GraphSimulator) -> CalendarAccount:
    return connected(graph, alice)


def test_first_sync_mirrors_instances_and_single_events(account: CalendarAccount) -> None:
    assert synced(account).succeeded
    assert titles(account) == ["Standup", "Standup", "Standup", "Lunch", "Standup", "Standup", "Standup"]


def test_series_that_is_deleted_takes_its_rows_along(account: CalendarAccount, graph: GraphSimulator) -> None:
    synced(account)
    graph.alice.delete("work", "standup")
    assert synced(account).succeeded
    assert titles(account) == ["Lunch"]


def test_occurrence_that_is_deleted_without_a_word_goes_alone(account: CalendarAccount, graph: GraphSimulator) -> None:
    synced(account)
    gone = graph.alice.id_of("work", "standup", 2)
    graph.alice.delete_occurrence("work", "standup", 2)
    verdict = synced(account)
    assert (verdict.changes.deleted, verdict.changes.created) == (1, 0)
    assert gone not in ledger(account)


def test_cursor_lost_on_a_later_page_shows_nobody_a_shrunken_calendar(
    account: CalendarAccount, graph: GraphSimulator
) -> None:
    """Row 17, over the wire."""
    synced(account)
    graph.lose_cursors()
    graph.fail(error(410, "SyncStateNotFound"), on=3, path="calendarView")
    graph.forget()
    assert not synced(account).succeeded
    # The lost cursor, the first page of everything, and the page that is refused.
    assert len(graph.asked) == 3
    assert len(ledger(account)) == 7
    assert synced(account).succeeded


def test_expired_token_is_renewed_and_the_rotated_one_is_kept(account: CalendarAccount, graph: GraphSimulator) -> None:
    graph.sign_in.expire_access_tokens()
    assert synced(account).succeeded
    graph.sign_in.expire_access_tokens()
    assert synced(account).succeeded
    assert graph.sign_in.refreshes == 2
    account.refresh_from_db()
    assert account.credentials
    assert {account.credentials["refresh_token"]} == graph.sign_in.live_refresh_tokens()


def test_revoked_account_says_connect_again(account: CalendarAccount, graph: GraphSimulator) -> None:
    """Row 21: invalid_grant."""
    graph.sign_in.revoke_everything()
    verdict = synced(account)
    assert verdict.failure is not None
    assert verdict.failure.code == "reconnect_needed"


def test_throttled_account_waits_as_long_as_it_was_told(account: CalendarAccount, graph: GraphSimulator) -> None:
    synced(account)
    graph.fail(throttled("600"), path="calendarView")
    assert synced(account).failure is not None
    account.refresh_from_db()
    assert account.next_attempt_at == timezone.now() + timedelta(seconds=600)
