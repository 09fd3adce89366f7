"""The simulated Graph keeps Microsoft's rules, or tests over it prove nothing."""

import hashlib
import json
import threading
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine

from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.signin import CLIENT_ID, CLIENT_SECRET

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
CALLBACK = "http://localhost/oauth/outlook/callback"
VERIFIER = "v" * 43


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def ask(method: str, url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(
        url, body, {name.replace("_", "-"): text for name, text in headers.items()}, method=method
    )
    try:
        with _opener.open(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), refused.read()


@pytest.fixture
def graph() -> Iterator[GraphSimulator]:
    with time_machine.travel(NOW, tick=False), GraphSimulator() as running:
        running.alice.add_calendar("work")
        yield running


# Signing in ----------------------------------------------------------------------------------------------------------


def asked_for(**changes: str) -> dict[str, str]:
    challenge = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    return {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "offline_access User.Read Calendars.Read",
        "state": "s&1",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **changes,
    }


def consented(graph: GraphSimulator, email: str = "alice@acme.example") -> dict[str, list[str]]:
    form = urlencode({**asked_for(), "email": email}).encode()
    status, headers, _ = ask("POST", f"{graph.url}common/oauth2/v2.0/consent", form)
    assert status == 302
    assert headers["Location"].startswith(CALLBACK)
    return parse_qs(urlsplit(headers["Location"]).query)


def tokens(graph: GraphSimulator, **form: str) -> tuple[int, dict[str, Any]]:
    body = urlencode({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **form}).encode()
    status, _, answer = ask("POST", graph.sign_in.token_url, body)
    return status, json.loads(answer)


def exchange(graph: GraphSimulator, code: str, **changes: str) -> tuple[int, dict[str, Any]]:
    form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changes}
    return tokens(graph, grant_type="authorization_code", **form)


def test_page_offers_each_mailbox_and_a_way_to_refuse(graph: GraphSimulator) -> None:
    status, _, page = ask("GET", f"{graph.sign_in.authorize_url}?{urlencode(asked_for())}")
    assert status == 200
    assert b"alice@acme.example" in page
    assert b"Cancel" in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "another"},
        {"response_type": "token"},
        {"scope": ""},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
    ],
    ids=str,
)
def test_page_refuses_what_microsoft_would(graph: GraphSimulator, wrong: dict[str, str]) -> None:
    status, _, _ = ask("GET", f"{graph.sign_in.authorize_url}?{urlencode(asked_for(**wrong))}")
    assert status == 400


def test_unregistered_redirect_is_refused(graph: GraphSimulator) -> None:
    graph.sign_in.redirect_uris = {"https://elsewhere.example/"}
    assert ask("GET", f"{graph.sign_in.authorize_url}?{urlencode(asked_for())}")[0] == 400


def test_code_is_good_for_one_use(graph: GraphSimulator) -> None:
    back = consented(graph)
    assert back["state"] == ["s&1"]
    status, given = exchange(graph, back["code"][0])
    assert status == 200
    assert graph.sign_in.owner_of(given["access_token"]) == "alice@acme.example"
    assert exchange(graph, back["code"][0])[0] == 400


@pytest.mark.parametrize(
    "wrong",
    [{"code_verifier": "another"}, {"code_verifier": ""}, {"redirect_uri": "http://localhost/"}, {"code": "made-up"}],
    ids=str,
)
def test_code_is_bound_to_verifier_and_redirect(graph: GraphSimulator, wrong: dict[str, str]) -> None:
    code = consented(graph)["code"][0]
    form = {"code": code, **wrong}
    status, said = exchange(graph, form.pop("code"), **form)
    assert (status, said["error"]) == (400, "invalid_grant")


def test_refused_consent_comes_back_as_an_error(graph: GraphSimulator) -> None:
    assert consented(graph, email="")["error"] == ["access_denied"]


def test_refresh_token_dies_as_it_is_used(graph: GraphSimulator) -> None:
    first = graph.sign_in.refresh_token()
    status, given = tokens(graph, grant_type="refresh_token", refresh_token=first)
    assert status == 200
    assert given["refresh_token"] != first
    status, said = tokens(graph, grant_type="refresh_token", refresh_token=first)
    assert (status, said["error"], said["error_codes"]) == (400, "invalid_grant", [70008])


def test_secret_of_the_client_is_checked(graph: GraphSimulator) -> None:
    status, said = tokens(graph, grant_type="refresh_token", client_secret="wrong")
    assert (status, said["error"]) == (401, "invalid_client")


# The view ------------------------------------------------------------------------------------------------------------


def test_token_of_a_view_is_bound_to_calendar_and_headers(graph: GraphSimulator) -> None:
    bearer: dict[str, Any] = {"Authorization": f"Bearer {graph.sign_in.access_token()}"}
    prefer = 'outlook.timezone="UTC", IdType="ImmutableId"'
    calendar = graph.alice.calendar("work").id
    span = "startDateTime=2026-01-01T00:00:00Z&endDateTime=2026-06-01T00:00:00Z"
    url = f"{graph.api_url}/me/calendars/{calendar}/calendarView/delta?{span}"
    assert ask("GET", url, **bearer)[0] == 400
    status, _, body = ask("GET", url, Prefer=prefer, **bearer)
    assert status == 200
    link = json.loads(body)["@odata.deltaLink"]
    assert ask("GET", link, Prefer=prefer, **bearer)[0] == 200
    assert ask("GET", link, Prefer=f"odata.maxpagesize=5, {prefer}", **bearer)[0] == 400
    assert ask("GET", link.replace("%2f", "%2F"), Prefer=prefer, **bearer)[0] == 410


