"""The public feeds over HTTP: unchanged, new, changed a little, and very long, each beside a yardstick of the same run.

The yardstick of (a) and (b) is a Django with no middleware and one view of constant bytes, under the same server with
the same number of threads. One worker each, and a client that costs next to nothing: what is compared is what a request
costs, once by the clock and once by the CPU that the servers used, which load beside them does not change. Radicale
serves the same calendar.
"""

import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import icalendar
import psutil
from django.utils import timezone

from busyblocks.models import BusyBlock
from icsfeeds import services
from icsfeeds.lookup import digest_of
from icsfeeds.models import ICSToken
from tenancy.models import Company, CrmUser, bump_revision
from tests.benchmarks.load import Load
from tests.benchmarks.report import say
from tests.benchmarks.wire import Wire, cpu_seconds
from tests.servers import radicale
from tests.services import free_port

ROUNDS = 5
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC")
DESCRIPTION = "Agenda:\n1. Numbers of the last quarter, by region\n2. Plans for the next one\n3. Questions and answers"
GZIP = {"Accept-Encoding": "gzip"}


def run() -> None:
    with _one_core():
        _run()


@contextmanager
def _one_core() -> Iterator[None]:
    """Client, server and database on one core: what is measured is all the work that a request is, whoever does it."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    before = os.sched_getaffinity(0)
    for process in processes:
        process.cpu_affinity([max(before)])
    try:
        yield
    finally:
        for process in processes:
            process.cpu_affinity(sorted(before))


def _run() -> None:
    company, _ = Company.objects.get_or_create(url_id="bench")
    tokens = {count: _ledger(company, count) for count in (1_000, 10_000, 100_000)}
    for name, settings in (("with Redis", {}), ("without Redis", {"REDIS_URL": ""})):
        with _served("tests.benchmarks.wsgi:application", settings) as (port, process):
            _unchanged(port, process, tokens[1_000], name)
            _first_and_next(port, process, tokens[10_000], name)
        with _served("tests.benchmarks.wsgi:application", settings) as (port, process):
            _long(port, process, tokens[100_000], name)
            _guessing(port, process, tokens[1_000], name)
    _rendering(tokens[10_000])


# (a), (b) -----------------------------------------------------------------------------------------------------------


def _unchanged(port: int, process: psutil.Process, token: ICSToken, name: str) -> None:
    feed = Load(port, path_of(token), {})
    body, etag = feed.body(), feed.header("ETag")
    cases = {
        "304": (Wire(port, path_of(token), {"If-None-Match": etag}, status=304), b"", 2_000),
        f"{len(body):,} bytes": (Wire(port, path_of(token)), body, 600),
        "the same as gzip": (Wire(port, path_of(token), GZIP), replace(feed, headers=GZIP).body(), 1_200),
    }
    theirs = _radicale_per_second(body) if name == "with Redis" else None
    for case, (ours, sent, count) in cases.items():
        with tempfile.NamedTemporaryFile() as constant:
            constant.write(sent)
            constant.flush()
            bare = {"BARE_BODY": constant.name, "BARE_STATUS": str(ours.status)}
            with _served("tests.benchmarks.bare:application", bare) as (bare_port, bare_process):
                yardstick = Wire(bare_port, "/bare", status=ours.status)
                assert Load(bare_port, "/bare", {}, status=ours.status).body() == sent
                for one in (ours, yardstick):
                    one.run(200)
                # In turns, so that whatever else the machine does meets both.
                turns = [(_turn(ours, process, count), _turn(yardstick, bare_process, count)) for _ in range(ROUNDS)]
        rate, cpu, database = (statistics.median(turn[0][which] for turn in turns) for which in range(3))
        bare_rate, bare_cpu, _ = (statistics.median(turn[1][which] for turn in turns) for which in range(3))
        beside = f"; Radicale {theirs:,.0f}, {rate / theirs:,.0f} times" if theirs and ours.status == 200 else ""
        say(
            f"feed {name}: {case}",
            f"{rate:,.0f} requests/s; a bare view {bare_rate:,.0f}; ratio {rate / bare_rate:.2f}{beside}; of CPU "
            f"{cpu:.0f} µs and the database's {database:.0f}, a bare view {bare_cpu:.0f}",
        )


def _turn(load: Wire, process: psutil.Process, count: int) -> tuple[float, float, float]:
    """Answers per second; microseconds of CPU for each, of the server, and of PostgreSQL (whoever asks it)."""
    servers = [process, *process.children(recursive=True)]
    databases = _databases()
    before = cpu_seconds(servers), cpu_seconds(databases)
    seconds = load.run(count)
    after = cpu_seconds(servers), cpu_seconds(databases)
    return count / seconds, (after[0] - before[0]) / count * 1e6, (after[1] - before[1]) / count * 1e6


def _radicale_per_second(feed: bytes) -> float:
    """Reads per second of the same calendar, as one file, from Radicale."""
    events = feed.decode().replace("\r\n ", "").split("BEGIN:VEVENT\r\n")
    zones = events[0][events[0].index("BEGIN:VTIMEZONE") :]
    with radicale() as server:
        texts = {
            f"event-{number}": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n"
            + zones
            + "BEGIN:VEVENT\r\n"
            + event.partition("END:VCALENDAR")[0]
            + "END:VCALENDAR\r\n"
            for number, event in enumerate(events[1:])
        }
        server.write_events("feed", texts)
        login = b64encode(f"{server.username}:{server.password}".encode()).decode()
        path = f"/{server.username}/feed/"
        load = Load(int(server.url.rpartition(":")[2].strip("/")), path, {"Authorization": f"Basic {login}"})
        assert load.body().count(b"BEGIN:VEVENT") == len(texts)
        started = time.perf_counter()
        load.series(5)
        return 5 / (time.perf_counter() - started)


# Guessing -----------------------------------------------------------------------------------------------------------


def _guessing(port: int, process: psutil.Process, token: ICSToken, name: str) -> None:
    """A good reader beside somebody who tries addresses without a pause, behind the same address."""
    etag = Load(port, path_of(token), {}).header("ETag")
    reader = Wire(port, path_of(token), {"If-None-Match": etag}, status=304, connections=1)
    reader.run(200)
    alone, beside, tried, refused = [], [], 0, 0
    command = [sys.executable, "-m", "tests.benchmarks.guesser", str(port), "2"]
    before = _resident(process)
    for _ in range(ROUNDS):
        alone.append(reader.run(300) / 300)
        guesser = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        # Python's own start is no guess yet.
        time.sleep(0.5)
        beside.append(reader.run(300) / 300)
        told, _ = guesser.communicate()
        tried, refused = tried + int(told.split()[0]), refused + int(told.split()[1])
    grown = (_resident(process) - before) / 1024 / 1024
    usual, slowed = statistics.median(alone) * 1e6, statistics.median(beside) * 1e6
    say(
        f"feed {name}: guessing",
        f"a good reader waits {usual:.0f} µs, beside a guesser {slowed:.0f}, {slowed / usual:.2f} times; {tried:,} "
        f"guesses, {refused:,} of them refused without a query; memory grew by {grown:.1f} MB; a million would take "
        f"{1e6 * ROUNDS * 2 / tried / 60:.0f} minutes",
    )


# (c), (d) -----------------------------------------------------------------------------------------------------------


def _first_and_next(port: int, process: psutil.Process, token: ICSToken, name: str) -> None:
    feed = Load(port, path_of(token), GZIP)
    # What the process needs once (zones, modules) is not what a feed costs.
    feed.body()
    first, following = [], []
    for number in range(ROUNDS):
        # Every row, so that no piece can be kept.
        BusyBlock.objects.filter(user=token.user).update(location=f"Room {number}", updated_at=timezone.now())
        bump_revision(token.user_id, at=timezone.now())
        first.append(_seconds(feed, process))
        row = BusyBlock.objects.filter(user=token.user)[5_000]
        BusyBlock.objects.filter(pk=row.pk).update(title=f"Moved {number}", updated_at=timezone.now())
        bump_revision(token.user_id, at=timezone.now())
        following.append(_seconds(feed, process))
        assert f"Moved {number}".encode() in gzip.decompress(feed.body())
    whole, part = (statistics.median(seconds for seconds, _ in taken) for taken in (first, following))
    cpu, part_cpu = (statistics.median(cpu for _, cpu in taken) for taken in (first, following))
    say(
        f"feed {name}: first read of 10,000",
        f"{whole:.3f} s from request to last byte, {10_000 / whole:,.0f} events/s; {10_000 / cpu:,.0f} for a second of "
        "CPU, the database's with it",
    )
    say(
        f"feed {name}: one event changed", f"{part:.3f} s, {part / whole:.0%} of the first; of CPU {part_cpu / cpu:.0%}"
    )


def _seconds(feed: Load, process: psutil.Process) -> tuple[float, float]:
    """From request to last byte; by the clock, and of CPU of the server and of PostgreSQL."""
    servers = [process, *process.children(recursive=True), *_databases()]
    before, started = cpu_seconds(servers), time.perf_counter()
    feed.body()
    return time.perf_counter() - started, cpu_seconds(servers) - before


def _databases() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if one.name().startswith("postgres")]


def _rendering(token: ICSToken) -> None:
    """In this process: rows from PostgreSQL to bytes; and `icalendar` building the same from the same rows."""
    from icsfeeds import preparation
    from icsfeeds.contents import contents_of

    def ours() -> None:
        preparation.prepare(token.user, contents_of(token, of_team=False), known=None, now=timezone.now())

    ours()
    seconds = statistics.median(_timed(ours) for _ in range(ROUNDS))
    theirs = _timed(lambda: _by_icalendar(token.user))
    say(
        "feed: 10,000 rendered",
        f"{10_000 / seconds:,.0f} events/s; icalendar {10_000 / theirs:,.0f}; {theirs / seconds:.0f} times",
    )


def _timed(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


def _by_icalendar(user: CrmUser) -> bytes:
    from busyblocks.zones import zone

    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//23blocks//CRM//EN")
    calendar.add("version", "2.0")
    for block in BusyBlock.objects.filter(user=user):
        event = icalendar.Event()
        event.add("uid", block.uid)
        event.add("dtstamp", block.updated_at)
        event.add("created", block.created_at)
        event.add("last-modified", block.updated_at)
        event.add("sequence", block.sequence)
        event.add("dtstart", block.start_time.astimezone(zone(block.time_zone)))
        event.add("dtend", block.end_time.astimezone(zone(block.time_zone)))
        event.add("summary", block.title)
        event.add("description", block.description)
        event.add("location", block.location)
        event.add("status", "CONFIRMED")
        event.add("transp", "OPAQUE")
        event.add("class", "PUBLIC")
        calendar.add_component(event)
    calendar.add_missing_timezones()
    return calendar.to_ical()


# (e) ----------------------------------------------------------------------------------------------------------------


def _long(port: int, process: psutil.Process, token: ICSToken, name: str) -> None:
    small = Load(port, f"/calendars/bench/ics/{ICSToken.objects.order_by('pk').first().encrypted_token}", {})
    small.body()
    before = _resident(process)
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, _resident(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    try:
        size = Load(port, path_of(token), {}).length()
        seconds = time.perf_counter() - started
        packed = Load(port, path_of(token), GZIP).length()
    finally:
        done.set()
        watcher.join()
    grown = (peak - before) / 1024 / 1024
    say(
        f"feed {name}: 100,000 events",
        f"{size:,} bytes in {seconds:.1f} s, then {packed:,} of gzip; memory grew by {grown:.0f} MB at most",
    )


def _resident(process: psutil.Process) -> int:
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])


# What it stands on --------------------------------------------------------------------------------------------------


def path_of(token: ICSToken) -> str:
    return f"/calendars/bench/ics/{token.encrypted_token}"


def _ledger(company: Company, count: int) -> ICSToken:
    """A user with so many blocks within a year of today, about 490 bytes each, and a token of theirs."""
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id=f"feed-{count}")
    first = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=60)
    step = timedelta(days=400) / count
    BusyBlock.objects.bulk_create(
        (_block(user, number, first + number * step) for number in range(count)), batch_size=2_000
    )
    bump_revision(user.pk, at=timezone.now())
    token = services.issue(user, label="Bench")
    assert digest_of(token.encrypted_token) == token.digest
    return token


def _block(user: CrmUser, number: int, start: datetime) -> BusyBlock:
    return BusyBlock(
        company_id=user.company_id,
        user=user,
        uid=f"{user.unique_id}-event-{number}@bench.example",
        title=f"Meeting with customer {number}",
        description=DESCRIPTION,
        location="Conference Room A, second floor",
        start_time=start,
        end_time=start + timedelta(minutes=45),
        time_zone=ZONES[number % len(ZONES)],
    )


@contextmanager
def _served(application: str, environment: dict[str, str]) -> Iterator[tuple[int, psutil.Process]]:
    """Granian with one worker, in production's settings of logs; its port and process."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--port", str(port)]
    command += ["--blocking-threads", "4", "--no-ws", "--log-level", "warning", application]
    given = {**os.environ, "LOG_LEVEL": "INFO", "LOG_AS_JSON": "true", **environment}
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        server = subprocess.Popen(command, env=given, stderr=log)
        try:
            Load(port, "/health/live", {}).wait()
            yield port, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(20)
