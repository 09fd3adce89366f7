"""/openapi.json is true: real answers of every operation fit it, and so do the bodies that were sent."""

import json
import re
from functools import lru_cache

import pytest
from django.urls import get_resolver
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from busyblocks.models import Origin
from calendars.models import Calendar, CalendarAccount, Meeting
from config.openapi_paths import ANSWERS, BODIES, OPERATIONS, PARAMETERS, TEXTS
from tests.cast import client_for

pytestmark = pytest.mark.django_db

USER = "/users/alice"
BLOCK = {"title": "Lunch", "start_time": "2026-02-20T12:00:00Z", "end_time": "2026-02-20T13:00:00Z"}
BOOKING = {"triggerEvent": "PING", "createdAt": "2026-02-20T12:00:00Z", "payload": {}}


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


@lru_cache(maxsize=1)
def registry(text):
    return Registry().with_resource("urn:api", DRAFT202012.create_resource(json.loads(text)))


class Described:
    """A client's answers held against the document; `seen` collects the operations that were tried."""

    def __init__(self, client):
        self.text = client.get("/openapi.json").content
        self.document = client.get("/openapi.json").json()
        self.seen: set[str] = set()

    def operation(self, method, path):
        for pattern, operations in sorted(self.document["paths"].items(), key=lambda item: item[0].count("{")):
            expression = re.sub(r"\{\w+\}", "[^/]+", pattern)
            if re.fullmatch(expression, path.partition("?")[0]) and method in operations:
                return pattern, operations[method]
        raise AssertionError(f"{method} {path} is not described")

    def check(self, pointer, value):
        validator = Draft202012Validator(
            {"$ref": f"urn:api#{pointer}"},
            registry=registry(self.text),
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        problems = [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(value)]
        assert problems == []

    def ask(self, client, method, path, body=None, *, status, media_type="application/json"):
        """The answer, after its status, media type and body were found as described, and the body that was sent too."""
        pattern, operation = self.operation(method, path)
        self.seen.add(operation["operationId"])
        here = f"/paths/{pattern.replace('/', '~1')}/{method}"
        if body is not None:
            self.check(f"{here}/requestBody/content/{media_type.replace('/', '~1')}/schema", body)
        response = getattr(client, method)(
            path, body, **({"format": "json"} if body is not None else {}), HTTP_ACCEPT=f"{media_type}, text/calendar"
        )
        assert response.status_code == status, response.content
        described = operation["responses"].get(str(status)) or operation["responses"]["4XX"]
        if "$ref" in described:
            here, described = "/components/responses/Refusal", self.document["components"]["responses"]["Refusal"]
        else:
            here = f"{here}/responses/{status}"
        content = described.get("content")
        if content is None:
            assert response.content == b""
            return response
        given = response["Content-Type"].partition(";")[0]
        assert given in content
        if given.endswith("json"):
            self.check(f"{here}/content/{given.replace('/', '~1')}/schema", response.json())
        return response


def test_every_operation_answers_as_described(client, acme, alice):
    api, company = Described(client), client_for(acme)

    def ask(*arguments, **options):
        return api.ask(company, *arguments, **options)

    # Accounts and their calendars
    wrapped = {"calendar_account": {"provider": "google", "email": "user@gmail.com", "sync_enabled": True}}
    account = ask("post", f"{USER}/calendar_accounts", wrapped, status=201).json()["data"]["id"]
    tokens = {"provider": "outlook", "email": "a@b.test", "access_token": "a", "scopes": ["x"], "refresh_token": "r"}
    ask("post", f"{USER}/calendar_accounts", tokens, status=201)
    one = f"{USER}/calendar_accounts/{account}"
    ask("get", one, status=200)
    ask("put", one, {"calendar_account": {"sync_enabled": False}}, status=200)
    ask("put", one, {"sync_enabled": True}, status=200, media_type="application/json")
    for media_type in ("application/json", "application/vnd.api+json"):
        ask("get", f"{USER}/calendar_accounts?records=1&sort=-email", status=200, media_type=media_type)
    row = found_calendar(account)
    ask("get", f"{one}/calendars", status=200)
    ask("get", f"{one}/calendars/{row.unique_id}", status=200)
    ask("put", f"{one}/calendars/{row.unique_id}", {"calendar": {"sync_enabled": False}}, status=200)

    ask("post", f"{USER}/connect_links", {"connect_link": {"expires_in": 3600}}, status=201)

    # Syncs
    answer = ask("post", f"{USER}/calendar/sync", status=200).json()
    ask("post", f"{USER}/calendar/sync", {"sync": {"force_refresh": True}}, status=200)
    ask("post", "/calendar/sync", status=200)
    ask("get", "/calendar/syncs", status=200)
    ask("get", f"/calendar/syncs/{answer['data']['sync_id']}", status=200)

    # Busy time
    block = ask("post", f"{USER}/busy_blocks", {"busy_block": BLOCK}, status=201).json()["data"]["id"]
    document = {"data": {"type": "busy_block", "attributes": BLOCK | {"recurrence_rule": "FREQ=DAILY;COUNT=3"}}}
    ask("post", f"{USER}/busy_blocks", document, status=201)
    days = {"start_time": "2026-05-01", "end_time": "2026-05-02", "all_day": True, "time_zone": "Europe/Berlin"}
    ask("post", f"{USER}/busy_blocks", days, status=201)
    ask("get", f"{USER}/busy_blocks", status=200)
    ask("get", f"{USER}/busy_blocks/{block}", status=200)
    ask("put", f"{USER}/busy_blocks/{block}", {"title": "Late lunch"}, status=200)
    daily = {**BLOCK, "recurrence_rule": "FREQ=DAILY"}
    series = ask("post", f"{USER}/busy_blocks", daily, status=201).json()["data"]["id"]
    ask("get", f"{USER}/busy_blocks?expand=true&start_time=2026-02-20&end_time=2026-02-25", status=200)
    instance = f"{USER}/busy_blocks/{series}_20260222T120000Z"
    ask("get", instance, status=200)
    ask("put", instance, {"title": "Late lunch", "scope": "this"}, status=200)
    ask("post", f"{instance}/restore", status=200)
    ask("delete", f"{instance}?scope=following", status=204)
    span = "start_time=2026-02-01T00:00:00Z&end_time=2026-03-01T00:00:00Z"
    free_busy = ask("get", f"{USER}/free_busy?{span}", status=200)
    assert free_busy.json()["data"]["attributes"]["periods"]
    ask("get", f"{USER}/free_busy?{span}", status=200, media_type="text/calendar")
    ask("get", f"{USER}/free_busy.ifb?{span}", status=200, media_type="text/calendar")
    bounds = {"start_time": "2036-02-18T00:00:00Z", "end_time": "2036-02-25T00:00:00Z"}
    week = bounds | {"user_unique_ids": ["alice", "bob"]}
    ask("post", "/free_busy", {"free_busy": week}, status=200)
    weekdays = {"days": ["mo", "tu", "we", "th", "fr"], "start": "09:00", "end": "17:00"}
    hours = {"time_zone": "Europe/Berlin", "windows": [weekdays]}
    ask("put", f"{USER}/working_hours", {"working_hours": hours}, status=200)
    ask("put", f"{USER}/working_hours", hours, status=200)
    ask("get", f"{USER}/working_hours", status=200)
    slots = ask("post", "/availability", {"availability": week | {"duration_minutes": 30}}, status=200)
    assert slots.json()["data"]["attributes"]["slots"]
    ask("delete", f"{USER}/working_hours", status=204)
    ask("delete", f"{USER}/busy_blocks/{block}", status=204)

    # Users and meetings
    ask(
        "put",
        USER,
        {"user": {"email": "alice@acme.example", "name": "Alice", "time_zone": "Europe/Berlin"}},
        status=200,
    )
    ask("post", f"{USER}/register", {"user": {"email": "alice@acme.example", "name": "Alice"}}, status=201)
    ask("get", USER, status=200)
    ask("get", "/users", status=200)
    a_meeting(alice)
    for under in ("", USER):
        ask("get", f"{under}/meetings", status=200)
        made = {
            "meeting": {"title": "Call", "start_time": BLOCK["start_time"], "time_quantity": 1, "time_unit": "hour"}
        }
        meeting = ask("post", f"{under}/meetings", made, status=201).json()["data"]["id"]
        ask("get", f"{under}/meetings/{meeting}", status=200)
        ask("put", f"{under}/meetings/{meeting}", {"meeting": {"meeting_score": 4.5}}, status=200)
        ask("delete", f"{under}/meetings/{meeting}", status=204)
    ask("get", "/meetings/trash/show", status=200)
    ask("put", f"/meetings/{meeting}/recover", {}, status=200)
    people = f"/meetings/{meeting}/participants"
    person = ask("post", people, {"participant": {"email": "carol@example.com"}}, status=201).json()["data"]["id"]
    ask("get", people, status=200)
    ask("get", f"{people}/{person}", status=200)
    ask("delete", f"{people}/{person}", status=204)

    # Feeds
    token = ask("post", f"{USER}/ics_tokens", {"ics_token": {"label": "Team"}}, status=201).json()["data"]
    ask("get", f"{USER}/ics_tokens", status=200)
    ask("get", f"{USER}/ics_tokens/{token['id']}", status=200)
    ask("put", f"{USER}/ics_tokens/{token['id']}", {"label": "Ours", "active": True}, status=200)
    ask("get", f"/calendars/acme/ics/{token['attributes']['token']}", status=200)
    token = ask("post", f"{USER}/ics_tokens/{token['id']}/rotate", status=200).json()["data"]
    ask("post", f"{USER}/ics_tokens/{token['id']}/subscribe_links", {}, status=201)
    ask("get", f"/calendars/acme/ics/{token['attributes']['token']}.ifb?download", status=200)
    ask("delete", f"{USER}/ics_tokens/{token['id']}", status=204)
    ask("delete", one, status=204)

    # Cal.com and health
    ask("post", "/calcom/acme/webhook", BOOKING, status=200)
    ask("get", "/health/live", status=200)
    ask("get", "/health/ready", status=200)

    described = {operation["operationId"] for path in api.document["paths"].values() for operation in path.values()}
    assert described - api.seen == set()


def found_calendar(account):
    owner = CalendarAccount.objects.get(unique_id=account)
    origin = Origin.objects.create(user=owner.user, source="google", name="Work")
    return Calendar.objects.create(account=owner, origin=origin, external_id="work", name="Work")


def a_meeting(alice):
    meeting = Meeting.objects.create(
        company=alice.company, user=alice, title="Call", start_time=BLOCK["start_time"], end_time=BLOCK["end_time"]
    )
    meeting.participants.create(name="Client", email="client@example.test")
    return meeting


def test_refusals_are_as_described(client, acme):
    api, company = Described(client), client_for(acme)
    nobody, bob = client, client_for(acme, "bob")
    unknown = f"{USER}/calendar_accounts/00000000-0000-4000-8000-000000000000"

    api.ask(nobody, "get", f"{USER}/calendar_accounts", status=401)
    api.ask(bob, "get", f"{USER}/calendar_accounts", status=403)
    api.ask(company, "get", unknown, status=404)
    api.ask(company, "get", f"{USER}/calendar_accounts?page=0", status=422)
    api.ask(company, "get", f"{USER}/free_busy", status=422)
    api.ask(client, "get", "/calendars/acme/ics/nothing", status=404)
    response = company.post(f"{USER}/calendar_accounts", {}, format="json")
    assert response.status_code == 422
    api.check("/components/schemas/Errors", response.json())


def test_document_is_openapi_31_and_its_schemas_are_schemas(document):
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere(document):
    for reference in references(document):
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_operations_are_named_once_and_parameters_too(document):
    names = []
    for path in document["paths"].values():
        for operation in path.values():
            names.append(operation["operationId"])
            parameters = [(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])]
            assert len(parameters) == len(set(parameters)), operation["operationId"]
    assert len(names) == len(set(names))