def test_request_without_a_valid_token_is_refused(graph: GraphSimulator) -> None:
    assert ask("GET", f"{graph.api_url}/me", Authorization="Bearer made-up")[0] == 401


def test_answer_that_graph_would_not_give_is_noticed(graph: GraphSimulator) -> None:
    graph.alice.put("work", "lunch", "2026-03-20T12:00", showAs="napping")
    calendar = graph.alice.calendar("work")
    (event,) = calendar.events.values()
    bearer, prefer = f"Bearer {graph.sign_in.access_token()}", 'outlook.timezone="UTC", IdType="ImmutableId"'
    url = f"{graph.api_url}/me/calendars/{calendar.id}/events/{event.id}"
    assert ask("GET", url, Authorization=bearer, Prefer=prefer)[0] == 500
    (crash,) = graph.crashes
    assert "napping" in str(crash)
    graph.crashes.clear()


# Subscriptions -------------------------------------------------------------------------------------------------------


class Callback:
    """A receiver that answers handshakes, or does not."""

    def __init__(self, *, echo: bool = True) -> None:
        self.received: list[dict[str, Any]] = []
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                token = parse_qs(urlsplit(self.path).query).get("validationToken")
                if token is None:
                    callback.received.append(json.loads(body))
                self.send_response(200 if token else 202)
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                self.wfile.write(token[0].encode() if token and echo else b"")

            def log_message(self, *arguments: object) -> None:
                """Silence."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/push"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def callback() -> Iterator[Callback]:
    running = Callback()
    yield running
    running.close()


def subscribe(graph: GraphSimulator, url: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    body = {
        "changeType": "created,updated,deleted",
        "notificationUrl": url,
        "lifecycleNotificationUrl": url,
        "resource": f"me/calendars/{graph.alice.calendar('work').id}/events",
        "expirationDateTime": (NOW + timedelta(days=2)).isoformat(),
        "clientState": "secret-state",
        **changes,
    }
    token = f"Bearer {graph.sign_in.access_token()}"
    status, _, answer = ask("POST", f"{graph.api_url}/subscriptions", json.dumps(body).encode(), Authorization=token)
    return status, json.loads(answer)


def test_subscription_shakes_hands_and_its_messages_carry_the_secret(graph: GraphSimulator, callback: Callback) -> None:
    status, made = subscribe(graph, callback.url)
    assert status == 201
    assert "clientState" not in made
    assert graph.subscriptions.notify() == [202]
    (message,) = callback.received
    assert [(one["subscriptionId"], one["clientState"]) for one in message["value"]] == [(made["id"], "secret-state")]


def test_messages_to_one_address_come_together(graph: GraphSimulator, callback: Callback) -> None:
    for _ in range(3):
        subscribe(graph, callback.url)
    assert graph.subscriptions.notify() == [202]
    assert len(callback.received[0]["value"]) == 3


@pytest.mark.parametrize("event", ["reauthorizationRequired", "missed", "subscriptionRemoved"])
def test_lifecycle_messages_say_what_happened(graph: GraphSimulator, callback: Callback, event: str) -> None:
    _, made = subscribe(graph, callback.url)
    assert graph.subscriptions.lifecycle(made["id"], event) == 202
    assert callback.received[0]["value"][0]["lifecycleEvent"] == event
    assert (made["id"] in graph.subscriptions.live) is (event != "subscriptionRemoved")


def test_receiver_that_does_not_answer_the_handshake_gets_no_subscription(graph: GraphSimulator) -> None:
    mute = Callback(echo=False)
    assert subscribe(graph, mute.url)[0] == 400
    mute.close()
    assert not graph.subscriptions.live


@pytest.mark.parametrize(
    "wrong",
    [
        {"expirationDateTime": (NOW + timedelta(minutes=10_081)).isoformat()},
        {"expirationDateTime": (NOW - timedelta(minutes=1)).isoformat()},
        {"clientState": "x" * 129},
        {"changeType": ""},
    ],
    ids=["too long", "over", "secret too long", "no change"],
)
def test_subscription_that_graph_would_refuse(graph: GraphSimulator, callback: Callback, wrong: dict[str, Any]) -> None:
    assert subscribe(graph, callback.url, **wrong)[0] == 400


def test_subscription_is_renewed_and_removed(graph: GraphSimulator, callback: Callback) -> None:
    _, made = subscribe(graph, callback.url)
    url = f"{graph.api_url}/subscriptions/{made['id']}"
    token = f"Bearer {graph.sign_in.access_token()}"
    later = (NOW + timedelta(days=6)).isoformat()
    body = json.dumps({"expirationDateTime": later}).encode()
    status, _, answer = ask("PATCH", url, body, Authorization=token)
    assert (status, json.loads(answer)["expirationDateTime"]) == (200, later)
    assert ask("DELETE", url, Authorization=token)[0] == 204
    assert ask("PATCH", url, body, Authorization=token)[0] == 404
