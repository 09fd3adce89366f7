"""One caller's loop does not take the service from everybody else."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from time_machine import travel

from tenancy.models import Company, CrmUser
from tests.cast import client_for

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
PATH = "/users/alice/calendar_accounts"


@pytest.fixture(autouse=True)
def _three_a_minute(settings: LazySettings) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3


def test_fourth_request_of_a_minute_is_told_when_to_come_back(acme: Company, alice: CrmUser) -> None:
    with travel(NOON, tick=False):
        client = client_for(acme, alice)
        assert [client.get(PATH).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = client.get(PATH)
    assert refused.json()["errors"][0]["code"] == "rate_limit_exceeded"
    assert 30 <= int(refused["Retry-After"]) <= 31


def test_next_minute_is_a_new_start(acme: Company, alice: CrmUser) -> None:
    with travel(NOON, tick=False) as clock:
        client = client_for(acme, alice)
        for _ in range(4):
            client.get(PATH)
        clock.shift(timedelta(seconds=30))
        assert client.get(PATH).status_code == 200


def test_other_callers_are_not_counted(acme: Company, alice: CrmUser, bob: CrmUser) -> None:
    with travel(NOON, tick=False):
        client = client_for(acme, alice)
        for _ in range(4):
            client.get(PATH)
        assert client_for(acme, bob).get("/users/bob/calendar_accounts").status_code == 200


def test_cache_that_does_not_answer_refuses_nobody(
    acme: Company, alice: CrmUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(cache, "add", lost)
    client = client_for(acme, alice)
    assert [client.get(PATH).status_code for _ in range(5)] == [200] * 5
