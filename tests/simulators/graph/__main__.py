"""A simulated Graph to look at: `python -m tests.simulators.graph [port]`, until Ctrl-C.

It prints the settings with which the service finds it, and a token and calendar with which it can be asked by hand.
"""

import os
import signal
import sys

from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.signin import CLIENT_ID, CLIENT_SECRET

STOP = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    # For the clock, which Django keeps.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    # Before there are threads, which would take the signals themselves.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    with GraphSimulator(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as graph:
        calendar = graph.alice.add_calendar("Calendar")
        graph.alice.put("Calendar", "lunch", "2026-12-04T12:00", subject="Lunch", zone="W. Europe Standard Time")
        graph.alice.put_series(
            "Calendar", "standup", "2026-11-23T09:00", count=26, subject="Standup", zone="W. Europe Standard Time"
        )
        graph.alice.change_occurrence("Calendar", "standup", 2, "2026-12-01T15:00", subject="Standup, moved")
        graph.mailbox("bob@acme.example").add_calendar("Calendar")
        print(f"OUTLOOK_API_URL={graph.api_url}")
        print(f"OUTLOOK_AUTHORIZE_URL={graph.sign_in.authorize_url}")
        print(f"OUTLOOK_TOKEN_URL={graph.sign_in.token_url}")
        print(f"OUTLOOK_CLIENT_ID={CLIENT_ID}")
        print(f"OUTLOOK_CLIENT_SECRET={CLIENT_SECRET}")
        print(f"# alice: {graph.sign_in.access_token()} {calendar}", flush=True)
        signal.sigwait(STOP)


if __name__ == "__main__":
    main()
