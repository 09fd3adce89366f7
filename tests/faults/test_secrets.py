"""No secret shows in logs, messages, results, answers or the admin: known ones are looked for everywhere."""

import base64
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from calendars.models import CalendarAccount
from calendars.services import accounts, farewells, syncs
from tenancy.models import CrmUser, Staff
from tests.calendars.people import alice as alices_client
from tests.contracts.contract import ALICE, event
from tests.faults.workers import until, worker
from tests.integrations.google import where
from tests.integrations.test_connecting import consented, link
from tests.proxy import Ask, Canned, Proxy
from tests.servers import radicale
from tests.simulators import samples
from tests.simulators.base import form_of
from tests.simulators.google import GoogleSimulator, timed
from tests.simulators.graph import GraphSimulator

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
FEED_SECRET = "feed-canary-4711"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")


@contextmanager
def overheard(url: str) -> Iterator[list[bytes]]:
    """All that is said to the broker meanwhile, with what of it is base64 in plain too."""
    heard: list[bytes] = []
    connection = redis.Redis.from_url(url).connection_pool.make_connection()
    connection.connect()
    connection.send_command("MONITOR")
    connection.read_response()

    def listen() -> None:
        try:
            while True:
                heard.append(bytes(connection.read_response()))
        except (redis.RedisError, OSError, TypeError, ValueError, AttributeError):
            return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        connection.disconnect()
        thread.join(5)
        for said in list(heard):
            heard.extend(base64.b64decode(part + b"=" * (-len(part) % 4)) for part in _BASE64.findall(said))


def asked_secrets(asked: list[Ask]) -> set[str]:
    """Codes, verifiers, client secrets and tokens that were sent to a vendor."""
    found: set[str] = set()
    for ask in asked:
        found |= {value for name, value in ask.headers.items() if name.lower() == "authorization"}
        form = form_of(ask) if "token" in ask.path or "revoke" in ask.path else {}
        found |= {form[name] for name in ("code", "code_verifier", "client_secret", "refresh_token") if name in form}
    return {secret.removeprefix("Bearer ").removeprefix("Basic ") for secret in found}


def stored_secrets() -> set[str]:
    names = ("access_token", "refresh_token", "password", "url")
    kept = [account.credentials or {} for account in CalendarAccount.objects.all()]
    return {one[name] for one in kept for name in names if one.get(name)}


def shown(admin: Client, accounts_client: Any) -> Iterator[str]:
    """Every page and answer that speaks of the accounts."""
    paths = [
        "calendar_accounts",
        "busy_blocks",
        "free_busy?start_time=2026-01-01T00:00:00Z&end_time=2026-02-01T00:00:00Z",
    ]
    for account in CalendarAccount.objects.all():
        paths += [f"calendar_accounts/{account.unique_id}", f"calendar_accounts/{account.unique_id}/calendars"]
        page = admin.get(f"/admin/calendars/calendaraccount/{account.pk}/change/")
        assert page.status_code == 200
        yield page.content.decode()
        yield repr(account) + str(account) + account.last_error
    for path in paths:
        yield accounts_client.get(f"/users/alice/{path}").content.decode()
    for model in ("calendaraccount", "calendar", "syncrun", "accountrun", "pushchannel", "farewell"):
        yield admin.get(f"/admin/calendars/{model}/").content.decode()


