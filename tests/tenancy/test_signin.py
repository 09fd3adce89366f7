"""Signing in: guessing is slowed, nobody is locked out, and what a session is made of."""

import re
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from time_machine import travel

from tenancy import attempts, tasks
from tenancy.models import Staff
from tests.admin.world import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OFFICE, ELSEWHERE = "192.0.2.10", "198.51.100.7"


@pytest.fixture(autouse=True)
def _staff() -> None:
    for name in ("operator", "colleague"):
        Staff.objects.create_superuser(name, "", PASSWORD)


def sign_in(client: Client, name: str = "operator", password: str = PASSWORD, *, address: str = OFFICE) -> str:
    """in, wrong or slowed."""
    response = client.post("/admin/login/", {"username": name, "password": password}, REMOTE_ADDR=address)
    if response.status_code == 302:
        return "in"
    (error,) = response.context["form"].non_field_errors()
    return "slowed" if re.match(r"Too many attempts\. Try again in \d+ minutes?\.", error) else "wrong"


def guess(times: int, name: str = "operator", *, address: str = OFFICE, client: Client | None = None) -> list[str]:
    return [sign_in(client or Client(), name, "guessed", address=address) for _ in range(times)]


def test_guessing_a_name_is_slowed_wherever_it_comes_from() -> None:
    with travel(NOON, tick=False):
        assert [*guess(5), *guess(5, address=ELSEWHERE)] == ["wrong"] * 10
        assert guess(1, address="203.0.113.1") == ["slowed"]
        assert sign_in(Client()) == "slowed", "a right guess would not be told from a wrong one"
    with travel(NOON + timedelta(minutes=15), tick=False):
        assert sign_in(Client()) == "in"


def test_person_is_not_locked_out_by_who_guesses_their_name() -> None:
    known = Client()
    with travel(NOON, tick=False):
        assert sign_in(known) == "in"
        known.post("/admin/logout/")
        assert guess(11, address=ELSEWHERE)[-1] == "slowed"
        assert sign_in(known) == "in"


def test_office_is_not_locked_out_by_one_of_its_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_OF_A_NETWORK", 15)
    colleague = Client()
    with travel(NOON, tick=False):
        assert sign_in(colleague, "colleague") == "in"
        colleague.post("/admin/logout/")
        for number in range(15):
            guess(1, f"nobody{number}")
        assert sign_in(Client(), "operator") == "slowed", "the whole network guesses names"
        assert sign_in(colleague, "colleague") == "in", "who has signed in here before does not notice"
        assert sign_in(Client(), "operator", address=ELSEWHERE) == "in"


def test_addresses_of_one_ipv6_network_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_OF_A_NETWORK", 2)
    with travel(NOON, tick=False):
        for number in range(2):
            guess(1, f"nobody{number}", address=f"2001:db8::{number}")
        assert guess(1, "nobody", address="2001:db8::ffff:1") == ["slowed"]
        assert guess(1, "nobody", address="2001:db8:0:1::1") == ["wrong"]


def test_known_browser_guesses_no_more_than_others() -> None:
    known = Client()
    with travel(NOON, tick=False):
        sign_in(known)
        known.post("/admin/logout/")
        assert guess(11, client=known) == ["wrong"] * 10 + ["slowed"]


def test_browser_is_known_for_its_person_only() -> None:
    known = Client()
    with travel(NOON, tick=False):
        sign_in(known)
        known.post("/admin/logout/")
        assert guess(11, "colleague", client=known)[-1] == "slowed"
        assert guess(1, "colleague", address=ELSEWHERE) == ["slowed"], "counted by name, as anybody's"


@pytest.mark.parametrize("value", ["", "x", "a:b:c", "W10:1:1"])
def test_forged_cookie_is_no_browsers(value: str) -> None:
    client = Client()
    client.cookies["browser"] = value
    with travel(NOON, tick=False):
        guess(10)
        assert sign_in(client) == "slowed"


def test_right_password_ends_the_count_of_a_name() -> None:
    with travel(NOON, tick=False):
        guess(9)
        assert sign_in(Client()) == "in"
        assert guess(10) == ["wrong"] * 10


def test_names_are_counted_without_regard_to_case() -> None:
    with travel(NOON, tick=False):
        guess(5)
        guess(5, "OPERATOR")
        assert guess(1, "Operator") == ["slowed"]


def test_slowed_attempt_looks_at_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with travel(NOON, tick=False):
        guess(10)
        monkeypatch.setattr(Staff, "check_password", _fail)
        assert guess(1) == ["slowed"]


def test_cache_that_does_not_answer_lets_people_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("add", "incr", "decr", "delete"):
        monkeypatch.setattr(cache, name, _fail)
    assert sign_in(Client()) == "in"


# Sessions -----------------------------------------------------------------------------------------------------------


def test_session_gets_a_new_key_when_somebody_signs_in() -> None:
    client = Client()
    session = client.session
    session["planted"] = "by an attacker"
    session.save()
    planted = session.session_key
    sign_in(client)
    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_new_password_ends_the_other_sessions() -> None:
    here, there = Client(), Client()
    for client in (here, there):
        sign_in(client)
    new = {"old_password": PASSWORD, "new_password1": "another-4711-long", "new_password2": "another-4711-long"}
    assert here.post("/admin/password_change/", new).status_code == 302
    assert here.get("/admin/jsi18n/").status_code == 200
    assert there.get("/admin/jsi18n/").status_code == 302


def test_session_ends_after_its_hours_whatever_was_done_meanwhile(settings: LazySettings) -> None:
    client = Client()
    with travel(NOON, tick=False):
        sign_in(client)
    with travel(NOON + timedelta(hours=11, minutes=59), tick=False):
        assert client.get("/admin/jsi18n/").status_code == 200
    with travel(NOON + timedelta(hours=12, minutes=1), tick=False):
        assert client.get("/admin/jsi18n/").status_code == 302
        assert Session.objects.exists()
        tasks.clear_old_sessions()
    assert not Session.objects.exists()


def test_cookies_are_for_the_browser_and_this_site_only(settings: LazySettings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client = Client()
    client.get("/admin/login/", secure=True)
    client.post("/admin/login/", {"username": "operator", "password": PASSWORD}, secure=True)
    found = {name: _attributes(cookie) for name, cookie in client.cookies.items()}
    assert found.keys() == {"sessionid", "csrftoken", "browser"}
    assert set(found.values()) == {(True, True, "Lax")}


def _attributes(cookie: "Morsel[str]") -> tuple[bool, bool, str]:
    return bool(cookie["secure"]), bool(cookie["httponly"]), cookie["samesite"]


def test_session_lasts_twelve_hours_unless_told_otherwise() -> None:
    assert settings.SESSION_COOKIE_AGE == 12 * 3600
    assert settings.SESSION_SAVE_EVERY_REQUEST is False


def _fail(*_: Any, **__: Any) -> Any:
    raise ConnectionError("the cache is away")
