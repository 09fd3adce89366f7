"""Both simulated vendors to look at: `python -m tests.simulators [google-port graph-port]`, until Ctrl-C.

They print the settings with which the service finds them, and then a token for each with which it can be asked by hand,
with the id of a calendar of Graph's.
"""

import os
import signal
import sys

# For the clock, which Django keeps.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from tests.simulators import samples
from tests.simulators.google import GoogleSimulator
from tests.simulators.graph import GraphSimulator

_STOP = {signal.SIGINT, signal.SIGTERM}


def main(google_port: int = 0, graph_port: int = 0) -> None:
    # Before there are threads, which would take the signals themselves.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with GoogleSimulator(google_port) as google, GraphSimulator(graph_port) as graph:
        samples.fill_google(google)
        calendar = samples.fill_graph(graph)
        for name, value in (google.settings() | samples.graph_settings(graph)).items():
            print(f"{name}={value}")
        print("OUTBOUND_ALLOWED_HOSTS=127.0.0.1,localhost")
        print(f"# Google, {samples.ALICE}: {google.grant(samples.ALICE)[0]}")
        print(f"# Microsoft Graph, {samples.ALICE}: {graph.sign_in.access_token()} {calendar}", flush=True)
        signal.sigwait(_STOP)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
