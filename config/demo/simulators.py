"""The simulated Google and Microsoft, for a demo without any vendor: `make demo SIMULATORS=1`.

They are the tests' own, and stand in `tests/simulators`: nothing here imports them, they are a process of the demo.
"""

import sys

from config.demo import folder
from config.demo.children import Child, Children
from config.demo.folder import LOGS

_LOG = LOGS / "simulators.log"
_UP_SECONDS = 30.0
_PORTS = ("google_port", "outlook_port")


def start(children: Children, kept: dict[str, str]) -> dict[str, str]:
    """Start both; the environment variables with which the service finds them, as they print them.

    kept: the demo's secrets; the ports are stored with them, so that the vendors' addresses stay what they were.
    """
    for name in _PORTS:
        if name not in kept or not folder.is_free(int(kept[name])):
            kept[name] = str(folder.free_port())
    command = [sys.executable, "-m", "tests.simulators", *(kept[name] for name in _PORTS)]
    children.start(Child("simulators", command, _LOG))
    children.wait_until(_are_ready, what="The simulated vendors", seconds=_UP_SECONDS)
    pairs = (line.partition("=") for line in _printed() if not line.startswith("#"))
    return {name: value for name, separator, value in pairs if separator}


def _printed() -> list[str]:
    return _LOG.read_text().splitlines()


def _are_ready() -> bool:
    """Their last line is the token of Graph."""
    return any(line.startswith("# Microsoft") for line in _printed())