def test_known_secrets_show_nowhere(
    broker: str,
    alice: CrmUser,
    settings: LazySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = tmp_path / "worker.log"
    providers = settings.CALENDAR_PROVIDERS
    Staff.objects.create_superuser("root", password="x")
    admin = Client()
    admin.login(username="root", password="x")
    seen: list[str] = []
    with ExitStack() as stack:
        google, graph = stack.enter_context(GoogleSimulator()), stack.enter_context(GraphSimulator())
        feed, server = stack.enter_context(Proxy()), stack.enter_context(radicale())
        feed.answer = lambda ask: Canned(200, event("u", "DTSTART:20260320T080000Z").encode())
        server.write_events("work", {"one": event("one", "DTSTART:20260320T080000Z")})
        graph_settings = samples.graph_settings(graph)
        for name, value in (google.settings() | graph_settings).items():
            monkeypatch.setenv(name, value)
        for name, value in where(google).items():
            setattr(settings, name, value)
        settings.OUTLOOK_API_URL = graph_settings.pop("OUTLOOK_API_URL")
        outlook = {name.removeprefix("OUTLOOK_").lower(): value for name, value in graph_settings.items()}
        settings.OAUTH = settings.OAUTH | {"outlook": settings.OAUTH["outlook"] | outlook}
        settings.CALENDAR_PROVIDERS = providers
        settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
        google.add_account(ALICE)
        google.put(ALICE, "standup", timed("2026-03-20T09:00", summary="Standup"))
        samples.fill_graph(graph)
        heard = stack.enter_context(overheard(broker))
        stack.enter_context(worker(log))

        scopes = settings.OAUTH["google"]["scopes"]
        pressed = {"answer": ["allow"], "email": [ALICE], "granted": scopes}
        seen.append(consented(link("google"), "/o/oauth2/v2/auth", **pressed).content.decode())
        seen.append(consented(link("outlook"), "/common/oauth2/v2.0/consent", email=[ALICE]).content.decode())
        feed_url = f"{feed.url}feed/{FEED_SECRET}.ics"
        for provider, data in (("caldav", server.credentials), ("ics", {"url": feed_url})):
            body = {"calendar_account": {"provider": provider, "email": ALICE, "provider_data": data}}
            seen.append(alices_client().post("/users/alice/calendar_accounts", body).content.decode())
        secrets = stored_secrets()

        def all_tried() -> bool:
            return not CalendarAccount.objects.filter(last_attempt_at=None).exists()

        until(lambda: syncs.wait(syncs.start_for_user(alice), seconds=30).finished_at is not None, what="a sync")
        assert all_tried()
        assert not CalendarAccount.objects.exclude(last_error="").exists()
        seen += shown(admin, alices_client())

        # Now each vendor repeats what it knows in its errors, then refuses the tokens for good.
        told = " ".join(sorted(secrets | asked_secrets(google.asked) | asked_secrets(graph.asked))).encode()
        for vendor in (google, graph):
            vendor.fail(Canned(500, told, {"X-Told": told[:200].decode()}), times=2)
        feed.answer = lambda ask: Canned(500, told)
        syncs.wait(syncs.start_for_user(alice), seconds=30)
        assert CalendarAccount.objects.exclude(last_error="").count() == 3
        seen += shown(admin, alices_client())
        google.oauth.expire_access_tokens()
        graph.sign_in.expire_access_tokens()
        CalendarAccount.objects.update(vendor_retry_at=None)
        syncs.wait(syncs.start_for_user(alice), seconds=30)
        secrets |= stored_secrets()
        google.oauth.revoke_all(ALICE)
        graph.sign_in.revoke_everything()
        CalendarAccount.objects.update(vendor_retry_at=None)
        syncs.wait(syncs.start_for_user(alice), seconds=30)
        assert CalendarAccount.objects.filter(last_error_code="reconnect_needed").count() == 2
        seen += shown(admin, alices_client())
        for account in CalendarAccount.objects.all():
            accounts.disconnect(account, now=timezone.now())
        farewells.sweep(timezone.now())
        seen += shown(admin, alices_client())
        secrets |= asked_secrets(google.asked) | asked_secrets(graph.asked) | {server.password, FEED_SECRET}
    places = {
        "the worker's log": log.read_text(),
        "this process's log": caplog.text + "".join(repr(record.__dict__) for record in caplog.records),
        "answers and pages": "\n".join(seen),
        "the broker": b"\n".join(heard).decode(errors="replace"),
    }
    assert len(secrets) > 12
    assert "sync_account" in places["the broker"]
    assert "account_synced" in places["the worker's log"]
    leaks = {(place, secret[:12]) for place, text in places.items() for secret in secrets if secret in text}
    assert not leaks
