"""`make demo`, as somebody who types it sees it, and the sample calendars that it shows."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from datetime import date, timedelta

import psutil
import pytest
from icalendar import Calendar

from config.demo.calendars import sample_calendars
from config.demo.folder import free_port
from config.env import BASE_DIR

SUNDAY = date(2026, 11, 22)
ROOMS = ("busyblocks", "calendars", "config", "icsfeeds", "integrations", "templates", "tenancy")


def events(today=SUNDAY):
    for _, _, objects in sample_calendars(today).values():
        for calendar in objects:
            yield from Calendar.from_ical(calendar.to_ical()).walk("VEVENT")


def test_every_sample_object_holds_one_uid():
    for _, _, objects in sample_calendars(SUNDAY).values():
        assert all(len({event["uid"] for event in calendar.walk("VEVENT")}) == 1 for calendar in objects)


def test_sample_week_is_the_one_that_holds_today():
    for today in (SUNDAY, SUNDAY + timedelta(days=1)):
        week = {today - timedelta(days=today.weekday()) + timedelta(days=day) for day in range(7)}
        single = [event.start for event in events(today) if "rrule" not in event and "recurrence-id" not in event]
        assert any((start.date() if hasattr(start, "date") else start) in week for start in single)


def test_samples_show_a_moved_and_a_cancelled_instance_of_one_series():
    overrides = [event for event in events() if "recurrence-id" in event]
    moved, cancelled = sorted(overrides, key=lambda event: event["recurrence-id"].dt)
    assert moved["uid"] == cancelled["uid"]
    assert moved.start != moved["recurrence-id"].dt
    assert cancelled["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("kind", "shows"),
    [
        ("an all-day event", lambda event: not hasattr(event.start, "hour")),
        ("a transparent event", lambda event: event.get("transp") == "TRANSPARENT"),
        ("a private event", lambda event: event.get("class") == "PRIVATE"),
        ("a tentative event", lambda event: event["status"] == "TENTATIVE"),
        ("an excluded instance", lambda event: "exdate" in event),
        ("a second zone", lambda event: event["dtstart"].params.get("tzid") == "America/New_York"),
    ],
)
def test_samples_show(kind, shows):
    assert any(shows(event) for event in events()), kind


@dataclass
class Demo:
    process: subprocess.Popen
    port: int
    lines: list[str] = field(default_factory=list)

    def exported(self, name):
        return next(line.partition("=")[2] for line in self.lines if line.startswith(f"export {name}="))

    def get(self, path, data=None):
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.exported('BLOCKS_AUTH_TOKEN')}",
            "AppId": self.exported("BLOCKS_API_KEY"),
        }
        url = path if path.startswith("http") else self.exported("BLOCKS_API_URL") + path
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkout of its own: the demo of the one that we stand in may be running."""
    copy = tmp_path_factory.mktemp("checkout")
    for room in filter(lambda room: (BASE_DIR / room).exists(), ROOMS):
        shutil.copytree(BASE_DIR / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("simulators", "proxy.py", "settings.py", "__init__.py"):
        source, target = BASE_DIR / "tests" / room, copy / "tests" / room
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    shutil.copy(BASE_DIR / "manage.py", copy)
    return copy


def start(folder, port, **settings):
    """The demo in `folder`, without any settings of the test run's own."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return subprocess.Popen(
        [sys.executable, "-m", "config.demo"],
        cwd=folder,
        env={name: os.environ[name] for name in kept if name in os.environ} | {"PORT": str(port)} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def demo(folder):
    port = free_port()
    running = Demo(start(folder, port, SIMULATORS="1"), port)
    try:
        for line in running.process.stdout:
            running.lines.append(line.rstrip("\n"))
            if line.startswith("Docs:"):
                break
        else:
            pytest.fail(f"the demo ended before it was ready: {running.process.stderr.read()}")
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        running.process.communicate(timeout=60)


def manage(folder, *arguments):
    environment = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_ready_demo_prints_what_a_shell_needs_each_on_a_line_of_its_own(demo):
    starts = [line.partition("=")[0].partition(":")[0] for line in demo.lines]
    exports = [f"export BLOCKS_{name}" for name in ("API_URL", "AUTH_TOKEN", "API_KEY")]
    assert starts == [*exports, "Feed", "Pages", "Admin", "Docs"]


def test_printed_pages_are_the_users_own(demo):
    (line,) = (line for line in demo.lines if line.startswith("Pages:"))
    with urllib.request.urlopen(line.removeprefix("Pages:").strip(), timeout=20) as answer:
        page = answer.read().decode()
    assert "<h1>Calendars of " in page
    assert "alex@sample.invalid" in page


def test_first_sync_has_brought_the_sample_events(demo):
    assert "Team meeting" in demo.get("/users/user-uuid-123/busy_blocks?records=100")


@pytest.mark.parametrize("vendor", ["google", "outlook"])
def test_link_of_a_new_account_leads_to_the_simulated_vendors_page(demo, vendor):
    body = {"calendar_account": {"provider": vendor, "email": "alice@acme.example"}}
    made = json.loads(demo.get("/users/user-uuid-123/calendar_accounts", json.dumps(body).encode()))
    page = demo.get(made["data"]["links"]["authorize"])
    assert "(simulated" in page
    assert "alice@acme.example" in page


def test_printed_feed_serves_events(demo):
    feed = demo.get(next(line for line in demo.lines if line.startswith("Feed:")).split()[1])
    assert "BEGIN:VEVENT" in feed


def test_commands_beside_the_demo_need_no_settings(demo, folder):
    key = manage(folder, "create_company", "acme", "--name", "Acme").split()[-1]
    token = manage(folder, "issue_token", "acme", "--user", "alice").split()[-1]
    headers = {"Authorization": f"Bearer {token}", "AppId": key}
    url = f"{demo.exported('BLOCKS_API_URL')}/users/alice/busy_blocks"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        assert answer.status == 200


def test_taken_port_is_said_in_a_sentence(demo, tmp_path):
    for room in ("config", "tenancy"):
        shutil.copytree(BASE_DIR / room, tmp_path / room)
    second = start(tmp_path, demo.port)
    assert f"Port {demo.port} is taken." in second.communicate(timeout=60)[1]
    assert second.returncode == 1


def test_second_demo_of_the_same_folder_is_refused(demo, folder):
    second = start(folder, free_port())
    assert "A demo is running in this folder already." in second.communicate(timeout=60)[1]
    assert second.returncode == 1


def test_stopped_demo_leaves_no_process_behind(demo):
    processes = psutil.Process(demo.process.pid).children(recursive=True)
    assert len(processes) >= 5
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(60) == 0
    assert psutil.wait_procs(processes, timeout=10)[1] == []
