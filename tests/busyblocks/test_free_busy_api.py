"""`/users/:user_unique_id/free_busy`, over HTTP with real tokens."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from busyblocks.models import Origin, Source
from tenancy.models import Company, CrmUser
from tests.busyblocks.rows import days, timed, write
from tests.cast import client_for

FREE_BUSY = "/users/alice/free_busy"


@pytest.fixture
def api(acme: Company, alice: CrmUser) -> APIClient:
    return client_for(acme, "alice")


def _periods(response: Any) -> list[tuple[str, str, str]]:
    assert response.status_code == 200, response.content
    periods = response.json()["data"]["attributes"]["periods"]
    return [(period["start_time"], period["end_time"], period["fbtype"]) for period in periods]


def test_answer_has_the_agreed_shape(api: APIClient, alice: CrmUser) -> None:
    write(alice, timed("2026-03-02 09:00"), timed("2026-03-02 11:00", status="tentative"))
    response = api.get(f"{FREE_BUSY}?start_time=2026-03-02T00:00:00Z&end_time=2026-03-03T00:00:00Z")
    assert response.json() == {
        "data": {
            "type": "free_busy",
            "id": "alice",
            "attributes": {
                "user_unique_id": "alice",
                "start_time": "2026-03-02T00:00:00Z",
                "end_time": "2026-03-03T00:00:00Z",
                "time_zone": "UTC",
                "periods": [
                    {"start_time": "2026-03-02T09:00:00Z", "end_time": "2026-03-02T10:00:00Z", "fbtype": "BUSY"},
                    {
                        "start_time": "2026-03-02T11:00:00Z",
                        "end_time": "2026-03-02T12:00:00Z",
                        "fbtype": "BUSY-TENTATIVE",
                    },
                ],
            },
        }
    }


def test_span_and_dates_are_read_in_the_zone_asked_for(api: APIClient, alice: CrmUser) -> None:
    write(alice, days("2026-03-29"))
    found = _periods(api.get(f"{FREE_BUSY}?start_time=2026-03-28&end_time=2026-03-31&time_zone=Europe/Berlin"))
    # The day of the change has 23 hours.
    assert found == [("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "BUSY")]


BAD = [
    ("", {"start_time", "end_time"}),
    ("start_time=2026-03-01T00:00:00Z", {"end_time"}),
    ("end_time=2026-03-01T00:00:00Z", {"start_time"}),
    ("start_time=x&end_time=2026-03-01", {"start_time"}),
    ("start_time=2026-03-01&end_time=x", {"end_time"}),
    ("start_time=2026-03-02&end_time=2026-03-01", {"end_time"}),
    ("start_time=2026-03-01&end_time=2026-03-01", {"end_time"}),
    ("start_time=2020-01-01&end_time=2026-01-01", {"end_time"}),
    ("start_time=2026-01-01&end_time=2027-01-03", {"end_time"}),
    ("start_time=2026-01-01&end_time=2026-01-02&time_zone=Nowhere", {"time_zone"}),
]


@pytest.mark.parametrize(("query", "parameters"), BAD)
def test_parameter_that_cannot_be_used_is_named(api: APIClient, query: str, parameters: set[str]) -> None:
    response = api.get(f"{FREE_BUSY}?{query}")
    assert response.status_code == 422
    assert {error["source"]["parameter"] for error in response.json()["errors"]} == parameters


def test_leap_year_may_be_asked_for_at_once(api: APIClient) -> None:
    assert _periods(api.get(f"{FREE_BUSY}?start_time=2028-01-01&end_time=2029-01-01")) == []


def test_somebody_unknown_is_free(acme: Company) -> None:
    response = client_for(acme).get("/users/nobody/free_busy?start_time=2026-01-01&end_time=2026-01-02")
    assert _periods(response) == []
    assert response.json()["data"]["id"] == "nobody"
    assert not CrmUser.objects.exists()


def test_mallory_learns_nothing_of_alices_time(globex: Company, alice: CrmUser) -> None:
    write(alice, timed("2026-03-02 09:00"))
    assert _periods(client_for(globex).get(f"{FREE_BUSY}?start_time=2026-03-01&end_time=2026-03-03")) == []
    response = client_for(globex, "mallory").get(f"{FREE_BUSY}?start_time=2026-03-01&end_time=2026-03-03")
    assert response.status_code == 403


def test_bob_does_not_see_when_alice_is_busy(acme: Company, alice: CrmUser) -> None:
    response = client_for(acme, "bob").get(f"{FREE_BUSY}?start_time=2026-03-01&end_time=2026-03-03")
    assert response.status_code == 403


def test_rule_that_costs_too_much_is_a_clear_answer(
    api: APIClient, alice: CrmUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(alice, *(timed("2020-03-02 09:00", uid=f"u{n}", rule="FREQ=DAILY") for n in range(5)))
    monkeypatch.setattr("busyblocks.taken.REQUEST_STEPS", 1000)
    response = api.get(f"{FREE_BUSY}?start_time=2026-03-01&end_time=2027-03-01")
    assert response.status_code == 422
    assert response.json()["errors"][0]["source"] == {"parameter": "end_time"}


def test_question_costs_the_same_queries_for_3_rows_and_for_30(
    api: APIClient, alice: CrmUser, django_assert_max_num_queries: Any
) -> None:
    costs = []
    for first in (0, 3):
        for number in range(first, first * 10 or 3):
            master = timed("2026-03-01 09:00", uid=f"u{number}", rule="FREQ=DAILY")
            moved = timed("2026-03-09 10:00", uid=f"u{number}", recurrence_id="20260309T090000Z")
            origin = Origin.objects.create(user=alice, source=Source.CALDAV, time_zone="Europe/Berlin")
            write(alice, master, moved, days("2026-03-02", uid=f"d{number}"), origin=origin)
        with django_assert_max_num_queries(6) as queries:
            _periods(api.get(f"{FREE_BUSY}?start_time=2026-03-01&end_time=2026-04-01"))
        costs.append(len(queries))
    assert costs[0] == costs[1]