def test_only_feeds_webhooks_and_health_are_public(document):
    public = {
        path for path, operations in document["paths"].items() for op in operations.values() if not op["security"]
    }

    assert public == {
        "/calendars/{url_id}/ics/{token}",
        "/calcom/{url_id}/webhook",
        "/health/live",
        "/health/ready",
    }
    assert document["components"]["securitySchemes"]["appId"] == {
        "type": "apiKey",
        "in": "header",
        "name": "AppId",
        "description": "At which company.",
    }


def test_what_is_described_by_hand_still_exists():
    actions = {
        (pattern.callback.cls.__name__, action)
        for group in get_resolver().url_patterns
        for pattern in getattr(group, "url_patterns", [])
        if hasattr(pattern.callback, "cls")
        for action in getattr(pattern.callback, "actions", {}).values()
    }

    assert {*ANSWERS, *BODIES, *OPERATIONS, *PARAMETERS, *TEXTS} <= actions


def test_secrets_go_in_and_never_come_out(document):
    schemas = document["components"]["schemas"]

    assert {"access_token", "refresh_token", "provider_data"} <= set(schemas["CalendarAccountRequest"]["properties"])
    assert not {"access_token", "refresh_token", "provider_data"} & set(schemas["CalendarAccount"]["properties"])


def test_documentation_page_needs_nobody_elses_server(client):
    response = client.get("/docs/", headers={"Accept": "text/html,*/*;q=0.8"})
    script = client.get("/docs?script=")
    addresses = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)""", response.text + script.text)

    assert response.status_code == script.status_code == 200
    assert "/docs?script=" in addresses
    assert response["Content-Type"].startswith("text/html")
    assert any("openapi.json" in address for address in addresses)
    assert [address for address in addresses if address.startswith(("http", "//"))] == []
    for address in addresses:
        if address.startswith("/static/"):
            assert client.get(address).status_code == 200
