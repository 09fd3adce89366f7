"""`python -m config.demo`: the checks before the start, the settings, and the orderly end around it all.

Standard output holds only the lines that the ready demo prints, so that a shell can evaluate them; progress and
complaints go to standard error.
"""

import os
import signal
import sys
from types import FrameType

from config.demo import folder, simulators
from config.demo.children import ChildFailed, Children, dies_with, say
from config.demo.folder import CannotStart


class Stop(BaseException):
    """Somebody asked the demo to end."""


def main() -> int:
    """0 after an asked-for stop; 1 when the demo could not start, or a process of it failed."""
    try:
        port = wanted_port()
        with folder.locked():
            if not folder.is_free(port):
                raise CannotStart(f"Port {port} is taken. Free it, or choose another: make demo PORT={port + 1}")
            return supervise(port)
    except CannotStart as error:
        say(str(error))
        return 1


def supervise(port: int) -> int:
    """The demo from its first process to its last."""
    raise_on_stop_signals()
    children = Children()
    try:
        kept = folder.load_secrets()
        environment = settings(kept, port=port, broker_port=folder.free_port())
        if wants_simulators():
            say("Starting the simulated Google and Microsoft …")
            environment |= simulators.start(children, kept)
        folder.write_settings(environment)
        os.environ.update(environment)

        import django

        django.setup()
        # What follows stands on Django's models.
        from config.demo import service

        service.run(children, kept, port=port)
    except Stop:
        say("Stopping …")
        code = 0
    except ChildFailed as error:
        say(str(error))
        code = 1
    finally:
        children.stop()
    say("Stopped.")
    return code


def wanted_port() -> int:
    """PORT, 8000 by default; raises CannotStart when it is no port."""
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CannotStart(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def wants_simulators() -> bool:
    """SIMULATORS=1: Google and Outlook accounts can be connected, without any vendor."""
    return os.environ.get("SIMULATORS", "").lower() not in {"", "0", "false", "no", "off"}


def raise_on_stop_signals() -> None:
    """Ctrl-C, SIGTERM and SIGHUP raise Stop in the main thread, once: later ones find the orderly stop under way."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise Stop

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        signal.signal(number, stop)
    if os.environ.get("MAKELEVEL"):
        # make passes SIGTERM on, but somebody may kill it with a signal that it cannot pass on.
        dies_with(os.getppid(), signal.SIGTERM)()


def settings(kept: dict[str, str], *, port: int, broker_port: int) -> dict[str, str]:
    """The environment of the demo's processes, and of commands beside it."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": kept["secret_key"],
        "FIELD_ENCRYPTION_KEYS": kept["encryption_key"],
        "DATABASE_URL": f"sqlite:///{folder.DATABASE}",
        "REDIS_URL": f"redis://127.0.0.1:{broker_port}/0",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "PUBLIC_URL": f"http://localhost:{port}",
        # The calendar server stands on this machine.
        "OUTBOUND_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "LOG_AS_JSON": "false",
        "LOG_LEVEL": "INFO",
        "DEBUG": "false",
    }


if __name__ == "__main__":
    sys.exit(main())
